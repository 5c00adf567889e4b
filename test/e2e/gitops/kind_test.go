package gitops

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// workload is a Deployment or a StatefulSet of three pods, of which both kinds are asked the same.
type workload struct {
	*harness.Namespace
	t    *testing.T
	name string // as kubectl has it: "deployment/web"
	kind schema.GroupVersionKind
	read func(context.Context) (runtime.Object, error)
}

// inBothKinds runs a test with a workload that is rolled out.
func inBothKinds(t *testing.T, steps string, test func(*testing.T, workload)) {
	t.Helper()
	t.Run("Deployment", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t, harness.Steps(steps))
		n.Create(builders.MakeDeployment("web").Replicas(3).Obj())
		test(t, workload{n, t, "deployment/web", appsv1.SchemeGroupVersion.WithKind(canary.Deployment), func(ctx context.Context) (runtime.Object, error) {
			return n.Admin.AppsV1().Deployments(n.Name).Get(ctx, "web", metav1.GetOptions{})
		}})
	})
	t.Run("StatefulSet", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t, harness.Steps(steps))
		n.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj())
		test(t, workload{n, t, "statefulset/db", appsv1.SchemeGroupVersion.WithKind(canary.StatefulSet), func(ctx context.Context) (runtime.Object, error) {
			return n.Admin.AppsV1().StatefulSets(n.Name).Get(ctx, "db", metav1.GetOptions{})
		}})
	})
}

// object returns the workload as stored.
func (w workload) object() *unstructured.Unstructured {
	w.t.Helper()
	typed, err := w.read(w.t.Context())
	require.NoError(w.t, err)
	object := &unstructured.Unstructured{}
	object.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	require.NoError(w.t, err)
	object.SetGroupVersionKind(w.kind)
	return object
}

func (w workload) release() *canary.Release {
	w.t.Helper()
	r, err := canary.DecodeRelease(w.object().GetAnnotations())
	require.NoError(w.t, err)
	return r
}

func (w workload) setImage(image string) {
	w.t.Helper()
	w.Kubectl("set", "image", w.name, "*="+image)
}

func (w workload) approve() {
	w.t.Helper()
	w.drive(watch.Approved, canary.ApproveAnnotation, w.release().ApproveValue())
}

func (w workload) retry() {
	w.t.Helper()
	w.drive(watch.Retried, canary.RetryAnnotation, w.release().Name())
}

func (w workload) abort() {
	w.t.Helper()
	w.annotate(canary.AbortAnnotation, w.release().Name())
}

// drive tells the judge what the annotation is going to do.
func (w workload) drive(fact watch.Fact, key, value string) {
	w.t.Helper()
	_, name, _ := strings.Cut(w.name, "/")
	w.Mark(name, fact)
	w.annotate(key, value)
}

func (w workload) annotate(key, value string) {
	w.t.Helper()
	w.Kubectl("annotate", "--overwrite", w.name, key+"="+value)
}

// waitFor runs `kubectl wait` and returns what came of it.
func (w workload) waitFor(condition string, timeout time.Duration) harness.Result {
	w.t.Helper()
	return w.Command("alice", "kubectl", "wait", w.name, "--for="+condition, fmt.Sprintf("--timeout=%s", timeout))
}

// phase is what kubectl waits for.
func phase(name string) string {
	return `jsonpath={.metadata.labels.sluice\.dev/phase}=` + name
}

// waitPhase waits until the workload shows a phase.
func (w workload) waitPhase(name string) {
	w.t.Helper()
	r := w.waitFor(phase(name), time.Minute)
	require.Zero(w.t, r.Code, r)
}

// rest lets sluice look once more, and requires that it writes nothing.
func (w workload) rest() {
	w.t.Helper()
	if w.kind.Kind == canary.StatefulSet {
		harness.Set{Namespace: w.Namespace}.Quiet()
		return
	}
	w.Quiet("web")
}
