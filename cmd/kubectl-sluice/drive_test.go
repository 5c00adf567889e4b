package main

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"sluice.dev/sluice/canary"
)

// admission answers a patch: with the object that is stored, given the annotations that were sent.
type admission func(w *world, sent map[string]string) error

// admit puts an admission, and the world that it changes, between the session and its cluster.
func (s *session) admit(w *world, decide admission) *[]string {
	patches := &[]string{}
	s.client.PrependReactor("patch", "deployments", func(action k8stesting.Action) (bool, runtime.Object, error) {
		patch := action.(k8stesting.PatchAction).GetPatch()
		*patches = append(*patches, string(patch))
		var sent struct {
			Metadata struct {
				ResourceVersion string            `json:"resourceVersion"`
				Annotations     map[string]string `json:"annotations"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(patch, &sent); err != nil {
			return true, nil, err
		}
		if sent.Metadata.ResourceVersion != w.deployment.ResourceVersion {
			return true, nil, conflict()
		}
		if err := decide(w, sent.Metadata.Annotations); err != nil {
			return true, nil, err
		}
		w.objects() // writes the state
		for key, value := range sent.Metadata.Annotations {
			w.deployment.Annotations[key] = value
		}
		object, err := toUnstructured(w.deployment)
		return true, object, err
	})
	return patches
}

func conflict() error {
	return apierrors.NewConflict(appsv1.Resource("deployments"), "web", apierrors.NewBadRequest("the object has been modified"))
}

func toUnstructured(object runtime.Object) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	return &unstructured.Unstructured{Object: fields}, err
}

func approve(full bool) admission {
	return func(w *world, _ map[string]string) error {
		w.release.Approvals = append(w.release.Approvals, canary.Approval{Step: w.release.Step, By: "alice", Full: full})
		return nil
	}
}

func TestDrivingARelease(t *testing.T) {
	refuse := func(*world, map[string]string) error {
		return apierrors.NewForbidden(appsv1.Resource("deployments"), "web",
			apierrors.NewBadRequest("step 1 of release 5 of deployment/web is not ready. Look at its pods"))
	}
	ignore := func(*world, map[string]string) error { return nil }
	takeBack := func(_ *world, sent map[string]string) error { clear(sent); return nil }
	aborted := func(w *world) { w.release.Phase, w.release.Reason = canary.Aborted, "aborted by bob" }
	tests := map[string]struct {
		change    func(*world)
		admission admission
		args      []string
		wantCode  int
		wantOut   string
		wantErr   string
		wantPatch string
	}{
		"a step is approved": {
			admission: approve(false), args: []string{"promote", "deploy/web"},
			wantOut:   "deployment.apps/web: step 1 of release 5 approved\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/approve":"5/1"},"resourceVersion":"100"}}`,
		},
		"the release that is meant is approved": {
			admission: approve(false), args: []string{"promote", "deploy", "web", "--release=5"},
			wantOut:   "deployment.apps/web: step 1 of release 5 approved\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/approve":"5/1"},"resourceVersion":"100"}}`,
		},
		"all steps are approved": {
			admission: approve(true), args: []string{"promote", "deploy/web", "--full"},
			wantOut:   "deployment.apps/web: release 5 approved, with all steps\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/approve":"5/full"},"resourceVersion":"100"}}`,
		},
		"a sluice that approves one step when all were meant": {
			admission: approve(false), args: []string{"promote", "deploy/web", "--full"}, wantCode: 1,
			wantErr:   "error: promoting deployment/web: the annotation sluice.dev/approve was stored, but sluice did not act on it; does sluice run? Look with: kubectl get pods -n sluice-system\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/approve":"5/full"},"resourceVersion":"100"}}`,
		},
		"a step that is approved already": {
			change: func(w *world) { w.release.Approvals = []canary.Approval{{Step: 1, By: "bob"}} }, args: []string{"promote", "deploy/web"},
			wantOut: "deployment.apps/web: step 1 of release 5 is approved by \"bob\" already\n",
		},
		"all steps, when the current one is approved alone": {
			change: func(w *world) { w.release.Approvals = []canary.Approval{{Step: 1, By: "bob"}} }, args: []string{"promote", "deploy/web", "--full"}, wantCode: 1,
			wantErr: "error: step 1 of release 5 of deployment/web is approved by \"bob\" already, alone: skip the others when the next one waits\n",
		},
		"all steps, when they are approved already": {
			change: func(w *world) { w.release.Approvals = []canary.Approval{{Step: 1, By: "bob", Full: true}} }, args: []string{"promote", "deploy/web", "--full"},
			wantOut: "deployment.apps/web: release 5 is approved by \"bob\" already, with all steps\n",
		},
		"a release that is being promoted": {
			change: func(w *world) { w.release.Phase, w.release.Step = canary.Promoting, 3 }, args: []string{"promote", "deploy/web"},
			wantOut: "deployment.apps/web: release 5 is being promoted already\n",
		},
		"a release that has not begun": {
			change: func(w *world) { w.release.Phase, w.release.Step = canary.Progressing, 0 }, args: []string{"promote", "deploy/web"}, wantCode: 1,
			wantErr: "error: release 5 of deployment/web has not begun, since it was paused before; step 1 starts with: kubectl rollout resume deployment/web -n shop\n",
		},
		"an approval that is refused": {
			admission: refuse, args: []string{"promote", "deploy/web"}, wantCode: 1,
			wantErr:   "error: promoting deployment/web: deployments.apps \"web\" is forbidden: step 1 of release 5 of deployment/web is not ready. Look at its pods\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/approve":"5/1"},"resourceVersion":"100"}}`,
		},
		"an approval while sluice does not answer": {
			admission: func(*world, map[string]string) error {
				return apierrors.NewInternalError(errors.New(`failed calling webhook "releases.sluice.dev": connection refused`))
			}, args: []string{"promote", "deploy/web"}, wantCode: 1,
			wantErr: "error: promoting deployment/web: Internal error occurred: failed calling webhook \"releases.sluice.dev\": connection refused; " +
				"does sluice run? Look with: kubectl get pods -n sluice-system\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/approve":"5/1"},"resourceVersion":"100"}}`,
		},
		"an approval that sluice takes back": {
			admission: takeBack, args: []string{"promote", "deploy/web"}, wantCode: 1,
			wantErr:   "error: promoting deployment/web: sluice took the annotation sluice.dev/approve back, so nothing was done; its warning says why\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/approve":"5/1"},"resourceVersion":"100"}}`,
		},
		"an abort that nobody acts on": {
			admission: ignore, args: []string{"abort", "deploy/web"}, wantCode: 1,
			wantErr:   "error: aborting deployment/web: the annotation sluice.dev/abort was stored, but sluice did not act on it; does sluice run? Look with: kubectl get pods -n sluice-system\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/abort":"5"},"resourceVersion":"100"}}`,
		},
		"a release is aborted": {
			admission: func(w *world, _ map[string]string) error { aborted(w); return nil }, args: []string{"abort", "deploy/web"},
			wantOut:   "deployment.apps/web: release 5 aborted\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/abort":"5"},"resourceVersion":"100"}}`,
		},
		"a release that is aborted already": {
			change: aborted, args: []string{"abort", "deploy/web"},
			wantOut: "deployment.apps/web: release 5 is aborted already\n",
		},
		"a release that is being reverted": {
			change: func(w *world) { w.release.Phase = canary.Reverting }, args: []string{"abort", "deploy/web"},
			wantOut: "deployment.apps/web: release 5 is being reverted already\n",
		},
		"an aborted release is tried again": {
			change: aborted,
			admission: func(w *world, _ map[string]string) error {
				w.release.ID, w.release.Phase, w.release.Since = 8, canary.Progressing, nil
				return nil
			}, args: []string{"retry", "deploy/web"},
			wantOut:   "deployment.apps/web: release 5 starts again as release 8\n",
			wantPatch: `{"metadata":{"annotations":{"sluice.dev/retry":"5"},"resourceVersion":"100"}}`,
		},
		"a release that was not aborted is not tried again": {
			args: []string{"retry", "deploy/web"}, wantCode: 1,
			wantErr: "error: release 5 of deployment/web is Waiting, not aborted, so there is nothing to retry; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"another release than the one that is meant": {
			args: []string{"promote", "deploy/web", "--release=4"}, wantCode: 1,
			wantErr: "error: deployment/web is at release 5, not 4, so nothing was done; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"no release": {
			change: (*world).end, args: []string{"abort", "deploy/web"}, wantCode: 1,
			wantErr: "error: deployment/web has no release, so there is nothing to abort; look with: kubectl sluice status deployment/web -n shop\n",
		},
		"the release that is meant is over": {
			change: (*world).end, args: []string{"promote", "deploy/web", "--release=5"}, wantCode: 1,
			wantErr: "error: deployment/web has no release any more, so there is nothing to promote: release 5 is over; look with: kubectl sluice history deployment/web -n shop\n",
		},
		"a workload that does not exist": {
			args: []string{"promote", "deploy/wbe"}, wantCode: 1,
			wantErr: "error: deployment/wbe does not exist in namespace shop; look with: kubectl get deployments -n shop\n",
		},
		"a release number that means nothing": {
			args: []string{"promote", "deploy/web", "--release=0"}, wantCode: 1,
			wantErr: "error: --release=0: releases are numbered from 1\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if test.change != nil {
				test.change(w)
			}
			s := newSession(w.objects()...)
			patches := s.admit(w, test.admission)
			require.Equal(t, test.wantCode, s.run(t, test.args...), s.err.String())
			require.Equal(t, test.wantOut, s.out.String())
			require.Equal(t, test.wantErr, s.err.String())
			var want []string
			if test.wantPatch != "" {
				want = []string{test.wantPatch}
			}
			require.ElementsMatch(t, want, *patches)
		})
	}
}

