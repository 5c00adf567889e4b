package controller

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

func stripOf(t testing.TB, object client.Object) client.Object {
	short, err := strip(object)
	require.NoError(t, err)
	return short.(client.Object)
}

func TestTheCacheKeepsLittleOfAWorkload(t *testing.T) {
	const value = "hunter2hunter2"
	at := noon
	seen := hashing.Seen{
		Digest: "v1:00000000:" + strings.Repeat("ab", 32), At: &at, Streak: 3,
		Objects: map[string]map[string]string{"configmap/app": {"": "00000001", "color": "00000002"}, "secret/db": {"": "00000003"}},
		Changed: map[string][]string{"configmap/app": {"color"}},
	}
	meta := metav1.ObjectMeta{
		Namespace: "shop", Name: "web", UID: "u", ResourceVersion: "7",
		Labels:        map[string]string{"app": value, canary.ActiveLabel: "true", canary.PhaseLabel: "Waiting"},
		Annotations:   map[string]string{"note": value, canary.ReleaseAnnotation: value, canary.ConfigSeenAnnotation: seen.Encode(), canary.ConfigAnnotation: "hash"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: value}},
	}
	template := podTemplate("app")
	template.Annotations = map[string]string{"note": value, hashing.AnnotationConfigHash: seen.Digest}
	template.Spec.Containers[0].Env = []corev1.EnvVar{
		{Name: "PASSWORD", Value: value},
		{Name: "DB", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}, Key: "password"}}},
	}
	for kind, object := range map[string]client.Object{
		canary.Deployment:  &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Template: template}},
		canary.StatefulSet: &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Template: template}},
		canary.DaemonSet:   &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Template: template}},
	} {
		t.Run(kind, func(t *testing.T) {
			short := stripOf(t, object)
			raw, err := json.Marshal(short)
			require.NoError(t, err)
			require.NotContains(t, string(raw), value)
			require.Less(t, len(raw), 1500)
			require.IsType(t, object, short)
			require.Equal(t, "configmap/app secret/db", short.GetAnnotations()[usesAnnotation])
			require.Equal(t, seen.Digest, short.GetAnnotations()[hashing.AnnotationConfigHash])
			require.Equal(t, map[string]string{canary.ActiveLabel: "true", canary.PhaseLabel: "Waiting"}, short.GetLabels())
			require.Equal(t, "7", short.GetResourceVersion())
			require.Equal(t, hashing.Seen{
				Digest: seen.Digest, Changed: map[string][]string{"configmap/app": nil}, Objects: map[string]map[string]string{"configmap/app": {"": "00000001"}},
			}, hashing.DecodeSeen(short.GetAnnotations()))
			require.Equal(t, short, stripOf(t, short), "twice is once")
			require.Equal(t, value, object.GetAnnotations()["note"], "what came in is as it was")
		})
	}
	tombstone := toolscache.DeletedFinalStateUnknown{Key: "shop/web"}
	same, err := strip(tombstone)
	require.NoError(t, err)
	require.Equal(t, tombstone, same)
}

func TestStripOfOddWorkloads(t *testing.T) {
	tests := map[string]struct {
		change func(d *appsv1.Deployment)
		want   map[string]string
	}{
		"no config":                 {func(d *appsv1.Deployment) { d.Spec.Template = podTemplate() }, map[string]string{}},
		"no annotations and labels": {func(d *appsv1.Deployment) { d.Annotations, d.Labels = nil, nil }, map[string]string{usesAnnotation: "configmap/app"}},
		"what was seen is not JSON": {func(d *appsv1.Deployment) { d.Annotations = map[string]string{canary.ConfigSeenAnnotation: "{"} }, map[string]string{usesAnnotation: "configmap/app"}},
		"nobody saw anything":       {func(d *appsv1.Deployment) { d.Annotations = map[string]string{canary.ConfigSeenAnnotation: "{}"} }, map[string]string{usesAnnotation: "configmap/app"}},
		"a forged name of the cache": {func(d *appsv1.Deployment) {
			d.Annotations = map[string]string{usesAnnotation: "secret/all", rolloutAnnotation: failed}
		}, map[string]string{usesAnnotation: "configmap/app"}},
		"extra config": {func(d *appsv1.Deployment) {
			d.Annotations = map[string]string{canary.ConfigExtraAnnotation: "secret/tls"}
		}, map[string]string{usesAnnotation: "configmap/app secret/tls", canary.ConfigExtraAnnotation: "secret/tls"}},
		"extra config that is no list": {func(d *appsv1.Deployment) { d.Annotations = map[string]string{canary.ConfigExtraAnnotation: "tls"} }, map[string]string{usesAnnotation: "configmap/app", canary.ConfigExtraAnnotation: "tls"}},
		"a change of nothing": {func(d *appsv1.Deployment) {
			d.Annotations = map[string]string{canary.ConfigSeenAnnotation: `{"digest":"d","changed":{"configmap/app":null}}`}
		}, map[string]string{usesAnnotation: "configmap/app", canary.ConfigSeenAnnotation: `{"digest":"d","objects":{"configmap/app":{"":""}},"changed":{"configmap/app":null}}`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := deployment("web", "app")
			test.change(d)
			require.Equal(t, test.want, stripOf(t, d).GetAnnotations())
		})
	}
}

