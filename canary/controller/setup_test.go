package controller

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/canary"
)

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		want    []string
	}{
		"defaults":            {},
		"every fault is said": {Options{SettleTime: -1, Workers: -1}, []string{"settle time -1ns: want at most 1m, or 0s for the default of 2s", "workers -1: want at most 64, or 0 for the default of 4"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.options.Validate()
			if test.want == nil {
				require.NoError(t, err)
			}
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestSetup(t *testing.T) {
	mgr, err := ctrl.NewManager(&rest.Config{Host: "https://127.0.0.1:1"}, ctrl.Options{
		Scheme: clientgoscheme.Scheme,
		Cache:  cache.Options{ByObject: CacheOptions()},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return testrestmapper.TestOnlyStaticRESTMapper(clientgoscheme.Scheme), nil
		},
		Metrics:    server.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)}, // for a second run
	})
	require.NoError(t, err)
	require.ErrorContains(t, Setup(mgr, Options{Workers: 65}), "workers")
	require.NoError(t, Setup(mgr, Options{}))
}

func TestCacheHoldsWhatHasARelease(t *testing.T) {
	selectors := map[string]labels.Selector{}
	for object, by := range CacheOptions() {
		selectors[fmt.Sprintf("%T", object)] = by.Label
	}
	require.Len(t, selectors, 5)
	for _, kind := range []string{"*v1.Deployment", "*v1.StatefulSet"} {
		require.True(t, selectors[kind].Matches(labels.Set{canary.ActiveLabel: "true"}))
		require.False(t, selectors[kind].Matches(labels.Set{"app": "web"}))
	}
	for _, kind := range []string{"*v1.ReplicaSet", "*v1.Service", "*v1.EndpointSlice"} {
		require.True(t, selectors[kind].Matches(labels.Set{canary.WorkloadLabel: "web"}))
		require.False(t, selectors[kind].Matches(labels.Set{"app": "web"}))
	}

	kept, err := onlyTrigger(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "web", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"big": "state"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "helm"}},
	}})
	require.NoError(t, err)
	require.Equal(t, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"a": "b"}}}, kept)
}

func TestRequestsOf(t *testing.T) {
	yes := true
	owner := func(apiVersion, kind, name string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, Controller: &yes}
	}
	for name, test := range map[string]struct {
		owners []metav1.OwnerReference
		label  string
		want   string
	}{
		"by its owner, whose name the label shortens":  {[]metav1.OwnerReference{owner("apps/v1", "Deployment", "web")}, "w", "web"},
		"by its label where it has no owner":           {nil, "web", "web"},
		"by its label where the owner is another kind": {[]metav1.OwnerReference{owner("argoproj.io/v1alpha1", "Rollout", "x")}, "web", "web"},
		"a Deployment of another group does not count": {[]metav1.OwnerReference{owner("example.com/v1", "Deployment", "x")}, "web", "web"},
		"nobody's": {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			rs := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", OwnerReferences: test.owners, Labels: map[string]string{canary.WorkloadLabel: test.label},
			}}
			var want []reconcile.Request
			if test.want != "" {
				want = []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: "shop", Name: test.want}}}
			}
			require.Equal(t, want, requestsOf(t.Context(), rs))
		})
	}
}

func TestPace(t *testing.T) {
	up := courseOf(&canary.Release{ID: 1, Phase: canary.Progressing})
	p := newPace()
	for range burst {
		require.Zero(t, p.take(web, up, start))
	}
	require.Equal(t, every, p.take(web, up, start))
	require.Zero(t, p.take(types.NamespacedName{Name: "other"}, up, start))
	require.Zero(t, p.take(web, up, start.Add(every)))
	require.Equal(t, every, p.take(web, up, start.Add(every+time.Second)))
	down := courseOf(&canary.Release{ID: 1, Phase: canary.Aborted})
	require.Zero(t, p.take(web, down, start.Add(every+time.Second)), "an abort does not wait for what went before")
	over := start.Add(2 * every)
	require.Equal(t, afterwards, p.end(web, over))
	require.Equal(t, time.Second, p.end(web, over.Add(time.Second)))
	require.Zero(t, p.take(web, up, over.Add(time.Second)), "another release begins with all of its writes")
	require.Equal(t, afterwards, p.end(web, over))
	require.Zero(t, p.end(web, over.Add(afterwards)))
	require.Zero(t, p.end(web, over.Add(afterwards)), "nothing is remembered")
	require.Zero(t, p.end(types.NamespacedName{Name: "never written to"}, over))
}
