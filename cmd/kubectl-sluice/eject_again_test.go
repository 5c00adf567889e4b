package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"sluice.dev/sluice/canary"
)

func TestEjectLeavesAReleaseThatCameMeanwhileAlone(t *testing.T) {
	for name, test := range map[string]struct {
		verb, resource string // the write during which it comes
		wantWrites     []string
	}{
		"before the namespace's label goes": {
			verb: "delete", resource: "replicasets",
			wantWrites: []string{"update deployments", "delete replicasets", "update deployments"},
		},
		"while the namespace's label goes": {
			verb: "patch", resource: "namespaces",
			wantWrites: []string{"update deployments", "delete replicasets", "update deployments", "patch namespaces"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			s := newSession(append(w.objects(), optedIn())...)
			s.permit()
			late := w.deployment.DeepCopy()
			late.Name, late.UID = "api", "d-2"
			s.client.PrependReactor(test.verb, test.resource, func(k8stesting.Action) (bool, runtime.Object, error) {
				object, err := toUnstructured(late)
				require.NoError(t, err)
				require.NoError(t, s.client.Tracker().Create(appsv1.SchemeGroupVersion.WithResource("deployments"), object, namespace))
				return false, nil, nil
			})
			require.Equal(t, 1, s.run(t, "eject", "--all", "--promote", "--yes"))
			require.Equal(t, "error: these came after the plan was made, and nothing was done to them: "+
				"release 5 of deployment/api in namespace shop. Run it again\n", s.err.String())
			require.Equal(t, test.wantWrites, s.writes())
			require.Zero(t, s.run(t, "eject", "--all", "--promote", "--yes"), s.err.String())
			require.Contains(t, s.out.String(), "deployment.apps/api: release 5 ended: the new version rolls out natively\n")
		})
	}
}

// TestEjectTakesUpOnlyWhatItLeft: what ended without it looks the same, but for the mark.
func TestEjectTakesUpOnlyWhatItLeft(t *testing.T) {
	own := func(s *appsv1.StatefulSet) {
		s.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: canary.EjectManager}, {Manager: "helm"}}
	}
	for name, test := range map[string]struct {
		phase      string // the label; empty: none
		change     func(*appsv1.StatefulSet)
		want       []string
		wantOutput string
	}{
		"a native rollout behind its owner's closed partition": {wantOutput: "Nothing of sluice's is left in namespace shop.\n"},
		"its last release was promoted":                        {phase: "Promoted", want: []string{"update statefulsets"}},
		"its last release was reverted":                        {phase: "Reverted", want: []string{"update statefulsets"}},
		"a run ended after a release was left paused": {
			phase: string(canary.Aborted), change: own, want: []string{"delete pods", "update statefulsets"}},
		"a run ended after one that only lost fields": {
			phase: string(canary.Promoting), want: []string{"update statefulsets"}},
		"a run ended after a release was reverted": {
			phase: string(canary.Reverting), change: func(s *appsv1.StatefulSet) { s.Status.UpdateRevision = "db-old" },
			want: []string{"delete pods", "update statefulsets"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSetWorld()
			w.release = nil
			if test.phase != "" {
				w.set.Labels = map[string]string{canary.PhaseLabel: test.phase}
			}
			if test.change != nil {
				test.change(w.set)
			}
			for _, pod := range w.pods {
				pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: w.set.UID, Controller: pointer(true)}}
			}
			plain := optedIn()
			plain.Labels = nil
			s := newSession(append(w.objects(), plain)...)
			s.permit()
			require.Zero(t, s.run(t, "eject", "--all", "--yes"), s.err.String())
			require.Equal(t, test.want, s.writes())
			require.Contains(t, s.err.String(), test.wantOutput)
		})
	}
}

func TestEjectTriesAgainAlsoWithoutATimeout(t *testing.T) {
	w := newWorld()
	s := newSession(append(w.objects(), optedIn())...)
	s.permit()
	tries := 0
	s.client.PrependReactor("delete", "replicasets", func(k8stesting.Action) (bool, runtime.Object, error) {
		if tries++; tries < 4 {
			return true, nil, conflict()
		}
		return false, nil, nil
	})
	require.Zero(t, s.run(t, "eject", "deploy/web", "--promote", "--timeout=0", "--yes"), s.err.String())
	require.Equal(t, 4, tries)
}

func TestEjectSaysEveryRefusal(t *testing.T) {
	w, newer := newWorld(), newSetWorld()
	newer.release.Phase = "Splitting"
	s := newSession(append(append(w.objects(), newer.objects()...), optedIn())...)
	s.permit()
	require.Equal(t, 1, s.run(t, "eject", "--all", "--yes"))
	golden(t, "eject/nobody-says-how-one-ends-and-another-is-refused", s.out.String()+s.err.String())
	require.Contains(t, s.err.String(), "say how what is held ends")
	require.Contains(t, s.err.String(), `in the phase "Splitting" of a newer sluice`)
	require.False(t, strings.HasSuffix(s.err.String(), "\n\n"))
	require.Empty(t, s.writes())
}
