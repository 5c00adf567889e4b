package hashing

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Seen is what the config controller last saw of the config of a workload, kept as JSON in AnnotationConfigSeen. It is
// the baseline of a template that has no digest yet, it tells which keys a change is about, and writing it is how the
// controller tells admission that the config changed.
type Seen struct {
	// Digest of the content, as Keyring.Digest made it. It never says what is pinned.
	Digest string `json:"digest"`
	// Of is the template's digest that stands for this very content where that is another one: its key is not known any
	// more, or not the current one.
	Of string `json:"of,omitempty"`
	// Template is the hash of the pod template that this is the baseline of, set where the template has no digest.
	Template string `json:"template,omitempty"`
	// Objects holds the sums of what is used: object ("configmap/app"), key, sum. The key "" stands for the whole object,
	// whatever of it is used.
	Objects map[string]map[string]string `json:"objects,omitempty"`
	// Changed is what differed from what was seen before, see Difference.
	Changed map[string][]string `json:"changed,omitempty"`
	// At is when Changed was written, and Streak how many changes came in quick succession until then, this one counted.
	At     *time.Time `json:"at,omitempty"`
	Streak int        `json:"streak,omitempty"`
}

// DecodeSeen returns what was seen, the zero Seen where the annotation is absent or cannot be read: then it is as good as
// absent, and is written again.
func DecodeSeen(annotations map[string]string) Seen {
	var seen Seen
	if json.Unmarshal([]byte(annotations[AnnotationConfigSeen]), &seen) != nil {
		return Seen{}
	}
	return seen
}

// Encode returns the annotation's value: the same Seen gives the same bytes.
func (s Seen) Encode() string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("this is a bug: encoding what was seen of config: %v", err)) // strings, numbers and a time
	}
	return string(raw)
}

// StandsFor tells whether this is what was seen of the template with that digest ("": none) and hash.
func (s Seen) StandsFor(digest, template string) bool {
	switch {
	case s.Digest == "":
		return false
	case digest == "":
		return s.Template == template
	}
	return s.Digest == Plain(digest) || Plain(s.Of) == Plain(digest)
}

// keyID is the id of the key of the sums.
func (s Seen) keyID() string {
	id, _, err := parseDigest(s.Digest)
	if err != nil {
		return ""
	}
	return id
}

const (
	// sumDigits is the length of a sum: long enough to tell a change, and 32 bits of a keyed hash tell nothing else.
	sumDigits = 8
	// mostKeys of one object get sums of their own; of larger objects only the whole does.
	mostKeys = 64
	// mostSums of one workload. An annotation's room is shared with those of others.
	mostSums = 512
	// mostNames of changed keys are told.
	mostNames = 5
)

// See returns what is to be seen of the objects, all of one namespace: the digest under the current key, and the sums of
// what the references use. Objects that are ignored have none.
func (k Keyring) See(namespace string, refs []Reference, objects []Object) (Seen, error) {
	digest, err := k.Digest("", namespace, refs, objects)
	if err != nil {
		return Seen{}, err
	}
	sums, err := k.sums(namespace, refs, objects)
	return Seen{Digest: digest, Objects: sums}, err
}

// Difference is Seen.Difference of what is to be seen now, under the key of what was seen before: a change that comes with
// a new key is told like any other.
func (k Keyring) Difference(before Seen, namespace string, refs []Reference, objects []Object) (map[string][]string, error) {
	id := before.keyID()
	if !k.Has(id) {
		return nil, nil
	}
	now, err := k.WithCurrent(id).See(namespace, refs, objects)
	return now.Difference(before), err
}

func (k Keyring) sums(namespace string, refs []Reference, objects []Object) (map[string]map[string]string, error) {
	current := k.keys[k.current]
	used, err := usedContent(namespace, refs, objects)
	if err != nil {
		return nil, err
	}
	existing := index(objects)
	sums, room := map[string]map[string]string{}, mostSums
	for _, object := range used.objects {
		if object.ignored {
			continue
		}
		whole := usedObject{object.identity, false, usedEntries(Reference{}, existing[object.identity])}
		of := map[string]string{"": k.part(current, namespace, whole)}
		if len(object.entries) <= mostKeys && len(object.entries) <= room {
			room -= len(object.entries)
			for _, e := range object.entries {
				of[e.key] = k.part(current, namespace, usedObject{object.identity, false, []entry{e}})
			}
		}
		sums[object.String()] = of
	}
	return sums, nil
}

func (k Keyring) part(key Key, namespace string, object usedObject) string {
	sum := content{namespace: namespace, objects: []usedObject{object}}.sum(key, true)
	return hex.EncodeToString(sum)[:sumDigits]
}

// String is the object's name as kubectl spells it, "configmap/app".
func (i identity) String() string { return ObjectName(i.kind, i.name) }

// ObjectName is the name of an object as kubectl spells it, "configmap/app".
func ObjectName(kind Kind, name string) string {
	return strings.ToLower(string(kind)) + "/" + name
}

// Difference returns the objects ("configmap/app") that differ from what was seen before, each with the keys that do; none
// where it is the object as a whole that came, went, or is too large to tell. It is empty where nothing differs, and where
// the two cannot be compared.
func (s Seen) Difference(before Seen) map[string][]string {
	if before.keyID() != s.keyID() {
		return nil
	}
	changed := map[string][]string{}
	for object := range either(before.Objects, s.Objects) {
		was, is := before.Objects[object], s.Objects[object]
		whole := was == nil || is == nil || len(was) == 1 || len(is) == 1
		switch keys := differing(was, is); {
		case !whole && len(keys) > 0:
			changed[object] = keys
		case whole && was[""] != is[""]:
			changed[object] = nil
		}
	}
	return changed
}

// Cause says in one line what Changed holds: "configmap/app: color, size; secret/db". It is empty where nobody knows.
func (s Seen) Cause() string {
	var objects []string
	for _, object := range slices.Sorted(maps.Keys(s.Changed)) {
		keys := s.Changed[object]
		if len(keys) > mostNames {
			keys = append(slices.Clone(keys[:mostNames]), fmt.Sprintf("%d more", len(keys)-mostNames))
		}
		if len(keys) > 0 {
			object += ": " + strings.Join(keys, ", ")
		}
		objects = append(objects, object)
	}
	return strings.Join(objects, "; ")
}

// differing returns the keys whose sums differ, sorted.
func differing(was, is map[string]string) []string {
	var keys []string
	for key := range either(was, is) {
		if key != "" && was[key] != is[key] {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// either holds the keys of both.
func either[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return all
}
