// Package hashing turns the config that a pod template refers to into one digest, so that a config change is a
// template change and hence a release like any other.
//
// The rule: same used content, same digest, whoever computes it and whenever; anything else, another digest.
//
//	pod template -> References -> (the caller reads the objects) -> Keyring.Digest -> sluice.dev/config-hash
//
// The package is pure: no client, no clock, no context. Package live reads the objects and the key.
//
// # What counts as config
//
// ConfigMaps and Secrets that a container reads by name: volumes, projected sources, env and envFrom, of containers and
// of initContainers (sidecars are initContainers). Only the keys that are used count. References of one object are
// merged: the union of their keys, and it is required if one of them requires it.
//
// Not config, because no container reads them and a pod does not behave differently with their content: imagePullSecrets
// and the credentials of volume drivers (csi.nodePublishSecretRef and its older relatives), which only the kubelet uses.
// A rotated registry password must roll nothing. ephemeralContainers can't be in a template: the API server refuses them.
//
// # What a digest says
//
// A digest is "v1:<key id>:<hex>", an HMAC-SHA-256 over a length-prefixed encoding of namespace, kind, name, key and
// value. It is keyed because whoever may view a Deployment can read it: an unkeyed hash of a four-digit PIN is undone in
// milliseconds. Namespace and name are part of it, so equal Secrets can't be recognised across objects either.
//
//	object absent          nothing
//	object present, empty  its kind and name
//	key absent             nothing
//	key present            data or binaryData, key, value
//
// Where pods are to read snapshots, the list of what is pinned follows, as in "v1:<key id>:<hex>:configmap/web,secret/db"
// (Pin). It says nothing about the content, and two digests that differ in it alone are of the same content.
//
// # Keys
//
// A digest is verified with the key that it names, so a rotation changes no digest until the content changes. A digest
// whose key or version is unknown is reported as UnverifiableError, and then the caller keeps it for as long as neither
// template nor content has changed. NextRotation says how a key becomes the current one.
package hashing
