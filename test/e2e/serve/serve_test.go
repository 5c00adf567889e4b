package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/manifests"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// installation is an installed sluice whose pods are processes.
type installation struct {
	*balancer
	replicas []*replica // that have not been told to end
	logs     []string   // of all there ever were
}

// TestWhatInstallYamlInstalls goes through the life of an installed sluice in the order of its parts,
// each of which takes over what the one before left.
func TestWhatInstallYamlInstalls(t *testing.T) {
	install(t)
	deployment, kubeconfig := deployed(t), account(t)
	i := &installation{balancer: startBalancer(t)}
	point(t, i.url(t))
	start := func(names ...string) {
		for _, name := range names {
			r := startReplica(t, deployment, kubeconfig, name)
			i.replicas, i.logs = append(i.replicas, r), append(i.logs, r.log)
			i.add(r)
		}
		i.waitReady(t)
	}
	start("first", "second") // at the same moment: both find no CA, no hash key and no Lease
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"each replica serves a leaf of its own that the webhook configurations trust", i.serveTrustedLeaves},
		{"a killed leader is followed by the other, and admission goes on", i.surviveAKill},
		{"a new replica changes nothing that the others rely on", func(t *testing.T) {
			before := bundles(t)
			start("third")
			require.Equal(t, before, bundles(t))
			i.serveTrustedLeaves(t)
		}},
		{"a leader that is paused comes back to releases that went on without it", i.surviveAPause},
		{"a replica that is told to end loses no request", i.drain},
		{"sluice was never refused anything", i.wasNeverRefused},
		{"deleting what was applied takes everything out", leavesNothing},
	} {
		if !t.Run(part.name, part.run) {
			return
		}
	}
}

// waitReady waits until every replica is, for the balancer too.
func (i *installation) waitReady(t *testing.T) {
	t.Helper()
	for _, r := range i.replicas {
		eventually(t, "every replica is ready", func(ctx context.Context) error {
			if err := r.ready(ctx); err != nil {
				return err
			}
			if _, ready := i.open(r); !ready {
				return errors.New("the balancer has not seen it")
			}
			return nil
		})
	}
}

// leader waits until exactly one replica leads and returns it and who holds the Lease.
func (i *installation) leader(t *testing.T) (*replica, string) {
	t.Helper()
	var leader *replica
	var holder string
	eventually(t, "one replica leads", func(ctx context.Context) error {
		var leaders []*replica
		for _, r := range i.replicas {
			switch leads, err := r.leads(ctx); {
			case err != nil:
				return err
			case leads:
				leaders = append(leaders, r)
			}
		}
		require.LessOrEqual(t, len(leaders), 1, "two replicas lead")
		if len(leaders) == 0 {
			return errors.New("none leads")
		}
		leader = leaders[0]
		lease, err := env.Client(t, "admin").CoordinationV1().Leases(manifests.Namespace).Get(ctx, "sluice-leader", metav1.GetOptions{})
		if err == nil && lease.Spec.HolderIdentity != nil {
			holder = *lease.Spec.HolderIdentity
		}
		return err
	})
	require.NotEmpty(t, holder)
	return leader, holder
}

// without forgets a replica that ends.
func (i *installation) without(gone *replica) {
	i.replicas = slices.DeleteFunc(slices.Clone(i.replicas), func(r *replica) bool { return r == gone })
}

