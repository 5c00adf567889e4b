package controller

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

func TestTheNextChangeWaits(t *testing.T) {
	at := func(ago time.Duration) *time.Time { then := noon.Add(-ago); return &then }
	tests := map[string]struct {
		before     hashing.Seen
		wantWait   time.Duration // not more than 0: it need not
		wantStreak int
	}{
		"the first change":                  {hashing.Seen{}, 0, 1},
		"the second":                        {hashing.Seen{At: at(time.Second), Streak: 1}, 0, 2},
		"the fourth":                        {hashing.Seen{At: at(time.Second), Streak: 3}, 0, 4},
		"the fifth":                         {hashing.Seen{At: at(time.Second), Streak: 4}, 59 * time.Second, 5},
		"the fifth, a minute later":         {hashing.Seen{At: at(time.Minute), Streak: 4}, 0, 5},
		"the fifth, two minutes later":      {hashing.Seen{At: at(2 * time.Minute), Streak: 4}, -time.Minute, 1},
		"the sixth":                         {hashing.Seen{At: at(0), Streak: 5}, 2 * time.Minute, 6},
		"the tenth":                         {hashing.Seen{At: at(0), Streak: 9}, 32 * time.Minute, 10},
		"the eleventh":                      {hashing.Seen{At: at(0), Streak: 10}, time.Hour, 11},
		"the millionth":                     {hashing.Seen{At: at(0), Streak: 1000000}, time.Hour, 1000001},
		"the millionth, two hours later":    {hashing.Seen{At: at(2 * time.Hour), Streak: 1000000}, -time.Hour, 1},
		"a streak that cannot be":           {hashing.Seen{At: at(time.Second), Streak: -1}, 0, 0},
		"a clock that is a little ahead":    {hashing.Seen{At: at(-10 * time.Second), Streak: 4}, 70 * time.Second, 5},
		"a clock that was wrong by a year":  {hashing.Seen{At: at(-365 * 24 * time.Hour), Streak: 9}, 0, 1},
		"a clock that was wrong by an hour": {hashing.Seen{At: at(-time.Hour), Streak: 4}, 0, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.wantWait, waitFor(test.before, noon))
			require.Equal(t, test.wantStreak, streak(test.before, noon))
		})
	}
}

// Acceptance, config hashing 24: a buggy controller rewrites one object every second for an hour. The changes come
// through with the first four looks, and then 1, 2, 4, 8 and 16 minutes after the one before.
func TestAChangeEverySecondForAnHour(t *testing.T) {
	c := newCluster(t, shop(), configMap("app", "none"), configMap("other", "none"), daemonSet("web", "app"), daemonSet("calm", "other"))
	web, calm := named(canary.DaemonSet, "web"), named(canary.DaemonSet, "calm")
	c.looks(web)
	c.looks(calm)
	c.patches = nil
	const every = 5 // seconds, in which the settle time makes one look of five changes
	for look := range 3600 / every {
		second := every * look
		c.edit("app", fmt.Sprint(second))
		_, err := c.look(web)
		require.NoError(t, err)
		c.now = c.now.Add(every * time.Second)
		if second%1000 == 500 {
			writes := len(c.patches)
			c.edit("other", fmt.Sprint(second))
			c.looks(calm)
			require.Len(t, c.patches, writes+1, "others go on at once")
		}
	}
	require.Len(t, c.digests, 9+4)
	require.Len(t, c.patches, 9+4)
	var waits int
	for _, told := range c.told() {
		if strings.HasPrefix(told, "Warning "+tooOften) {
			waits++
			require.Contains(t, told, "Find who keeps changing configmap/app")
		}
	}
	require.Equal(t, 6, waits, "told once for each wait")

	c.now = c.now.Add(2 * time.Hour)
	c.looks(web)
	require.Len(t, c.digests, 10+4, "the last content wins")
}

// A workload that waits is looked at when the wait is over, whoever else asks in between.
func TestAWaitEndsWhenItSays(t *testing.T) {
	c := newCluster(t, shop(), configMap("app", "none"), daemonSet("web", "app"))
	web := named(canary.DaemonSet, "web")
	c.looks(web)
	for i := range freeChanges {
		c.edit("app", fmt.Sprint(i))
		c.looks(web)
	}
	c.edit("app", "last")
	result, err := c.look(web)
	require.NoError(t, err)
	require.Equal(t, time.Minute, result.RequeueAfter)
	require.Equal(t, tooOften, c.reconcile.rations.waiting[web].reason)
	c.now = c.now.Add(result.RequeueAfter)
	c.looks(web)
	require.Len(t, c.digests, freeChanges+1)
	require.Empty(t, c.reconcile.rations.waiting)
}

