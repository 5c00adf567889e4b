package hashing

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// A digest of a template whose pods read snapshots also lists the objects that are pinned:
//
//	v1:<key id>:<hex>:configmap/web,secret/db
//
// The list is sorted and has no duplicates. Whatever compares, carries or reverts digests need not know about it. It is
// what a MutatingAdmissionPolicy reads in a pod's own annotation, so that no webhook stands in a pod's start.
//
// A snapshot holds what is used of one object, and so its name is a function of its content:
//
//	configmap/web  ->  configmap/web-<first 16 digits of hex>

const (
	// suffixDigits of the digest tell the snapshots of one object apart. Two contents with the same digits are refused,
	// not mixed up.
	suffixDigits = 16
	// maxName is the longest name of an object.
	maxName = validation.DNS1123SubdomainMaxLength
	// maxList bounds the list of what is pinned. The digests of up to three versions are in annotations of the workload,
	// whose annotations may have 256 KiB together.
	maxList = 32 << 10
	// maxPinned bounds the snapshots that admission looks after before it answers.
	maxPinned = 400
)

// rootCertificate is in every namespace and in every pod, and the cluster replaces it.
const rootCertificate = "kube-root-ca.crt"

// serviceAccountToken is a type of Secrets that the cluster fills and replaces. A copy would be deleted.
const serviceAccountToken = "kubernetes.io/service-account-token"

// Plain returns a digest without the list of what is pinned.
func Plain(digest string) string {
	plain, _, _ := cutPinned(digest)
	return plain
}

// Pinned returns what a digest says is pinned, as "configmap/web". None for a digest that was not written by sluice.
func Pinned(digest string) []string {
	_, list, pins := cutPinned(digest)
	if !pins || !isDigest(digest) {
		return nil
	}
	return strings.Split(list, ",")
}

// Pin returns the digest with the list of what the references pin: each, also one that does not exist, since pods are
// not to see it before the next version. Without: objects that are ignored, and those that the cluster replaces.
func Pin(digest string, refs []Reference, objects []Object) string {
	existing := index(objects)
	var names []string
	for _, ref := range merge(refs) {
		if object, exists := existing[identity{ref.Kind, ref.Name}]; (exists && object.staysLive()) || !isPinnable(ref.Name) {
			continue
		}
		names = append(names, ObjectName(ref.Kind, ref.Name))
	}
	digest = Plain(digest)
	if len(names) == 0 || digest == "" {
		return digest
	}
	return digest + ":" + strings.Join(set(names), ",")
}

// Snapshot is what is to be stored of an object: its Name is that of the snapshot.
type Snapshot struct {
	Object
	// Of is the name of the object itself.
	Of string
}

// Snapshots returns a snapshot of each object that the digest pins and that exists, with what the references use of it.
// The digest has to be that of these very references and objects: what it is of is what a snapshot holds.
func Snapshots(digest string, refs []Reference, objects []Object) []Snapshot {
	existing := index(objects)
	pinned := Pinned(digest)
	var snapshots []Snapshot
	for _, ref := range merge(refs) {
		object, exists := existing[identity{ref.Kind, ref.Name}]
		if !exists || !slices.Contains(pinned, ObjectName(ref.Kind, ref.Name)) {
			continue
		}
		snapshots = append(snapshots, Snapshot{Of: ref.Name, Object: Object{
			Kind: ref.Kind, Name: SnapshotName(ref.Name, digest), Type: object.Type,
			Data: used(ref, object.Data, object.Type), BinaryData: used(ref, object.BinaryData, ""),
		}})
	}
	return snapshots
}

// SnapshotName returns the name of the snapshot of an object for a pinned digest.
func SnapshotName(name, digest string) string { return name + "-" + suffix(digest) }

// SnapshotsOf returns the snapshots that pods with a digest read, as "configmap/web-0123456789abcdef".
func SnapshotsOf(digest string) []string {
	names := Pinned(digest)
	for i, name := range names {
		names[i] = SnapshotName(name, digest)
	}
	return names
}

