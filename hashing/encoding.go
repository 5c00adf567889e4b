package hashing

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
)

// digestDomain keeps digests apart from whatever else a key may one day be used for. It and the encoding in this file
// are version v1: changing either would restart the workloads of everyone, so a change is a new version.
const digestDomain = "sluice.dev/config-hash/v1"

// Where a value is. The same bytes are mounted alike, but only data reaches env.
const (
	inData       = "data"
	inBinaryData = "binaryData"
)

// content is the used part of objects, in the order in which it is hashed.
type content struct {
	namespace string
	objects   []usedObject
}

type usedObject struct {
	identity
	ignored bool
	entries []entry
}

type entry struct {
	key    string
	source string
	value  []byte
}

// usedContent picks out of the objects what the references use.
func usedContent(namespace string, refs []Reference, objects []Object) (content, error) {
	existing := index(objects)
	if len(existing) != len(objects) {
		return content{}, fmt.Errorf("hashing config of namespace %s: an object was passed twice", namespace)
	}
	picked := content{namespace: namespace}
	for _, ref := range merge(refs) {
		id := identity{ref.Kind, ref.Name}
		if object, exists := existing[id]; exists {
			picked.objects = append(picked.objects, usedObject{id, object.Ignored, usedEntries(ref, object)})
		}
	}
	return picked, nil
}

func usedEntries(ref Reference, object Object) []entry {
	entries := append(
		entriesOf(ref, inData, object.Data),
		entriesOf(ref, inBinaryData, object.BinaryData)...,
	)
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.source, b.source))
	})
	return entries
}

func entriesOf(ref Reference, source string, values map[string][]byte) []entry {
	var entries []entry
	if len(ref.Keys) == 0 {
		for key, value := range values {
			entries = append(entries, entry{key, source, value})
		}
		return entries
	}
	for _, key := range ref.Keys {
		if value, exists := values[key]; exists {
			entries = append(entries, entry{key, source, value})
		}
	}
	return entries
}

// sum is the HMAC of the content under a key. countIgnored hashes ignored objects like any other.
func (c content) sum(key Key, countIgnored bool) []byte {
	secret := key.secret()
	w := fieldWriter{hash: hmac.New(sha256.New, secret[:])}
	w.field(digestDomain)
	w.field(c.namespace)
	for _, object := range c.objects {
		if object.ignored && !countIgnored {
			continue
		}
		w.field(string(object.kind))
		w.field(object.name)
		w.count(len(object.entries))
		for _, entry := range object.entries {
			w.field(entry.key)
			w.field(entry.source)
			w.bytes(entry.value)
		}
	}
	return w.hash.Sum(nil)
}

func (c content) hasIgnored() bool {
	return slices.ContainsFunc(c.objects, func(o usedObject) bool { return o.ignored })
}

// fieldWriter prefixes each field with its length and each list with its size, so that no two contents have the same
// encoding.
type fieldWriter struct {
	hash   hash.Hash
	length [8]byte
}

func (w *fieldWriter) count(n int) {
	binary.BigEndian.PutUint64(w.length[:], uint64(n))
	w.hash.Write(w.length[:])
}

func (w *fieldWriter) field(s string) {
	w.bytes([]byte(s))
}

func (w *fieldWriter) bytes(b []byte) {
	w.count(len(b))
	w.hash.Write(b)
}