func TestTheRationsOfTheClusterAndOfEachObject(t *testing.T) {
	made := 0
	of := func(namespace string) *snapshot {
		made++
		return &snapshot{workload: workload{canary.Deployment, types.NamespacedName{Namespace: namespace, Name: fmt.Sprint("web-", made)}}}
	}
	r := newRations(users{}, DefaultAtOnce)
	for range sourceBurst {
		require.Zero(t, r.take(of("shop"), []string{"configmap/app"}, noon))
	}
	waits := of("shop")
	require.Equal(t, 100*time.Millisecond, r.take(waits, []string{"configmap/app"}, noon), "10 a second")
	for i := range 100 {
		wait := r.take(of("shop"), []string{"configmap/app"}, noon)
		require.InDelta(t, float64(i+2)/10, wait.Seconds(), 1e-6, "each has a turn of its own")
	}
	require.Equal(t, 100*time.Millisecond, r.take(waits, []string{"configmap/app"}, noon), "whoever asks again keeps its turn")
	for range clusterBurst - sourceBurst {
		require.Zero(t, r.take(of("bank"), []string{"configmap/app"}, noon), "those that wait have taken nothing of the cluster's")
	}
	late := of("mill")
	require.Equal(t, 50*time.Millisecond, r.take(late, []string{"configmap/app"}, noon), "20 a second")
	require.Zero(t, r.take(late, []string{"configmap/app"}, noon.Add(50*time.Millisecond)))
	require.Zero(t, r.take(waits, []string{"configmap/app"}, noon.Add(100*time.Millisecond)))
	require.NotContains(t, r.turns, waits.workload)
	require.NotZero(t, r.take(of("shop"), []string{"configmap/app"}, noon.Add(-time.Hour)), "a clock that goes back gives nothing away")
}

func TestRationsOfObjectsOfLongAgoAreForgotten(t *testing.T) {
	r := newRations(users{}, DefaultAtOnce)
	s := &snapshot{workload: web}
	now := noon
	for i := range 5 * mostSources {
		now = now.Add(time.Second)
		require.Zero(t, r.take(s, []string{fmt.Sprintf("configmap/app-%d", i)}, now))
		require.LessOrEqual(t, len(r.sources), mostSources)
	}
}

// crowd is n workloads of one object, all of which were seen with its content.
func crowd(t *testing.T, n int) (*shopCluster, []workload) {
	c := newCluster(t, shop(), configMap("app", "none"))
	var all []workload
	for i := range n {
		name := fmt.Sprintf("web-%02d", i)
		require.NoError(t, c.store.Create(context.Background(), daemonSet(name, "app")))
		all = append(all, named(canary.DaemonSet, name))
		c.looks(all[i])
	}
	c.patches = nil
	return c, all
}

// look at all of them, as a config event does, a minute later.
func (c *shopCluster) round(all []workload) {
	c.now = c.now.Add(time.Minute)
	for _, w := range all {
		_, err := c.look(w)
		require.NoError(c.t, err)
	}
}

// roll sets the status of a DaemonSet that was written.
func (c *shopCluster) roll(name string, available int32) {
	d := c.daemonSet(name)
	d.Status.ObservedGeneration, d.Status.UpdatedNumberScheduled, d.Status.NumberAvailable = d.Generation, 3, available
	require.NoError(c.t, c.store.Status().Update(context.Background(), d))
}

func TestOnlySoManyAreOnTheWayAtOnce(t *testing.T) {
	c, all := crowd(t, 25)
	c.edit("app", "blue")
	c.round(all)
	require.Len(t, c.digests, DefaultAtOnce)
	c.round(all)
	require.Len(t, c.digests, DefaultAtOnce, "none is healthy yet")
	require.Len(t, c.reconcile.rations.waiting, 25-DefaultAtOnce)
	var waits []string
	for _, told := range c.told() {
		if strings.HasPrefix(told, "Warning "+others) {
			waits = append(waits, told)
		}
	}
	require.Len(t, waits, 25-DefaultAtOnce, "each is told once")
	require.Contains(t, waits[0], "waits until fewer than 10 of the workloads that use configmap/app are on the way to its new content: "+
		"daemonset/web-00, daemonset/web-01, daemonset/web-02, 7 more")

	c.restart()
	c.round(all)
	require.Len(t, c.digests, DefaultAtOnce, "a new leader reads it from the workloads")

	for i := range 4 {
		c.roll(all[i].Name, 3)
	}
	c.round(all)
	require.Len(t, c.digests, DefaultAtOnce+4)
	for range 10 {
		for _, w := range all {
			c.roll(w.Name, 3)
		}
		c.round(all)
	}
	require.Len(t, c.digests, 25)
	require.Empty(t, c.reconcile.rations.waiting)
}

