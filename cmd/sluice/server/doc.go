// Package server runs sluice: the admission webhook, its certificates and the
// controllers, wired together from options.
//
// The rule: what answers the API server does not depend on who leads. Every
// replica serves the webhook and keeps its certificates for as long as it runs;
// the controllers run in terms, in the one replica that holds the Lease. A lost
// Lease ends the term and nothing else.
//
// # Order
//
//	start   1 listeners      a taken port is said before anything is changed
//	        2 certificates   the first leaf, trusted by the webhooks that exist; the hash key
//	        3 webhook        serves; ready once a handshake with itself succeeds
//	        4 Serving        the caller's hook
//	        5 controllers    standing for election; after 30 s a replica that leads is
//	                         not ready until it has listed what it watches
//	stop    1 controllers    the Lease is released: another replica takes over at once
//	        2 Leaving        the caller's hook
//	        3 webhook        not ready, serves on for the shutdown delay, then drains
//	        4 the rest
//
// # Decisions
//
// 2026-11: a replica that begins to lead stays ready while it lists. It does so when
// the one that led is told to end, and of two replicas none was ready then: a failed
// write of the test under load.
//
// 2026-11: terms instead of controller-runtime's election, which ends the whole
// process when a Lease is lost: ten seconds without an API server would take the
// webhook of the leading replica away, and its keep-alive connections with it.
package server
