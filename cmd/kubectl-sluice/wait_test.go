package main

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
)

// story is what becomes of a Deployment, version by version.
type story []func(*world)

// tell stores the first version of a story and, once somebody watches, the others, one after the other.
func (s *session) tell(t *testing.T, w *world, versions story) {
	t.Helper()
	go func() {
		for i, change := range versions {
			if !s.watched(t.Context()) {
				return
			}
			change(w)
			w.deployment = w.deployment.DeepCopy()
			w.deployment.Labels, w.deployment.Annotations = nil, nil
			w.deployment.ResourceVersion = strconv.Itoa(101 + i)
			w.objects()
			object, err := toUnstructured(w.deployment)
			if err == nil {
				err = s.client.Tracker().Update(appsv1.SchemeGroupVersion.WithResource("deployments"), object, namespace)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}()
}

// watched waits until there is a watch on Deployments.
func (s *session) watched(ctx context.Context) bool {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		for _, action := range s.client.Actions() {
			if action.Matches("watch", "deployments") {
				return true
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
}

func progressing(w *world) { w.release.Phase = canary.Progressing }
func waiting(w *world)     { w.release.Phase = canary.Waiting }
func promoting(w *world)   { w.promoting(canary.Finishing) }
func aborted(w *world) {
	w.release.Phase, w.release.Reason = canary.Aborted, "aborted by bob"
}
func promoted(w *world) {
	w.release = nil
	w.deployment.Status.UpdatedReplicas = 5
}

func TestWaiting(t *testing.T) {
	superseded := func(w *world) { w.release.ID, w.release.Phase = 9, canary.Progressing }
	tests := map[string]struct {
		first    func(*world)
		then     story
		args     []string
		wantCode int
		wantOut  string
		wantErr  string
	}{
		"held is reached at once": {
			args: []string{"--for=held"}, wantOut: "release 5 of deployment/web is held at step 1\n",
		},
		"held is reached later": {
			first: progressing, then: story{waiting}, args: []string{"--for=held"},
			wantOut: "release 5 of deployment/web is held at step 1\n",
		},
		"held is missed by a release that is aborted": {
			first: progressing, then: story{aborted}, args: []string{"--for=held"}, wantCode: 2,
			wantErr: "error: release 5 of deployment/web is aborted: aborted by bob; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"promoted is reached": {
			then: story{promoting, promoted}, args: []string{"--for=promoted"},
			wantOut: "release 5 of deployment/web is promoted\n",
		},
		"promoted is missed by a release that is aborted": {
			then: story{aborted}, args: []string{"--for=promoted", "--timeout=1m"}, wantCode: 2,
			wantErr: "error: release 5 of deployment/web is aborted: aborted by bob; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"promoted is missed by a release that another one took the place of": {
			then: story{superseded, promoting, promoted}, args: []string{"--for=promoted"}, wantCode: 2,
			wantErr: "error: release 5 of deployment/web was superseded by release 9; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"promoted is missed by a release that was reverted while nobody looked": {
			then: story{(*world).end}, args: []string{"--for=promoted"}, wantCode: 2,
			wantErr: "error: release 5 of deployment/web was reverted: the stable version is back; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"promoted is reached without a release, once the rollout is over": {
			first: func(w *world) { w.end(); w.deployment.Status.UpdatedReplicas = 2 },
			then:  story{func(w *world) { w.deployment.Status.UpdatedReplicas = 5 }}, args: []string{"--for=promoted"},
			wantOut: "deployment/web has no release, and its version is rolled out\n",
		},
		"aborted is reached": {
			then: story{aborted}, args: []string{"--for=aborted", "--release=5"},
			wantOut: "release 5 of deployment/web is aborted: aborted by bob\n",
		},
		"the time is over": {
			args: []string{"--for=promoted", "--timeout=50ms"}, wantCode: 3,
			wantErr: "error: not promoted after 50ms: release 5 of deployment/web is Waiting at step 1; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"a release that does not exist": {
			args: []string{"--for=promoted", "--release=6"}, wantCode: 1,
			wantErr: "error: release 6 of deployment/web does not exist: it is at release 5; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"a release that does not exist yet": {
			first: (*world).end, args: []string{"--for=promoted", "--release=8"}, wantCode: 1,
			wantErr: "error: release 8 of deployment/web does not exist: it is at generation 7; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"a release that was over before, with its canary as the stable version": {
			first: inPlace, args: []string{"--for=promoted", "--release=5"},
			wantOut: "release 5 of deployment/web is promoted\n",
		},
		"a release that was promoted before somebody waits for its abort": {
			first: inPlace, args: []string{"--for=aborted", "--release=5"}, wantCode: 2,
			wantErr: "error: release 5 of deployment/web is promoted; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"a release that was over before, without a trace": {
			first: promoted, args: []string{"--for=promoted", "--release=5"}, wantCode: 1,
			wantErr: "error: release 5 of deployment/web is over, and nothing tells how it ended; look with: kubectl sluice history deployment/web -n shop\n",
		},
		"nothing that can be waited for": {
			args: []string{"--for=ready"}, wantCode: 1, wantErr: "error: --for=ready: want one of held, promoted, aborted\n",
		},
		"a time that is no time": {
			args: []string{"--for=held", "--timeout=-1s"}, wantCode: 1, wantErr: "error: --timeout=-1s: want 0 or more\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if test.first != nil {
				test.first(w)
			}
			s := newSession(w.objects()...)
			s.tell(t, w, test.then)
			code := s.run(t, append([]string{"wait", "deploy/web"}, test.args...)...)
			require.Equal(t, test.wantErr, s.err.String())
			require.Equal(t, test.wantOut, s.out.String())
			require.Equal(t, test.wantCode, code)
		})
	}
}

// inPlace: the canary was adopted and is the stable ReplicaSet now.
func inPlace(w *world) {
	w.canary.Name = "web-" + canary.CanaryHash(w.release)
	w.canary.Spec.Template.Labels["pod-template-hash"] = canary.CanaryHash(w.release)
	w.canary.Labels = map[string]string{"app": "web"}
	w.canary.OwnerReferences[0].Controller = pointer(true)
	promoted(w)
}

func TestWaitingEndsWithADeletedWorkload(t *testing.T) {
	w := newWorld()
	s := newSession(w.objects()...)
	go func() {
		if s.watched(t.Context()) {
			_ = s.client.Tracker().Delete(appsv1.SchemeGroupVersion.WithResource("deployments"), namespace, "web") // the code says so if it fails
		}
	}()
	require.Equal(t, 1, s.run(t, "wait", "deploy/web", "--for=promoted"))
	require.Equal(t, "error: deployment/web was deleted\n", s.err.String())
}

func TestCtrlCEndsAWaitWithoutAWord(t *testing.T) {
	s := newSession(newWorld().objects()...)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		s.watched(ctx)
		interrupt()
	}()
	require.Equal(t, interrupted, s.runContext(ctx, t, "wait", "deploy/web", "--for=promoted"))
	require.Empty(t, s.out.String()+s.err.String())
}
