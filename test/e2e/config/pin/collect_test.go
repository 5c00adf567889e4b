package pin

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/collector"
	"sluice.dev/sluice/hashing/live"
	"sluice.dev/sluice/test/e2e/watch"
)

// collect makes one round as sluice's own account, as if that much time had passed. It returns the Events that it told.
func (s space) collect(later time.Duration) []string {
	s.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", env.Cluster.Kubeconfig("admin"))
	require.NoError(s.t, err)
	config.QPS = -1
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:sluice-system:sluice",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:sluice-system", "system:authenticated"},
	}
	c, err := client.New(config, client.Options{})
	require.NoError(s.t, err)
	keyring, err := live.NewKeyring(live.Options{Reader: c, Writer: c, Namespace: "sluice-system", Random: rand.Reader, Now: time.Now})
	require.NoError(s.t, err)
	recorder := events.NewFakeRecorder(10)
	now := func() time.Time { return time.Now().Add(later) }
	require.NoError(s.t, collector.New(c, keyring, recorder, collector.Options{Now: now}).Round(s.t.Context()))
	var told []string
	for len(recorder.Events) > 0 {
		told = append(told, <-recorder.Events)
	}
	return told
}

// snapshots returns what the snapshots of ConfigMap app hold, sorted.
func (s space) snapshots() []string {
	s.t.Helper()
	list, err := s.Admin.CoreV1().ConfigMaps(s.Name).List(s.t.Context(), metav1.ListOptions{LabelSelector: hashing.LabelSnapshot + "=true"})
	require.NoError(s.t, err)
	var greetings []string
	for _, object := range list.Items {
		greetings = append(greetings, object.Data["GREETING"])
	}
	slices.Sort(greetings)
	return greetings
}

const later = live.SnapshotAge + time.Minute

// Acceptance, config hashing 28.
func TestSnapshotsAreKeptAsLongAsTheHistory(t *testing.T) {
	s := pinned(t)
	d := web().Replicas(1).Obj()
	d.Annotations = map[string]string{canary.CanaryAnnotation: "disabled"}
	d.Spec.RevisionHistoryLimit = new(int32(1))
	_, err := s.Admin.AppsV1().Deployments(s.Name).Create(t.Context(), d, metav1.CreateOptions{})
	require.NoError(t, err)
	s.WaitStable("web")
	for _, greeting := range []string{"b", "c"} {
		before := digestOf(s.Deployment("web").Spec.Template)
		s.Mark("web", watch.Native)
		s.set("app", "GREETING", greeting)
		s.WaitDeployment("web", "the change is released", func(d *appsv1.Deployment) bool { return digestOf(d.Spec.Template) != before })
		s.WaitStable("web")
		require.Equal(t, map[string]int{greeting: 1}, s.greetings("web"))
	}
	s.Eventually("the history is cut", func(context.Context) error {
		if sets := s.ReplicaSets("web"); len(sets) != 2 {
			return fmt.Errorf("%d ReplicaSets", len(sets))
		}
		return nil
	})
	require.Equal(t, []string{"b", "c", "hello"}, s.snapshots())
	s.gone("hello")

	require.Empty(t, s.collect(0), "nothing young is deleted")
	require.Equal(t, []string{"b", "c", "hello"}, s.snapshots())
	s.collect(later)
	require.Equal(t, []string{"b", "c"}, s.snapshots(), "a rollback within the history has its content")

	require.NoError(t, s.Admin.AppsV1().Deployments(s.Name).Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)}))
	s.gone("b")
	s.gone("c")
	s.Eventually("the Deployment is gone", func(ctx context.Context) error {
		list, err := s.Admin.AppsV1().ReplicaSets(s.Name).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d ReplicaSets", len(list.Items))
		}
		return err
	})
	s.collect(later)
	require.Empty(t, s.snapshots())
	_, err = s.Admin.CoreV1().ConfigMaps(s.Name).Get(t.Context(), "app", metav1.GetOptions{})
	require.NoError(t, err, "nobody's own object is touched")
}

// gone waits until no pod reads a greeting.
func (s space) gone(greeting string) {
	s.t.Helper()
	s.Eventually("no pod reads "+greeting, func(ctx context.Context) error {
		pods, err := s.Admin.CoreV1().Pods(s.Name).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, pod := range pods.Items {
			if _, value := s.greeting(pod); value == greeting {
				return fmt.Errorf("%s does", pod.Name)
			}
		}
		return nil
	})
}

func TestASnapshotThatIsDeletedByHandIsMadeAgain(t *testing.T) {
	s := pinned(t)
	digest := digestOf(s.Create(web().Obj()).Spec.Template)
	remove := func() {
		t.Helper()
		require.NoError(t, s.Admin.CoreV1().ConfigMaps(s.Name).Delete(t.Context(), hashing.SnapshotName("app", digest), metav1.DeleteOptions{}))
	}
	remove()
	require.Empty(t, s.collect(0))
	require.Equal(t, []string{"hello"}, s.snapshots())

	s.set("app", "GREETING", "good day")
	s.WaitPhase("web", canary.Waiting, 1)
	remove()
	told := s.collect(0)
	require.Len(t, told, 1)
	require.Contains(t, told[0], "Warning SnapshotMissing")
	require.Contains(t, told[0], "configmap/"+hashing.SnapshotName("app", digest))
	s.Unjudged()
}

func TestSluiceMayWriteNothingButSnapshots(t *testing.T) {
	s := pinned(t)
	as := func(verb, object string) string {
		r := s.Command("admin", "kubectl", "--namespace="+s.Name, "--as=system:serviceaccount:sluice-system:sluice",
			"--as-group=system:serviceaccounts", "--as-group=system:authenticated", verb, object, "--dry-run=server")
		require.NotZero(t, r.Code, r.String())
		return r.Stderr
	}
	require.Contains(t, as("delete", "configmap/app"), "sluice changes and deletes its snapshots only")
	require.Contains(t, as("delete", "secret/db"), "sluice changes and deletes its snapshots only")
}
