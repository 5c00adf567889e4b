// Package collector deletes the snapshots of pinned config that nobody needs any more, and makes again those that are
// missing.
//
// The rule: what a pod may be started from keeps its snapshots. All is read live when it is decided, the snapshots first:
//
//	snapshots of a namespace -> whoever may start a pod there -> what none of these names, and is old enough, is deleted
//
// Needed is what is named by a digest
//
//	in the pod template of a Deployment, StatefulSet, DaemonSet or ReplicaSet
//	in a ControllerRevision, be it a StatefulSet's, a DaemonSet's or sluice's own record of a stable version
//	in an annotation of a workload: the state of a release
//	in an annotation of a pod
//
// So revisionHistoryLimit decides how long a version keeps its config: a ReplicaSet that a rollback may return to counts,
// however many pods it has.
//
// Admission makes snapshots before the workload is stored that needs them, and notes it where they exist already. So
// nothing is deleted that was made or noted within live.SnapshotAge, and only as it was when it was listed: whatever was
// noted since has another resourceVersion.
//
// Nothing is read and nothing needs a permission where the policy is not installed that has pods read snapshots.
package collector
