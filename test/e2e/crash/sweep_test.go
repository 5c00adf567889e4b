package crash

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// story is what a user does, from v1 on.
type story struct {
	tell func(t *testing.T, n *harness.Namespace)
	// from is the first write after which sluice may be killed: the ones before are those of the first story.
	from    int
	set     bool                       // of a StatefulSet "db"; else of a Deployment "web"
	steps   string                     // of the namespace
	prepare func(n *harness.Namespace) // from nothing to v1, where that is more than creating it
}

func (s story) create(n *harness.Namespace) {
	switch {
	case s.prepare != nil:
		s.prepare(n)
	case s.set:
		create(n, db().Obj())
		harness.Set{Namespace: n}.WaitComplete()
	default:
		create(n, web().Obj())
		n.WaitStable("web")
	}
}

// create creates a workload, again and again while sluice is away.
func create(n *harness.Namespace, object any) {
	file := n.Manifest(object)
	again(n, "apply", "--server-side", "-f", file)
}

func (s story) quiet(n *harness.Namespace) {
	if s.set {
		harness.Set{Namespace: n}.Quiet()
		return
	}
	n.Quiet("web")
}

// sharedWrites bring v2 from its hold to Waiting, which every story begins with.
const sharedWrites = 5

func stories() map[string]story {
	return map[string]story{
		"hold, approve, promote": {tell: promoteStory, from: 1},
		"hold, approve, promote by sequence C": {tell: promoteStory, from: sharedWrites, prepare: func(n *harness.Namespace) {
			create(n, web().Image(v2).Obj())
			n.WaitStable("web")
			setImage(n, v1)
			n.WaitPhase("web", canary.Waiting, 1)
			approve(n)
			n.WaitStable("web")
		}},
		"hold, two steps":                    {tell: twoStepsStory, from: sharedWrites, steps: "25%, 50%"},
		"hold, abort, retry":                 {tell: retryStory, from: sharedWrites},
		"hold, scale up, scale down":         {tell: scaleStory, from: sharedWrites},
		"hold, revert to the stable version": {tell: revertStory, from: sharedWrites},
		"supersede before the adoption": {from: sharedWrites, tell: func(t *testing.T, n *harness.Namespace) {
			supersedeStory(t, n, adopts)
		}},
		"supersede during the adoption": {from: sharedWrites, tell: func(t *testing.T, n *harness.Namespace) {
			supersedeStory(t, n, finishes)
		}},
	}
}

// TestSluiceKilledAfterAnyOfItsWritesEndsTheSame runs each story undisturbed, then again and again with
// sluice killed right after one of its writes, of the first ones or the last ones. Sluice never learns that the write
// was stored. Once it is started again, everything must end as if nothing had happened, and then nothing
// more is written.
func TestSluiceKilledAfterAnyOfItsWritesEndsTheSame(t *testing.T) {
	sweep(t, stories(), 6)
}

// patience is how long the known end of a story is awaited. One that is not known is taken for the end when
// nothing has changed for calm.
const patience, calm = 30 * time.Second, 4 * time.Second

// await returns when everything stands as wanted, or stands still.
func await(t *testing.T, n *harness.Namespace, want string) {
	t.Helper()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	began, changed, before := time.Now(), time.Now(), ""
	for time.Since(began) < patience {
		now := fingerprint(t, n)
		if now != before {
			before, changed = now, time.Now()
		}
		if now == want || (want == "" && time.Since(changed) > calm) {
			return
		}
		<-look.C
	}
}

// ending is how a story ended, and how much sluice wrote in it.
type ending struct {
	story  story
	stands string
	writes int
}

// sweep kills sluice after one in so many of its writes in each story. The stories have most of theirs in common, and
// begin at different ones. In test/e2e/traffic it is killed after each one to a Deployment, in four lives.
func sweep(t *testing.T, stories map[string]story, every int) {
	endings := map[string]ending{}
	var mu sync.Mutex
	if !t.Run("undisturbed", func(t *testing.T) {
		for name, story := range stories {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				stands, writes := run(t, story, 0, "")
				require.GreaterOrEqual(t, writes, story.from)
				t.Logf("sluice writes %d times, and this is the end of it:\n%s", writes, stands)
				mu.Lock()
				defer mu.Unlock()
				endings[name] = ending{story, stands, writes}
			})
		}
	}) {
		return
	}
	for at, name := range slices.Sorted(maps.Keys(endings)) {
		undisturbed := endings[name]
		from, writes := undisturbed.story.from, undisturbed.writes
		first := from + at%min(every, (writes-from)/2+1)
		for i := first; i <= writes; i += every {
			t.Run(fmt.Sprintf("%s, killed after write %d of %d", name, i, writes), func(t *testing.T) {
				t.Parallel()
				end, _ := run(t, undisturbed.story, i, undisturbed.stands)
				if end == "" {
					require.Greater(t, i, max(first, writes*2/3), "the runs with a crash write about as much as the one without")
					return
				}
				require.Equal(t, undisturbed.stands, end)
			})
		}
	}
}

