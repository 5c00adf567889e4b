package webhook

import (
	"encoding/json"
	"math/rand"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// FuzzMutate reviews random Deployments, by random people and in random states, and checks what must
// hold of every answer: the patch applies, the result decodes strictly, a second review gets no patch,
// and /validate agrees.
func FuzzMutate(f *testing.F) {
	for seed := range int64(200) {
		f.Add(seed)
	}
	s := cluster{objects: shopWithConfig("info")}.server(f)
	f.Fuzz(func(t *testing.T, seed int64) {
		review := newRandom(seed).review(t)
		response := admit(t, s, MutatePath, review)
		if !response.Allowed {
			require.NotEmpty(t, response.Result.Message)
			require.EqualValues(t, http.StatusForbidden, response.Result.Code)
			require.Empty(t, response.Patch)
			return
		}
		requireApplied(t, s, review, response)
	})
}

// FuzzBody feeds any bytes to all paths: an answer or one clear refusal, and no panic.
func FuzzBody(f *testing.F) {
	for _, name := range []string{"update-of-the-image-with-config", "create-with-missing-config", "sluice-pins-the-surge", "third-version"} {
		body, err := json.Marshal(contractReview(f, name))
		require.NoError(f, err)
		f.Add(body)
	}
	body, err := json.Marshal(scaleReview("deployments", 3, 0))
	require.NoError(f, err)
	f.Add(body)
	s := cluster{objects: shopWithConfig("info")}.server(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{MutatePath, ValidatePath, ValidateScalePath} {
			w := post(s, path, body)
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code, w.Body.String())
			if w.Code != http.StatusOK {
				require.NotEmpty(t, status(t, w).Message)
			}
		}
	})
}

// random makes reviews from a seed.
type random struct {
	*rand.Rand
	filler *randfill.Filler
}

func newRandom(seed int64) *random {
	r := &random{Rand: rand.New(rand.NewSource(seed))}
	r.filler = randfill.NewWithSeed(seed).NilChance(0.4).NumElements(0, 2).MaxDepth(12).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(int64(c.Intn(1000)), resource.DecimalSI)
		},
		func(v *intstr.IntOrString, c randfill.Continue) {
			*v = []intstr.IntOrString{intstr.FromInt32(1), intstr.FromString("25%")}[c.Intn(2)]
		},
		func(v *metav1.Time, c randfill.Continue) { *v = metav1.Unix(int64(c.Intn(1<<31)), 0) },
		func(v *metav1.MicroTime, c randfill.Continue) { *v = metav1.MicroTime{} },
		func(v *metav1.FieldsV1, c randfill.Continue) { v.SetRawBytes([]byte(`{"f:spec":{"f:paused":{}}}`)) },
		func(v *runtime.RawExtension, c randfill.Continue) { *v = runtime.RawExtension{} },
		func(v *corev1.ConfigMapKeySelector, c randfill.Continue) { v.Name, v.Key = "web", "LEVEL" },
		func(v *corev1.SecretKeySelector, c randfill.Continue) { v.Name, v.Key = "web", "password" },
		func(v *metav1.LabelSelector, c randfill.Continue) { v.MatchLabels = map[string]string{"app": "web"} },
	)
	return r
}

func (r *random) review(t testing.TB) admissionv1.AdmissionReview {
	old, object := r.deployment(), r.deployment()
	switch r.Intn(4) {
	case 0: // a new template only
		template := object.Spec.Template
		object = old.DeepCopy()
		object.Spec.Template = template
	case 1: // everything but the template
		object.Spec.Template = *old.Spec.Template.DeepCopy()
	case 2: // sluice's keys and fields only
		object = old.DeepCopy()
		r.drive(object)
	}
	// An approval of the present step is stored with its annotation or not at all, and sluice takes older
	// annotations off when a release starts.
	if release, err := canary.DecodeRelease(old.Annotations); err == nil && release != nil && old.Annotations[canary.ApproveAnnotation] == release.ApproveValue() {
		delete(old.Annotations, canary.ApproveAnnotation)
	}
	review := updateReview(t, old, object)
	review.Request.UserInfo.Username = pick(r, "alice", "bob", "root", DefaultUser)
	review.Request.Options.Raw = []byte(pick(r, `{}`, `{"fieldManager":"kubectl-rollout"}`, `{"fieldManager":"helm"}`))
	if r.Intn(5) == 0 {
		review.Request.Operation, review.Request.OldObject = admissionv1.Create, runtime.RawExtension{}
	}
	return review
}

