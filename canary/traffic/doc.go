// Package traffic brings a workload's requests to the versions that a release runs: it finds what stands in front of
// the workload, reads how requests are divided, and makes one write towards another share. It decides nothing: what
// share is wanted, and when, is canary.Next's; what a route has to look like for it is split's.
//
// The rule: nothing is remembered, and every write is guarded by what was read.
//
//	workload -> Services that select its pods -> routes of the namespace that refer to them     Look (reads only)
//	a share wanted  -> one route's metadata, or its canary Ingress                              Steer
//	two versions    -> the Services NAME-stable and NAME-canary beside the user's, unchanged    SelectPods
//	no release      -> routes given back, then the two Services taken away                      Sweep
//
// Of a route only metadata is written: the record (split.Ask) and the label sluice.dev/release-active. Admission makes
// the route's spec of it in the same request, so that sluice never owns a field that a chart may own. A write that
// comes back without that is an error: the webhook was not asked, and nothing counts as divided.
//
// # What is divided
//
// With `sluice.dev/traffic` as it is by default, every route of the workload's namespace that sends requests to a
// Service which selects the workload's pods and nobody else's, and which its provider has accepted. What is not
// divided, and why, is in Found.Notes; requests on such a way reach the pods by their number. A route that the
// annotation names has to be divided: where it cannot be, the release is blocked.
//
// A Service that is deleted, or selects other pods, while a release divides its requests blocks the release; what is
// divided stays in view, since it has to be taken back before the canary's pods go.
//
// A Service of somebody's with the name of one of sluice's blocks a release too. Nothing is written then to routes that
// are not divided: a backend of that name is not sluice's.
//
// An Ingress is a route only where its class is of the controller k8s.io/ingress-nginx.
//
// # Cost
//
// A look lists the namespace's Services, and where some select the workload's pods, the routes of the kinds that the
// cluster knows, and the endpoints of sluice's own Services. That a kind is not known is remembered for half a
// minute, since asking for it costs a discovery of the whole API.
//
// A sweep lists sluice's Services of the workload and the routes of its namespace: the garbage collector takes the
// Services of a deleted workload away before its routes are given back. It is made when a release ends, and when
// something of one that is over wakes the controller.
package traffic