// called waits until the API server calls sluice for a namespace: it learns of webhook configurations and
// namespaces a moment after they are stored.
func called(t *testing.T, n *harness.Namespace) {
	t.Helper()
	alice := env.Client(t, "alice")
	eventually(t, "the API server asks sluice", func(ctx context.Context) error {
		d := builders.MakeDeployment("probe").Annotation(canary.StepsAnnotation, "nonsense").Obj()
		_, err := alice.AppsV1().Deployments(n.Name).Create(ctx, d, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		switch {
		case apierrors.IsForbidden(err):
			return nil
		case err == nil:
			return errors.New("nobody refuses steps that make no sense")
		}
		return err
	})
}

// surviveAKill: a step is approved while nobody leads, admission being served by the replica that is
// left, which promotes once the dead leader's Lease has expired.
func (i *installation) surviveAKill(t *testing.T) {
	n := env.Namespace(t)
	called(t, n)
	n.Create(builders.MakeDeployment("web").Replicas(4).RollingUpdate("1", "0").Obj())
	set := n.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj())
	n.SetImage("web", v2)
	set.SetImage(v2)
	n.WaitPhase("web", canary.Waiting, 1)
	set.WaitPhase(canary.Waiting, 1)
	prepareLoad(t, n)
	load := startLoad(t, n)
	leader, holder := i.leader(t)
	i.waitBusy(t, leader)

	leader.kill()
	i.without(leader)
	i.waitLetGo(t, leader)
	letGo := time.Now()
	t.Logf("%d writes failed until the balancer had let go of the dead replica", len(failures(load.since(time.Time{}))))
	n.Approve("web")
	set.Approve()
	next, nextHolder := i.leader(t)
	require.NotSame(t, leader, next)
	require.NotEqual(t, holder, nextHolder)
	n.WaitStable("web")
	require.Len(t, n.PodsOf("web", v2), 4)
	set.WaitStable(v2)
	load.stop()
	load.served(t, letGo)
}

// surviveAPause: a leader does nothing for longer than its Lease, as on a host that hangs. The other one
// finishes what was under way. When the first one wakes it still believes that it leads; it changes nothing,
// and serves on as one that does not.
func (i *installation) surviveAPause(t *testing.T) {
	n := env.Namespace(t)
	called(t, n)
	n.Create(builders.MakeDeployment("web").Replicas(4).RollingUpdate("1", "0").Obj())
	set := n.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj())
	n.SetImage("web", v2)
	set.SetImage(v2)
	values := map[string]string{
		"deployment/web": n.WaitPhase("web", canary.Waiting, 1).ApproveValue(), "statefulset/db": set.WaitPhase(canary.Waiting, 1).ApproveValue(),
	}
	paused, holder := i.leader(t)
	paused.signal(t, syscall.SIGSTOP)
	i.without(paused)
	eventually(t, "the paused one is not ready", func(context.Context) error {
		if _, ready := i.open(paused); ready {
			return errors.New("it is")
		}
		i.cut(paused)
		return nil
	})
	n.Mark("web", watch.Approved)
	n.Mark("db", watch.Approved)
	for workload, value := range values {
		n.Eventually("the step is approved", func(context.Context) error {
			result := n.Command("alice", "kubectl", "annotate", "--overwrite", workload, canary.ApproveAnnotation+"="+value)
			if result.Code != 0 {
				return errors.New(result.String())
			}
			return nil
		})
	}
	next, nextHolder := i.leader(t)
	require.NotSame(t, paused, next)
	require.NotEqual(t, holder, nextHolder)
	n.WaitStable("web")
	set.WaitStable(v2)

	web, db := n.Deployment("web"), set.Get()
	paused.signal(t, syscall.SIGCONT)
	eventually(t, "it knows that it leads no more", func(ctx context.Context) error {
		leads, err := paused.leads(ctx)
		if err == nil && leads {
			err = errors.New("it believes so")
		}
		return err
	})
	i.replicas = append(i.replicas, paused)
	i.waitReady(t)
	still, stillHolder := i.leader(t)
	require.Same(t, next, still)
	require.Equal(t, nextHolder, stillHolder)
	require.Equal(t, web.ResourceVersion, n.Deployment("web").ResourceVersion)
	require.Equal(t, db.ResourceVersion, set.Get().ResourceVersion)
}

