package crash

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	// from is the first write after which sluice is killed: the ones before are those of the first story.
	from int
	set  bool // of a StatefulSet "db"; else of a Deployment "web"
}

func (s story) create(n *harness.Namespace) {
	if s.set {
		n.CreateSet(db().Obj())
		return
	}
	n.Create(web().Obj())
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
		"hold, approve, promote":             {tell: promoteStory, from: 1},
		"hold, abort":                        {tell: abortStory, from: sharedWrites},
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
// sluice killed right after its first write, its second, ... until a run has fewer. Sluice never learns
// that the write was stored. Once it is started again, everything must end as if nothing had happened,
// and then nothing more is written.
func TestSluiceKilledAfterAnyOfItsWritesEndsTheSame(t *testing.T) {
	sweep(t, stories())
}

func sweep(t *testing.T, stories map[string]story) {
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			undisturbed, writes := run(t, "undisturbed", story, 0)
			require.GreaterOrEqual(t, writes, story.from)
			t.Logf("undisturbed, sluice writes %d times, and this is the end of it:\n%s", writes, undisturbed)
			for i := story.from; i <= writes; i++ {
				end, _ := run(t, fmt.Sprintf("killed after write %d", i), story, i)
				if end == "" {
					require.Greater(t, i, writes*2/3, "the runs with a crash write about as much as the one without")
					return
				}
				require.Equal(t, undisturbed, end, "killed after write %d", i)
			}
		})
	}
}

// run tells a story with sluice killed after its i-th write, never where i is 0, and returns how it ends
// and how much sluice wrote. The end is empty where sluice wrote less than i times.
func run(t *testing.T, name string, story story, i int) (end string, writes int) {
	t.Run(name, func(t *testing.T) {
		n := env.Namespace(t)
		story.create(n)
		restarted := make(chan error, 1)
		if i > 0 {
			env.Proxy.CrashAfter(n.Name, i, func() {
				env.Sluice().Kill()
				go func() {
					_, err := env.StartSluice(context.WithoutCancel(t.Context()))
					restarted <- err
				}()
			})
		}
		story.tell(t, n)
		if i > 0 && env.Proxy.CrashPending() {
			return
		}
		if i > 0 {
			require.NoError(t, <-restarted)
		}
		story.quiet(n)
		end, writes = fingerprint(t, n), len(env.Proxy.Writes(n.Name))
	})
	return end, writes
}

// again does what a user does whose command fails since sluice is away: the same once more.
func again(n *harness.Namespace, what string, args ...string) {
	n.Eventually(what, func(context.Context) error {
		result := n.Command("alice", "kubectl", args...)
		if result.Code == 0 {
			return nil
		}
		return errors.New(result.String())
	})
}

func setImage(n *harness.Namespace, image string) {
	again(n, "the image is set", "set", "image", "deployment/web", "app="+image)
}

func approve(n *harness.Namespace) {
	n.Mark("web", watch.Approved)
	again(n, "the step is approved", "rollout", "resume", "deployment/web")
}

func promoteStory(_ *testing.T, n *harness.Namespace) {
	setImage(n, v2)
	n.WaitPhase("web", canary.Waiting, 1)
	approve(n)
	n.WaitStable("web")
}

func abortStory(_ *testing.T, n *harness.Namespace) {
	setImage(n, v2)
	release := n.WaitPhase("web", canary.Waiting, 1)
	again(n, "the release is aborted", "annotate", "--overwrite", "deployment/web", canary.AbortAnnotation+"="+release.Name())
	n.WaitDeployment("web", "it is aborted and sluice saw it", func(d *appsv1.Deployment) bool {
		r, err := canary.DecodeRelease(d.Annotations)
		return err == nil && r != nil && r.Phase == canary.Aborted && r.Since != nil
	})
	n.PodsOfEventually("web", v2, 0)
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
