package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

// pinnedShop is shopWithConfig whose config is pinned, with the policy for it.
func pinnedShop(level string) []client.Object {
	objects := shopWithConfig(level)
	objects[0].SetAnnotations(map[string]string{canary.ConfigAnnotation: hashing.ConfigPin})
	named := metav1.ObjectMeta{Name: live.PinPolicy}
	return append(objects,
		&admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: named},
		&admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: named})
}

func lacking[T client.Object](objects []client.Object) []client.Object {
	var rest []client.Object
	for _, object := range objects {
		if _, is := object.(T); !is {
			rest = append(rest, object)
		}
	}
	return rest
}

const pinnedList = ":configmap/web,secret/web"

// infoSnapshots are the names of the snapshots of shopWithConfig("info").
var infoSnapshot = hashing.SnapshotName("web", infoDigest)

func stored(t testing.TB, s *Server) (configMap corev1.ConfigMap, secret corev1.Secret, err error) {
	at := client.ObjectKey{Namespace: "shop", Name: infoSnapshot}
	return configMap, secret, errors.Join(s.deps.Reader.Get(t.Context(), at, &configMap), s.deps.Reader.Get(t.Context(), at, &secret))
}

func TestAdmissionMakesSnapshotsOfWhatIsPinned(t *testing.T) {
	s := cluster{objects: pinnedShop("info")}.server(t)
	review := contractReview(t, "create-with-config")

	dry := *review.DeepCopy()
	dry.Request.DryRun = new(true)
	rehearsed := admit(t, s, MutatePath, dry)
	_, _, err := stored(t, s)
	require.True(t, apierrors.IsNotFound(err), "a dry run leaves no trace")

	response := admit(t, s, MutatePath, review)
	require.Equal(t, rehearsed, response)
	created := applyPatch(t, review.Request.Object.Raw, response.Patch)
	require.Equal(t, infoDigest+pinnedList, digestOf(t, created))
	configMap, secret, err := stored(t, s)
	require.NoError(t, err)
	require.True(t, *configMap.Immutable && *secret.Immutable)
	require.Equal(t, map[string]string{"LEVEL": "info"}, configMap.Data)
	require.Equal(t, map[string][]byte{"password": []byte("hunter2")}, secret.Data)
	require.Equal(t, map[string]string{hashing.LabelSnapshot: "true"}, secret.Labels)
	require.Equal(t, map[string]string{hashing.AnnotationSnapshotOf: "web"}, secret.Annotations, "nothing of the object's own")

	again := *review.DeepCopy()
	again.Request.Object.Raw = created
	require.Empty(t, admit(t, s, MutatePath, again).Patch, "a second invocation")
}

// What an extra object adds to the digest is in the snapshot, too: the name says what the content is.
func TestASnapshotHoldsWhatTheDigestIsOf(t *testing.T) {
	objects := pinnedShop("info")
	for _, object := range objects {
		if configMap, ok := object.(*corev1.ConfigMap); ok {
			configMap.Data["OTHER"] = "1"
		}
	}
	s := cluster{objects: objects}.server(t)
	review := contractReview(t, "create-with-config")
	var object map[string]any
	require.NoError(t, json.Unmarshal(review.Request.Object.Raw, &object))
	require.NoError(t, unstructured.SetNestedField(object, "configmap/web", "metadata", "annotations", canary.ConfigExtraAnnotation))
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	review.Request.Object.Raw = raw
	digest := digestOf(t, applyPatch(t, raw, admit(t, s, MutatePath, review).Patch))
	var made corev1.ConfigMap
	require.NoError(t, s.deps.Reader.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: hashing.SnapshotName("web", digest)}, &made))
	require.Equal(t, map[string]string{"LEVEL": "info", "OTHER": "1"}, made.Data)
}

