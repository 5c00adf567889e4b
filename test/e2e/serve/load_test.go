package serve

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// load writes to workloads without a pause, and knows what came of every write.
type load struct {
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu       sync.Mutex
	attempts []attempt
}

type attempt struct {
	began time.Time
	err   error
}

// workers write at once, so that the API server has several connections. Only the first one stores what
// it writes: two would conflict with each other.
const workers = 6

// prepareLoad creates the Deployments that are written to, held and free.
func prepareLoad(t *testing.T, n *harness.Namespace) {
	t.Helper()
	for _, name := range []string{"held", "free"} {
		n.Create(builders.MakeDeployment(name).Obj())
	}
	n.SetImage("held", v2)
	n.WaitPhase("held", canary.Waiting, 1)
}

// startLoad writes until stop, and returns once there were enough answers. Each write needs sluice, and each
// answer shows that sluice decided it.
func startLoad(t *testing.T, n *harness.Namespace) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{cancel: cancel}
	t.Cleanup(func() { l.stop() })
	alice := env.Client(t, "alice")
	for i := range workers {
		write := tryUpdate
		if i == 0 {
			write = touch
		}
		l.workers.Go(func() { l.work(ctx, func(ctx context.Context) error { return write(ctx, alice, n.Name) }) })
	}
	begun := time.Now()
	eventually(t, "every worker has written", func(context.Context) error { return l.enough(begun) })
	return l
}

// enough is nil once as many writes that began after a moment have been answered as take several connections.
func (l *load) enough(since time.Time) error {
	if count := len(l.since(since)); count < 5*workers {
		return fmt.Errorf("%d writes so far", count)
	}
	return nil
}

func (l *load) work(ctx context.Context, write func(context.Context) error) {
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		// What has begun is ended: a write that is broken off proves nothing.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		began := time.Now()
		err := write(limited)
		cancel()
		l.mu.Lock()
		l.attempts = append(l.attempts, attempt{began, err})
		l.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
}

// stop returns when the last write is answered.
func (l *load) stop() {
	l.cancel()
	l.workers.Wait()
}

// since returns the writes that began after a moment and have been answered.
func (l *load) since(moment time.Time) []attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []attempt
	for _, a := range l.attempts {
		if a.began.After(moment) {
			found = append(found, a)
		}
	}
	return found
}

func failures(attempts []attempt) []error {
	var failed []error
	for _, a := range attempts {
		if a.err != nil {
			failed = append(failed, a.err)
		}
	}
	return failed
}

// touch stores a change of the held Deployment, whose writes all go through sluice.
func touch(ctx context.Context, c kubernetes.Interface, namespace string) error {
	patch := `{"metadata":{"annotations":{"example.com/touched":"` + time.Now().Format(time.RFC3339Nano) + `"}}}`
	d, err := c.AppsV1().Deployments(namespace).Patch(ctx, "held", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return isHeld(d)
}

// tryUpdate brings the free Deployment a new version as a dry-run, which sluice would hold.
func tryUpdate(ctx context.Context, c kubernetes.Interface, namespace string) error {
	patch := `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"` + v2 + `"}]}}}}`
	d, err := c.AppsV1().Deployments(namespace).Patch(ctx, "free", types.StrategicMergePatchType, []byte(patch),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err
	}
	return isHeld(d)
}

var errNotHeld = errors.New("it is not held")

func isHeld(d *appsv1.Deployment) error {
	if !d.Spec.Paused || d.Annotations[canary.ReleaseAnnotation] == "" {
		return fmt.Errorf("deployment %s: %w: paused %t, annotations %v", d.Name, errNotHeld, d.Spec.Paused, d.Annotations)
	}
	return nil
}

// served requires that writes were made since a moment, and that none failed.
func (l *load) served(t *testing.T, since time.Time) {
	t.Helper()
	attempts := l.since(since)
	failed := failures(attempts)
	t.Logf("%d writes in %s, %d failed", len(attempts), time.Since(since).Round(time.Millisecond), len(failed))
	require.Empty(t, failed)
	require.NoError(t, l.enough(since))
}