func TestAWriteIsMadeAgainWhereNothingThatMattersChanged(t *testing.T) {
	w := newWorld()
	s := newSession(w.objects()...)
	w.deployment = w.deployment.DeepCopy()
	w.deployment.ResourceVersion = "101" // a status update came first
	patches := s.admit(w, func(w *world, sent map[string]string) error { return approve(false)(w, sent) })
	s.onConflict(t, w)

	require.Zero(t, s.run(t, "promote", "deploy/web"), s.err.String())
	require.Equal(t, "deployment.apps/web: step 1 of release 5 approved\n", s.out.String())
	require.Len(t, *patches, 2)
}

func TestAWriteIsNotMadeAgainForAReleaseThatMovedOn(t *testing.T) {
	w := newWorld()
	s := newSession(w.objects()...)
	w.deployment = w.deployment.DeepCopy()
	w.deployment.ResourceVersion = "101"
	w.release.Approvals, w.release.Step = []canary.Approval{{Step: 1, By: "bob"}}, 2 // somebody was quicker
	w.objects()
	patches := s.admit(w, approve(false))
	s.onConflict(t, w)

	require.Equal(t, 1, s.run(t, "promote", "deploy/web"))
	require.Equal(t, "error: deployment/web moved on meanwhile, from release 5, step 1, Waiting to release 5, step 2, Waiting: nothing was done\n", s.err.String())
	require.Len(t, *patches, 1)
}

func TestSomebodyWhoKeepsWritingIsNotOutrun(t *testing.T) {
	w := newWorld()
	s := newSession(w.objects()...)
	s.client.PrependReactor("patch", "deployments", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, conflict() })

	require.Equal(t, 1, s.run(t, "abort", "deploy/web"))
	require.Equal(t, "error: aborting deployment/web: somebody keeps changing it; try again\n", s.err.String())
}

// onConflict shows the world's Deployment from the first patch on.
func (s *session) onConflict(t *testing.T, w *world) {
	t.Helper()
	s.client.PrependReactor("patch", "deployments", func(k8stesting.Action) (bool, runtime.Object, error) {
		object, err := toUnstructured(w.deployment)
		require.NoError(t, err)
		return false, nil, s.client.Tracker().Update(appsv1.SchemeGroupVersion.WithResource("deployments"), object, namespace)
	})
}