// A Secret may be made anew with another type: pods see none of it, and so the digest is the same.
func TestASnapshotOfAnotherTypeIsTheSame(t *testing.T) {
	named := metav1.ObjectMeta{Namespace: "shop", Name: infoSnapshot, Labels: map[string]string{hashing.LabelSnapshot: "true"}}
	data := map[string][]byte{"password": []byte("hunter2"), "ssh-privatekey": []byte("-")}
	objects := append(pinnedShop("info"), &corev1.Secret{ObjectMeta: named, Type: corev1.SecretTypeSSHAuth, Data: data, Immutable: new(true)})
	require.True(t, admit(t, cluster{objects: objects}.server(t), MutatePath, contractReview(t, "create-with-config")).Allowed)
}

// A new template has its snapshots looked after whatever is known of its digest: somebody may have deleted them.
func TestANewTemplateHasItsSnapshotsMade(t *testing.T) {
	update := contractReview(t, "update-of-the-image-with-config")
	for name, test := range map[string]struct {
		objects []client.Object
		old     string
		want    string
		writes  int32
	}{
		"the same content":                    {pinnedShop("info"), infoDigest + pinnedList, infoDigest + pinnedList, 2},
		"the same content, not pinned so far": {pinnedShop("info"), infoDigest, infoDigest + pinnedList, 2},
		"pinned so far, not any more":         {shopWithConfig("info"), infoDigest + pinnedList, infoDigest, 0},
		"the same content, and no policy":     {lacking[*admissionregistrationv1.MutatingAdmissionPolicy](pinnedShop("info")), infoDigest + pinnedList, infoDigest + pinnedList, 0},
		"another list":                        {pinnedShop("info"), infoDigest + ":configmap/web", infoDigest + pinnedList, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var writes atomic.Int32
			s := cluster{objects: test.objects, funcs: interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
					writes.Add(1)
					return c.Create(ctx, object, opts...)
				},
			}}.server(t)
			review := *update.DeepCopy()
			review.Request.OldObject.Raw = withDigest(t, review.Request.OldObject.Raw, test.old)
			review.Request.Object.Raw = withDigest(t, review.Request.Object.Raw, test.old)
			response := admit(t, s, MutatePath, review)
			require.Equal(t, test.want, digestOf(t, applyPatch(t, review.Request.Object.Raw, response.Patch)))
			require.Equal(t, test.writes, writes.Load())
		})
	}
}

// What is ignored stays live: where nothing else is referred to, nothing is pinned, and no policy is needed.
func TestIgnoredObjectsAreNotPinned(t *testing.T) {
	objects := shopWithConfig("info")
	for _, object := range objects {
		object.SetAnnotations(map[string]string{hashing.AnnotationConfig: hashing.ConfigIgnore})
	}
	objects[0].SetAnnotations(map[string]string{canary.ConfigAnnotation: hashing.ConfigPin})
	review := contractReview(t, "create-with-config")
	response := admit(t, cluster{objects: objects}.server(t), MutatePath, review)
	require.True(t, response.Allowed)
	digest := digestOf(t, applyPatch(t, review.Request.Object.Raw, response.Patch))
	require.NotEmpty(t, digest)
	require.Equal(t, hashing.Plain(digest), digest)
}

// Opting in to pin rolls nothing: it applies from the next version.
func TestPinAppliesFromTheNextVersion(t *testing.T) {
	s := cluster{objects: pinnedShop("info")}.server(t)
	review := contractReview(t, "sluice-notes-other-config")
	old := withDigest(t, review.Request.OldObject.Raw, infoDigest)
	review.Request.OldObject.Raw = old
	review.Request.Object.Raw = withDigest(t, review.Request.Object.Raw, infoDigest)
	response := admit(t, s, MutatePath, review)
	require.Equal(t, infoDigest, digestOf(t, applyPatch(t, review.Request.Object.Raw, response.Patch)))

	s = cluster{objects: pinnedShop("debug")}.server(t)
	response = admit(t, s, MutatePath, review)
	released := digestOf(t, applyPatch(t, review.Request.Object.Raw, response.Patch))
	require.NotEqual(t, infoDigest, hashing.Plain(released))
	require.Equal(t, []string{"configmap/web", "secret/web"}, hashing.Pinned(released))
}