// drain: while the replica ends that the API server has its connections with, and with it its term as the
// leader, every write is answered. In the instant in which the replica closes what was not used during the
// whole delay nobody writes: what comes on such a connection then is lost, as package webhook says.
func (i *installation) drain(t *testing.T) {
	n := env.Namespace(t)
	called(t, n)
	prepareLoad(t, n)
	begun := time.Now()
	load := startLoad(t, n)
	leader, holder := i.leader(t)
	i.waitBusy(t, leader)

	told := time.Now()
	leader.terminate(t)
	i.without(leader)
	next, nextHolder := i.leader(t)
	require.NotSame(t, leader, next)
	require.NotEqual(t, holder, nextHolder)
	eventually(t, "most of the shutdown delay is over", func(context.Context) error {
		if over := time.Since(told); over < shutdownDelay*2/3 {
			return fmt.Errorf("%s of it", over)
		}
		return nil
	})
	load.stop()
	require.Less(t, time.Since(told), shutdownDelay, "the load stops while the replica still serves")
	load.served(t, begun)
	_, ready := i.open(leader)
	require.False(t, ready)
	require.True(t, i.stayedReady(next, told), "it begins to lead")

	require.Zero(t, leader.exited(t), harness.Tail(leader.log, 40))
	require.GreaterOrEqual(t, time.Since(told), shutdownDelay)
	ended := time.Now()
	i.waitLetGo(t, leader)
	after := startLoad(t, n)
	after.stop()
	after.served(t, ended)
}

// waitBusy waits until the API server has connections with a replica. With one that came later it has
// none for as long as those that it has are enough.
func (i *installation) waitBusy(t *testing.T, r *replica) {
	t.Helper()
	eventually(t, "the replica is called", func(context.Context) error {
		if count, _ := i.open(r); count == 0 {
			return errors.New("it has no connection")
		}
		return nil
	})
}

// waitLetGo waits until no connection goes to a replica that has ended, and the API server has closed
// those that it had.
func (i *installation) waitLetGo(t *testing.T, gone *replica) {
	t.Helper()
	eventually(t, "the balancer lets go", func(context.Context) error {
		if count, ready := i.open(gone); ready || count > 0 {
			return fmt.Errorf("ready %t, %d connections", ready, count)
		}
		return nil
	})
}

// wasNeverRefused: the installed rights are enough for everything that sluice did until now.
func (i *installation) wasNeverRefused(t *testing.T) {
	writes, err := env.Cluster.Writes()
	require.NoError(t, err)
	var own int
	for _, w := range writes {
		if w.User == "system:serviceaccount:"+manifests.Namespace+":"+manifests.Name {
			own++
			require.NotEqual(t, 403, w.Code, "%+v", w)
		}
	}
	require.NotZero(t, own)
	for _, log := range i.logs {
		content, err := os.ReadFile(log)
		require.NoError(t, err)
		require.NotContains(t, string(content), "forbidden")
	}
}

// leavesNothing: what is held stays held, until people let it go on natively. Afterwards workloads roll out as
// if sluice had never been there.
func leavesNothing(t *testing.T) {
	n := env.Namespace(t)
	called(t, n)
	for _, name := range []string{"web", "free"} {
		n.Create(builders.MakeDeployment(name).Obj())
	}
	mid := env.Namespace(t)
	called(t, mid)
	mid.Create(builders.MakeDeployment("web").Replicas(3).Obj())
	set := mid.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj())
	mid.SetImage("web", v2)
	set.SetImage(v2)
	mid.WaitPhase("web", canary.Waiting, 1)
	set.WaitPhase(canary.Waiting, 1)
	uninstall(t)
	alice := env.Client(t, "alice")
	eventually(t, "the API server has forgotten sluice", func(ctx context.Context) error {
		switch err := tryUpdate(ctx, alice, n.Name); {
		case errors.Is(err, errNotHeld):
			return nil
		case err == nil:
			return errors.New("it still asks sluice, which holds")
		default:
			return err
		}
	})
	n.Mark("web", watch.Native)
	n.SetImage("web", v2)
	n.WaitDeployment("web", "it rolls out natively", harness.Complete)

	require.True(t, mid.Deployment("web").Spec.Paused)
	require.Len(t, mid.PodsOf("web", v1), 3)
	require.EqualValues(t, harness.Closed, set.Partition())
	set.WaitImages(v1, v1, v2)
	mid.Mark("web", watch.Approved)
	mid.Mark("db", watch.Disturbed)
	mid.Mark("db", watch.ApprovedFull)
	mid.Kubectl("rollout", "resume", "deployment/web")
	mid.WaitDeployment("web", "it rolls out natively", harness.Complete)
	mid.Kubectl("patch", "statefulset/db", "-p", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`)
	set.WaitImages(v2, v2, v2)
}
