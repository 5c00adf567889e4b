// Package canary decides how a new version of a Deployment is released: held, tried in a canary
// ReplicaSet, promoted in place or aborted. It is pure: values in, value out; no client, no clock.
//
// The state of a release is one annotation of the workload (Release). Two functions move it:
//
//   - Decide, at admission, for what people do. It recomputes everything from the old object, so the
//     same request gives the same answer however often it is asked, and nothing that a client sends
//     can forge a state. It also is the only place where spec fields follow from the state: paused
//     while a release is held, maxSurge while a canary is adopted.
//   - Next, in the controller, for what the cluster does. It names at most one write, which is
//     persisted before the next one is decided, so a crash after any write changes nothing.
//
// # Admission of an update
//
// In order; the first row that fits decides. "Template" leaves out sluice's digest.
//
//	the object is being deleted, or the write names an older resourceVersion   as it came
//	sluice's own write                                                         the state is accepted, the spec follows from it
//	opting out or disabling canaries without the permission "bypass"           refused
//	a policy annotation changes to a value that is not valid                   refused
//	a release exists, and the strategy's type changes, or N becomes 0          refused
//	no release, same template                                                  as it came, without forged state
//	no release, new template, by the old object: canaries disabled, N = 0,     native, with a warning
//	  Recreate, never available, a selector that matches our labels
//	no release, new template                                                   held
//	a release, same template, sluice.dev/abort names it                        aborted, if permitted
//	a release, same template, sluice.dev/retry names it and it is aborted      step one, if permitted
//	a release, same template, `kubectl rollout resume` or sluice.dev/approve:
//	    Waiting                                                                approved, if permitted
//	    approved already, or Promoting                                         as it came, with a warning
//	    Progressing, Aborted, Reverting                                        refused
//	a release, same template                                                   state carried over, fields re-asserted
//	a release, the stable template                                             reverted
//	a release, any other template                                              superseded
//
// # The controller's moves
//
//	any          where something got past admission: hold it again; where the stable ReplicaSet is gone
//	             or empty: bring it back
//	Progressing  record the stable template; take earlier canaries away; settle; create the canary
//	             ReplicaSet; bring it to the step's size; Waiting when all its pods are available,
//	             Aborted when they are not by the deadline
//	Waiting      Progressing again when a pod is lost or N changes; when approved, or when the step's
//	             duration is over: the next step, or Promoting
//	Promoting    sequence M: pin maxSurge, adopt, prove, unpause in one write; sequence C: unpause and
//	             keep the canary until the rollout is complete
//	Aborted      the canary to no pods; it stays as evidence
//	Reverting    the canary away, then unpause
package canary
