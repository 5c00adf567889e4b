// Package controller brings releases of Deployments and StatefulSets forward: it observes, asks canary.Next, makes at
// most one write, and observes again.
//
// The rule: nothing is remembered. Every decision rests on live (quorum) reads made after whatever woke
// the controller, and every write is guarded by the resourceVersion or the UID that was read, so a
// crash, a second leader or a write that was applied although it seemed to fail changes nothing but the
// time it takes.
//
//	informer event -> observe (reads only) -> canary.Next (pure) -> apply (one write) -> observe ...
//
// # Waking up
//
// Informers hold metadata without annotations and managed fields, of workloads with the label
// sluice.dev/release-active and of ReplicaSets with the label sluice.dev/workload: memory grows with
// the releases in progress, not with the cluster. So it does with sluice's own Services and their endpoints, and with
// the routes that releases divide, which have the label too; a kind of route is watched once the cluster knows it. What
// happens to the stable ReplicaSet shows in the
// Deployment's status. CacheOptions has to be given to the manager.
//
// # Writes
//
//	write              request                                             guard
//	SetRelease         merge patch of one annotation of the workload       resourceVersion
//	EndRelease         the same, removed                                   resourceVersion
//	SetCondition       merge patch of status.conditions, through /status   resourceVersion
//	ClearConditions    the same                                            resourceVersion
//	SelectPods         create or PUT a Service NAME-stable, NAME-canary    name, resourceVersion
//	Steer              merge patch of a route's metadata; create, PUT or   resourceVersion, UID
//	                   delete its canary Ingress
//	RecordStable       create ControllerRevision <workload>-<hash>         name
//	CreateCanary       create ReplicaSet <workload>-<pod-template-hash>    name
//	UpdateReplicaSet   PUT of the ReplicaSet as read, changed              resourceVersion
//	Adopt, Disown      the same                                            resourceVersion
//	Reference, Unmark  the same                                            resourceVersion
//	DeleteReplicaSet   delete, pods follow in the background               UID, resourceVersion
//	DeletePod          delete; the StatefulSet makes it anew               UID, resourceVersion
//	RestoreStable      create the recorded ReplicaSet                      name
//	ForgetStable       delete one ControllerRevision; the next look finds  UID
//	                   the others
//
// The controller writes no spec field of a workload: it patches its state, and admission makes
// spec.paused, maxSurge and the partition of it in the same request.
//
// A ReplicaSet is read and written as unstructured data: a pod field newer than our libraries reaches
// the canary's pods.
//
// A create that finds its name taken looks at what is there. Sluice's own object is what was to be
// made; a canary that lost its labels gets them back; anything else blocks the release with a Warning
// Event that says what to do.
//
// # Failures
//
//	409, 404, name taken      observed again after 200 ms; no error
//	namespace being deleted   observed again after 30 s; no error
//	anything else             an error; tried again after 50 ms, 100 ms, ... at most 30 s
//	403, 422, blocked         the same, and a Warning Event on the Deployment
//
// A release may make 100 writes, then one every 10 s: who keeps undoing sluice's writes is named in a
// Warning Event and not outrun.
//
// # Sweeping
//
// For a workload without a release, or that does not exist any more, whatever sluice marked is cleared
// away, and its conditions, where somebody else ended the release. Routes are first: nothing else goes while
// requests may still be sent to a canary. A ReplicaSet with a Deployment's labels or with a controller is
// unmarked and keeps running; it was promoted, or `kubectl delete --cascade=orphan` left it for a Deployment
// to come. Any other one is a canary that nobody approved, and is deleted.
package controller
