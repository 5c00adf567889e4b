// Package canary decides how a new version of a Deployment or StatefulSet is released: held, tried in a
// few pods, promoted in place or aborted. It is pure: values in, value out; no client, no clock.
//
// The state of a release is one annotation of the workload (Release). Two functions move it:
//
//   - Decide, at admission, for what people do. It recomputes everything from the old object, so the
//     same request gives the same answer however often it is asked, and nothing that a client sends
//     can forge a state. It also is the only place where spec fields follow from the state: paused or
//     the partition while a release is held, maxSurge while a canary is adopted.
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
//	  Recreate, OnDelete, never available, a selector that matches our labels
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
//
// # Requests
//
// Where routes divide requests, they move before pods do (Traffic, Share). A rule waits until every route says what it
// wants, and its provider has accepted that.
//
//	Progressing  everything to the stable version's own Service before the canary has pods; what it had, or less,
//	             while a step's pods are made; the step's share before Waiting. Aborted when that is not accepted by
//	             the step's deadline, or when only people can mend what keeps it
//	Waiting      the step's share, whoever changes a route
//	Promoting    to the Services themselves before a canary is adopted, or native controllers take pods; a canary of
//	             full size with all requests keeps them until it is adopted and alone
//	Aborted      everything to the stable version's own Service, before anything else; then the pods go; then the
//	Reverting    routes are given back. So are those of a canary that was superseded
//	any          a canary that lost its pods gets nothing; where the stable version has none, whoever serves gets all
//
// A workload of which two versions are stable, since its promotion was superseded, or since a StatefulSet has a partition
// of the user's own and another version below it, is not divided: no Service selects
// both.
//
// # Two kinds
//
// What a phase means is the same for both kinds; how it comes about is theirs (mechanics). The canary of
// a Deployment is a ReplicaSet beside it. That of a StatefulSet replaces pods of it, so:
//
//   - At least one pod stays stable: once all pods run one revision, Kubernetes forgets the other. A set
//     of one pod is held, and waits for approval without a canary.
//   - The partition is 2147483647 but for the moments in which a step's pods are made. Pods that are
//     created otherwise, as by a scale-up, are stable ones; a canary pod that is evicted comes back as a
//     stable one, and the step is made again. A scale-up in those moments, through /scale, makes pods of
//     the new version; they are taken back.
//   - Pods that are taken back are deleted one by one, behind the closed partition, and return as stable.
//   - Where a set is scaled to 0 past admission, or the ControllerRevision of its stable version is
//     deleted, only the template can bring that version back: the release is aborted and says so.
//   - With a partition of the user's own, pods that are made anew are of the version below it. One that no
//     pod reaches is the user's own pause: step 0.
package canary
