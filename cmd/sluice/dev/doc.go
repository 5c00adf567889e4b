// Package dev runs sluice on a developer's machine for whatever cluster the
// kubeconfig names: the shipped manifests less the Deployment, and webhooks that
// point at this process.
//
// The rule: two identities, never mixed. The person at the keyboard installs and
// takes out; the server acts with a token of sluice's ServiceAccount, so with
// exactly the shipped permissions, and its writes are recognised as sluice's.
//
// # Order
//
//	1 namespace, Lease    one dev at a time; an installed sluice is left alone
//	2 account, policy     labelled as dev's
//	3 probes              webhooks that select nothing but dev's own test object
//	4 the server          serves with a certificate that those trust
//	5 reach               the API server is seen to call through the probes
//	6 webhooks            the shipped ones; seen to be in force before dev says that it serves
//	...                   and back: controllers, webhooks, server, everything else
//
// So no webhook with failurePolicy Fail exists while nobody answers, unless an
// earlier dev was killed: then its webhooks stay, so that what it held stays
// held, and the next dev takes over what is labelled as a dev's.
//
// # Decisions
//
// 2026-11: no leader election. The Lease sluice-dev, taken before anything is
// installed, keeps a second dev out, which an election of the controllers would
// not: its webhooks would already point elsewhere. A holder that was killed on
// this machine is recognised by its process id, so that the next dev starts at
// once; on another machine it is given up after leaseDuration without a renewal.
package dev
