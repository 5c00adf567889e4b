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
//	end the release: state, labels and drivers away, resourceVersion   what is held stays held until it
//	  the user's own paused, maxSurge and partition                    ends, and ends at once
//	  back, the template where it is reverted
//	delete a canary's ReplicaSet, unmark one that    UID or            a Deployment's own pods are enough
//	  the Deployment owns, delete records            resourceVersion   without it, or it is waited for
//	delete pods of a StatefulSet                     UID               pods that nobody else replaces
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
// # Past the webhooks
//
// The write that ends a release passes by the webhooks' own match conditions, see manifests/webhooks.yaml:
// the API server lets it pass, without calling sluice, for whoever has the verb bypass.
package eject