func TestAnObjectSaysHowManyAtOnce(t *testing.T) {
	for value, want := range map[string]int{"2": 2, "15": 15, "0": DefaultAtOnce, "many": DefaultAtOnce, "-1": DefaultAtOnce} {
		t.Run(value, func(t *testing.T) {
			c, all := crowd(t, 20)
			object := configMap("app", "blue")
			object.Annotations = map[string]string{hashing.AnnotationConfigAtOnce: value}
			require.NoError(t, c.store.Update(t.Context(), object))
			c.round(all)
			require.Len(t, c.digests, want)
		})
	}
}

// A cache that does not show what was just written lets nobody through.
func TestWritesThatTheCacheDoesNotShowCount(t *testing.T) {
	c, all := crowd(t, 20)
	for _, w := range all {
		c.stale = append(c.stale, c.daemonSet(w.Name))
	}
	c.edit("app", "blue")
	c.round(all)
	require.Len(t, c.digests, DefaultAtOnce)
	require.Len(t, c.reconcile.rations.recent, DefaultAtOnce)
	c.stale = nil
	c.round(all)
	require.Len(t, c.digests, DefaultAtOnce)
	require.Empty(t, c.reconcile.rations.recent, "what the cache shows is not kept")
}

func TestAFailureStopsTheSameContentAndNoOther(t *testing.T) {
	c := newCluster(t, shop(), configMap("app", "none"), configMap("other", "none"),
		deployment("bad", "app"), deployment("web", "app"), deployment("calm", "other"))
	bad, calm := named(canary.Deployment, "bad"), named(canary.Deployment, "calm")
	for _, w := range []workload{bad, web, calm} {
		c.looks(w)
	}
	c.edit("app", "blue")
	c.looks(bad)
	require.Len(t, c.digests, 1)
	c.change("bad", func(r *canary.Release) { r.Phase, r.Settled = canary.Aborted, true })
	c.told()

	c.looks(web)
	c.looks(web)
	require.Len(t, c.digests, 1)
	require.Equal(t, []string{"Warning ConfigFailedElsewhere deployment/bad failed with this content of configmap/app, so it is not released here: " +
		"give configmap/app other content, or retry what failed, or set sluice.dev/config=ignore on it"}, c.told())
	require.Equal(t, []workload{web}, c.reconcile.rations.next("shop", 10))
	require.Empty(t, c.reconcile.rations.next("bank", 10))
	require.Empty(t, c.reconcile.rations.next("shop", 0))

	c.edit("other", "blue")
	c.looks(calm)
	require.Len(t, c.digests, 2, "another object")

	c.edit("app", "green")
	c.looks(web)
	require.Len(t, c.digests, 3, "another content")
	require.Empty(t, c.reconcile.rations.waiting)
}

// What is unhealthy with an earlier content says nothing about this one, which may be the one that mends it.
func TestAWorkloadOnTheWayToOlderContentHoldsNobodyUp(t *testing.T) {
	c, all := crowd(t, DefaultAtOnce+1)
	c.edit("app", "blue")
	c.round(all)
	require.Len(t, c.digests, DefaultAtOnce, "none becomes healthy")
	c.edit("app", "green")
	c.round(all[DefaultAtOnce:])
	require.Len(t, c.digests, DefaultAtOnce+1)
}

func TestAReleaseThatItsUserPausedIsNotOnTheWay(t *testing.T) {
	for step, want := range map[int]string{0: "", 1: rolling} {
		d := deployment("web", "app")
		d.Labels = map[string]string{canary.ActiveLabel: "true", canary.PhaseLabel: string(canary.Progressing)}
		d.Annotations = map[string]string{canary.ReleaseAnnotation: (&canary.Release{ID: 2, Phase: canary.Progressing, Step: step}).Encode()}
		require.Equal(t, want, state(stripOf(t, d)), "step %d", step)
	}
}

