// Package gateway gives tests a data plane: requests that are really sent, through a real gateway, to the pods
// that the cluster believes in. A request that is lost is seen, with the moment and the reason.
//
//	client --> Traefik, which watches routes and EndpointSlices --> 10.244.0.0/16, port 8080: every pod
//
// # What is real
//
//   - Traefik reads HTTPRoutes of the Gateway API and Ingresses with the annotations of ingress-nginx, and sends to
//     the addresses of EndpointSlices, which the real controllers write. It does not try another pod when one
//     fails: what fails is lost. It is linked without its ACME client and two services of a cloud, a third of its
//     code that routes nothing.
//   - Everything runs in a network namespace of its own, where 10.244.0.0/16 is local. One server answers for every
//     pod and knows by the address which one is meant. It resets connections to an address that no ready pod
//     has. A deleted pod goes on serving, terminating, until its object is gone: Grace later.
//
// # The namespace
//
// Run, which is TestMain, starts the test binary once more inside of it. As root it needs CAP_SYS_ADMIN; as
// anybody else user namespaces, which a machine may have switched off for programs that it does not know
// (kernel.apparmor_restrict_unprivileged_userns=1). Modules and programs are fetched and built before, since
// nothing of the network outside is inside. Neither ip nor unshare is needed.
//
// # What Traefik does
//
// As of v3.7.5:
//   - It writes Accepted and ResolvedRefs of a route, with the generation, before the configuration made of it is
//     in force: later by up to providersThrottleDuration (here 50 ms, by default 2 s) and the time to build it.
//   - For the Gateway API only ready endpoints count, so a terminating pod gets no new requests. For Ingresses those
//     that serve count, terminating ones too, which only keep their sticky sessions.
//   - A backend with a weight and no endpoint gets its share all the same: 503, or 500 where the Service has no
//     EndpointSlice yet. A canary Ingress whose Service has no endpoint counts for nothing; one that has only
//     terminating ones loses its share.
//   - For an Ingress it writes nothing.
//
// # What Kubernetes does
//
// An EndpointSlice that was written a moment ago is looked at again only a second later. So pods that are being
// deleted stand there as ready for up to a second, in one Service's slice while they are gone from another's, and get
// requests: who goes by pods, or by another Service, is early.
package gateway
