package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// digests of contents 1 to 9 of ConfigMap app.
func digestOf(n string) string {
	return "v1:0badc0de:" + strings.Repeat(n, 64) + ":configmap/app"
}

func snapshotOf(n string, age time.Duration) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "app-" + strings.Repeat(n, 16), UID: "uid", CreationTimestamp: metav1.NewTime(now.Add(-age)),
		Labels: map[string]string{hashing.LabelSnapshot: "true"}, Annotations: map[string]string{hashing.AnnotationSnapshotOf: "app"},
	}, Immutable: new(true)}
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "uid-of-web"}
}

func template(n string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{hashing.AnnotationConfigHash: digestOf(n)}}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "app"}}}}}},
	}}
}

func installed() []client.Object {
	named := metav1.ObjectMeta{Name: live.PinPolicy}
	return []client.Object{
		&admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: named}, &admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: named},
	}
}

// shop is a collector of a cluster.
type shop struct {
	*Collector
	client   client.Client
	recorder *events.FakeRecorder
	now      time.Time
}

func shopOf(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) *shop {
	t.Helper()
	key, err := hashing.NewKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	require.NoError(t, err)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "sluice-system", Name: live.SecretName}, Data: hashing.NewKeyring(key).Data()}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{canary.EnabledLabel: "true"}}}
	c := fake.NewClientBuilder().WithObjects(append(objects, secret, namespace)...).WithInterceptorFuncs(funcs).Build()
	s := &shop{client: c, recorder: events.NewFakeRecorder(10), now: now}
	clock := func() time.Time { return s.now }
	keyring, err := live.NewKeyring(live.Options{Reader: c, Writer: c, Namespace: "sluice-system", Random: bytes.NewReader(nil), Now: clock})
	require.NoError(t, err)
	s.Collector = New(c, keyring, s.recorder, Options{Now: clock})
	return s
}

// left returns the snapshots that there are, by the digit of their digests.
func (s *shop) left(t *testing.T) string {
	t.Helper()
	var list corev1.ConfigMapList
	require.NoError(t, s.client.List(t.Context(), &list, client.MatchingLabels{hashing.LabelSnapshot: "true"}))
	var digits []string
	for _, item := range list.Items {
		digits = append(digits, item.Name[len(item.Name)-1:])
	}
	slices.Sort(digits)
	return strings.Join(digits, "")
}

func TestWhatNobodyNeedsIsDeleted(t *testing.T) {
	old := time.Hour
	release := &canary.Release{ID: 2, Phase: canary.Waiting, Stable: canary.Revision{Hash: "a", Digest: digestOf("3")}, Canary: canary.Revision{Hash: "b", Digest: digestOf("2")}}
	held := &appsv1.Deployment{ObjectMeta: named("web"), Spec: appsv1.DeploymentSpec{Template: template("2")}}
	held.Annotations = map[string]string{canary.ReleaseAnnotation: release.Encode()}
	record, err := json.Marshal(map[string]any{"spec": map[string]any{"template": template("4")}})
	require.NoError(t, err)
	pod := &corev1.Pod{ObjectMeta: named("web-1")}
	pod.Annotations = map[string]string{hashing.AnnotationConfigHash: digestOf("5")}
	used := snapshotOf("1", old)
	used.Annotations[hashing.AnnotationSnapshotUsed] = now.Add(-time.Minute).Format(time.RFC3339Nano)
	theirs := snapshotOf("1", old)
	theirs.Name, theirs.Annotations = "app-1", nil
	claimed := snapshotOf("1", old)
	claimed.Name = "app"
	elsewhere := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "web"}, Spec: appsv1.DeploymentSpec{Template: template("1")}}
	tests := map[string]struct {
		objects []client.Object
		want    string
	}{
		"nobody needs it":                       {[]client.Object{snapshotOf("1", old)}, ""},
		"it is young":                           {[]client.Object{snapshotOf("1", live.SnapshotAge-time.Second)}, "1"},
		"it is old enough":                      {[]client.Object{snapshotOf("1", live.SnapshotAge)}, ""},
		"a version was admitted that uses it":   {[]client.Object{used}, "1"},
		"a Deployment has it":                   {[]client.Object{snapshotOf("1", old), snapshotOf("2", old), held}, "2"},
		"it is that of a release's stable one":  {[]client.Object{snapshotOf("3", old), held}, "3"},
		"a ReplicaSet without pods has it":      {[]client.Object{snapshotOf("1", old), &appsv1.ReplicaSet{ObjectMeta: named("web"), Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(0)), Template: template("1")}}}, "1"},
		"a StatefulSet has it":                  {[]client.Object{snapshotOf("1", old), &appsv1.StatefulSet{ObjectMeta: named("web"), Spec: appsv1.StatefulSetSpec{Template: template("1")}}}, "1"},
		"a DaemonSet has it":                    {[]client.Object{snapshotOf("1", old), &appsv1.DaemonSet{ObjectMeta: named("web"), Spec: appsv1.DaemonSetSpec{Template: template("1")}}}, "1"},
		"a ControllerRevision has it":           {[]client.Object{snapshotOf("4", old), &appsv1.ControllerRevision{ObjectMeta: named("web"), Data: runtime.RawExtension{Raw: record}}}, "4"},
		"a pod has it":                          {[]client.Object{snapshotOf("5", old), pod}, "5"},
		"somebody of another namespace":         {[]client.Object{snapshotOf("1", old), elsewhere}, ""},
		"somebody's own object with the label":  {[]client.Object{theirs}, "1"},
		"somebody's own with the annotation":    {[]client.Object{claimed}, "p"},
		"the policy is not there, nothing goes": {nil, "1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects := append(test.objects, installed()...)
			if test.objects == nil {
				objects = []client.Object{snapshotOf("1", old)}
			}
			s := shopOf(t, interceptor.Funcs{}, objects...)
			require.NoError(t, s.Round(t.Context()))
			require.Equal(t, test.want, s.left(t))
		})
	}
}