func TestThoseThatWaitTakeTurns(t *testing.T) {
	r := newRations(users{}, DefaultAtOnce)
	var all []workload
	for _, name := range []string{"a", "b", "c"} {
		all = append(all, named(canary.Deployment, name))
		r.wait(named(canary.Deployment, name), others)
	}
	require.Equal(t, all[:2], r.next("shop", 2))
	require.Equal(t, []workload{all[2], all[0]}, r.next("shop", 2))
}

func TestWhatIsGoneIsForgotten(t *testing.T) {
	c, all := crowd(t, 30)
	c.edit("app", "blue")
	c.round(all)
	for _, w := range all {
		require.NoError(t, c.store.Delete(t.Context(), c.daemonSet(w.Name)))
	}
	c.round(all)
	require.Empty(t, c.reconcile.rations.waiting)
	require.Empty(t, c.reconcile.rations.recent)
}

func TestTheStateOfAWorkloadOnTheWay(t *testing.T) {
	two := int32(2)
	deploymentWith := func(change func(*appsv1.Deployment)) string {
		d := deployment("web", "app")
		change(d)
		return deploymentRollout(d)
	}
	setWith := func(change func(*appsv1.StatefulSet)) string {
		set := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: &two}, Status: appsv1.StatefulSetStatus{
			Replicas: 2, AvailableReplicas: 2, CurrentRevision: "a", UpdateRevision: "a",
		}}
		change(set)
		return statefulSetRollout(set)
	}
	daemonSetWith := func(change func(*appsv1.DaemonSet)) string {
		d := daemonSet("web", "app")
		change(d)
		return daemonSetRollout(d)
	}
	for name, test := range map[string]struct{ got, want string }{
		"a Deployment that is complete":      {deploymentWith(func(*appsv1.Deployment) {}), ""},
		"a Deployment that nobody looked at": {deploymentWith(func(d *appsv1.Deployment) { d.Generation = 2 }), rolling},
		"a Deployment with an old pod":       {deploymentWith(func(d *appsv1.Deployment) { d.Status.Replicas = 4 }), rolling},
		"a Deployment with an unready pod":   {deploymentWith(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 2 }), rolling},
		"a Deployment without pods": {deploymentWith(func(d *appsv1.Deployment) {
			d.Spec.Replicas, d.Status = new(int32), appsv1.DeploymentStatus{ObservedGeneration: 1}
		}), ""},
		"a Deployment past its deadline": {deploymentWith(func(d *appsv1.Deployment) {
			d.Status.AvailableReplicas = 0
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse}}
		}), failed},
		"a Deployment past the deadline of a version before": {deploymentWith(func(d *appsv1.Deployment) {
			d.Generation = 2
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse}}
		}), rolling},
		"a Deployment that its user paused": {deploymentWith(func(d *appsv1.Deployment) { d.Spec.Paused, d.Status.UpdatedReplicas = true, 0 }), ""},
		"a StatefulSet that is complete":    {setWith(func(*appsv1.StatefulSet) {}), ""},
		"a StatefulSet that rolls":          {setWith(func(s *appsv1.StatefulSet) { s.Status.UpdateRevision = "b" }), rolling},
		"a StatefulSet OnDelete": {setWith(func(s *appsv1.StatefulSet) {
			s.Status.UpdateRevision, s.Spec.UpdateStrategy.Type = "b", appsv1.OnDeleteStatefulSetStrategyType
		}), ""},
		"a StatefulSet behind its user's partition": {setWith(func(s *appsv1.StatefulSet) {
			s.Status.UpdateRevision = "b"
			s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: &two}
		}), ""},
		"a StatefulSet with partition 0": {setWith(func(s *appsv1.StatefulSet) {
			s.Status.UpdateRevision = "b"
			s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32)}
		}), rolling},
		"a DaemonSet that is complete": {daemonSetWith(func(*appsv1.DaemonSet) {}), ""},
		"a DaemonSet that rolls":       {daemonSetWith(func(d *appsv1.DaemonSet) { d.Status.UpdatedNumberScheduled = 1 }), rolling},
		"a DaemonSet OnDelete": {daemonSetWith(func(d *appsv1.DaemonSet) {
			d.Status.UpdatedNumberScheduled, d.Spec.UpdateStrategy.Type = 0, appsv1.OnDeleteDaemonSetStrategyType
		}), ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, test.got) })
	}
}
