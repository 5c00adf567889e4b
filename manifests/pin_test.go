package manifests_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	celgo "github.com/google/cel-go/cel"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/kubernetes/scheme"

	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
	"sluice.dev/sluice/manifests"
)

// pinning runs the policy's expressions as the API server does, with its own code.
type pinning struct {
	conditions []admissionregistrationv1.MatchCondition
	compiler   *cel.CompositedCompiler
	patchers   []patch.Patcher
}

// oldestPin is the Kubernetes in which the MutatingAdmissionPolicy became stable.
var oldestPin = version.MajorMinor(1, 36)

func pinPolicy(t testing.TB) pinning {
	t.Helper()
	policy := pinTyped(t, &admissionregistrationv1.MutatingAdmissionPolicy{}, live.PinPolicy).Spec
	options := declared
	compiler := compilerOf(t, oldestPin, policy.Variables)
	options.HasPatchTypes = true
	p := pinning{conditions: policy.MatchConditions, compiler: compiler}
	for _, mutation := range policy.Mutations {
		require.Equal(t, admissionregistrationv1.PatchTypeJSONPatch, mutation.PatchType)
		evaluator := compiler.CompileMutatingEvaluator(&patch.JSONPatchCondition{Expression: mutation.JSONPatch.Expression}, options, environment.StoredExpressions)
		require.Empty(t, evaluator.CompilationErrors())
		p.patchers = append(p.patchers, patch.NewJSONPatcher(evaluator))
	}
	return p
}

// admit returns the pod as it would be stored.
func (p pinning) admit(t testing.TB, pod *corev1.Pod) (*corev1.Pod, error) {
	t.Helper()
	var object runtime.Object = pod
	for _, patcher := range p.patchers {
		w := write{resource: "pods", new: object, name: pod.Name}
		changed, err := patcher.Patch(p.compiler.CreateContext(t.Context()), patch.Request{
			MatchedResource: corev1.SchemeGroupVersion.WithResource("pods"), VersionedAttributes: w.attributes(),
			ObjectInterfaces: admission.NewObjectInterfacesFromScheme(scheme.Scheme), OptionalVariables: cel.OptionalVariableBindings{Authorizer: w},
			Namespace: &corev1.Namespace{},
		}, celconfig.RuntimeCELCostBudget)
		if err != nil {
			return nil, err
		}
		object = changed
	}
	return object.(*corev1.Pod), nil
}

func pinnedPod(objects ...string) *corev1.Pod {
	pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}}
	pod.Name, pod.Namespace = "web-1", "shop"
	if len(objects) > 0 {
		slices.Sort(objects)
		pod.Annotations = map[string]string{hashing.AnnotationConfigHash: pinnedDigest(objects...)}
	}
	pod.Spec.Containers = []corev1.Container{{Name: "app"}}
	return pod
}

func pinnedDigest(objects ...string) string {
	digest := "v1:0badc0de:" + strings.Repeat("0123456789abcdef", 4)
	if len(objects) > 0 {
		digest += ":" + strings.Join(objects, ",")
	}
	return digest
}

const pinSuffix = "-0123456789abcdef"

func object(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

func configVolume(name string) corev1.Volume {
	return corev1.Volume{Name: "c-" + strings.TrimSuffix(name, pinSuffix), VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: object(name), Items: []corev1.KeyToPath{{Key: "k", Path: "p"}},
	}}}
}

func secretVolume(name string) corev1.Volume {
	return corev1.Volume{Name: "s-" + strings.TrimSuffix(name, pinSuffix), VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}
}

func projectedVolume(configMap, secret string) corev1.Volume {
	return corev1.Volume{Name: "p-" + strings.TrimSuffix(configMap, pinSuffix), VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: object(configMap)}},
		{DownwardAPI: &corev1.DownwardAPIProjection{}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: object(secret)}},
	}}}}
}

func reading(name, configMap, secret string) corev1.Container {
	return corev1.Container{
		Name:         name,
		VolumeMounts: []corev1.VolumeMount{{Name: "c-" + strings.TrimSuffix(configMap, pinSuffix), MountPath: "/etc/app", SubPath: "p"}},
		Env: []corev1.EnvVar{
			{Name: "PLAIN", Value: "1"},
			{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
			{Name: "C", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: object(configMap), Key: "k"}}},
			{Name: "S", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: object(secret), Key: "k"}}},
		},
		EnvFrom: []corev1.EnvFromSource{
			{Prefix: "C_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: object(configMap)}},
			{Prefix: "S_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: object(secret)}},
		},
	}
}

