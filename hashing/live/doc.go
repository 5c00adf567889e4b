// Package live is the edge of package hashing: it reads the objects that a template refers to and the hash key, and
// keeps nothing of the former.
//
// The rule: what could not be read is an error that names the object, never an absence. Only the API server's own
// answer that an object does not exist makes it absent, because an absence ends up in a digest.
//
// Give it uncached readers. A cached one would list and watch every Secret of the cluster and answer with old content.
//
// To rotate the hash key, patch the Secret with a new entry (32 random bytes, named after hashing.Key.ID) and "current"
// with that name, both at once, and restart sluice. Old entries stay for as long as workloads name them.
//
// RBAC: get on configmaps and secrets; in sluice's namespace create on secrets, and get on SecretName. No list, no watch,
// no update: keys are added to the Secret by whoever rotates them.
package live
