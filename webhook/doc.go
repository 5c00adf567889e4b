// Package webhook is sluice's admission server: AdmissionReview in, decision, JSON patch out.
//
// The rule: this package decides nothing. It decodes what the API server sent, reads live what
// canary.Ask asks for and nothing else, and turns what canary.Decide wants into a patch or a refusal.
//
//	path             called for                         answer
//	/mutate          CREATE, UPDATE of a workload       a patch, or 403 with what to do next
//	/validate        the same, as it will be stored     403 when something undid the patch since
//	/validate-scale  UPDATE of /scale                   403 when it goes to 0 during a release, or takes the replicas
//	/validate-owners UPDATE of what the operator lists  403 when it takes fields of others: package ownership
//	/warn-config     UPDATE of a ConfigMap or Secret    a warning which workloads it rolls, never a refusal
//	/mutate-routes   CREATE, UPDATE of a route          a patch, never a refusal: package canary/traffic/split
//	                 anything else                      allowed, no patch
//
// # Snapshots
//
// Where the config of a new version is pinned (hashing.Pin), /mutate makes the snapshots that its pods are
// going to read before it answers, of the very bytes that the digest is of: no version is stored without
// them, and content and name cannot disagree. A dry run makes none, and neither does a write that keeps its
// template. What cannot be made is refused, as is pinning where the policy is missing that puts the snapshots
// into pods.
//
// # Ownership
//
// /validate-owners reads nothing for a write by which nobody loses a claim. Else it reads the Namespace, and
// asks for the permission only where the write says that it means it. A write by force is an Event, made before
// the answer; a dry run makes none. What decoding fails on is not repeated: the object may be a Secret.
//
// # Routes
//
// /mutate-routes is called for routes that are split, were, or are to be, by their label. It reads nothing: what the
// controller asks for is in the annotation that it writes, and what anybody else's write has to keep is in the stored
// route. Only the controller's username makes a share or ends one; a forged review gives its sender the patch that
// follows from the two routes that it sent, and no more. A dry run gets the same patch.
//
// # Who is at fault
//
//	the object may not be so      403 in the AdmissionReview       the user reads why and what to do next
//	the caller sent no review     HTTP 400, 405, 413, 415          a Status that names what is wrong
//	we could not find out         HTTP 500                         a Status that names object and cause
//	too much at once              HTTP 429 with Retry-After        the API server asks again by itself
//
// Only the first is an answer. The others are failed calls, so that failurePolicy decides: Fail for
// whatever carries a template, so that a failed read never lets an update through ungated, and Ignore
// for the rest.
//
// # Patches
//
// Operations are made one by one from canary.Want, for what differs only, parents first. There is no
// differ, and arrays are never touched; of a route, the list of its rules is set as a whole. An object that is already as wanted gets no patch, so the same
// review twice, a dry-run or a reinvocation gives the same bytes.
//
// # Time
//
// The API server says in ?timeout= how long it waits. Reads end a tenth (100 ms to 1 s) before that, so
// that our own answer, which says what was slow, comes before the API server's.
//
// # Forged reviews
//
// Whoever reaches the port can post an AdmissionReview. It changes nothing that anybody has: admission
// writes nothing but snapshots of pinned config, and a SubjectAccessReview is not stored. Where config is
// pinned, a forged review has snapshots made of what it names in an opted-in namespace: copies beside the
// objects, which nobody uses, and which are collected. What it can learn:
//
//   - With Options.ClientCA: nothing, it is refused without a certificate of that CA. The API server
//     presents one when its --admission-control-config-file says so, which managed clusters rarely offer.
//   - Without: config is read only in namespaces that opted in (looked up live), never anywhere else.
//     There, a forged CREATE is told whether a ConfigMap, Secret or key of a given name exists, and the
//     digest of what the template refers to. The digest is an HMAC under a key that only sluice can
//     read: it does not reveal the content and no guess can be checked against it; two answers over
//     time tell that the content changed. Neither the content nor an unkeyed hash is ever in an answer.
//     A forged edit of a ConfigMap or Secret is told which workloads use an object and key of a given name.
//     A forged write by force makes an Event in an opted-in namespace, which says what the review says.
//     Answers of SubjectAccessReviews (may this user approve?) and the existence of a release are told
//     to whoever forges a review about them.
//
// The body is hostile until decoded: at most 7 MiB, valid UTF-8, nested at most 10,000 deep, decoded by
// the API server's own JSON decoder (case-sensitive, the last of duplicate keys wins), and names are
// checked before they become part of a request path.
//
// # Values
//
// /warn-config is sent whole ConfigMaps and Secrets. What is kept of them are the names of the keys that
// differ: values are compared as raw JSON and forgotten, and what a decoder says is not repeated, since
// it quotes what it cannot decode. The workloads are listed live, all of a namespace in pages, for each
// edit of content that a person, a controller or a chart makes there.
//
// # Shutdown
//
// When the context of Start ends, readiness fails at once, and the server goes on serving for
// Options.ShutdownDelay, during which endpoints and load balancers let go of it. Every answer of that
// time closes its connection (HTTP/2: GOAWAY), so that clients come back elsewhere. Then the listener
// closes, and whatever the server has accepted is answered before it returns.
//
// Guaranteed: every request on a connection that the server has accepted, be it new, in its handshake,
// or kept and used since the delay began. Not guaranteed, since TCP and HTTP/1.1 have no way to do it:
// a connection that is still in the kernel's queue when the listener closes, and one that was idle
// through the whole delay and sends its first request in the instant in which it is closed.
//
// # Decisions
//
// 2026-11: paths, their mux and their metrics are controller-runtime's webhook server; its Start is
// not. It cancels the context of every handshake and request at the moment it has to stop, and
// net/http's Shutdown drops requests that it meets half read. Both showed as failed requests of the
// test under load.
//
// 2026-11: reviews are not decoded with controller-runtime's admission.Webhook. It goes four times
// through the whole body, and then each workload is decoded; here the two objects are cut out first
// (cutObjects). Measured with BenchmarkServer, CPU per review against a webhook of controller-runtime
// that allows everything: 0.6 to 0.8 for a write that is not about the template, 1.1 to 1.6 for a new
// template, which is hashed, and for the same review once sluice has handled it.
package webhook
