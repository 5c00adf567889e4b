package controller

import (
	"encoding/json"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

// admit changes the object as sluice's admission would.
func (c *cluster) admit(old, changed *unstructured.Unstructured, review canary.Review) {
	review.Operation, review.Kind = canary.Update, c.kind.Kind
	review.Old, review.New = c.decode(old), c.decode(changed)
	decision, err := canary.Decide(review, canary.World{Digest: c.digest, Allowed: map[string]bool{canary.VerbPromote: true, canary.VerbAbort: true}})
	require.NoError(c.t, err)
	require.NotEqual(c.t, canary.Denied, decision.Verdict, decision.Message)
	c.want(changed, decision.Want)
}

func (c *cluster) decode(object *unstructured.Unstructured) *canary.Workload {
	raw, err := object.MarshalJSON()
	require.NoError(c.t, err)
	workload, err := canary.DecodeWorkload(raw)
	require.NoError(c.t, err)
	return workload
}

func (c *cluster) want(object *unstructured.Unstructured, want *canary.Want) {
	if want == nil {
		return
	}
	object.SetAnnotations(merged(object.GetAnnotations(), want.Annotations))
	object.SetLabels(merged(object.GetLabels(), want.Labels))
	if want.Paused != nil {
		require.NoError(c.t, unstructured.SetNestedField(object.Object, *want.Paused, "spec", "paused"))
	}
	if want.Partition != nil {
		require.NoError(c.t, unstructured.SetNestedField(object.Object, int64(*want.Partition), "spec", "updateStrategy", "rollingUpdate", "partition"))
	}
	if want.MaxSurge != nil {
		var surge any
		require.NoError(c.t, json.Unmarshal(want.MaxSurge, &surge))
		if n, ok := surge.(float64); ok {
			surge = int64(n)
		}
		require.NoError(c.t, unstructured.SetNestedField(object.Object, surge, "spec", "strategy", "rollingUpdate", "maxSurge"))
	}
	annotations := []string{"spec", "template", "metadata", "annotations", "sluice.dev/config-hash"}
	switch {
	case want.Digest != nil && *want.Digest != "":
		require.NoError(c.t, unstructured.SetNestedField(object.Object, *want.Digest, annotations...))
	case want.Digest != nil:
		unstructured.RemoveNestedField(object.Object, annotations...)
	}
}

func merged(have map[string]string, want map[string]*string) map[string]string {
	if have == nil {
		have = map[string]string{}
	}
	for key, value := range want {
		delete(have, key)
		if value != nil {
			have[key] = *value
		}
	}
	return have
}