func TestOnlyWhatMayMatterIsAReasonToLook(t *testing.T) {
	tests := map[string]struct {
		change func(d *appsv1.Deployment)
		want   bool
	}{
		"nothing": {func(*appsv1.Deployment) {}, false},
		"replicas and a status": {func(d *appsv1.Deployment) {
			*d.Spec.Replicas = 5
			d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas = 5, 5, 5
		}, false},
		"another annotation": {func(d *appsv1.Deployment) { d.Annotations = map[string]string{"a": "b"} }, false},
		"another image":      {func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "v2" }, false},
		"a rollout":          {func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 }, true},
		"other config":       {func(d *appsv1.Deployment) { d.Spec.Template = podTemplate("app", "web") }, true},
		"another policy":     {func(d *appsv1.Deployment) { d.Annotations = map[string]string{canary.ConfigAnnotation: "ignore"} }, true},
		"a phase":            {func(d *appsv1.Deployment) { d.Labels = map[string]string{canary.PhaseLabel: "Waiting"} }, true},
		"opting out":         {func(d *appsv1.Deployment) { d.Labels = map[string]string{canary.EnabledLabel: "false"} }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before, after := deployment("web", "app"), deployment("web", "app")
			test.change(after)
			require.Equal(t, test.want, isLook(stripOf(t, before), stripOf(t, after)))
		})
	}
}

// asked is a queue that notes what it gets, and when.
type asked struct {
	queue
	after map[workload]time.Duration
}

func (a asked) Add(w workload)                           { a.after[w] = 0 }
func (a asked) AddAfter(w workload, after time.Duration) { a.after[w] = after }

var _ workqueue.TypedRateLimitingInterface[workload] = asked{}

