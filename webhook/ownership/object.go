package ownership

import (
	"encoding/json"
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"sluice.dev/sluice/canary"
)

// object is one of the two objects of a review. Of its content only what is asked for is looked at.
type object struct {
	head
	*document
	// path was asked for last, and values are what is at each of its steps: paths come in the order of a
	// tree, so the next one mostly begins like it.
	path   fieldpath.Path
	values [][][]byte
}

type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name              string            `json:"name"`
		Namespace         string            `json:"namespace"`
		UID               types.UID         `json:"uid"`
		ResourceVersion   string            `json:"resourceVersion"`
		DeletionTimestamp *string           `json:"deletionTimestamp"`
		Annotations       map[string]string `json:"annotations"`
		ManagedFields     entries           `json:"managedFields"`
	} `json:"metadata"`
}

func decodeObject(raw json.RawMessage) (*object, error) {
	o := &object{document: newDocument(raw)}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &o.head); err != nil {
		return nil, err
	}
	for _, e := range o.Metadata.ManagedFields {
		if e == nil {
			return nil, errors.New("managedFields has a null entry")
		}
		if err := e.validate(); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *object) reference() corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, UID: o.Metadata.UID}
}

// release returns the state of a release, nil where there is none. Only sluice writes it on the workloads that it
// holds; on anything else it is what somebody wrote.
func (o *object) release() *canary.Release {
	if o.APIVersion != "apps/v1" || !canary.Holdable(o.Kind) {
		return nil
	}
	r, err := canary.DecodeRelease(o.Metadata.Annotations)
	if err != nil {
		return nil
	}
	return r
}

// at returns the raw values at a path: none where it is absent, several where a list has several items of
// one key.
func (o *object) at(path fieldpath.Path) [][]byte {
	common := 0
	for common < len(path) && common < len(o.path) && path[common].Equals(o.path[common]) {
		common++
	}
	o.path, o.values = append(o.path[:common], path[common:]...), o.values[:common]
	above := [][]byte{o.raw}
	if common > 0 {
		above = o.values[common-1]
	}
	for _, step := range path[common:] {
		above = o.below(above, step)
		o.values = append(o.values, above)
	}
	return above
}
