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
// # What is bound to a Service by its name
//
// A BackendTLSPolicy, a DestinationRule with a trafficPolicy or an ApisixUpstream of "web" says nothing of "web-stable"
// and "web-canary", to which a divided route sends its requests: in clear to pods that speak TLS, or without their
// stickiness. A route that its provider sends by such an object is not divided, unless people have bound one to each of
// these two beforehand, or the same one to all three; whether those say the same is up to them. DestinationRules count
// for routes of the Gateway API, too, where a controller of Istio's reports on them. What is divided already stays so.
//
// They are looked for in the workload's namespace. Istio also goes by rules of its root namespace, and of the one that
// a request comes from. Nor are kinds looked for that a single gateway knows beside those, as the policies of GKE, Envoy
// Gateway and APISIX that a Service is the target of: then `sluice.dev/traffic: none` is for people to say.
//
// What keeps sessions on one pod and is written on the Service itself, sluice's two have as well, each for its own
// pods: that is a note (sticky).
//
// # Routes of other namespaces
//
// They are not divided: whoever may change the workload need not be allowed to change those. Of the Gateway API they
// are named, since a ReferenceGrant says in which namespaces to look. A VirtualService needs nobody's leave to name
// "web.shop.svc.cluster.local", and can stand anywhere: to find it takes a list of all that the cluster has, at each
// look. It is not looked for.
//
// # Cost
//
// A look lists the namespace's Services. Where some select the workload's pods, it lists
//
//	the routes of the namespace, of the kinds that the cluster knows     and IngressClasses, where there are Ingresses
//	ReferenceGrants of the namespace                                     and the routes of the namespaces they name
//	endpoints of those Services and of sluice's own                      where a route is divided, or can be
//	the pods that the canary's Service selects                           where it has endpoints, and gets nothing yet
//	one pod that a Service selects and the workload does not             until a route of the Service is divided
//	what is bound to Services by their names, of the kinds in question   until each route in question is divided
//
// and nothing that grows with the cluster but for the IngressClasses, which are few. That a kind is not known is
// remembered for half a minute, since asking for it costs a discovery of the whole API.
//
// A sweep lists sluice's Services of the workload and the routes of its namespace: the garbage collector takes the
// Services of a deleted workload away before its routes are given back. It is made when a release ends, when something of
// one that is over wakes the controller, and several times a second while gateways take up what was given back. Where it
// finds a route divided, which somebody else's end of a release leaves, it lists the namespace's Services, endpoints and
// the pods that the user's Service selects.
//
// # Decisions
//
// 2026-11: every look reads live, nothing from a cache: what a write is guarded by must not be older than the write
// before it, and a cache of all routes, Services and endpoints of a cluster is much memory for the few workloads that
// have a release. Watched is, as metadata, what releases have made: divided routes, by their label, and sluice's own
// Services and their endpoints; they wake the controller at once. Anything else, as a new route, a policy, the user's
// Service and its endpoints, is found by the next look: within seconds while something is awaited, and after 30 s while
// a step with divided routes waits for people.
package traffic
