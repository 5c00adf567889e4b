package manifests_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const autoscaler = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"

func TestAWriteOfAnObjectThatSomebodyOwnsReachesSluice(t *testing.T) {
	owned := func(change func(*appsv1.Deployment)) *appsv1.Deployment {
		d := webWith(change)
		d.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "flux", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "apps/v1",
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)}}
		return d
	}
	nothing := func(*appsv1.Deployment) {}
	tests := map[string]struct {
		write      write
		wantCalled bool
	}{
		"by a person":                                     {write{old: owned(nothing), new: web()}, true},
		"by a GitOps tool":                                {write{user: "system:serviceaccount:flux-system:kustomize-controller", old: owned(nothing), new: owned(nothing)}, true},
		"nobody owns anything":                            {write{old: web(), new: owned(nothing)}, false},
		"on its way out":                                  {write{old: deleting(owned(nothing)), new: owned(nothing)}, false},
		"a client claims that it is deleted":              {write{old: owned(nothing), new: deleting(owned(nothing))}, true},
		"by a controller of Kubernetes":                   {write{user: "system:serviceaccount:kube-system:deployment-controller", old: owned(nothing), new: web()}, false},
		"by the controller manager":                       {write{user: "system:kube-controller-manager", old: owned(nothing), new: web()}, false},
		"by the scheduler":                                {write{user: "system:kube-scheduler", old: owned(nothing), new: web()}, false},
		"by a kubelet":                                    {write{user: "system:node:n1", old: owned(nothing), new: web()}, false},
		"by a person with a name like a controller's":     {write{user: "kube-controller-manager", old: owned(nothing), new: web()}, true},
		"the write that ejects it, by whoever may":        {write{manager: "kubectl-sluice-eject", bypasses: true, old: owned(func(d *appsv1.Deployment) { *d = *labelled("sluice.dev/release-active", "true") }), new: web()}, false},
		"the write that ejects it, by whoever may not":    {write{manager: "kubectl-sluice-eject", old: owned(func(d *appsv1.Deployment) { *d = *labelled("sluice.dev/release-active", "true") }), new: web()}, true},
		"the field manager of eject, without any release": {write{manager: "kubectl-sluice-eject", bypasses: true, old: owned(nothing), new: web()}, true},
	}
	entry := entries(t)["validating owners.sluice.dev"]
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.write.resource = "deployments"
			got, _ := called(t, entry.MatchConditions, test.write)
			require.Equal(t, test.wantCalled, got)
		})
	}
}

func TestScalingReachesSluiceWhenItMatters(t *testing.T) {
	scale := func(replicas int32) runtime.Object {
		return &autoscalingv1.Scale{
			TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"},
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"},
			Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
		}
	}
	tests := map[string]struct {
		user       string
		from, to   int32
		wantCalled bool
	}{
		"a person scales":             {"", 3, 5, true},
		"a person scales to zero":     {"", 3, 0, true},
		"nothing changes":             {"", 3, 3, false},
		"from zero to zero":           {"", 0, 0, false},
		"the autoscaler scales":       {autoscaler, 3, 5, false},
		"the autoscaler goes to zero": {autoscaler, 3, 0, true},
	}
	entry := entries(t)["validating scale.sluice.dev"]
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, _ := called(t, entry.MatchConditions, write{user: test.user, resource: "deployments", subresource: "scale", old: scale(test.from), new: scale(test.to)})
			require.Equal(t, test.wantCalled, got)
		})
	}
}
