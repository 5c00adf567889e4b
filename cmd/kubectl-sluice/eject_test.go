package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"sluice.dev/sluice/canary"
)

// permit answers access reviews: all but those that name one of these words are allowed.
func (s *session) permit(denied ...string) {
	s.client.PrependReactor("create", "selfsubjectaccessreviews", func(action k8stesting.Action) (bool, runtime.Object, error) {
		review := action.(k8stesting.CreateAction).GetObject().(*unstructured.Unstructured).DeepCopy()
		asked, _, _ := unstructured.NestedStringMap(review.Object, "spec", "resourceAttributes")
		allowed := true
		for _, word := range denied {
			allowed = allowed && asked["verb"] != word && asked["subresource"] != word && asked["resource"] != word && asked["verb"]+" "+asked["resource"] != word
		}
		return true, review, unstructured.SetNestedField(review.Object, allowed, "status", "allowed")
	})
}

// writes returns what was written, without access reviews.
func (s *session) writes() []string {
	var found []string
	for _, action := range s.client.Actions() {
		verb, resource := action.GetVerb(), action.GetResource().Resource
		if verb != "get" && verb != "list" && resource != "selfsubjectaccessreviews" {
			found = append(found, verb+" "+resource)
		}
	}
	return found
}

func optedIn() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{canary.EnabledLabel: "true"}}}
}

func TestEjectSaysWhatItDoes(t *testing.T) {
	aborted := func(w *world) {
		w.release.Phase, w.release.Reason = canary.Aborted, "aborted by bob"
		w.dropCanary()
	}
	tests := map[string]struct {
		change   func(*world)
		denied   []string
		args     []string
		wantCode int
		want     []string // writes
	}{
		"a workload is promoted": {
			args: []string{"deploy/web", "--promote", "--yes"},
			want: []string{"update deployments", "delete replicasets", "delete controllerrevisions", "delete controllerrevisions", "update deployments"},
		},
		"a workload is reverted": {
			args: []string{"deploy/web", "--revert", "--yes"},
			want: []string{"update deployments", "delete replicasets", "delete controllerrevisions", "delete controllerrevisions", "update deployments"},
		},
		"a workload is left paused": {
			args: []string{"deploy/web", "--leave-paused", "--yes"},
			want: []string{"update deployments", "delete replicasets", "delete controllerrevisions", "delete controllerrevisions", "update deployments"},
		},
		"a workload is promoted already": {
			change: func(w *world) { w.promoting(canary.Adopting) }, args: []string{"deploy/web", "--yes"},
			want: []string{"update deployments", "delete replicasets", "delete controllerrevisions", "delete controllerrevisions", "update deployments"},
		},
		"a workload without a release opts out": {
			change: (*world).end, args: []string{"deploy/web", "--yes"},
			want: []string{"update deployments", "delete controllerrevisions", "delete controllerrevisions"},
		},
		"nobody says how it ends":                    {args: []string{"deploy/web", "--yes"}, wantCode: 1},
		"nobody says how those of a namespace end":   {args: []string{"--all", "--yes"}, wantCode: 1},
		"an aborted one is not promoted with others": {change: aborted, args: []string{"--all", "--promote", "--yes"}, wantCode: 1},
		"a namespace": {
			args: []string{"--all", "--revert", "--yes"},
			want: []string{"update deployments", "delete replicasets", "delete controllerrevisions", "delete controllerrevisions", "update deployments", "patch namespaces"},
		},
		"everything": {
			args: []string{"--all", "-A", "--leave-paused", "--yes"},
			want: []string{"update deployments", "delete replicasets", "delete controllerrevisions", "delete controllerrevisions", "update deployments"},
		},
		"a dry run":               {args: []string{"deploy/web", "--revert", "--dry-run"}},
		"a dry run for machines":  {args: []string{"--all", "--revert", "--dry-run", "-o", "yaml"}},
		"nobody can be asked":     {args: []string{"deploy/web", "--promote"}, wantCode: 1},
		"permissions are missing": {denied: []string{"bypass", "namespaces", "status"}, args: []string{"--all", "--promote", "--yes"}, wantCode: 1},
		"records may not be deleted": {
			denied: []string{"delete controllerrevisions"}, args: []string{"deploy/web", "--promote", "--yes"},
			want: []string{"update deployments", "delete replicasets", "update deployments"},
		},
		"no record of the stable version": {
			change: func(w *world) { w.stable, w.more = nil, nil }, args: []string{"deploy/web", "--revert", "--yes"}, wantCode: 1,
		},
		"the stable version is not whole": {
			change: func(w *world) { w.stable.Spec.Replicas = pointer(int32(3)) }, args: []string{"deploy/web", "--leave-paused", "--yes"}, wantCode: 1,
		},
		"a state that cannot be read": {
			change: func(w *world) {
				w.objects()
				w.release = nil
				w.deployment.Annotations[canary.ReleaseAnnotation] = "not JSON"
			},
			args: []string{"deploy/web", "--yes"},
			want: []string{"update deployments", "delete replicasets", "delete controllerrevisions", "delete controllerrevisions", "update deployments"},
		},
		"a workload that does not exist":     {args: []string{"deploy/wbe", "--yes"}, wantCode: 1},
		"two ways":                           {args: []string{"deploy/web", "--promote", "--revert"}, wantCode: 1},
		"a workload and all":                 {args: []string{"deploy/web", "--all"}, wantCode: 1},
		"all namespaces without all of them": {args: []string{"-A"}, wantCode: 1},
		"nothing is named":                   {wantCode: 1},
		"a dry run on the server":            {args: []string{"deploy/web", "--promote", "--dry-run=server"}, wantCode: 1},
		"a time before now":                  {args: []string{"deploy/web", "--timeout=-1s"}, wantCode: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.recordStable()
			if test.change != nil {
				test.change(w)
			}
			s := newSession(append(w.objects(), optedIn())...)
			s.permit(test.denied...)
			require.Equal(t, test.wantCode, s.run(t, append([]string{"eject"}, test.args...)...), s.err.String())
			golden(t, "eject/"+strings.ReplaceAll(name, " ", "-"), s.out.String()+s.err.String())
			require.Equal(t, test.want, s.writes())
		})
	}
}

