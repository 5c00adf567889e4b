package workload

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/canary"
)

// stableTemplate returns the template from before the release: of a revision that is there, else from
// the record that sluice keeps of it, nil where both are gone.
func (r *Reader) stableTemplate(ctx context.Context, s *Snapshot) ([]byte, error) {
	for _, revision := range s.Revisions {
		if revision.Role == Stable {
			return revision.Template, nil
		}
	}
	marked := labels.SelectorFromSet(labels.Set{canary.WorkloadLabel: canary.WorkloadLabelValue(s.Name)})
	items, err := r.list(ctx, controllerRevisionResource, s.Namespace, marked)
	if err != nil {
		return nil, fmt.Errorf("listing the records of stable versions of %s: %w", s.Ref, err)
	}
	for i := range items {
		if !belongsTo(&items[i], s.UID) {
			continue
		}
		if template := recordedTemplate(&items[i], s.Release.Stable); template != nil {
			return template, nil
		}
	}
	return nil, nil
}

// recordedTemplate returns the template in sluice's record, nil where that is of another version.
func recordedTemplate(record *unstructured.Unstructured, stable canary.Revision) []byte {
	template, found, err := unstructured.NestedFieldNoCopy(record.Object, "data", "template")
	if err != nil || !found {
		return nil
	}
	raw, err := json.Marshal(template)
	if err != nil {
		return nil
	}
	hash, digest, err := identify(raw)
	if err != nil || hash != stable.Hash || digest != stable.Digest {
		return nil
	}
	return raw
}