// everywhere is a pod that refers in every place to a ConfigMap and a Secret, and to others beside them. There is
// nothing of a pod's spec that may differ from the one with other names.
func everywhere(configMap, secret string) *corev1.Pod {
	pod := pinnedPod("configmap/web", "secret/web")
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		configVolume(configMap), configVolume("other"), secretVolume(secret), secretVolume("other"),
		projectedVolume(configMap, secret), projectedVolume("kube-root-ca.crt", "other"),
	}
	pod.Spec.InitContainers = []corev1.Container{{Name: "none"}, reading("init", configMap, secret)}
	pod.Spec.Containers = []corev1.Container{reading("app", configMap, secret), reading("other", "other", "other"), {Name: "none"}}
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{object("web")}
	return pod
}

func TestThePolicyPutsSnapshotsInEveryPlaceOfAPodAndNothingElse(t *testing.T) {
	p := pinPolicy(t)
	admitted, err := p.admit(t, everywhere("web", "web"))
	require.NoError(t, err)
	require.Equal(t, everywhere("web"+pinSuffix, "web"+pinSuffix), admitted)
	require.Equal(t, hashing.SnapshotName("web", pinnedDigest()), "web"+pinSuffix, "as the code names it")

	again, err := p.admit(t, admitted)
	require.NoError(t, err)
	require.Equal(t, admitted, again, "once is enough")

	one := everywhere("web", "web")
	one.Annotations[hashing.AnnotationConfigHash] = pinnedDigest("secret/web")
	wanted := everywhere("web", "web"+pinSuffix)
	wanted.Annotations = one.Annotations
	admitted, err = p.admit(t, one)
	require.NoError(t, err)
	require.Equal(t, wanted, admitted, "a ConfigMap is no Secret")
}

func TestThePolicyIsForPodsWithPinnedConfigOnly(t *testing.T) {
	p := pinPolicy(t)
	for digest, want := range map[string]bool{
		pinnedDigest("configmap/web"): true, pinnedDigest("configmap/web", "secret/db"): true,
		"": false, pinnedDigest(): false, pinnedDigest() + ":": false, "v1:x:y:configmap/web": false, "v2:0badc0de:1:2": false,
	} {
		pod := pinnedPod()
		pod.Annotations = map[string]string{hashing.AnnotationConfigHash: digest}
		for _, pod := range []*corev1.Pod{pod, pinnedPod()} {
			matches, _ := called(t, p.conditions, write{resource: "pods", new: pod, name: pod.Name})
			require.Equal(t, want && pod.Annotations != nil, matches, digest)
		}
	}
}

// The API server bounds what an expression may cost; a pod that exceeds it is refused.
func TestThePolicyAdmitsPodsWithThousandsOfReferences(t *testing.T) {
	p := pinPolicy(t)
	name := func(i int) string { return fmt.Sprintf("settings-of-some-service-%04d", i) }
	for places, build := range map[string]func(n int) *corev1.Pod{
		"volumes, each of another object": func(n int) *corev1.Pod {
			var names []string
			pod := pinnedPod("configmap/x")
			for i := range n {
				names = append(names, "configmap/"+name(i))
				pod.Spec.Volumes = append(pod.Spec.Volumes, configVolume(name(i)))
			}
			pod.Annotations[hashing.AnnotationConfigHash] = pinnedDigest(names...)
			return pod
		},
		"env, each of another object": func(n int) *corev1.Pod {
			var names []string
			pod := pinnedPod("configmap/x")
			for i := range n {
				names = append(names, "secret/"+name(i))
				pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, reading("x", name(i), name(i)).Env[3])
			}
			pod.Annotations[hashing.AnnotationConfigHash] = pinnedDigest(names...)
			return pod
		},
		"env, of five hundred objects in turn": func(n int) *corev1.Pod {
			var names []string
			pod := pinnedPod("configmap/x")
			for i := range n {
				if i < 500 {
					names = append(names, "secret/"+name(i))
				}
				pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, reading("x", name(i%500), name(i%500)).Env[3])
			}
			pod.Annotations[hashing.AnnotationConfigHash] = pinnedDigest(names...)
			return pod
		},
		"env of one object": func(n int) *corev1.Pod {
			pod := pinnedPod("secret/" + name(0))
			for range n {
				pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, reading("x", name(0), name(0)).Env[3])
			}
			return pod
		},
	} {
		t.Run(places, func(t *testing.T) {
			_, err := p.admit(t, build(3200))
			require.NoError(t, err)
		})
	}
}