// What is admitted while the collector looks has touched its snapshots, or has made them.
func TestASnapshotIsDeletedOnlyAsItWasListed(t *testing.T) {
	var preconditions metav1.Preconditions
	s := shopOf(t, interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
		var options client.DeleteOptions
		options.ApplyOptions(opts)
		preconditions = *options.Preconditions
		return apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, object.GetName(), errors.New("it was touched"))
	}}, append(installed(), snapshotOf("1", time.Hour))...)
	var stored corev1.ConfigMap
	require.NoError(t, s.client.Get(t.Context(), client.ObjectKeyFromObject(snapshotOf("1", 0)), &stored))
	require.NoError(t, s.Round(t.Context()))
	require.Equal(t, metav1.Preconditions{UID: &stored.UID, ResourceVersion: &stored.ResourceVersion}, preconditions)
	require.Equal(t, "1", s.left(t))
}

func TestSnapshotsAreListedBeforeWhoUsesThem(t *testing.T) {
	var listed []string
	s := shopOf(t, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		kind := strings.TrimPrefix(strings.TrimPrefix(strings.Split(typeName(list), "List")[0], "*v1."), "*")
		listed = append(listed, kind)
		return c.List(ctx, list, opts...)
	}}, append(installed(), snapshotOf("1", time.Hour))...)
	require.NoError(t, s.Round(t.Context()))
	of := listed[3:] // the first three found the namespace
	require.Equal(t, []string{"ConfigMap", "Secret", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision", "Pod"}, of)
}

func typeName(list client.ObjectList) string {
	if kind := list.GetObjectKind().GroupVersionKind().Kind; kind != "" {
		return kind
	}
	switch list.(type) {
	case *appsv1.DeploymentList:
		return "DeploymentList"
	case *appsv1.StatefulSetList:
		return "StatefulSetList"
	case *appsv1.DaemonSetList:
		return "DaemonSetList"
	case *appsv1.ReplicaSetList:
		return "ReplicaSetList"
	}
	return "ControllerRevisionList"
}

func TestAFailureIsSaidAndTheOthersAreLookedAt(t *testing.T) {
	other := snapshotOf("2", time.Hour)
	other.Namespace = "bank"
	s := shopOf(t, interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
		if object.GetNamespace() == "bank" {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, object.GetName(), errors.New("no"))
		}
		return c.Delete(ctx, object)
	}}, append(installed(), snapshotOf("1", time.Hour), other)...)
	require.ErrorContains(t, s.Round(t.Context()), "namespace bank: deleting configmap/app-2222222222222222")
	require.Equal(t, "2", s.left(t))
}

// pinnedWeb is a Deployment whose digest is that of ConfigMap app as given.
func pinnedWeb(t *testing.T, data map[string]string) *appsv1.Deployment {
	t.Helper()
	key, err := hashing.NewKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	require.NoError(t, err)
	object := hashing.Object{Kind: hashing.ConfigMap, Name: "app", Data: map[string][]byte{}}
	for k, v := range data {
		object.Data[k] = []byte(v)
	}
	refs := []hashing.Reference{{Kind: hashing.ConfigMap, Name: "app"}}
	digest, err := hashing.NewKeyring(key).Digest("", "shop", refs, []hashing.Object{object})
	require.NoError(t, err)
	d := &appsv1.Deployment{ObjectMeta: named("web"), Spec: appsv1.DeploymentSpec{Template: template("1")}}
	d.Spec.Template.Annotations[hashing.AnnotationConfigHash] = hashing.Pin(digest, refs, []hashing.Object{object})
	return d
}

