// Package certs keeps the certificates of sluice's admission webhook server.
//
// The rule: a replica serves a leaf only after the CA that signed it was read
// back from every webhook configuration and a propagation time has passed, and
// a CA leaves the configurations only after every leaf that it signed is
// certainly gone. So there is no instant at which a handshake can fail, through
// the renewal of leaves and of the CA, a crash after any write, and any number
// of replicas that do all of this at once.
//
// # Who holds what
//
// The CA (certificate and key) lives in one Secret, which no pod mounts. Every
// replica signs its own leaf in memory and renews it at 2/3 of its life. The
// caBundle of the webhook configurations is the union of all CAs of the Secret.
//
//	key of the Secret   written when        meaning
//	ca.crt, ca.key      Found, Promote      signs leaves
//	next.crt, next.key  Found, Announce     trusted already, signs nothing yet
//	next-announced      Confirm             since when next.crt was seen in every configuration
//	retired.crt         Promote, Adopt      trusted still, signs nothing any more
//	retired-since       Promote, Adopt      when the last of them stopped signing
//
// # Rotation
//
// Plan decides from the Secret, the configurations and the time; rules in
// order, the first that fits:
//
//	situation                                          action    stored
//	no CA left, no trusted CA in any configuration     Found     a new ca
//	no CA left, some CA is trusted (Secret deleted)    Found     a new next; the trusted ones are retired
//	a configuration trusts a CA that is not stored     Adopt     it is retired
//	next announced, missing in a configuration         Withdraw  announcement taken back
//	next in every configuration, not announced         Confirm   announced now
//	next announced for the propagation time + skew     Promote   next becomes ca, ca becomes retired
//	ca past 2/3 of its life, no next                   Announce  a new next
//	retired past the overlap, in no configuration      Drop      retired removed
//	anything else                                      Keep      nothing; configurations get the bundle where they differ
//
// Every action but Keep is one write of the Secret guarded by its
// resourceVersion; a loser reads again and plans again. A configuration is
// written only under Keep, guarded by its own resourceVersion, and always read
// after the Secret: a replica that read an older Secret either sees an unknown
// CA there (Adopt, which loses against the newer Secret) or a resourceVersion
// that has moved on.
//
// # Arithmetic
//
// All clocks agree to within Skew. A leaf expires LeafValidity after the moment
// before the Secret was read for it, however long its replica hung in between. A
// read that finds the old CA began before the Promote was written, which is at
// most a round (1m) after it was planned and stamped. So the last leaf of the old
// CA expires by retired-since + 1m + LeafValidity, also in a replica that cannot
// reach the API server; one Skew for the two replicas' clocks, one for those of
// the API server and of the replica that drops the CA:
//
//	Overlap >= LeafValidity + 2 Skew + 1m, and no replica needs to be counted
//	CAValidity / 3 >= Overlap + Propagation + Skew, the part of a CA's life in which it is rotated
//
//	default: leaf 7d, renewed after 4d16h; overlap 8d >= 7d + 4m + 1m
//	         CA 365d, renewed after 243d; 121d left >= 8d + 1m + 2m
//
// Replicas that run side by side share these durations; raise LeafValidity only
// while no CA is retired.
//
// # cert-manager instead
//
// With a ServingSecret the leaf is that Secret's, and the bundle is the union
// of what the configurations trust and its ca.crt, less what has expired. A
// renewed leaf is served when every configuration has verified it for the
// propagation time, or at once when the present one has stopped working. A
// configuration annotated for cert-manager's cainjector is never written.
//
// # Decisions
//
// 2026-11: reads are polled GETs, since sluice's Role names its Secrets and can
// neither list nor watch them. The cost is that a caBundle wiped by someone
// else is back only after Interval; that also bounds the writes of a fight over
// the field to one per Interval and configuration.
//
// 2026-11: a malformed Secret is never repaired by overwriting it: it may hold
// the only copy of a CA that is in use. The present leaf keeps serving, and the
// error names the key and the command that makes a new CA.
package certs
