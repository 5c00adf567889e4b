package harness

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// quietFor is how long sluice is observed to write nothing. Nothing can show that a write will never
// come; sluice answers an event within a few hundredths of a second, where no other test keeps it busy.
// Where one does, a last write may come later: but only so many times.
const (
	quietFor   = 2 * time.Second
	quietTries = 3
)

// Quiet requires that sluice comes to rest: it has looked at the Deployment and done what there was to
// do, a change that means nothing wakes it once more, and no write follows.
func (n *Namespace) Quiet(name string) {
	n.t.Helper()
	n.quiet(func() {
		n.t.Helper()
		n.poke(name)
	})
}

func (n *Namespace) quiet(poke func()) {
	n.t.Helper()
	var needless []Write
	for range quietTries {
		poke()
		before := n.settled()
		poke()
		n.observe(quietFor)
		if needless = n.Env.Proxy.Writes(n.Name)[before:]; len(needless) == 0 {
			return
		}
	}
	require.Empty(n.t, needless, "sluice writes again and again though there is nothing to do")
}

// poke changes what means nothing, and waits until the controllers saw it: sluice's, too, where there is
// a release, since it watches no other Deployments.
func (n *Namespace) poke(name string) {
	n.t.Helper()
	reads := n.Env.Proxy.Reads(n.Name)
	d, err := n.Admin.AppsV1().Deployments(n.Name).Patch(n.t.Context(), name, types.MergePatchType, pokePatch(), metav1.PatchOptions{})
	require.NoError(n.t, err)
	n.WaitDeployment(name, "the deployment controller saw the poke", func(d *appsv1.Deployment) bool {
		return d.Status.ObservedGeneration == d.Generation
	})
	n.looksAt(d, reads)
}

func pokePatch() []byte {
	return []byte(`{"metadata":{"annotations":{"example.com/poke":"` + time.Now().Format(time.RFC3339Nano) + `"}}}`)
}

// looksAt waits until sluice, which has made so many reads, reads a workload with a release again.
func (n *Namespace) looksAt(workload metav1.Object, reads int) {
	n.t.Helper()
	if workload.GetLabels()[canary.ActiveLabel] == "" {
		return
	}
	n.Eventually("sluice looks at the workload that was poked", func(context.Context) error {
		if n.Env.Proxy.Reads(n.Name) == reads {
			return errors.New("it reads nothing")
		}
		return nil
	})
}

// settled waits until sluice has not written for a while and returns how much it wrote.
func (n *Namespace) settled() int {
	n.t.Helper()
	for count := -1; ; {
		now := len(n.Env.Proxy.Writes(n.Name))
		if now == count {
			return now
		}
		count = now
		n.observe(quietFor / 2)
		require.NoError(n.t, n.t.Context().Err())
		require.Less(n.t, now, tooManyWrites, "sluice does not stop writing")
	}
}

// tooManyWrites is more than any test makes sluice write.
const tooManyWrites = 500

func (n *Namespace) observe(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.t.Context().Done():
	}
}
