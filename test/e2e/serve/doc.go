// Package serve holds the end-to-end test of what an operator runs: manifests/install.yaml applied with
// kubectl, and two replicas of `sluice serve` with the rights that it gives the ServiceAccount sluice.
//
// One thing differs from an installed sluice: no kubelet runs the pods, so the replicas are processes on
// loopback ports, and the webhook configurations lead to a balancer of the test's in the Service's place.
// As a Service does, it knows a replica by its readiness and connections by nothing else.
package serve