func TestWhoIsLookedAt(t *testing.T) {
	other := named(canary.Deployment, "other")
	changed := func(change func(before, after *appsv1.Deployment)) func(*testing.T, *triggers, queue) {
		return func(t *testing.T, tr *triggers, q queue) {
			before, after := deployment("web", "app"), deployment("web", "app")
			change(before, after)
			tr.ofWorkloads(canary.Deployment).Update(t.Context(), event.TypedUpdateEvent[client.Object]{ObjectOld: stripOf(t, before), ObjectNew: stripOf(t, after)}, q)
		}
	}
	tests := map[string]struct {
		event func(t *testing.T, tr *triggers, q queue)
		want  map[workload]time.Duration
	}{
		"a workload that is new": {func(t *testing.T, tr *triggers, q queue) {
			tr.ofWorkloads(canary.Deployment).Create(t.Context(), event.TypedCreateEvent[client.Object]{Object: stripOf(t, deployment("web", "app"))}, q)
		}, map[workload]time.Duration{web: DefaultSettleTime}},
		"a workload that is new and uses nothing": {func(t *testing.T, tr *triggers, q queue) {
			tr.ofWorkloads(canary.Deployment).Create(t.Context(), event.TypedCreateEvent[client.Object]{Object: stripOf(t, deployment("web"))}, q)
		}, map[workload]time.Duration{}},
		"a workload that is as it was": {changed(func(_, _ *appsv1.Deployment) {}), map[workload]time.Duration{}},
		"a workload that became healthy": {
			changed(func(before, _ *appsv1.Deployment) { before.Status.UpdatedReplicas = 0 }),
			map[workload]time.Duration{web: DefaultSettleTime, other: 0},
		},
		"a workload that uses the object no more": {
			changed(func(_, after *appsv1.Deployment) { after.Spec.Template = podTemplate() }), map[workload]time.Duration{other: 0},
		},
		"a workload that is gone": {func(t *testing.T, tr *triggers, q queue) {
			tr.ofWorkloads(canary.Deployment).Delete(t.Context(), event.TypedDeleteEvent[client.Object]{Object: stripOf(t, deployment("web", "app"))}, q)
			require.NotContains(t, tr.rations.waiting, web)
			require.NotContains(t, tr.rations.recent, web)
		}, map[workload]time.Duration{other: 0}},
		"a namespace that opted in": {func(t *testing.T, tr *triggers, q queue) {
			tr.ofNamespaces().Create(t.Context(), event.TypedCreateEvent[client.Object]{Object: shop()}, q)
		}, map[workload]time.Duration{web: DefaultSettleTime, other: DefaultSettleTime}},
		"a namespace with another policy": {func(t *testing.T, tr *triggers, q queue) {
			after := shop()
			after.Annotations = map[string]string{canary.ConfigAnnotation: "ignore"}
			tr.ofNamespaces().Update(t.Context(), event.TypedUpdateEvent[client.Object]{ObjectOld: shop(), ObjectNew: after}, q)
		}, map[workload]time.Duration{web: DefaultSettleTime, other: DefaultSettleTime}},
		"a namespace that is as it was": {func(t *testing.T, tr *triggers, q queue) {
			tr.ofNamespaces().Update(t.Context(), event.TypedUpdateEvent[client.Object]{ObjectOld: shop(), ObjectNew: shop()}, q)
		}, map[workload]time.Duration{}},
		"another namespace that opted in": {func(t *testing.T, tr *triggers, q queue) {
			tr.ofNamespaces().Create(t.Context(), event.TypedCreateEvent[client.Object]{Object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bank"}}}, q)
		}, map[workload]time.Duration{}},
		"an object that two use": {func(t *testing.T, tr *triggers, q queue) {
			tr.add(t.Context(), q, client.InNamespace("shop"), client.MatchingFields{usesField: "configmap/app"})
		}, map[workload]time.Duration{web: DefaultSettleTime, other: DefaultSettleTime}},
		"an object that one uses": {func(t *testing.T, tr *triggers, q queue) {
			tr.add(t.Context(), q, client.InNamespace("shop"), client.MatchingFields{usesField: "configmap/more"})
		}, map[workload]time.Duration{other: DefaultSettleTime}},
		"an object of another namespace": {func(t *testing.T, tr *triggers, q queue) {
			tr.add(t.Context(), q, client.InNamespace("bank"), client.MatchingFields{usesField: "configmap/app"})
		}, map[workload]time.Duration{}},
		"a gap": {func(t *testing.T, tr *triggers, q queue) { tr.add(t.Context(), q) }, map[workload]time.Duration{web: DefaultSettleTime, other: DefaultSettleTime}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, shop(), deployment("web", "app"), deployment("other", "app", "more"), deployment("plain"))
			r := c.reconcile.rations
			r.wait(other, others)
			r.wait(named(canary.Deployment, "often"), tooOften)
			r.wait(workload{canary.Deployment, client.ObjectKey{Namespace: "bank", Name: "web"}}, others)
			r.wait(web, tooOften)
			r.recent[web] = hashing.Seen{}
			q := asked{after: map[workload]time.Duration{}}
			test.event(t, &triggers{users: r.users, rations: r, renotes: newRenotes(), settle: DefaultSettleTime, now: time.Now}, q)
			require.Equal(t, test.want, q.after)
		})
	}
}

func TestTheCacheKeepsThePolicyOfANamespace(t *testing.T) {
	namespace := shop()
	namespace.Annotations = map[string]string{"note": "secret", canary.ConfigAnnotation: "ignore"}
	namespace.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	kept, err := onlyPolicy(namespace)
	require.NoError(t, err)
	require.Equal(t, map[string]string{canary.ConfigAnnotation: "ignore"}, kept.(*corev1.Namespace).Annotations)
	require.Empty(t, kept.(*corev1.Namespace).ManagedFields)
	_, err = onlyPolicy(toolscache.DeletedFinalStateUnknown{Key: "shop"})
	require.NoError(t, err)
}

func TestOptions(t *testing.T) {
	tests := map[string]struct {
		options Options
		want    string
	}{
		"none":                     {Options{}, ""},
		"all":                      {Options{SettleTime: time.Minute, AtOnce: 1}, ""},
		"a settle time of an hour": {Options{SettleTime: time.Hour}, "settle time 1h0m0s"},
		"two faults":               {Options{SettleTime: -1, AtOnce: -1}, "config at once -1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.options.Validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
	filled := Options{}.withDefaults()
	require.Equal(t, fmt.Sprint(DefaultSettleTime, DefaultAtOnce), fmt.Sprint(filled.SettleTime, filled.AtOnce))
	require.NotNil(t, filled.Now)
}
