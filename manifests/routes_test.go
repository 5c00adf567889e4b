package manifests_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// route is an Ingress that a release has split, where split.
func route(divided bool, changes ...func(*networkingv1.Ingress)) *networkingv1.Ingress {
	i := &networkingv1.Ingress{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", Labels: map[string]string{"team": "shop"}, Annotations: map[string]string{"example.com/a": "1"}},
	}
	if divided {
		i.Labels[split.ActiveLabel] = "true"
		i.Annotations[split.RecordAnnotation] = "{}"
	}
	for _, change := range changes {
		change(i)
	}
	return i
}

func TestAWriteOfARouteReachesSluiceDuringARelease(t *testing.T) {
	unlabelled := func(i *networkingv1.Ingress) { delete(i.Labels, split.ActiveLabel) }
	unrecorded := func(i *networkingv1.Ingress) { delete(i.Annotations, split.RecordAnnotation) }
	gone := func(i *networkingv1.Ingress) {
		i.DeletionTimestamp = &metav1.Time{Time: metav1.Unix(1700000000, 0).Time}
	}
	eject := func(old, after *networkingv1.Ingress) write {
		return write{old: old, new: after, manager: canary.EjectManager, bypasses: true}
	}
	tests := map[string]struct {
		write      write
		wantCalled bool
	}{
		"it is created, from a backup":          {write{new: route(true)}, true},
		"sluice asks for a share":               {write{old: route(false), new: route(true)}, true},
		"its chart writes it":                   {write{old: route(true), new: route(false)}, true},
		"its finalizer is taken off":            {write{old: route(true, gone), new: route(true, gone)}, false},
		"a client claims that it is deleted":    {write{old: route(true), new: route(false, gone)}, true},
		"it is ejected":                         {eject(route(true), route(false)), false},
		"it is ejected, without the permission": {write{old: route(true), new: route(false), manager: canary.EjectManager}, true},
		"it is ejected by another manager":      {write{old: route(true), new: route(false), manager: "kubectl-edit", bypasses: true}, true},
		"it is ejected, and its label stays":    {eject(route(true), route(true, unrecorded)), true},
		"it is ejected, and its record stays":   {eject(route(true), route(true, unlabelled)), true},
		"eject writes a route without a label":  {eject(route(true, unlabelled), route(false)), true},
		"eject creates a route":                 {write{new: route(true), manager: canary.EjectManager, bypasses: true}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.write.resource = "ingresses"
			got, _ := called(t, entries(t)["mutating routes.sluice.dev"].MatchConditions, test.write)
			require.Equal(t, test.wantCalled, got)
		})
	}
}

func TestRoutesAreSelectedByTheLabelAlone(t *testing.T) {
	e := entries(t)["mutating routes.sluice.dev"]
	for value, want := range map[string]bool{"true": true, "false": false, "": false} {
		require.Equal(t, want, selects(t, e.ObjectSelector, labels.Set{split.ActiveLabel: value}))
	}
	require.False(t, selects(t, e.ObjectSelector, labels.Set{}))
	require.True(t, selects(t, e.NamespaceSelector, labels.Set{"kubernetes.io/metadata.name": "shop"}), "opted in or not")
}

// The kinds that sluice splits are those whose writes it sees.
func TestEveryRouteThatIsSplitReachesSluice(t *testing.T) {
	kinds := map[string]string{
		"httproutes": "HTTPRoute", "grpcroutes": "GRPCRoute", "ingresses": "Ingress", "virtualservices": "VirtualService", "apisixroutes": "ApisixRoute",
	}
	seen := 0
	for _, rule := range entries(t)["mutating routes.sluice.dev"].Rules {
		for _, resource := range rule.Resources {
			_, known := split.For(schema.GroupKind{Group: rule.APIGroups[0], Kind: kinds[resource]})
			require.True(t, known, resource)
			seen++
		}
	}
	require.Len(t, kinds, seen)
}
