package storm

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"

	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// BenchmarkConfig starts sluice in a cluster with 100 opted-in Deployments and many ConfigMaps and Secrets
// that nobody uses, and reports its resident memory (MiB) once it has looked at all, the time from its start
// until then (s), and the median time from an edit of a ConfigMap to sluice's write (s), both with the settle
// time of 2 s in it.
//
//	go test ./config/storm -run '^$' -bench Config -benchtime 1x -timeout 60m
func BenchmarkConfig(b *testing.B) {
	n := env.Namespace(b)
	n.Unjudged()
	configMap(b, n, "app")
	users(b, n, 100, 0)
	all(b, n, "the config was seen", seen)
	made := 0
	for _, size := range []struct{ count, bytes int }{{0, 0}, {10_000, 4 << 10}, {50_000, 64}} {
		fill(b, n, made, size.count-made, size.bytes)
		made = max(made, size.count)
		b.Run(fmt.Sprintf("%d+%d", size.count, size.count), func(b *testing.B) {
			for b.Loop() {
				measure(b, n)
			}
		})
	}
}

// fill creates ConfigMaps and Secrets of so many bytes each.
func fill(b *testing.B, n *harness.Namespace, from, count, bytes int) {
	b.Helper()
	value := strings.Repeat("x", bytes)
	failures := make([]error, max(count, 0))
	workqueue.ParallelizeUntil(b.Context(), 32, max(count, 0), func(i int) {
		meta := metav1.ObjectMeta{Name: fmt.Sprintf("filler-%d", from+i)}
		_, configMap := n.Admin.CoreV1().ConfigMaps(n.Name).Create(b.Context(), &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"x": value}}, metav1.CreateOptions{})
		_, secret := n.Admin.CoreV1().Secrets(n.Name).Create(b.Context(), &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"x": value}}, metav1.CreateOptions{})
		failures[i] = errors.Join(configMap, secret)
	})
	require.NoError(b, errors.Join(failures...))
}

func measure(b *testing.B, n *harness.Namespace) {
	b.Helper()
	env.Sluice().Kill()
	set(b, n, "app", "while it is down at "+time.Now().String())
	before, err := deployments(b.Context(), n)
	require.NoError(b, err)
	began := time.Now()
	_, err = env.StartSluice(b.Context())
	require.NoError(b, err)
	n.WaitDeployment("web-0", "found at the start", func(d *appsv1.Deployment) bool { return digest(*d) != digest(before["web-0"]) })
	b.ReportMetric(time.Since(began).Seconds(), "s/start")
	all(b, n, "found at the start", func(d appsv1.Deployment) bool {
		return !strings.HasPrefix(d.Name, "web-") || digest(d) != digest(before[d.Name])
	})

	var waits []time.Duration
	for i := range 5 {
		name := fmt.Sprintf("own-%d-%d", i, time.Now().UnixNano())
		configMap(b, n, name)
		_, err := n.Admin.AppsV1().Deployments(n.Name).Create(b.Context(), builders.MakeDeployment(name).Replicas(0).EnvFromConfigMap(name).Obj(), metav1.CreateOptions{})
		require.NoError(b, err)
		d := n.WaitDeployment(name, "its config was seen", func(d *appsv1.Deployment) bool { return seen(*d) })
		first, edited := digest(*d), time.Now()
		set(b, n, name, "good day")
		n.WaitDeployment(name, "its new config", func(d *appsv1.Deployment) bool { return digest(*d) != first })
		waits = append(waits, time.Since(edited))
	}
	slices.Sort(waits)
	b.ReportMetric(waits[len(waits)/2].Seconds(), "s/edit")
	b.ReportMetric(resident(b, env.Sluice().PID()), "MiB")
}

// resident returns the resident memory of a process in MiB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	_, rest, found := strings.Cut(string(status), "VmRSS:")
	require.True(b, found)
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(b, err)
	return float64(kilobytes) / 1024
}