// deployment has a random spec, and metadata that is absent, empty or full.
func (r *random) deployment() *appsv1.Deployment {
	d := &appsv1.Deployment{}
	r.filler.Fill(&d.Spec)
	d.APIVersion, d.Kind, d.Namespace, d.Name = "apps/v1", "Deployment", "shop", "web"
	d.Generation, d.ResourceVersion = 4, "7"
	d.Status.ObservedGeneration, d.Status.AvailableReplicas = int64(r.Intn(2)*4), int32(r.Intn(3))
	d.Spec.Replicas = pick(r, nil, new(int32), ptr(int32(3)), ptr(int32(10)))
	d.Spec.Strategy.Type = pick(r, appsv1.RollingUpdateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType, appsv1.RecreateDeploymentStrategyType)
	d.Labels = pick(r, nil, map[string]string{}, map[string]string{"app": "web"}, map[string]string{"a/b~c": "\"\\\u2028é"})
	d.Annotations = pick(r, nil, map[string]string{}, map[string]string{"a~b": "<&>"})
	d.Spec.Template.Annotations = pick(r, nil, map[string]string{}, map[string]string{"x": "y"}, map[string]string{hashing.AnnotationConfigHash: "v1:00000000:ff"})
	r.drive(d)
	return d
}

// drive sets what people and sluice steer a release with, to right and wrong values.
func (r *random) drive(d *appsv1.Deployment) {
	d.Spec.Paused = r.Intn(2) == 0
	release := canary.Release{
		ID: 4, Step: r.Intn(3), Surge: int32(r.Intn(2)), Settled: r.Intn(2) == 0,
		Phase:  pick(r, canary.Progressing, canary.Waiting, canary.Promoting, canary.Aborted, canary.Reverting),
		Stage:  pick(r, "", "", canary.Adopting, canary.Finishing),
		Policy: canary.Policy{Steps: pick(r, "20%", "20%, 50%")}, Held: canary.Held{Paused: r.Intn(2) == 0},
	}
	if release.Surge > 0 {
		release.Held.MaxSurge = json.RawMessage(pick(r, "1", `"25%"`))
	}
	for _, annotation := range []struct {
		key    string
		chance int
		values []string
	}{
		{canary.ReleaseAnnotation, 2, []string{release.Encode(), release.Encode(), "{", `{"id":0}`}},
		{canary.ApproveAnnotation, 6, []string{"4/1", "4/2", "9/9"}},
		{canary.AbortAnnotation, 6, []string{"4", "9"}},
		{canary.RetryAnnotation, 6, []string{"4", "9"}},
		{canary.StepsAnnotation, 6, []string{"50%", "1%, 100%/3:5m", "no"}},
		{canary.CanaryAnnotation, 12, []string{"enabled", "disabled"}},
		{canary.ConfigAnnotation, 6, []string{"ignore", "hash"}},
	} {
		if r.Intn(annotation.chance) > 0 {
			continue
		}
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		d.Annotations[annotation.key] = pick(r, annotation.values...)
	}
	if r.Intn(3) == 0 {
		if d.Labels == nil {
			d.Labels = map[string]string{}
		}
		d.Labels[canary.ActiveLabel] = "true"
	}
}

func pick[T any](r *random, values ...T) T { return values[r.Intn(len(values))] }

func ptr[T any](value T) *T { return &value }
