package ownership

import (
	"encoding/json"
	"fmt"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// ScaleReview is a write to /scale. Its objects carry no managedFields where it is validated, so the claims
// are those of the object that is scaled.
type ScaleReview struct {
	// Parent is the object that is scaled, as stored; its metadata will do. It may be a moment old.
	Parent json.RawMessage
	// Old and New are the replicas before and after.
	Old, New     int64
	User         string
	Sluice       bool
	FieldManager string
	// Resource is the parent's, "deployments.apps".
	Resource string
}

var replicas = fieldpath.MakePathOrDie("spec", "replicas")

// CompareScale looks at a write to /scale. Nothing but the field manager and the user tell who asks, so
// where neither does, an owner that is not bound to users may be the requester, and Operator.Unknown says
// what comes of it. Force is asked for by the field manager only.
func CompareScale(r ScaleReview, o Operator) (*Comparison, error) {
	parent, err := decodeObject(r.Parent)
	if err != nil {
		return nil, fmt.Errorf("decoding the object that is scaled: %w", err)
	}
	c := &Comparison{
		review:   Review{User: r.User, Sluice: r.Sluice, FieldManager: r.FieldManager, Resource: r.Resource},
		operator: o, old: parent, new: &object{document: newDocument(nil)}, scaling: true, resized: r.Old != r.New, replicas: r.New,
	}
	return c, c.prepare()
}

// scaled returns what the owner of an entry loses where the number of replicas changes.
func (c *Comparison) scaled(e *entry) (*fieldpath.Set, error) {
	has, err := e.has(replicas)
	if !has || !c.resized || err != nil {
		return &fieldpath.Set{}, err
	}
	return fieldpath.NewSet(replicas), nil
}
