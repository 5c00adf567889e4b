package ownership

import (
	"encoding/json"
	"fmt"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// ScaleReview is a write to /scale. Its objects carry no managedFields where it is validated, so the claims
// are those of the object that is scaled.
type ScaleReview struct {
	// Parent is the object that is scaled, as stored. It may be a moment old.
	Parent json.RawMessage
	// Old and New are the replicas before and after.
	Old, New             int64
	NamespaceAnnotations map[string]string
	User                 string
	Sluice               bool
	FieldManager         string
	// Resource is the parent's, "deployments.apps".
	Resource string
}

var replicas = fieldpath.MakePathOrDie("spec", "replicas")

// DecideScale judges a write to /scale. Nothing but the field manager and the user tell who asks, so where
// neither does, an owner that is not bound to users may be the requester, and Operator.Unknown says what
// comes of it. Force is asked for by the field manager only.
func DecideScale(r ScaleReview, o Operator) (Decision, error) {
	parent, err := decodeObject(r.Parent)
	if err != nil {
		return Decision{}, fmt.Errorf("decoding the object that is scaled: %w", err)
	}
	c := &comparison{
		Review: Review{
			Old: r.Parent, NamespaceAnnotations: r.NamespaceAnnotations,
			User: r.User, Sluice: r.Sluice, FieldManager: r.FieldManager, Resource: r.Resource,
		},
		operator: o, old: parent, new: &object{}, scaling: true,
	}
	c.setPolicy()
	d := Decision{Verdict: Allowed, subject: c.subject(), user: r.User}
	if d.Reason = c.spared(); d.Reason != "" || r.Old == r.New || covered(c.ignored, replicas) {
		return d, nil
	}
	if c.requester, err = c.identify(); err != nil {
		return Decision{}, err
	}
	d.Requester, d.subject.requester = c.requester, c.requester
	for _, e := range parent.Metadata.ManagedFields {
		has, err := e.has(replicas)
		if err != nil {
			return Decision{}, err
		}
		if !has || c.requester.is(o.principal(e.Manager)) {
			continue
		}
		d.judge(c, []Conflict{{Owner: e.owner(), Field: replicasField, How: Modified, Protected: c.protects(e, replicasField)}})
	}
	d.ForceAsked = r.FieldManager == ForceManager
	return d.finish(c.policy.mode), nil
}
