package canary

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// behindARoute is what is observed of a Deployment of ten pods with a canary of two, behind a route that gives it 20 %,
// as step one of "20%, 50%" says.
func behindARoute(now time.Time) Observed {
	since, stable, canary := now.Add(-2*time.Second), Revision{Hash: "v1"}, Revision{Hash: "v2"}
	release := &Release{
		ID: 5, Phase: Waiting, Step: 1, Stable: stable, Canary: canary, Since: &since,
		Policy:  Policy{Steps: "20%, 50%", Deadline: Duration(10 * time.Minute)},
		Traffic: &Found{Services: []string{"web"}, Routes: []string{"ingress/web"}},
	}
	return Observed{
		Kind: Deployment, Release: release, StableRecorded: true, Recorded: true,
		Workload: WorkloadState{Name: "web", Replicas: 10, TemplateHash: canary.Hash, Paused: true, RollingUpdate: true, MaxSurge: 3, MaxUnavailable: 1},
		ReplicaSets: []ReplicaSet{
			{Name: "web-1", UID: "1", Owned: true, Referenced: true, Labelled: true, TemplateHash: stable.Hash, Replicas: 10, StatusReplicas: 10, AvailableReplicas: 10},
			{Name: "web-2", UID: "2", Referenced: true, TemplateHash: canary.Hash, ReleaseID: 5, Replicas: 2, StatusReplicas: 2, AvailableReplicas: 2},
		},
		Traffic: Traffic{
			Found: release.Traffic, StableEndpoints: 10, CanaryEndpoints: 2,
			Routes: []Route{{Name: "ingress/web", Share: &Share{Weight: 20}, Changed: now.Add(-time.Minute)}},
		},
	}
}