func TestWhatIsMissingIsMadeAgain(t *testing.T) {
	data := map[string]string{"a": "1"}
	web := pinnedWeb(t, data)
	app := &corev1.ConfigMap{ObjectMeta: named("app"), Data: data}
	s := shopOf(t, interceptor.Funcs{}, append(installed(), web, app, snapshotOf("9", 0))...)
	require.NoError(t, s.Round(t.Context()))
	var made corev1.ConfigMap
	name := hashing.SnapshotName("app", web.Spec.Template.Annotations[hashing.AnnotationConfigHash])
	require.NoError(t, s.client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &made))
	require.Equal(t, data, made.Data)
	require.True(t, *made.Immutable)
	require.Empty(t, s.recorder.Events)

	require.NoError(t, s.client.Delete(t.Context(), &made))
	require.NoError(t, s.client.Delete(t.Context(), snapshotOf("9", 0)))
	require.NoError(t, s.Round(t.Context()), "the namespace has had snapshots")
	require.NoError(t, s.client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &made))
}

// A leader that has never seen a snapshot of the namespace: all were deleted before it led.
func TestANamespaceWithoutAnySnapshotIsMended(t *testing.T) {
	data := map[string]string{"a": "1"}
	web := pinnedWeb(t, data)
	name := hashing.SnapshotName("app", web.Spec.Template.Annotations[hashing.AnnotationConfigHash])
	made := func(optedIn string) bool {
		s := shopOf(t, interceptor.Funcs{}, append(installed(), web.DeepCopy(), &corev1.ConfigMap{ObjectMeta: named("app"), Data: data})...)
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{canary.EnabledLabel: optedIn}}}
		require.NoError(t, s.client.Update(t.Context(), namespace))
		require.NoError(t, s.Round(t.Context()))
		s.seen["shop"] = true
		require.NoError(t, s.Round(t.Context()))
		require.Empty(t, s.recorder.Events)
		err := s.client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &corev1.ConfigMap{})
		require.NoError(t, client.IgnoreNotFound(err))
		return err == nil
	}
	require.True(t, made("true"))
	require.False(t, made("false"), "pods read the objects themselves")
}

// The deployment controller copies annotations to ReplicaSets, and takes none off.
func TestAnOldStateOfAReleaseKeepsNothing(t *testing.T) {
	release := &canary.Release{ID: 2, Phase: canary.Waiting, Stable: canary.Revision{Hash: "a", Digest: digestOf("3")}}
	rs := &appsv1.ReplicaSet{ObjectMeta: named("web-1"), Spec: appsv1.ReplicaSetSpec{Template: template("2"), Replicas: new(int32)}}
	rs.Annotations = map[string]string{canary.ReleaseAnnotation: release.Encode()}
	s := shopOf(t, interceptor.Funcs{}, append(installed(), rs, snapshotOf("2", time.Hour), snapshotOf("3", time.Hour))...)
	require.NoError(t, s.Round(t.Context()))
	require.Equal(t, "2", s.left(t))
}

func TestWhatIsLostForGoodIsToldOnce(t *testing.T) {
	web := pinnedWeb(t, map[string]string{"a": "1"})
	app := &corev1.ConfigMap{ObjectMeta: named("app"), Data: map[string]string{"a": "2"}}
	s := shopOf(t, interceptor.Funcs{}, append(installed(), web, app, snapshotOf("9", 0))...)
	for range 3 {
		require.NoError(t, s.Round(t.Context()))
	}
	require.Len(t, s.recorder.Events, 1)
	event := <-s.recorder.Events
	require.Contains(t, event, "Warning SnapshotMissing pods of a version need configmap/app-")
	require.Contains(t, event, "put the content back")
	require.Equal(t, "9", s.left(t))
}

func TestDeletionsAreLookedAtInNamespacesThatPin(t *testing.T) {
	s := shopOf(t, interceptor.Funcs{}, append(installed(), snapshotOf("1", 0))...)
	require.NoError(t, s.Round(t.Context()))
	require.Equal(t, "1", s.left(t))
	s.deleted("bank")
	s.now = now.Add(time.Hour)
	require.NoError(t, s.lookAt(t.Context(), s.take()))
	require.Equal(t, "1", s.left(t))
	s.deleted("shop")
	require.NoError(t, s.lookAt(t.Context(), s.take()))
	require.Empty(t, s.left(t))
	require.Empty(t, s.take())
}

func TestItLooksAtTheStartAndEveryTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		young := snapshotOf("1", 0)
		young.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Minute))
		var rounds atomic.Int32
		s := shopOf(t, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if key.Name == live.PinPolicy && object.GetObjectKind().GroupVersionKind().Kind == "MutatingAdmissionPolicy" {
				rounds.Add(1)
			}
			return c.Get(ctx, key, object, opts...)
		}}, append(installed(), young)...)
		s.Collector.now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Start(ctx) }()
		synctest.Wait()
		require.EqualValues(t, 1, rounds.Load())
		require.Equal(t, "1", s.left(t))

		time.Sleep(9*time.Minute + soon + time.Second)
		s.deleted("shop")
		time.Sleep(soon)
		synctest.Wait()
		require.EqualValues(t, 3, rounds.Load(), "one after ten minutes, one since something was deleted")
		require.Empty(t, s.left(t))

		cancel()
		require.NoError(t, <-ended)
	})
}
