// Package eject takes workloads out of sluice, with sluice dead or alive, and leaves plain ones.
//
// The rule: one guarded write ends a release, and only an end that was decided, by the release or by the
// person who asks, is ever written. Everything is planned before the first write; what cannot be done as
// it was asked for stops all of it.
//
// # How a release ends
//
//	phase                 no flag   --promote    --revert   --leave-paused
//	Progressing, Waiting  asks      promote      revert     leave-paused
//	Aborted               asks      promote (1)  revert     leave-paused
//	Promoting             promote   promote      revert (2) promote (3)
//	Reverting             revert    revert (3)   revert     revert (3)
//
// (1) refused unless the workload is named; (2) where the workload is named, else promote: it was
// approved; (3) refused where the workload is named. A template that got into the spec past admission is
// not what was decided about, so somebody has to say how it ends.
//
//	promote       the new version stays in the spec and rolls out natively
//	revert        the stable version goes back into the spec; no pod of it restarts
//	leave-paused  the new version stays in the spec, paused, without pods
//
// # The writes, in order
//
//	write                                            guard             why then
//	requests to where they stay until the canary's   resourceVersion,  before pods go, and waited for: gateways
//	  pods are gone: to the stable version's own       UID               act on it later
//	  Service; of one that is promoted, to the
//	  Service itself
//	end the release: state, labels and drivers away, resourceVersion   what is held stays held until it
//	  the user's own paused, maxSurge and partition                    ends, and ends at once
//	  back, the template where it is reverted
//	delete a canary's ReplicaSet, unmark one that    UID or            a Deployment's own pods are enough
//	  the Deployment owns, delete records            resourceVersion   without it, or it is waited for
//	delete pods of a StatefulSet                     UID               pods that nobody else replaces
//	routes to the Service itself, without record     resourceVersion   once the canary has no pods that would get
//	  and label; this manager off managedFields                          requests by it
//	delete sluice's own Services                     UID               once gateways act on that: they tell whose
//	                                                                     the routes are
//	take sluice's conditions off the status, then    resourceVersion   last: it says that work is left
//	  the mark and this manager's managedFields
//	the Namespace's label, or the webhooks           none, UID         while they stand, what comes is held
//
// A crash after any of them changes nothing but the time it takes: the same command does what is left. The
// mark of such a workload is the label sluice.dev/phase with the phase of a release, on an object that has
// none: Promoting where it was promoted, Reverting where it was reverted, Aborted where it was left paused.
// Pods are deleted under that mark only. "Promoted" and "Reverted", which stay after an ordinary release,
// are none.
//
// A release that came after the plan was shown to nobody. It is listed, and left alone; where it came before
// the last row, that is not written either.
//
// # Routes
//
// Of an Ingress the canary Ingress goes first, which leaves all requests to the stable version, then the main one is
// given back. Gateways that say so have half a minute to accept a route, and two seconds to act on it; those that say
// nothing have the five of canary.Unsaid. That counts from the route's last write, whoever made it: sluice may have died
// right after one. Then they are not waited for any longer, since one that answers nothing may be gone, and with
// --timeout=0 nobody is. The stable version gets all requests only where it has ready pods, and all that serve beside the canary
// are its own: else the Service does. A sluice that is alive divides a route again as long as the release exists, and
// gives it back afterwards by itself; where it does not within ten seconds, it is done at once. What is divided for
// another workload stays so, on the same route too. Kinds of routes that the cluster does not know are none.
//
// # Past the webhooks
//
// The writes that end a release and that give a route back pass by the webhooks' own match conditions, see manifests/webhooks.yaml:
// the API server lets them pass, without calling sluice, for whoever has the verb bypass.
package eject