// What RBAC cannot say: of ConfigMaps and Secrets, sluice writes snapshots alone.
func TestSluiceWritesSnapshotsOnly(t *testing.T) {
	policy := pinTyped(t, &admissionregistrationv1.ValidatingAdmissionPolicy{}, "sluice-snapshots").Spec
	require.Len(t, policy.Validations, 3)
	var expressions []cel.ExpressionAccessor
	for _, v := range policy.Validations {
		expressions = append(expressions, expression{text: v.Expression, types: []*celgo.Type{celgo.BoolType}})
	}
	program := compile(t, compilerOf(t, oldestPin, nil), expressions...)
	require.Equal(t, `request.userInfo.username == "system:serviceaccount:sluice-system:sluice"`, policy.MatchConditions[0].Expression)
	snapshot := func(labelled, immutable bool) *corev1.Secret {
		s := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, Immutable: &immutable}
		s.Name, s.Annotations = "db-0123456789abcdef", map[string]string{hashing.AnnotationSnapshotOf: "db"}
		if labelled {
			s.Labels = map[string]string{hashing.LabelSnapshot: "true"}
		}
		return s
	}
	other := func(change func(*corev1.Secret)) *corev1.Secret {
		s := snapshot(true, true)
		change(s)
		return s
	}
	for name, test := range map[string]struct {
		old, new *corev1.Secret
		want     bool
	}{
		"makes a snapshot":                {nil, snapshot(true, true), true},
		"makes one that may change":       {nil, snapshot(true, false), false},
		"makes something else":            {nil, snapshot(false, true), false},
		"notes something on a snapshot":   {snapshot(true, true), snapshot(true, true), true},
		"changes something else":          {snapshot(false, false), snapshot(false, false), false},
		"makes something else a snapshot": {snapshot(false, true), snapshot(true, true), false},
		"takes the label off a snapshot":  {snapshot(true, true), snapshot(false, true), false},
		"makes one of another object":     {nil, other(func(s *corev1.Secret) { s.Annotations[hashing.AnnotationSnapshotOf] = "dc" }), false},
		"makes one of nothing":            {nil, other(func(s *corev1.Secret) { s.Annotations = nil }), false},
		"makes one with any name":         {nil, other(func(s *corev1.Secret) { s.Name = "db" }), false},
		"makes a service account's token": {nil, other(func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }), false},
		"makes a bootstrap token":         {nil, other(func(s *corev1.Secret) { s.Type = corev1.SecretTypeBootstrapToken }), false},
	} {
		w := write{resource: "secrets", new: test.new}
		if test.old != nil {
			w.old = test.old
		}
		values, _ := evaluate(t, program, w)
		require.Equal(t, test.want, !slices.Contains(values, any(false)), name)
	}
}

func TestTheRightsOfPinAreForItsObjectsOnly(t *testing.T) {
	objs, err := manifests.Pin()
	require.NoError(t, err)
	for _, obj := range objs {
		into, err := scheme.Scheme.New(obj.GroupVersionKind())
		require.NoError(t, err)
		require.NoError(t, strictly(obj, into), obj.GetKind())
		require.Equal(t, manifests.Name, obj.GetLabels()["app.kubernetes.io/name"], obj.GetKind())
		require.Empty(t, obj.GetNamespace(), obj.GetKind())
	}
	requireNoWildcard(t, "sluice-pin", pinTyped(t, &rbacv1.ClusterRole{}, "sluice-pin").Rules)
	require.Equal(t, live.PinPolicy, pinTyped(t, &admissionregistrationv1.MutatingAdmissionPolicyBinding{}, live.PinPolicy).Spec.PolicyName)
}
