package hashing

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	someName  = rapid.SampledFrom([]string{"a", "b", "ab"})
	someValue = rapid.SliceOfN(rapid.Byte(), 0, 4)
	someData  = rapid.MapOfN(someName, someValue, 0, 3)
)

var someReference = rapid.Custom(func(t *rapid.T) Reference {
	ref := Reference{
		Kind:     rapid.SampledFrom([]Kind{ConfigMap, Secret}).Draw(t, "kind"),
		Name:     someName.Draw(t, "name"),
		Keys:     rapid.SliceOfN(someName, 0, 2).Draw(t, "keys"),
		Optional: rapid.Bool().Draw(t, "optional"),
	}
	if !ref.Optional {
		ref.Required = ref.Keys
	}
	return ref
})

// someObjects draws each of the six possible objects or leaves it out.
var someObjects = rapid.Custom(func(t *rapid.T) []Object {
	var objects []Object
	for _, kind := range []Kind{ConfigMap, Secret} {
		for _, name := range []string{"a", "b", "ab"} {
			if !rapid.Bool().Draw(t, "exists") {
				continue
			}
			object := Object{Kind: kind, Name: name, Data: someData.Draw(t, "data")}
			if kind == ConfigMap {
				object.BinaryData = someData.Draw(t, "binaryData")
			}
			objects = append(objects, object)
		}
	}
	return objects
})

func TestOrderAndRepetitionOfReferencesDoNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		refs := rapid.SliceOfN(someReference, 1, 6).Draw(t, "refs")
		objects := someObjects.Draw(t, "objects")
		want := digestOf(t, refs, objects...)

		shuffled := rapid.Permutation(refs).Draw(t, "shuffled")
		repeated := append(shuffled, refs[0])
		require.Equal(t, want, digestOf(t, repeated, rapid.Permutation(objects).Draw(t, "objects shuffled")...))
		require.Equal(t, merge(refs), merge(repeated))
		require.Equal(t, merge(refs), merge(merge(refs)))
		require.Equal(t, Missing(refs, objects), Missing(repeated, objects))
	})
}

func TestOrderOfContainersAndVolumesDoesNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		refs := rapid.SliceOfN(someReference, 1, 8).Draw(t, "refs")
		want, err := References(templateOf(refs, rapid.SliceOfN(rapid.IntRange(0, 4), len(refs), len(refs)).Draw(t, "places")))
		require.NoError(t, err)
		shuffled := rapid.Permutation(refs).Draw(t, "shuffled")
		got, err := References(templateOf(shuffled, rapid.SliceOfN(rapid.IntRange(0, 4), len(refs), len(refs)).Draw(t, "other places")))
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, merge(refs), got)
	})
}

// templateOf writes each reference at one of five places, whichever the numbers say and the reference can stand at.
func templateOf(refs []Reference, places []int) json.RawMessage {
	type object = map[string]any
	containers := [2]object{{"env": []any{}, "envFrom": []any{}}, {"env": []any{}, "envFrom": []any{}}}
	var volumes []any
	name := map[Kind]string{ConfigMap: "configMap", Secret: "secret"}
	for i, ref := range refs {
		source := object{"name": ref.Name, "optional": ref.Optional}
		container := containers[places[i]%2]
		switch {
		case places[i] < 2 && len(ref.Keys) == 0:
			container["envFrom"] = append(container["envFrom"].([]any), object{name[ref.Kind] + "Ref": source})
		case places[i] < 2:
			for _, key := range ref.Keys {
				keyRef := object{"name": ref.Name, "optional": ref.Optional, "key": key}
				container["env"] = append(container["env"].([]any), object{"valueFrom": object{name[ref.Kind] + "KeyRef": keyRef}})
			}
		default:
			var items []object
			for _, key := range ref.Keys {
				items = append(items, object{"key": key, "path": "p"})
			}
			source["items"] = items
			if places[i] == 2 {
				volumes = append(volumes, object{"projected": object{"sources": []any{object{name[ref.Kind]: source}}}})
				continue
			}
			source["secretName"] = ref.Name
			volumes = append(volumes, object{name[ref.Kind]: source})
		}
	}
	template, err := json.Marshal(object{"spec": object{
		"volumes": volumes, "containers": containers[:1], "initContainers": containers[1:],
	}})
	if err != nil {
		panic(fmt.Sprintf("marshalling a test template: %v", err))
	}
	return template
}

// The digest is the same if and only if what is used is the same. The oracle says what is used in its own way: as a map
// of everything that any reference gives access to.
func TestDigestsAreEqualExactlyIfTheUsedContentIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		refs := rapid.SliceOfN(someReference, 1, 4).Draw(t, "refs")
		a := someObjects.Draw(t, "a")
		b := someObjects.Draw(t, "b")
		if rapid.Bool().Draw(t, "near") {
			b = mutated(t, a)
		}
		same := maps.Equal(usedByOracle(refs, a), usedByOracle(refs, b))
		require.Equal(t, same, digestOf(t, refs, a...) == digestOf(t, refs, b...))

		previous := digestOf(t, refs, a...)
		rotated, err := keyringOf(t, 1).Rotated(keyOf(t, 2)).Digest(previous, "shop", refs, b)
		require.NoError(t, err)
		require.Equal(t, same, rotated == previous)
	})
}

func usedByOracle(refs []Reference, objects []Object) map[string]string {
	used := map[string]string{}
	for _, ref := range refs {
		for _, object := range objects {
			if object.Kind != ref.Kind || object.Name != ref.Name {
				continue
			}
			used[fmt.Sprintf("%q", []string{string(ref.Kind), ref.Name})] = "exists"
			for field, data := range map[string]map[string][]byte{"data": object.Data, "binaryData": object.BinaryData} {
				for key, value := range data {
					if len(ref.Keys) == 0 || slices.Contains(ref.Keys, key) {
						used[fmt.Sprintf("%q", []string{string(ref.Kind), ref.Name, field, key})] = string(value)
					}
				}
			}
		}
	}
	return used
}

// mutated returns the objects with one value longer, or one key more.
func mutated(t *rapid.T, objects []Object) []Object {
	changed := slices.Clone(objects)
	if len(changed) == 0 {
		return changed
	}
	i := rapid.IntRange(0, len(changed)-1).Draw(t, "object")
	changed[i].Data = maps.Clone(changed[i].Data)
	key := someName.Draw(t, "key")
	changed[i].Data[key] = append(slices.Clone(changed[i].Data[key]), rapid.Byte().Draw(t, "byte"))
	return changed
}