func TestWhatCannotBePinnedIsRefused(t *testing.T) {
	const noPolicy = "sluice refuses this change of deployment/web: its config cannot be pinned: sluice.dev/config: pin needs Kubernetes 1.36 and what `kubectl apply -f manifests/pin.yaml` installs; or set hash"
	named := metav1.ObjectMeta{Namespace: "shop", Name: infoSnapshot, Labels: map[string]string{hashing.LabelSnapshot: "true"}}
	unlabelled := metav1.ObjectMeta{Namespace: "shop", Name: infoSnapshot}
	content := map[string]string{"LEVEL": "info"}
	const taken = "ConfigMap shop/web-%s exists, and is not the snapshot that has to be there; delete it, or set hash"
	isTaken := fmt.Sprintf(taken, strings.TrimPrefix(infoSnapshot, "web-"))
	getting := func(err error) interceptor.Funcs {
		return interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if key.Name == live.PinPolicy {
				return err
			}
			return c.Get(ctx, key, object, opts...)
		}}
	}
	creating := func(err error) interceptor.Funcs {
		return interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return err }}
	}
	resource := schema.GroupResource{Resource: "configmaps"}
	tests := map[string]struct {
		objects []client.Object
		funcs   interceptor.Funcs
		want    string
	}{
		"there is no policy":  {objects: lacking[*admissionregistrationv1.MutatingAdmissionPolicy](pinnedShop("info")), want: noPolicy},
		"there is no binding": {objects: lacking[*admissionregistrationv1.MutatingAdmissionPolicyBinding](pinnedShop("info")), want: noPolicy},
		"the policy was made just now": {objects: append(lacking[*admissionregistrationv1.MutatingAdmissionPolicy](pinnedShop("info")),
			&admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: live.PinPolicy, CreationTimestamp: metav1.Now()}}), want: "try again in a few seconds"},
		"the API server does not know it":     {objects: pinnedShop("info"), funcs: getting(&meta.NoKindMatchError{}), want: noPolicy},
		"sluice may not look":                 {objects: pinnedShop("info"), funcs: getting(apierrors.NewForbidden(resource, "x", errors.New("no"))), want: noPolicy},
		"sluice may not make snapshots":       {objects: pinnedShop("info"), funcs: creating(apierrors.NewForbidden(resource, infoSnapshot, errors.New("exceeded quota: objects"))), want: "exceeded quota: objects; see to that, and apply it again"},
		"another object has the name":         {objects: append(pinnedShop("info"), &corev1.ConfigMap{ObjectMeta: unlabelled, Data: content, Immutable: new(true)}), want: isTaken},
		"one that may change has it":          {objects: append(pinnedShop("info"), &corev1.ConfigMap{ObjectMeta: named, Data: content}), want: isTaken},
		"a snapshot of other content has it":  {objects: append(pinnedShop("info"), &corev1.ConfigMap{ObjectMeta: named, Data: map[string]string{"LEVEL": "x"}, Immutable: new(true)}), want: isTaken},
		"a snapshot with more content has it": {objects: append(pinnedShop("info"), &corev1.ConfigMap{ObjectMeta: named, Data: content, BinaryData: map[string][]byte{"x": {1}}, Immutable: new(true)}), want: isTaken},
		"a Secret of other content has it": {
			objects: append(pinnedShop("info"), &corev1.Secret{ObjectMeta: named, Data: map[string][]byte{"password": []byte("x")}, Immutable: new(true)}),
			want:    "Secret shop/" + infoSnapshot + " exists, and is not",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := cluster{objects: test.objects, funcs: test.funcs}.server(t)
			response := admit(t, s, MutatePath, contractReview(t, "create-with-config"))
			require.False(t, response.Allowed)
			require.EqualValues(t, http.StatusForbidden, response.Result.Code)
			require.Contains(t, response.Result.Message, test.want)
			require.Empty(t, response.Patch)
			require.NotContains(t, response.Result.Message, "hunter2")
		})
	}
	t.Run("a failure of the API server", func(t *testing.T) {
		for _, funcs := range []interceptor.Funcs{getting(apierrors.NewInternalError(errors.New("etcd"))), creating(apierrors.NewInternalError(errors.New("etcd")))} {
			body, err := json.Marshal(contractReview(t, "create-with-config"))
			require.NoError(t, err)
			got := status(t, post(cluster{objects: pinnedShop("info"), funcs: funcs}.server(t), MutatePath, body))
			require.EqualValues(t, http.StatusInternalServerError, got.Code)
			require.Contains(t, got.Message, "nothing was changed, try again")
		}
	})
}