// Unpinnable returns why a digest cannot be that of a template, empty where it can.
func Unpinnable(digest string) string {
	for _, object := range Pinned(digest) {
		_, name, _ := strings.Cut(object, "/")
		if length := len(SnapshotName(name, digest)); length > maxName {
			return fmt.Sprintf("the name of %s is too long: its snapshot's would have %d characters, and a name may have %d: rename it", object, length, maxName)
		}
	}
	if count := len(Pinned(digest)); count > maxPinned {
		return fmt.Sprintf("it refers to %d ConfigMaps and Secrets, and %d can be pinned: refer to fewer", count, maxPinned)
	}
	if _, list, _ := cutPinned(digest); len(list) > maxList {
		return fmt.Sprintf("the names of what it refers to have %d bytes together, and %d can be pinned: refer to fewer", len(list), maxList)
	}
	return ""
}

var pinnedPattern = regexp.MustCompile(digestVersion + `:[a-z0-9]+:[0-9a-f]{64}:[a-z0-9./,-]+`)

// PinnedDigests finds the digests in an object as JSON that pin something, wherever they are: in a pod template, in a
// record of one, in the state of a release.
func PinnedDigests(object []byte) []string {
	var digests []string
	for _, found := range pinnedPattern.FindAll(object, -1) {
		if digest := string(found); isDigest(digest) {
			digests = append(digests, digest)
		}
	}
	return digests
}

// staysLive: pods read the object itself.
func (o Object) staysLive() bool { return o.Ignored || o.Type == serviceAccountToken }

// isPinnable is false for names that the cluster keeps up to date, and for those that no object can have.
func isPinnable(name string) bool {
	return name != rootCertificate && len(validation.IsDNS1123Subdomain(name)) == 0
}

// fillers are keys without which the API server refuses a Secret of a type. Where a template does not use them, the
// snapshot has them without their content.
var fillers = map[string]map[string]string{
	"kubernetes.io/tls":              {"tls.crt": "", "tls.key": ""},
	"kubernetes.io/basic-auth":       {"username": ""},        // or a password
	"kubernetes.io/ssh-auth":         {"ssh-privatekey": "-"}, // not empty
	"kubernetes.io/dockercfg":        {".dockercfg": "{}"},
	"kubernetes.io/dockerconfigjson": {".dockerconfigjson": "{}"},
}

// IsFiller tells whether a value may stand in a snapshot for its Secret's type alone.
func IsFiller(key string, value []byte) bool {
	for _, filler := range fillers {
		if wanted, ok := filler[key]; ok && wanted == string(value) {
			return true
		}
	}
	return false
}

// used returns what a reference uses of the values, and what the type asks for.
func used(ref Reference, values map[string][]byte, kind string) map[string][]byte {
	picked := map[string][]byte{}
	for _, entry := range entriesOf(ref, inData, values) {
		picked[entry.key] = entry.value
	}
	for key, value := range fillers[kind] {
		_, instead := picked["password"]
		if _, exists := picked[key]; !exists && !(instead && key == "username") {
			picked[key] = []byte(value)
		}
	}
	return picked
}

// suffix is empty for what is no digest.
func suffix(digest string) string {
	_, sum, err := parseDigest(digest)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(sum)[:suffixDigits]
}

func isDigest(digest string) bool {
	_, _, err := parseDigest(digest)
	return err == nil
}

// cutPinned splits a digest at its third colon.
func cutPinned(digest string) (plain, list string, found bool) {
	at := 0
	for range 3 {
		next := strings.IndexByte(digest[at:], ':')
		if next < 0 {
			return digest, "", false
		}
		at += next + 1
	}
	return digest[:at-1], digest[at:], true
}

// isPinnedList accepts what Pin writes.
func isPinnedList(list string) bool {
	before := ""
	for _, object := range strings.Split(list, ",") {
		kind, name, _ := strings.Cut(object, "/")
		if (kind != "configmap" && kind != "secret") || object <= before || !isPinnable(name) {
			return false
		}
		before = object
	}
	return true
}