// run tells a story with sluice killed after its i-th write, never where i is 0, and returns how it ends
// and how much sluice wrote. The end is awaited, since sluice may be killed by another run just before. It is
// empty where sluice wrote less than i times.
func run(t *testing.T, story story, i int, want string) (end string, writes int) {
	t.Helper()
	var options []harness.Option
	if story.steps != "" {
		options = append(options, harness.Steps(story.steps))
	}
	n := env.Namespace(t, options...)
	story.create(n)
	before := len(env.Proxy.Writes(n.Name))
	killed := make(chan struct{})
	if i > 0 {
		ctx := context.WithoutCancel(t.Context())
		env.Proxy.CrashAfter(n.Name, i, func() { kills.kill(ctx); close(killed) })
	}
	story.tell(t, n)
	if i > 0 {
		if env.Proxy.CrashPending(n.Name) {
			return "", 0
		}
		<-killed // it may wait for the others' kills, and must not outlive this run
	}
	await(t, n, want)
	require.NoError(t, kills.alive(func() {
		story.quiet(n)
		end, writes = fingerprint(t, n), len(env.Proxy.Writes(n.Name))-before
	}))
	return end, writes
}

// again does what a user does whose command fails since sluice is away: the same once more when it is back.
func again(n *harness.Namespace, args ...string) {
	const tries = 30
	for range tries {
		if n.Command("alice", "kubectl", args...).Code == 0 {
			return
		}
		if kills.alive(func() {}) != nil {
			break
		}
	}
	n.Kubectl(args...)
}

func setImage(n *harness.Namespace, image string) {
	again(n, "set", "image", "deployment/web", "app="+image)
}

func approve(n *harness.Namespace) {
	n.Mark("web", watch.Approved)
	again(n, "rollout", "resume", "deployment/web")
}

func promoteStory(_ *testing.T, n *harness.Namespace) {
	setImage(n, v2)
	n.WaitPhase("web", canary.Waiting, 1)
	approve(n)
	n.WaitStable("web")
}

func twoStepsStory(_ *testing.T, n *harness.Namespace) {
	setImage(n, v2)
	for step := range 2 {
		n.WaitPhase("web", canary.Waiting, step+1)
		approve(n)
	}
	n.WaitStable("web")
}

func retryStory(_ *testing.T, n *harness.Namespace) {
	setImage(n, v2)
	release := n.WaitPhase("web", canary.Waiting, 1)
	again(n, "annotate", "--overwrite", "deployment/web", canary.AbortAnnotation+"="+release.Name())
	n.WaitDeployment("web", "it is aborted and sluice saw it", func(d *appsv1.Deployment) bool {
		r, err := canary.DecodeRelease(d.Annotations)
		return err == nil && r != nil && r.Phase == canary.Aborted && r.Since != nil
	})
	n.PodsOfEventually("web", v2, 0)
	n.Mark("web", watch.Retried)
	again(n, "annotate", "--overwrite", "deployment/web", canary.RetryAnnotation+"="+n.Release("web").Name())
	n.WaitPhase("web", canary.Waiting, 1)
	n.PodsOfEventually("web", v2, 1)
}

func scaleStory(_ *testing.T, n *harness.Namespace) {
	setImage(n, v2)
	n.WaitPhase("web", canary.Waiting, 1)
	for _, replicas := range []int{6, 3} {
		again(n, "scale", "deployment/web", fmt.Sprintf("--replicas=%d", replicas))
		n.PodsOfEventually("web", v1, replicas)
		n.PodsOfEventually("web", v2, (replicas+4)/5) // 20 %
	}
	n.WaitPhase("web", canary.Waiting, 1)
}

func revertStory(_ *testing.T, n *harness.Namespace) {
	setImage(n, v2)
	n.WaitPhase("web", canary.Waiting, 1)
	setImage(n, v1)
	n.WaitStable("web")
}

// supersedeStory applies a third version at the very moment at which a write of the adoption is on its
// way.
func supersedeStory(t *testing.T, n *harness.Namespace, at func(harness.Write) bool) {
	setImage(n, v2)
	n.WaitPhase("web", canary.Waiting, 1)
	reached, release := env.Proxy.Hold(n.Name, at)
	approve(n)
	select {
	case <-reached:
	case <-time.After(time.Minute):
		require.Fail(t, "sluice never came to the write that the test waits for")
	}
	setImage(n, v3)
	release()
	n.WaitPhase("web", canary.Waiting, 1)
	n.PodsOfEventually("web", v3, 1)
	n.PodsOfEventually("web", v2, 0)
	n.PodsOfEventually("web", v1, 4)
}

func adopts(w harness.Write) bool {
	return w.Resource == "replicasets" && strings.Contains(w.Body, "deployment.kubernetes.io/max-replicas")
}

func finishes(w harness.Write) bool {
	return w.Resource == "deployments" && strings.Contains(w.Body, "Finishing")
}
