package ownership

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// 52-56: the claims are those of the object that is scaled, however the numbers got there.
func TestScaling(t *testing.T) {
	hpa := step{manager: controllerManager, scales: true, edit: three.edit}
	kubectlScale := step{manager: "kubectl", scales: true, edit: three.edit}
	tests := map[string]struct {
		past     []step
		review   ScaleReview
		operator Operator
		want     []string
		warned   []string
		audited  []string
		reason   Reason
	}{
		"52. a patch over A's replicas":                    {past: []step{three}, review: ScaleReview{New: 5, FieldManager: "scale_test"}, want: aReplicas},
		"52. the same number":                              {past: []step{three}, review: ScaleReview{New: 3, FieldManager: "scale_test"}},
		"52. A's own":                                      {past: []step{three}, review: ScaleReview{New: 5, FieldManager: "A"}},
		"52. nothing tells who asks":                       {past: []step{three}, review: ScaleReview{New: 5}, warned: aReplicas},
		"52. nothing tells who, and the policy is enforce": {past: []step{three}, review: ScaleReview{New: 5}, operator: Operator{Unknown: Enforce}, want: aReplicas},
		"54. only the status":                              {past: []step{three}, review: ScaleReview{New: 3}},
		"56. a claim through /scale counts like one of the object": {past: []step{updated("helm", five), hpa}, review: ScaleReview{New: 5, FieldManager: "ci"},
			want: []string{`"kube-controller-manager" with subresource "scale" using apps/v1 .spec.replicas`}},
		"56. A's claim is gone once another scaled": {past: []step{three, kubectlScale, {manager: "keda", scales: true, edit: set(int64(4), replicasPath...)}}, review: ScaleReview{New: 5, FieldManager: "ci"},
			warned: []string{`"keda" with subresource "scale" using apps/v1 .spec.replicas`}},
		"kubectl scale of what an autoscaler scales: it names no manager, but the autoscaler is bound": {past: []step{updated("helm", five), hpa}, review: ScaleReview{New: 5},
			want: []string{`"kube-controller-manager" with subresource "scale" using apps/v1 .spec.replicas`}},
		"the autoscaler itself": {past: []step{three}, review: ScaleReview{New: 5, User: "system:serviceaccount:kube-system:horizontal-pod-autoscaler"}, reason: Exempt},
		"a person scaled before": {past: []step{updated("helm", five), kubectlScale}, review: ScaleReview{New: 5, FieldManager: "ci"},
			warned: []string{`"kubectl" with subresource "scale" using apps/v1 .spec.replicas`}},
		"nothing tells who asks, and the owner is not protected": {past: []step{updated("helm", five)}, review: ScaleReview{New: 5},
			audited: []string{`"helm" using apps/v1 .spec.replicas`}},
		"nothing tells who asks, and kubectl applied it": {past: []step{applied("kubectl", five)}, review: ScaleReview{New: 5},
			audited: []string{`"kubectl" .spec.replicas`}},
		"another scales what kubectl applied": {past: []step{applied("kubectl", five)}, review: ScaleReview{New: 5, FieldManager: "ci"}, want: []string{`"kubectl" .spec.replicas`}},
		"nobody owns it":                      {past: []step{applied("A", set("1", "metadata", "labels", "a"))}, review: ScaleReview{New: 5, FieldManager: "ci"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			live := deployments.history(t, test.past...)
			test.review.Parent, test.review.Old = raw(t, live), 3
			namespace := map[string]string{ModeAnnotation: "enforce"}
			if test.review.User == "" {
				test.review.User = "bob"
			}

			comparison, err := CompareScale(test.review, test.operator)
			require.NoError(t, err)
			contested, err := comparison.Contested()
			require.NoError(t, err)
			require.Equal(t, len(test.want)+len(test.warned)+len(test.audited) > 0, contested)
			decision, err := comparison.Decide(namespace)

			require.NoError(t, err)
			require.Equal(t, test.reason, decision.Reason)
			require.ElementsMatch(t, test.want, lines(decision.Refused))
			require.ElementsMatch(t, test.warned, lines(decision.Warned))
			require.ElementsMatch(t, test.audited, lines(decision.Audited))
			require.Equal(t, len(test.want) > 0, decision.Verdict == Denied)
		})
	}
}
