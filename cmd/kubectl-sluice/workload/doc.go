// Package workload reads a workload and what belongs to it: its release, its revisions, their pods.
//
// The rule: reads only, live, and with no more rights than kubectl needs for the same. What must be
// there fails the read; what only adds to the picture (pods, the record of the stable template) is left
// out where the user may not read it, and Snapshot.Notes says so.
//
// Everything is read as unstructured data and pod templates stay raw, so that they are hashed and
// compared as sluice does it, with fields newer than our libraries.
//
// The two kinds differ in what a revision is:
//
//	              a revision is a         its pods have the label    stable                canary
//	Deployment    ReplicaSet              pod-template-hash          by its template       by its label sluice.dev/release
//	StatefulSet   ControllerRevision      controller-revision-hash   currentRevision       updateRevision
package workload
