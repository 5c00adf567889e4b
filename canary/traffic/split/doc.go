// Package split decides what a route has to look like for a canary to get its share of requests. It is the pure
// half of traffic: values in, values out; no client, no clock.
//
// The rule: of a route only the backends of the one Service are replaced. Rules, filters, other backends, their
// weights, and fields that nobody here knows stay as they are. What was replaced can be read back, so that
// Restore gives the route as its people mean it: as it was, with what they have changed since.
//
// # What Split makes
//
// "web" stands for the Service, W for its backend's weight, w for the share in percent.
//
//	HTTPRoute, GRPCRoute, VirtualService (http), ApisixRoute (http): for each backend of a rule that is web,
//	  the backend twice, with the names web-stable and web-canary, and of the weights
//	    nothing else in the rule gets requests                          100-w and w
//	    the same, and several backends of the rule are web              100 W in proportion, where the API allows it
//	    beside others                                                   W in proportion, rounded down for the canary
//	    W is 0                                                          0 and 0
//	  with a Match, for each rule whose web gets requests, one more rule: the same with the condition added, and
//	  web-canary as its only backend. In a VirtualService it stands right before the rule, since the first one
//	  that fits counts; elsewhere at the end, since the more specific one counts (Gateway API: one header match
//	  more, ApisixRoute: a priority more by one)
//	Ingress (nginx): web-stable in place of web; and a canary Ingress, which has the hosts and paths of web with
//	  web-canary, the weight and the Match as annotations
//
// Everything is decided anew each time, of the route as Restore gives it. So Split of a split route is Split of the
// original, whatever share it was split for, and a route that its chart has rewritten in whole or in part is split
// like any other.
//
// # What Restore goes by
//
// A pair is known by its names, and both halves are the backend. The record on the route (RecordAnnotation) adds
// the weight it had, and which Match there is.
//
//	a pair, as it was written, or alone in its rule      the weight of the record
//	a pair beside others, with another sum               the sum: somebody gave the Service another weight
//	a pair that was alone, and got everything (Istio)    the sum, once there are others
//	a pair that the record does not have                 the sum beside others, no weight alone
//	the stable half, or the canary's, alone              the backend, with the weight of the record
//	the canary's half beside backends that are web       removed: these were written anew
//	a rule with the Match, for the canary alone          removed
//	no record, one that cannot be read, a forged one     as if the record had nothing of it
//
// # Who splits
//
// The controller never writes the spec of a route, which belongs to its chart. It asks, by the record alone (Ask),
// and admission makes the spec of it in the same request (Admitted), also where somebody rewrites the route during a
// release. What admission changes has no owner in managedFields, so the chart's next server-side apply conflicts
// with nothing.
//
// # When a share is in force
//
// The spec says it where Split returns the route as it is. It counts where Reading.Waiting is empty too:
//
//	HTTPRoute, GRPCRoute   each of spec.parentRefs has a report with Accepted and ResolvedRefs True, both at the
//	                       route's generation, and none that is not, or that drops a part (PartiallyInvalid)
//	VirtualService         only where Istio writes a status: no validation message ERROR, Reconciled True at the
//	                       generation
//	ApisixRoute            Accepted (ResourcesAvailable in version 1) True at the generation, where there is one
//	Ingress                nothing: nginx does not say
//
// A condition that does not say of which generation it is counts as one of the route's.
//
// # What is not
//
//   - The Services, and what is bound to them by name and not by the route: a DestinationRule, an ApisixUpstream, a
//     BackendTLSPolicy of web is none of web-stable. Subsets, which only these define, are an error; for all else
//     the edge looks, and does not ask for a share then.
//   - With a Match, a request that rules of several routes fit, or rules of one in ways that the Gateway API and
//     APISIX rank by the number of conditions or by priority, can get to the canary where it got to a third backend
//     before: the added rule has one condition more.
//   - TCP and TLS routes, and mirrored requests. Reading.Inexact names them.
//   - An object whose annotations are {} has none after Restore. The API server stores no such thing.
//   - F5's controller for nginx, and other controllers that read some of the same annotations.
//
// # Decisions
//
// 2026-11: the canary's weight is rounded down. A step is a limit, so that at 20 % one of one and one (a backend of
// weight 1 beside another) is none and not all; Reading.Inexact says what it comes to.
//
// 2026-11: weights beside others add up to what they were, although greater ones would be more exact: then the
// others' would have to be multiplied too, and with them fields of which sluice is not the owner.
//
// 2026-11: the record has no copy of the route. Whoever restores a copy undoes what was changed since.
//
// 2026-11: admission goes by the stored record, since anybody can send another one; but for a request that is
// exactly what Split makes of some route by its own record. Without this the API server's second call, after a chart
// gave the Service another weight, would bring the first weight back; and a file saved during a release, applied
// after it, would point at Services that are gone. Whoever makes such a record up could send the route itself.
//
// 2026-11: a share ends by a word in the record, not by its removal. The webhook of routes fails open, and without the
// record nobody would know any more what to restore.
//
// 2026-11: a cookie of nginx can only be "always". A Match with another value is refused there: a canary that
// silently gets nothing would be approved for its silence.
package split
