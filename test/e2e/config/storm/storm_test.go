package storm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// users creates Deployments web-0, web-1, ... that read ConfigMap app.
func users(t testing.TB, n *harness.Namespace, count int, replicas int32) {
	t.Helper()
	failures := make([]error, count)
	workqueue.ParallelizeUntil(t.Context(), 16, count, func(i int) {
		d := builders.MakeDeployment(fmt.Sprintf("web-%d", i)).Replicas(replicas).EnvFromConfigMap("app").Obj()
		_, failures[i] = n.Admin.AppsV1().Deployments(n.Name).Create(t.Context(), d, metav1.CreateOptions{})
	})
	require.NoError(t, errors.Join(failures...))
}

func configMap(t testing.TB, n *harness.Namespace, name string) {
	t.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"GREETING": "hello"}}
	_, err := n.Admin.CoreV1().ConfigMaps(n.Name).Create(t.Context(), object, metav1.CreateOptions{})
	require.NoError(t, err)
}

func set(t testing.TB, n *harness.Namespace, name, value string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"data":{"GREETING":%q}}`, value)
	_, err := n.Admin.CoreV1().ConfigMaps(n.Name).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
}

func deployments(ctx context.Context, n *harness.Namespace) (map[string]appsv1.Deployment, error) {
	list, err := n.Admin.AppsV1().Deployments(n.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	found := map[string]appsv1.Deployment{}
	for _, d := range list.Items {
		found[d.Name] = d
	}
	return found, nil
}

// all waits until something holds of every Deployment, however long it takes as long as more and more do.
func all(t testing.TB, n *harness.Namespace, what string, holds func(appsv1.Deployment) bool) map[string]appsv1.Deployment {
	t.Helper()
	var found map[string]appsv1.Deployment
	for most := -1; ; {
		count := 0
		n.Eventually(fmt.Sprintf("%s of more than %d", what, most), func(ctx context.Context) error {
			var err error
			if found, err = deployments(ctx, n); err != nil {
				return err
			}
			count = 0
			for _, d := range found {
				if holds(d) {
					count++
				}
			}
			if count <= most {
				return errors.New("no more than before")
			}
			return nil
		})
		if most = count; most == len(found) {
			return found
		}
	}
}

func digest(d appsv1.Deployment) string {
	return d.Spec.Template.Annotations[hashing.AnnotationConfigHash]
}

func seen(d appsv1.Deployment) bool {
	return hashing.DecodeSeen(d.Annotations).StandsFor(digest(d), "") && digest(d) != ""
}

// TestFiveHundredWorkloadsOnOneConfigMap: each is written to once, at a bounded rate; whoever uses another
// object need not wait for them; and sluice that is killed in the middle goes on where it was.
func TestFiveHundredWorkloadsOnOneConfigMap(t *testing.T) {
	n := env.Namespace(t)
	configMap(t, n, "app")
	configMap(t, n, "other")
	users(t, n, 500, 0)
	_, err := n.Admin.AppsV1().Deployments(n.Name).
		Create(t.Context(), builders.MakeDeployment("other").Replicas(0).EnvFromConfigMap("other").Obj(), metav1.CreateOptions{})
	require.NoError(t, err)
	before := all(t, n, "the config was seen", seen)

	written := len(env.Proxy.Writes(n.Name))
	set(t, n, "app", "good day")
	some := n.WaitDeployment("web-0", "others have begun", func(*appsv1.Deployment) bool { return len(env.Proxy.Writes(n.Name)) > written })
	require.NotNil(t, some)
	set(t, n, "other", "good day")
	n.WaitDeployment("other", "it has the new config", func(d *appsv1.Deployment) bool { return digest(*d) != digest(before["other"]) })
	require.Less(t, released(t, n, before), 500, "the others are not all done yet")

	killed := make(chan struct{})
	env.Proxy.CrashAfter(n.Name, 150, func() { // right after a write, so that each that was stored is known
		env.Sluice().Kill()
		close(killed)
	})
	n.Eventually("sluice is killed in the middle", func(context.Context) error {
		select {
		case <-killed:
			return nil
		default:
			return errors.New("not yet")
		}
	})
	done := released(t, n, before)
	require.Less(t, done, 500)
	_, err = env.StartSluice(t.Context())
	require.NoError(t, err)
	all(t, n, "the new config", func(d appsv1.Deployment) bool { return digest(d) != digest(before[d.Name]) })

	perWorkload := map[string]int{}
	for _, w := range env.Proxy.Writes(n.Name)[written:] {
		if strings.Contains(w.Body, hashing.AnnotationConfigSeen) {
			perWorkload[w.Path]++
		}
	}
	require.Len(t, perWorkload, 501)
	for path, count := range perWorkload {
		require.Equal(t, 1, count, path)
	}
}

// released counts the workloads whose template has another digest than before.
func released(t *testing.T, n *harness.Namespace, before map[string]appsv1.Deployment) int {
	t.Helper()
	now, err := deployments(t.Context(), n)
	require.NoError(t, err)
	count := 0
	for name, d := range now {
		if digest(d) != digest(before[name]) {
			count++
		}
	}
	return count
}

// TestFiftyWorkloadsGoAFewAtATime: no more are on the way at once than the ConfigMap says, and all arrive.
func TestFiftyWorkloadsGoAFewAtATime(t *testing.T) {
	n := env.Namespace(t)
	configMap(t, n, "app")
	n.Kubectl("annotate", "configmap/app", hashing.AnnotationConfigAtOnce+"=3")
	users(t, n, 50, 1)
	all(t, n, "the config was seen, and its pod is available", func(d appsv1.Deployment) bool { return seen(d) && d.Status.AvailableReplicas == 1 })

	set(t, n, "app", "good day")
	all(t, n, "a canary that waits for approval", func(d appsv1.Deployment) bool {
		return d.Labels[canary.PhaseLabel] == string(canary.Waiting)
	})
	onTheWay, most := map[string]bool{}, 0
	for _, e := range n.Recorded() {
		if e.Deployment == nil {
			continue
		}
		delete(onTheWay, e.Deployment.Name)
		if e.Deployment.Labels[canary.PhaseLabel] == string(canary.Progressing) {
			onTheWay[e.Deployment.Name] = true
		}
		most = max(most, len(onTheWay))
	}
	require.Positive(t, most)
	require.LessOrEqual(t, most, 3)
}

// TestOneThatFailsStopsTheOthers until other content comes.
func TestOneThatFailsStopsTheOthers(t *testing.T) {
	n := env.Namespace(t)
	configMap(t, n, "app")
	n.Kubectl("annotate", "configmap/app", hashing.AnnotationConfigAtOnce+"=1")
	users(t, n, 5, 1)
	all(t, n, "the config was seen, and its pod is available", func(d appsv1.Deployment) bool { return seen(d) && d.Status.AvailableReplicas == 1 })
	forbidMorePods(t, n, 5)
	n.Kubectl("annotate", "deployments", "--all", canary.DeadlineAnnotation+"=2s")

	set(t, n, "app", "bad day")
	failed := ""
	n.Eventually("one is aborted", func(ctx context.Context) error {
		now, err := deployments(ctx, n)
		for name, d := range now {
			if d.Labels[canary.PhaseLabel] == string(canary.Aborted) {
				failed = name
			}
		}
		if failed == "" {
			return errors.Join(err, errors.New("none is"))
		}
		return nil
	})
	n.Eventually("the others are told why they wait", func(ctx context.Context) error {
		events, err := n.Admin.CoreV1().Events(n.Name).List(ctx, metav1.ListOptions{FieldSelector: "reason=ConfigFailedElsewhere"})
		if err != nil || len(events.Items) == 0 {
			return errors.Join(err, errors.New("not yet"))
		}
		event := events.Items[0]
		require.Contains(t, event.Message, "deployment/"+failed+" failed with this content of configmap/app")
		now, err := deployments(ctx, n)
		if reason, message := postponed(now[event.InvolvedObject.Name]); reason != event.Reason || message != event.Message {
			return errors.Join(err, fmt.Errorf("the condition says %q: %s", reason, message))
		}
		return nil
	})
	now, err := deployments(t.Context(), n)
	require.NoError(t, err)
	for name, d := range now {
		require.Equal(t, name == failed, d.Labels[canary.ActiveLabel] == "true", name)
	}

	require.NoError(t, n.Admin.CoreV1().ResourceQuotas(n.Name).Delete(t.Context(), "pods", metav1.DeleteOptions{}))
	set(t, n, "app", "good day")
	all(t, n, "a canary that waits for approval", func(d appsv1.Deployment) bool {
		reason, _ := postponed(d)
		return d.Labels[canary.PhaseLabel] == string(canary.Waiting) && reason == ""
	})
}

// postponed returns what the status of a workload says about a change that is kept from it.
func postponed(d appsv1.Deployment) (reason, message string) {
	for _, c := range d.Status.Conditions {
		if c.Type == hashing.ConditionConfigPostponed {
			return c.Reason, c.Message
		}
	}
	return "", ""
}

// forbidMorePods lets the namespace have no more pods than it has.
func forbidMorePods(t *testing.T, n *harness.Namespace, pods int) {
	t.Helper()
	result := n.Command("admin", "kubectl", "create", "quota", "pods", fmt.Sprintf("--hard=pods=%d", pods))
	require.Zero(t, result.Code, result)
	n.Eventually("the quota counts", func(ctx context.Context) error {
		quota, err := n.Admin.CoreV1().ResourceQuotas(n.Name).Get(ctx, "pods", metav1.GetOptions{})
		if err != nil || quota.Status.Used.Pods().Value() != int64(pods) {
			return errors.Join(err, errors.New("not yet"))
		}
		return nil
	})
}

// TestAHundredEditsAreAHandfulOfReleases, and the last content wins.
func TestAHundredEditsAreAHandfulOfReleases(t *testing.T) {
	n := env.Namespace(t)
	configMap(t, n, "app")
	users(t, n, 1, 1)
	n.WaitDeployment("web-0", "its config was seen", func(d *appsv1.Deployment) bool { return seen(*d) && d.Status.AvailableReplicas == 1 })
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for i := range 100 {
		set(t, n, "app", fmt.Sprint(i))
		<-every.C
	}
	release := n.WaitPhase("web-0", canary.Waiting, 1)
	require.NotNil(t, release)
	sets := map[types.UID]bool{}
	for _, e := range n.Recorded() {
		if e.ReplicaSet != nil {
			sets[e.ReplicaSet.UID] = true
		}
	}
	require.LessOrEqual(t, len(sets)-1, 5)
}

// TestConfigThatChangesWhileSluiceIsDown is found when it is back, and nothing else rolls.
func TestConfigThatChangesWhileSluiceIsDown(t *testing.T) {
	n := env.Namespace(t)
	configMap(t, n, "app")
	configMap(t, n, "other")
	users(t, n, 2, 1)
	_, err := n.Admin.AppsV1().Deployments(n.Name).
		Create(t.Context(), builders.MakeDeployment("other").EnvFromConfigMap("other").Obj(), metav1.CreateOptions{})
	require.NoError(t, err)
	before := all(t, n, "the config was seen", func(d appsv1.Deployment) bool { return seen(d) && d.Status.AvailableReplicas == 1 })
	env.Sluice().Kill()
	set(t, n, "app", "good day")
	_, err = env.StartSluice(t.Context())
	require.NoError(t, err)
	n.WaitPhase("web-0", canary.Waiting, 1)
	n.WaitPhase("web-1", canary.Waiting, 1)
	now, err := deployments(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, digest(before["other"]), digest(now["other"]))
	require.Equal(t, before["other"].Generation, now["other"].Generation)

	writes := len(env.Proxy.Writes(n.Name))
	env.Sluice().Kill()
	_, err = env.StartSluice(t.Context())
	require.NoError(t, err)
	set(t, n, "other", "good day")
	n.WaitPhase("other", canary.Waiting, 1)
	for _, w := range env.Proxy.Writes(n.Name)[writes:] {
		again := strings.Contains(w.Path, "/web-") && strings.Contains(w.Body, hashing.AnnotationConfigSeen)
		require.False(t, again, "who starts finds nothing that was handled before: %s", w)
	}
}