// TestRequestsMoveBeforePods are single moments: what is waited for before a weight is written, before pods are made
// and before they are taken away.
func TestRequestsMoveBeforePods(t *testing.T) {
	now := time.Unix(1000000, 0)
	aborted := func(o *Observed) {
		o.Release.Phase, o.Release.Reason = Aborted, "aborted by alice"
		o.Traffic.Routes[0].Share = stableAlone
	}
	begins := func(o *Observed) { // the canary's pods are not asked for yet
		o.Release.Phase, o.ReplicaSets = Progressing, o.ReplicaSets[:1]
		o.Traffic.Routes[0].Share, o.Traffic.CanaryEndpoints = stableAlone, 0
	}
	gone := func(o *Observed) { // the canary's pods are
		o.ReplicaSets = o.ReplicaSets[:1]
		o.Traffic.CanaryEndpoints, o.Traffic.OnlyStable = 0, true
	}
	ready := func(o *Observed) { // the canary's pods are available, their weight is not written
		o.Release.Phase, o.Traffic.Routes[0].Share = Progressing, stableAlone
	}
	promoted := func(o *Observed) { // step one was approved, and no other follows
		o.Release.Approvals = []Approval{{Step: 1, By: "alice", Full: true}}
	}
	silent := func(ago time.Duration) func(*Observed) {
		return func(o *Observed) {
			o.Traffic.Routes[0].Silent, o.Traffic.Routes[0].Changed = true, now.Add(-ago)
		}
	}
	late := func(o *Observed) {
		since := now.Add(-time.Hour)
		o.Release.Since, o.Release.Late = &since, true
	}
	steers := func(to *Share) func(*testing.T, Move) {
		return func(t *testing.T, m Move) {
			t.Helper()
			require.NotNil(t, m.Write)
			require.Equal(t, &Steering{Share: to}, m.Write.Steer)
		}
	}
	waits := func(atMost time.Duration) func(*testing.T, Move) {
		return func(t *testing.T, m Move) {
			t.Helper()
			require.Nil(t, m.Write, "%s", describe(m.Write))
			require.Positive(t, m.Wait)
			require.LessOrEqual(t, m.Wait, atMost)
		}
	}
	becomes := func(phase Phase, reason string) func(*testing.T, Move) {
		return func(t *testing.T, m Move) {
			t.Helper()
			require.NotNil(t, m.Write)
			require.NotNil(t, m.Write.SetRelease, "%s", describe(m.Write))
			require.Equal(t, phase, m.Write.SetRelease.Phase)
			require.Contains(t, m.Write.SetRelease.Reason, reason)
		}
	}
	resizes := func(replicas int32) func(*testing.T, Move) {
		return func(t *testing.T, m Move) {
			t.Helper()
			require.NotNil(t, m.Write)
			require.NotNil(t, m.Write.UpdateReplicaSet, "%s", describe(m.Write))
			require.Equal(t, replicas, m.Write.UpdateReplicaSet.Replicas)
		}
	}
	creates := func(t *testing.T, m Move) {
		t.Helper()
		require.NotNil(t, m.Write)
		require.NotNil(t, m.Write.CreateCanary, "%s", describe(m.Write))
	}
	for name, test := range map[string]struct {
		given []func(*Observed)
		want  func(*testing.T, Move)
	}{
		"a weight is written once the pods are among the endpoints": {
			given: []func(*Observed){ready}, want: steers(&Share{Weight: 20}),
		},
		"a weight waits for the last of them": {
			given: []func(*Observed){ready, func(o *Observed) { o.Traffic.CanaryEndpoints = 1 }}, want: waits(lookAtRoutes),
		},
		"a split waits for endpoints of sluice's Services, which a gateway takes for missing": {
			given: []func(*Observed){begins, func(o *Observed) { o.Traffic.Routes[0].Share, o.Traffic.Unlisted = nil, true }}, want: waits(lookAtRoutes),
		},
		"a split waits until the stable version's Service has pods": {
			given: []func(*Observed){begins, func(o *Observed) { o.Traffic.Routes[0].Share, o.Traffic.StableEndpoints = nil, 0 }}, want: waits(lookAtRoutes),
		},
		"a Service of no version that is known yet is waited for": {
			given: []func(*Observed){begins, func(o *Observed) { o.Traffic.Routes[0].Share, o.Traffic.Unnamed, o.Traffic.Missing = nil, true, true }}, want: waits(lookAtRoutes),
		},
		"the canary's pods are made behind the split": {
			given: []func(*Observed){begins}, want: creates,
		},
		"no pods are made before the gateway has accepted the split": {
			given: []func(*Observed){begins, func(o *Observed) {
				o.Traffic.Routes[0].Waiting, o.Traffic.Routes[0].Changed = "it is not accepted", now
			}}, want: waits(lookAtRoutes),
		},
		"what is waited for is said after a while": {
			given: []func(*Observed){begins, func(o *Observed) {
				o.Traffic.Routes[0].Waiting, o.Traffic.Routes[0].Changed = "it is not accepted", now.Add(-lookEvery)
			}},
			want: becomes(Progressing, "requests are not divided: it is waited for ingress/web: it is not accepted"),
		},
		"no pods are made before a gateway that says nothing can have taken up the split": {
			given: []func(*Observed){begins, silent(2 * time.Second)}, want: waits(3 * time.Second),
		},
		"a gateway that says nothing is not waited for longer": {
			given: []func(*Observed){begins, silent(Unsaid)}, want: creates,
		},
		"no step waits for approval before the gateway has accepted its weight": {
			given: []func(*Observed){ready, func(o *Observed) {
				o.Traffic.Routes[0] = Route{Name: "ingress/web", Share: &Share{Weight: 20}, Waiting: "it is not accepted", Changed: now}
			}}, want: waits(lookAtRoutes),
		},
		"an abort takes the requests first": {
			given: []func(*Observed){aborted, func(o *Observed) { o.Traffic.Routes[0].Share = &Share{Weight: 20} }}, want: steers(stableAlone),
		},
		"no pods go before the gateway has accepted that": {
			given: []func(*Observed){aborted, func(o *Observed) { o.Traffic.Routes[0].Waiting = "it is not accepted" }}, want: waits(lookAtRoutes),
		},
		"no pods go before a gateway that says nothing can have taken it up": {
			given: []func(*Observed){aborted, silent(2 * time.Second)}, want: waits(3 * time.Second),
		},
		"pods go once it has": {
			given: []func(*Observed){aborted}, want: resizes(0),
		},
		"then the route is given back": {
			given: []func(*Observed){aborted, gone}, want: steers(nil),
		},
		"but not to a Service without endpoints, which was made again": {
			given: []func(*Observed){aborted, gone, func(o *Observed) { o.Traffic.Empty = true }}, want: waits(lookAtEndpoints),
		},
		"a gateway that never answers holds up an abort for the step's deadline alone": {
			given: []func(*Observed){aborted, late, func(o *Observed) {
				o.Traffic.Routes[0].Waiting, o.Traffic.Routes[0].Changed = "it is not accepted", now.Add(-time.Hour)
			}}, want: resizes(0),
		},
		"nothing is promoted before a gateway that says nothing can send its requests to the Service itself": {
			given: []func(*Observed){promoted, func(o *Observed) { o.Traffic.Routes[0].Share = nil }, silent(2 * time.Second)}, want: waits(3 * time.Second),
		},
		"a step that is approved goes to the Service itself before it is promoted": {
			given: []func(*Observed){promoted}, want: steers(nil),
		},
		"but not to a Service without endpoints": {
			given: []func(*Observed){promoted, func(o *Observed) { o.Traffic.Empty = true }}, want: waits(lookAtRoutes),
		},
		"it is promoted once it is there": {
			given: []func(*Observed){promoted, func(o *Observed) { o.Traffic.Routes[0].Share = nil }, silent(Unsaid)}, want: becomes(Promoting, ""),
		},
		"a canary that lost every pod gets no requests, whatever goes on": {
			given: []func(*Observed){func(o *Observed) { o.Traffic.CanaryEndpoints, o.ReplicaSets[1].AvailableReplicas = 0, 0 }}, want: steers(stableAlone),
		},
		"a canary's Service selects the next version once no requests are sent there": {
			given: []func(*Observed){begins, func(o *Observed) { o.Traffic.Astray = true }},
			want: func(t *testing.T, m Move) {
				t.Helper()
				require.NotNil(t, m.Write)
				require.True(t, m.Write.SelectPods, "%s", describe(m.Write))
			},
		},
		"and not while a gateway may still send what a route does not say any more": {
			given: []func(*Observed){begins, func(o *Observed) {
				o.Traffic.Astray, o.Traffic.Routes[0] = true, Route{Name: "ingress/web", Waiting: "it is not accepted", Changed: now}
			}}, want: waits(lookAtRoutes),
		},
		"what cannot be divided is said": {
			given: []func(*Observed){ready, func(o *Observed) { o.Traffic.Blocked = "the route is somebody's" }},
			want:  becomes(Progressing, "requests are not divided: the route is somebody's"),
		},
		"what cannot be divided by its deadline is aborted": {
			given: []func(*Observed){ready, late, func(o *Observed) { o.Traffic.Blocked = "the route is somebody's" }},
			want:  becomes(Aborted, "requests are not divided: the route is somebody's"),
		},
		"a route that is gone is said, and nothing goes on": {
			given: []func(*Observed){func(o *Observed) {
				o.Traffic.Routes = nil
				o.Release.Approvals = []Approval{{Step: 1, By: "alice"}}
			}},
			want: becomes(Waiting, "ingress/web is gone, which divided the requests: create it again, or abort the release"),
		},
		"two stable versions are not divided, and that is said": {
			given: []func(*Observed){func(o *Observed) {
				o.ReplicaSets = append(o.ReplicaSets, ReplicaSet{Name: "web-0", UID: "0", Owned: true, TemplateHash: "v0", Replicas: 4})
			}},
			want: func(t *testing.T, m Move) {
				t.Helper()
				require.NotNil(t, m.Write)
				require.NotNil(t, m.Write.SetRelease, "%s", describe(m.Write))
				require.Contains(t, m.Write.SetRelease.Traffic.Notes[0], "two versions are stable")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := behindARoute(now)
			for _, given := range test.given {
				given(&o)
			}
			for i := range o.ReplicaSets {
				if rs := &o.ReplicaSets[i]; !rs.Owned {
					rs.Marks = o.marks()
				}
			}
			o.Mute = true // what the conditions tell is another test's
			test.want(t, Next(o, now))
		})
	}
}

// TestAnAbortedStatefulSetKeepsItsRoutesUntilItsControllerKnows that the gate is closed: it may make one more pod of the
// canary's version.
func TestAnAbortedStatefulSetKeepsItsRoutesUntilItsControllerKnows(t *testing.T) {
	now := time.Unix(1000000, 0)
	o := behindARoute(now)
	o.Kind, o.Release.Phase, o.Workload.Generation, o.Workload.ObservedGeneration = StatefulSet, Aborted, 8, 7
	o.Workload.Current = o.Release.Stable
	o.Traffic.Routes[0].Share, o.Traffic.CanaryEndpoints, o.Traffic.OnlyStable = stableAlone, 0, true
	require.Nil(t, statefulSet{o}.abort(now).Write)
	o.Workload.ObservedGeneration = 8
	require.NotNil(t, statefulSet{o}.abort(now).Write)
}
