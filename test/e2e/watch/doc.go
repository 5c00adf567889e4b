// Package watch proves, for one namespace, what must hold at every instant of a test. A Recorder keeps
// every version of every Deployment, ReplicaSet, StatefulSet, ControllerRevision, pod and EndpointSlice;
// Judge replays them in the order in which the API server stored them and names each violation:
//
//   - No more pods of an unapproved template exist than the current step allows (Rule "ungated"). What
//     is approved is what the test says it approved (Mark), not what sluice's own state says.
//   - Available pods never fall below N - maxUnavailable once N were available (Rule "availability"), and
//     while a template is held, N pods of the approved ones stay available (Rule "stable").
//   - A Service whose pods were all available keeps at least one ready endpoint (Rule "endpoints").
//   - Once a release is over, spec.paused, maxSurge and the partition are what the user wants (Rule
//     "restored"): what was stored while sluice set none, or what the test says it stated meanwhile.
//   - No manager of sluice's owns a field outside metadata and its own conditions (Rule "ownership").
//
// All these resources live in one etcd, so that their resourceVersions are one order; a test in the same
// process as several watches could not order what it receives otherwise.
//
// # StatefulSets
//
// The canary pods of a StatefulSet replace stable ones. So a step allows at most N - 1 of them, and none
// below the user's own partition; those of a superseded version count too, since they go before others
// come. N - maxUnavailable pods (one pod may be missing by default) are available in every phase, also
// while canary pods are taken back, and stable pods are missing only by as many as the step has canary
// pods. Where a test scales up while the partition is open, it says so (Rushed).
//
// # Tolerances
//
// A change of N moves limits at once, and the controllers a moment later. So after N has changed, the
// greater of the old and the new limit counts for Settle (a pod too many then is one that the
// controllers had no chance to take away), and a greater N raises the floor only when that many pods
// were available for the first time. A smaller N lowers the floor at once. Pods that are being deleted
// count as neither running nor available: a ReplicaSet replaces them before they are gone.
package watch