func TestANameThatIsTooLongForASnapshotIsRefused(t *testing.T) {
	long := strings.Repeat("a", 240)
	objects := append(pinnedShop("info"), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: long}})
	review := contractReview(t, "create-with-config")
	var object map[string]any
	require.NoError(t, json.Unmarshal(review.Request.Object.Raw, &object))
	volume := map[string]any{"name": "long", "configMap": map[string]any{"name": long}}
	require.NoError(t, unstructured.SetNestedSlice(object, []any{volume}, "spec", "template", "spec", "volumes"))
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	review.Request.Object.Raw = raw
	response := admit(t, cluster{objects: objects}.server(t), MutatePath, review)
	require.False(t, response.Allowed)
	require.Contains(t, response.Result.Message, "the name of configmap/"+long+" is too long: its snapshot's would have 257 characters, and a name may have 253: rename it; or set hash: kubectl annotate --overwrite deployment/web -n shop sluice.dev/config=hash")
}

// A snapshot that was made long ago may be about to be collected: it is noted that it is used.
func TestASnapshotThatExistsIsNotedAsUsed(t *testing.T) {
	for name, test := range map[string]struct {
		age  time.Duration
		want bool
	}{"made just now": {30 * time.Second, false}, "made long ago": {time.Hour, true}} {
		t.Run(name, func(t *testing.T) {
			now := time.Now().Truncate(time.Second)
			s := cluster{objects: append(pinnedShop("info"), &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: infoSnapshot, CreationTimestamp: metav1.NewTime(now.Add(-test.age)),
					Labels: map[string]string{hashing.LabelSnapshot: "true"}},
				Data: map[string]string{"LEVEL": "info"}, Immutable: new(true),
			}), deps: func(d *Deps) { d.Now = func() time.Time { return now } }}.server(t)
			require.True(t, admit(t, s, MutatePath, contractReview(t, "create-with-config")).Allowed)
			configMap, _, err := stored(t, s)
			require.NoError(t, err)
			require.Equal(t, test.want, configMap.Annotations[hashing.AnnotationSnapshotUsed] != "")
			if test.want {
				require.True(t, now.Equal(live.UsedAt(&configMap)))
			}
		})
	}
}

func TestWhatIsPinnedIsNotLogged(t *testing.T) {
	for name, funcs := range map[string]interceptor.Funcs{
		"made": {},
		"refused": {Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, object.GetName(), errors.New("no"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var all strings.Builder
			var mu sync.Mutex
			logger := funcr.New(func(prefix, args string) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(&all, prefix, args)
			}, funcr.Options{Verbosity: 100})
			s := cluster{objects: pinnedShop("info"), funcs: funcs}.server(t)
			body, err := json.Marshal(contractReview(t, "create-with-config"))
			require.NoError(t, err)
			r := httptest.NewRequestWithContext(log.IntoContext(t.Context(), logger), http.MethodPost, MutatePath+"?timeout=3s", strings.NewReader(string(body)))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.WebhookMux().ServeHTTP(w, r)
			require.NotEmpty(t, all.String())
			for _, leak := range []string{"hunter2", "aHVudGVyMg=="} {
				require.NotContains(t, all.String()+w.Body.String(), leak)
			}
		})
	}
}
