package manifests_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func web() *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](3),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "example/web:v1"}}},
			},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: ptr.To(intstr.FromInt32(1))},
			},
		},
	}
}

func webWith(change func(*appsv1.Deployment)) *appsv1.Deployment {
	d := web()
	change(d)
	return d
}

func annotated(key, value string) *appsv1.Deployment {
	return webWith(func(d *appsv1.Deployment) { metav1.SetMetaDataAnnotation(&d.ObjectMeta, key, value) })
}

func labelled(key, value string) *appsv1.Deployment {
	return webWith(func(d *appsv1.Deployment) { metav1.SetMetaDataLabel(&d.ObjectMeta, key, value) })
}

func deleting(d *appsv1.Deployment) *appsv1.Deployment {
	d.DeletionTimestamp = &metav1.Time{}
	*d.DeletionTimestamp = metav1.Unix(1700000000, 0)
	return d
}

func TestAWriteOfAnObjectWithoutAReleaseReachesSluiceWhenItMatters(t *testing.T) {
	newImage := func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "example/web:v2" }
	tests := map[string]struct {
		old, new   *appsv1.Deployment
		wantCalled bool
	}{
		"it is created": {
			new: web(), wantCalled: true},
		"it is created with annotations and labels": {
			new: annotated("sluice.dev/steps", "50%"), wantCalled: true},
		"nothing changes": {
			old: web(), new: web()},
		"the image changes": {
			old: web(), new: webWith(newImage), wantCalled: true},
		"kubectl rollout restart annotates the template": {
			old: web(), wantCalled: true,
			new: webWith(func(d *appsv1.Deployment) {
				d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "now"}
			})},
		"maxSurge changes": {
			old: web(), wantCalled: true,
			new: webWith(func(d *appsv1.Deployment) {
				d.Spec.Strategy.RollingUpdate.MaxSurge = ptr.To(intstr.FromString("1"))
			})},
		"the strategy loses its details": {
			old: web(), wantCalled: true,
			new: webWith(func(d *appsv1.Deployment) { d.Spec.Strategy.RollingUpdate = nil })},
		"it is paused": {
			old: web(), wantCalled: true,
			new: webWith(func(d *appsv1.Deployment) { d.Spec.Paused = true })},
		"it is resumed": {
			old: webWith(func(d *appsv1.Deployment) { d.Spec.Paused = true }), new: web(), wantCalled: true},
		"replicas change": {
			old: web(), new: webWith(func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](5) })},
		"a foreign label appears where there was none": {
			old: web(), new: labelled("team", "shop")},
		"a foreign annotation changes": {
			old: annotated("example.com/a", "1"), new: annotated("example.com/a", "2")},
		"a foreign annotation only resembles sluice's": {
			old: web(), new: annotated("sluice.development/steps", "1")},
		"the first policy annotation appears": {
			old: web(), new: annotated("sluice.dev/steps", "50%"), wantCalled: true},
		"a policy annotation changes": {
			old: annotated("sluice.dev/canary", "enabled"), new: annotated("sluice.dev/canary", "disabled"), wantCalled: true},
		"the last annotation, sluice's, is dropped": {
			old: annotated("sluice.dev/release", "{}"), new: web(), wantCalled: true},
		"one of sluice's is replaced by another": {
			old: annotated("sluice.dev/approve", "1/1"), new: annotated("sluice.dev/abort", "1/1"), wantCalled: true},
		"it opts out": {
			old: web(), new: labelled("sluice.dev/enabled", "false"), wantCalled: true},
		"its release-active label is dropped": {
			old: labelled("sluice.dev/release-active", "true"), new: web(), wantCalled: true},
		"the image changes on its way out": {
			old: deleting(web()), new: deleting(webWith(newImage))},
		"a client claims that it is being deleted": {
			old: web(), new: deleting(webWith(newImage)), wantCalled: true},
	}
	entry := entries(t)["mutating workloads.sluice.dev"]
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := write{resource: "deployments", new: test.new}
			if test.old != nil {
				w.old = test.old
			}
			got, _ := called(t, entry.MatchConditions, w)
			require.Equal(t, test.wantCalled, got)
		})
	}
}

func TestAWriteOfAnObjectWithAReleaseReachesSluiceUntilItIsBeingDeleted(t *testing.T) {
	entry := entries(t)["mutating releases.sluice.dev"]
	tests := map[string]struct {
		write      write
		wantCalled bool
	}{
		"it is created, from a backup": {write{resource: "deployments", new: web()}, true},
		"nothing of note changes":      {write{resource: "deployments", old: web(), new: labelled("team", "shop")}, true},
		"its finalizer is taken off":   {write{resource: "deployments", old: deleting(web()), new: deleting(web())}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, _ := called(t, entry.MatchConditions, test.write)
			require.Equal(t, test.wantCalled, got)
		})
	}
}

func TestOtherKindsAreJudgedByTheSameConditions(t *testing.T) {
	statefulSet := func(partition int32) *appsv1.StatefulSet {
		return &appsv1.StatefulSet{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
			Spec: appsv1.StatefulSetSpec{UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
				RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr.To(partition)}}},
		}
	}
	daemonSet := func(image string) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"},
			Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}}}},
		}
	}
	tests := map[string]struct {
		write      write
		wantCalled bool
	}{
		"a StatefulSet stays":               {write{resource: "statefulsets", old: statefulSet(1), new: statefulSet(1)}, false},
		"a StatefulSet's partition changes": {write{resource: "statefulsets", old: statefulSet(1), new: statefulSet(0)}, true},
		"a DaemonSet stays":                 {write{resource: "daemonsets", old: daemonSet("a"), new: daemonSet("a")}, false},
		"a DaemonSet's image changes":       {write{resource: "daemonsets", old: daemonSet("a"), new: daemonSet("b")}, true},
	}
	entry := entries(t)["validating workloads.sluice.dev"]
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, _ := called(t, entry.MatchConditions, test.write)
			require.Equal(t, test.wantCalled, got)
		})
	}
}

func configMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "shop"},
		Data:       data,
	}
}

func secret(kind corev1.SecretType, password string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop"},
		Type:       kind, Data: map[string][]byte{"password": []byte(password)},
	}
}

func TestAnEditOfConfigReachesSluiceWhenContentThatPodsReadChanges(t *testing.T) {
	info, debug := configMap(map[string]string{"level": "info"}), configMap(map[string]string{"level": "debug"})
	with := func(c *corev1.ConfigMap, change func(*corev1.ConfigMap)) *corev1.ConfigMap {
		c = c.DeepCopy()
		change(c)
		return c
	}
	binary := func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{"logo": {1}} }
	gone := func(c *corev1.ConfigMap) { c.DeletionTimestamp = ptr.To(metav1.Unix(1700000000, 0)) }
	helm := corev1.SecretType("helm.sh/release.v1")
	tests := map[string]struct {
		write      write
		wantCalled bool
	}{
		"a value changes":                    {write{old: info, new: debug}, true},
		"the first value appears":            {write{old: configMap(nil), new: info}, true},
		"the last value goes":                {write{old: info, new: configMap(nil)}, true},
		"a value of bytes appears":           {write{old: info, new: with(info, binary)}, true},
		"nothing changes":                    {write{old: info, new: info}, false},
		"nothing of nothing changes":         {write{old: configMap(nil), new: configMap(nil)}, false},
		"a label changes":                    {write{old: info, new: with(info, func(c *corev1.ConfigMap) { c.Labels = map[string]string{"team": "shop"} })}, false},
		"it is made immutable":               {write{old: info, new: with(info, func(c *corev1.ConfigMap) { c.Immutable = ptr.To(true) })}, false},
		"a value changes on its way out":     {write{old: with(info, gone), new: with(debug, gone)}, false},
		"a client claims that it is deleted": {write{old: info, new: with(debug, gone)}, true},
		"the root certificate is renewed":    {write{name: "kube-root-ca.crt", old: info, new: debug}, false},
		"Helm keeps a release in it":         {write{name: "sh.helm.release.v1.web.v2", old: info, new: debug}, false},

		"a Secret changes":                    {write{old: secret(corev1.SecretTypeOpaque, "1"), new: secret(corev1.SecretTypeOpaque, "2")}, true},
		"a Secret without a type changes":     {write{old: secret("", "1"), new: secret("", "2")}, true},
		"a Secret is called like a ConfigMap": {write{name: "kube-root-ca.crt", old: secret("", "1"), new: secret("", "2")}, true},
		"a certificate is renewed":            {write{old: secret(corev1.SecretTypeTLS, "1"), new: secret(corev1.SecretTypeTLS, "2")}, true},
		"a Secret stays":                      {write{old: secret("", "1"), new: secret("", "1")}, false},
		"Helm keeps a release in a Secret":    {write{old: secret(helm, "1"), new: secret(helm, "2")}, false},
		"a service account's token is made":   {write{old: secret(corev1.SecretTypeServiceAccountToken, "1"), new: secret(corev1.SecretTypeServiceAccountToken, "2")}, false},
	}
	entry := entries(t)["validating config.sluice.dev"]
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.write.resource = "configmaps"
			if _, ok := test.write.new.(*corev1.Secret); ok {
				test.write.resource = "secrets"
			}
			got, _ := called(t, entry.MatchConditions, test.write)
			require.Equal(t, test.wantCalled, got)
		})
	}
}

// Beyond its budget the API server would not call sluice, and nobody would be warned.
func TestTheConditionsOfTheLargestConfigStayWithinTheBudget(t *testing.T) {
	many := map[string]string{}
	for i := range 100_000 {
		many[fmt.Sprintf("k%06d", i)] = "x"
	}
	for name, data := range map[string]map[string]string{
		"a value of one megabyte":               {"file": strings.Repeat("x", 1<<20)},
		"a megabyte of a hundred thousand keys": many,
	} {
		t.Run(name, func(t *testing.T) {
			_, cost := called(t, entries(t)["validating config.sluice.dev"].MatchConditions,
				write{resource: "configmaps", old: configMap(data), new: configMap(data)})
			t.Logf("cost %d", cost)
			require.Less(t, cost, int64(1_000_000))
		})
	}
}

// The API server refuses a write whose conditions exceed their budget, so the
// largest objects that it stores at all must stay far below.
func TestTheConditionsOfTheLargestObjectsStayWithinTheBudget(t *testing.T) {
	bigTemplate := func(d *appsv1.Deployment) {
		for i := range 2000 {
			d.Spec.Template.Spec.Containers[0].Env = append(d.Spec.Template.Spec.Containers[0].Env,
				corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", i), Value: strings.Repeat("x", 500)})
		}
	}
	manyAnnotations := func(d *appsv1.Deployment) {
		d.Annotations = map[string]string{}
		for i := range 10_000 {
			d.Annotations[fmt.Sprintf("example.com/a-%d", i)] = "x"
		}
	}
	tests := map[string]*appsv1.Deployment{
		"a template of one megabyte":          webWith(bigTemplate),
		"256 KiB of ten thousand annotations": webWith(manyAnnotations),
	}
	entry := entries(t)["mutating workloads.sluice.dev"]
	for name, d := range tests {
		t.Run(name, func(t *testing.T) {
			_, cost := called(t, entry.MatchConditions, write{resource: "deployments", old: d, new: d.DeepCopy()})
			t.Logf("cost %d", cost)
			require.Less(t, cost, int64(1_000_000))
		})
	}
}
