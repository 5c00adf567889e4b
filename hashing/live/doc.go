// Package live is the edge of package hashing: it reads the objects that a template refers to and the hash key, and
// keeps nothing of the former.
//
// The rule: what could not be read is an error that names the object, never an absence. Only the API server's own
// answer that an object does not exist makes it absent, because an absence ends up in a digest.
//
// Give it uncached readers. A cached one would list and watch every Secret of the cluster and answer with old content.
//
// # Snapshots
//
// Pin stores what hashing.Snapshots returns. A snapshot that exists is as good as one that was made, where it is the same
// in every bit, cannot change, and is noted as used; whatever else has its name is a refusal.
//
// # The hash key
//
// It is made at the first start (Ensure) and rotated by whoever annotates the Secret with hashing.AnnotationRotate. A
// digest names its key, so a rotation changes none; it has two phases (hashing.NextRotation), so that no replica meets a
// digest whose key it does not know:
//
//	Add       a new key is in the Secret   digests are made with the old one   every replica comes to know the new one
//	Promote   it is the current one        digests are made with it            those under the old one are verified with that
//
//	what is lost                                        what follows
//	the Secret, while a replica leads                   it is put back with the same keys
//	the Secret, and nobody knows the key any more       Ensure makes a new one; digests under the old one stay as they are,
//	                                                    and what workloads use now is taken for what they were released with
//	the current key, as by an older Secret put back     the leader adds what it knows; the Secret says which one is current
//	an entry that is not current, on purpose            nothing: it is forgotten
//	an entry is malformed                               the Secret is left alone, and the keys in use stay
//
// RBAC: get on configmaps and secrets; in sluice's namespace create on secrets, and get and update on SecretName. No list,
// no watch, no delete.
package live