func TestEjectAsksOnATerminal(t *testing.T) {
	for answer, wantCode := range map[string]int{"y\n": 0, "yes\n": 0, "\n": 1, "n\n": 1, "": 1} {
		w := newWorld()
		s := newSession(append(w.objects(), optedIn())...)
		s.permit()
		s.asks, s.in = true, answer
		require.Equal(t, wantCode, s.run(t, "eject", "deploy/web", "--promote"), s.err.String())
		require.Contains(t, s.err.String(), "Eject deployment/web in namespace shop? (y/N): ")
		require.Equal(t, wantCode == 0, len(s.writes()) > 0, "%q", answer)
	}
}

func TestEjectSaysTheWayPastOldWebhooks(t *testing.T) {
	w := newWorld()
	s := newSession(w.objects()...)
	s.permit()
	s.client.PrependReactor("update", "deployments", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewInternalError(errors.New(`failed calling webhook "releases.sluice.dev": connection refused`))
	})
	require.Equal(t, 1, s.run(t, "eject", "deploy/web", "--promote", "--yes"))
	require.Contains(t, s.err.String(), "kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration sluice")

	s = newSession(w.objects()...)
	s.permit()
	s.client.PrependReactor("update", "deployments", func(k8stesting.Action) (bool, runtime.Object, error) {
		object, err := toUnstructured(w.deployment) // an older sluice carries its state over
		return true, object, err
	})
	require.Equal(t, 1, s.run(t, "eject", "deploy/web", "--promote", "--yes"))
	require.Contains(t, s.err.String(), "sluice took it back")
}

func TestEjectDecidesAgainWhereSomebodyElseWrote(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(*world)
		wantErr   string
	}{
		"nothing that matters": {meanwhile: func(*world) {}},
		"another release": {
			meanwhile: func(w *world) { w.release.ID = 8 },
			wantErr:   "error: deployment/web has another release than the one that was planned for, release 8: nothing was done to it; run it again\n",
		},
		"it is being reverted": {
			meanwhile: func(w *world) {
				w.release.Phase = canary.Reverting
				template := *w.stable.Spec.Template.DeepCopy()
				delete(template.Labels, "pod-template-hash")
				w.deployment.Spec.Template = template
			},
			wantErr: "error: release 5 of deployment/web is being reverted, and its spec has the stable version already: leave the flag away\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			s := newSession(w.objects()...)
			s.permit()
			tried := false
			s.client.PrependReactor("update", "deployments", func(k8stesting.Action) (bool, runtime.Object, error) {
				if tried {
					return false, nil, nil
				}
				tried = true
				w.deployment = w.deployment.DeepCopy()
				test.meanwhile(w)
				w.objects()
				object, err := toUnstructured(w.deployment)
				require.NoError(t, err)
				require.NoError(t, s.client.Tracker().Update(appsv1.SchemeGroupVersion.WithResource("deployments"), object, namespace))
				return true, nil, conflict()
			})
			code := s.run(t, "eject", "deploy/web", "--promote", "--yes")
			if test.wantErr == "" {
				require.Zero(t, code, s.err.String())
				return
			}
			require.Equal(t, 1, code)
			require.Equal(t, test.wantErr, s.err.String())
		})
	}
}
