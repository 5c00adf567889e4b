package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func patchImage(image string) string {
	return `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"` + image + `"}]}}}}`
}

func TestReplicasLabelsAndAnnotationsAreNotHeld(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	for _, patch := range []string{
		`{"spec":{"replicas":4}}`,
		`{"metadata":{"labels":{"team":"shop"}}}`,
		`{"metadata":{"annotations":{"example.com/note":"x"}}}`,
		`{"spec":{"minReadySeconds":1}}`,
		`{"spec":{"revisionHistoryLimit":3}}`,
	} {
		require.Empty(t, n.Kubectl("patch", "deployment/web", "-p", patch).Warnings(), patch)
		require.Nil(t, n.Release("web"), patch)
		require.False(t, n.Deployment("web").Spec.Paused, patch)
	}
	require.Equal(t, 1, replicaSetsMade(n.Recorded()))
	require.Empty(t, env.Proxy.Writes(n.Name))
}

func TestOnlyAPermittedResumeOfAWaitingReleaseApproves(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%, 50%, 100%"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	n.WaitPhase("web", canary.Waiting, 1)

	n.Refused("bob", []string{`"bob" may not approve a step of deployment/web in namespace "` + n.Name + `"`, `the verb "promote" on deployments.apps`},
		"kubectl", "rollout", "resume", "deployment/web")
	require.Empty(t, n.Release("web").Approvals)

	for name, patch := range map[string]string{
		"a dashboard":                  `{"spec":{"paused":false}}`,
		"a dashboard that says null":   `{"spec":{"paused":null}}`,
		"a chart that labels as well":  `{"metadata":{"labels":{"team":"shop"}},"spec":{"paused":false}}`,
		"somebody without permissions": `{"metadata":{"annotations":{"example.com/x":"y"}},"spec":{"paused":false}}`,
	} {
		user := map[bool]string{true: "bob", false: "alice"}[name == "somebody without permissions"]
		result := n.Command(user, "kubectl", "patch", "deployment/web", "-p", patch)
		require.Zero(t, result.Code, result)
		require.Contains(t, result.Stderr, `"paused: false" approves nothing. Approve with: kubectl rollout resume deployment/web -n `+n.Name, name)
		require.True(t, n.Deployment("web").Spec.Paused, name)
		require.Empty(t, n.Release("web").Approvals, name)
	}

	n.Approve("web")
	second := n.Command("alice", "kubectl", "rollout", "resume", "deployment/web")
	if second.Code == 0 { // the step was still the first one
		require.Contains(t, second.Stderr, "was approved by \"alice\" already")
	} else {
		require.Contains(t, second.Stderr, "is not ready")
	}
	n.WaitPhase("web", canary.Waiting, 2)
	require.Equal(t, []canary.Approval{{Step: 1, By: "alice"}}, n.Release("web").Approvals)
}

func TestPausedFalseTogetherWithANewTemplateApprovesNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Kubectl("patch", "deployment/web", "-p", `{"spec":{"paused":false,"template":{"spec":{"containers":[{"name":"app","image":"`+v3+`"}]}}}}`)
	require.Empty(t, requireHeld(t, n, v3, 1, 3).Approvals)
}

func TestTheDrivingAnnotationsNameWhatTheyMean(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%, 50%"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	release := n.WaitPhase("web", canary.Waiting, 1)
	annotate := func(user, key, value string) harness.Result {
		return n.Command(user, "kubectl", "annotate", "--overwrite", "deployment/web", key+"="+value)
	}
	for _, stale := range []string{"1/1", release.Name() + "/2", release.Name(), "x"} {
		result := annotate("alice", canary.ApproveAnnotation, stale)
		require.Zero(t, result.Code, result)
		require.Contains(t, result.Stderr, "sluice.dev/approve="+stale+" does nothing: deployment/web is at release")
		require.Equal(t, release, n.Release("web"))
	}
	for key, verb := range map[string]string{canary.ApproveAnnotation: "promote", canary.AbortAnnotation: "abort"} {
		value := map[string]string{"promote": release.ApproveValue(), "abort": release.Name()}[verb]
		result := annotate("bob", key, value)
		require.NotZero(t, result.Code, result)
		require.Contains(t, result.Stderr, `the verb "`+verb+`" on deployments.apps`)
	}
	require.Equal(t, release, n.Release("web"))

	n.Mark("web", watch.Approved)
	require.Zero(t, annotate("alice", canary.ApproveAnnotation, release.ApproveValue()).Code)
	n.WaitPhase("web", canary.Waiting, 2)
}

func TestTheStateIsSluicesAlone(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	forged := *release
	forged.Phase, forged.Stage, forged.Approvals = canary.Promoting, canary.Finishing, []canary.Approval{{Step: 1, By: "bob"}}
	for _, value := range []string{canary.ReleaseAnnotation + "=" + forged.Encode(), canary.ReleaseAnnotation + "-"} {
		n.Command("bob", "kubectl", "annotate", "--overwrite", "deployment/web", value)
		require.Equal(t, release, n.Release("web"))
	}
	n.Command("bob", "kubectl", "label", "deployment/web", canary.ActiveLabel+"-")
	require.Equal(t, "true", n.Deployment("web").Labels[canary.ActiveLabel])
	n.Refused("admin", []string{"sluice.dev/release cannot be changed through the status subresource; change it on the workload itself"},
		"kubectl", "patch", "deployment/web", "--subresource=status",
		"--type=merge", "-p", `{"metadata":{"annotations":{"sluice.dev/release":null}}}`)
	require.Equal(t, release, n.Release("web"))
}

func TestWhatRollsOutNativelySaysWhy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(n *harness.Namespace)
		want   string
	}{
		"a version that never became available": {
			before: func(n *harness.Namespace) {
				n.Kubectl("create", "-f", n.Manifest(web().Image("example/unready:v1").Obj()))
				n.PodsOfEventually("web", "example/unready:v1", 3)
			},
			want: "the version before never became available",
		},
		"no replicas": {
			before: func(n *harness.Namespace) { n.Create(web().Replicas(0).Obj()) },
			want:   "it has no replicas",
		},
		"strategy Recreate": {
			before: func(n *harness.Namespace) { n.Create(web().Recreate().Obj()) },
			want:   "its strategy is Recreate",
		},
		"a selector that our labels would match": {
			before: func(n *harness.Namespace) {
				d := web().Obj()
				d.Spec.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "legacy", Operator: metav1.LabelSelectorOpDoesNotExist},
				}}
				n.Create(d)
			},
			want: "its selector would match the canary ReplicaSet's own labels",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			test.before(n)
			n.Mark("web", watch.Native)
			n.Mark("web", watch.Disturbed) // Recreate takes every pod away
			result := n.SetImage("web", v2)
			require.Equal(t, []string{"sluice: deployment/web rolls out natively, without a canary: " + test.want}, result.Warnings())
			n.WaitStable("web")
			require.Nil(t, n.Release("web"))
		})
	}
}

func TestAnOutageDoesNotOpenTheGate(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.Mark("web", watch.Disturbed)
	for _, pod := range n.PodsOf("web", v1) {
		require.NoError(t, breakPod(t.Context(), n, pod))
	}
	n.WaitDeployment("web", "nothing is available", func(d *appsv1.Deployment) bool { return d.Status.AvailableReplicas == 0 })
	n.SetImage("web", v2)
	require.True(t, n.Deployment("web").Spec.Paused)
	n.WaitPhase("web", canary.Waiting, 1)
	n.PodsOfEventually("web", v2, 1)
}

func TestRecreateTogetherWithANewImageIsHeld(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.Kubectl("patch", "deployment/web", "-p", `{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null},"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
	requireHeld(t, n, v2, 1, 3)
}

func TestAnAutoscalerCannotScaleAReleaseToZero(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	_, err := n.Admin.AppsV1().Deployments(n.Name).UpdateScale(t.Context(), "web",
		&autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: n.Name}}, updateOptions)
	require.ErrorContains(t, err, "deployment/web cannot be scaled to 0 while release")
	require.Equal(t, int32(3), *n.Deployment("web").Spec.Replicas)
}

func TestAStableReplicaSetThatIsDeletedWhileHeldComesBack(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int32{"with a history": 10, "with revisionHistoryLimit 0": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().HistoryLimit(limit).Obj())
			n.SetImage("web", v2)
			requireHeld(t, n, v2, 1, 3)
			stable := n.Deployment("web").Name
			for _, rs := range n.ReplicaSets("web") {
				if rs.Labels[canary.WorkloadLabel] == "" {
					stable = rs.Name
				}
			}
			n.Mark("web", watch.Disturbed)
			require.NoError(t, n.Admin.AppsV1().ReplicaSets(n.Name).Delete(t.Context(), stable, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}))
			n.WaitEvent("web", "StableRestored")
			n.WaitDeployment("web", "the stable pods are back", func(d *appsv1.Deployment) bool { return d.Status.AvailableReplicas == 3 })
			n.PodsOfEventually("web", v1, 3)
			n.Mark("web", watch.Restored)
			requireHeld(t, n, v2, 1, 3)
			n.SetImage("web", v1)
			n.WaitStable("web")
			require.Equal(t, map[string]int{v1: 3}, podImages(n.LivePods(t.Context(), "web")))
		})
	}
}

func TestAPauseStatedDuringAReleaseIsInForceAfterwards(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Kubectl("apply", "-f", n.Manifest(web().Obj()))
	n.WaitStable("web")
	n.Kubectl("apply", "-f", n.Manifest(web().Image(v2).Obj()))
	requireHeld(t, n, v2, 1, 3)
	n.Kubectl("apply", "-f", n.Manifest(web().Image(v2).Paused().Obj()))
	n.Kubectl("set", "image", "deployment/web", "app="+v1)
	d := n.WaitDeployment("web", "the release is over", func(d *appsv1.Deployment) bool { return d.Annotations[canary.ReleaseAnnotation] == "" })
	require.True(t, d.Spec.Paused, "the user's own pause")
}

func TestTwoUpdatesAtOnceAreOneRelease(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	_, err := n.Patch("web", types.StrategicMergePatchType, patchImage(v2))
	require.NoError(t, err)
	_, err = n.Patch("web", types.StrategicMergePatchType, patchImage(v3))
	require.NoError(t, err)
	requireHeld(t, n, v3, 1, 3)
	n.PodsOfEventually("web", v2, 0)
	require.Len(t, canaryReplicaSets(n), 1)
}

func TestADryRunGivesTheSameAnswerAndStoresNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	before := n.Create(web().Obj())
	client := env.Client(t, "alice").AppsV1().Deployments(n.Name)
	dry := func() *appsv1.Deployment {
		d, err := client.Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(patchImage(v2)),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		require.NoError(t, err)
		return d
	}
	first, second := dry(), dry()
	require.Equal(t, first.Annotations, second.Annotations)
	require.Equal(t, first.Spec, second.Spec)
	require.True(t, first.Spec.Paused)
	require.Equal(t, before.ResourceVersion, n.Deployment("web").ResourceVersion, "nothing is stored")
	require.Empty(t, env.Proxy.Writes(n.Name))

	stored, err := client.Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(patchImage(v2)), patchOptions)
	require.NoError(t, err)
	require.Equal(t, first.Annotations, stored.Annotations)
	require.Equal(t, first.Spec, stored.Spec)

	diff := n.Command("alice", "kubectl", "diff", "--server-side", "--force-conflicts", "-f", n.Manifest(web().Image(v3).Obj()))
	require.Equal(t, 1, diff.Code, diff.Stderr)
	require.Contains(t, diff.Stdout, v3)
}

func TestADeniedRequestStoresNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Quiet("web")
	before := n.Deployment("web")
	n.Refused("bob", []string{`may not abort`}, "kubectl", "annotate", "deployment/web", canary.AbortAnnotation+"="+n.Release("web").Name())
	n.Refused("alice", []string{"cannot be scaled to 0"}, "kubectl", "patch", "deployment/web", "-p", `{"spec":{"replicas":0,"minReadySeconds":3}}`)
	require.Equal(t, before, n.Deployment("web"))
}

func TestAPolicyThatIsNotValidIsRefusedWithItsGrammar(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.Refused("alice", []string{"annotation sluice.dev/steps", `"lots"`, "WEIGHT[/PODS][:WAIT]"},
		"kubectl", "annotate", "deployment/web", canary.StepsAnnotation+"=lots")
	n.Refused("alice", []string{"annotation sluice.dev/progress-deadline", `"soon"`},
		"kubectl", "annotate", "deployment/web", canary.DeadlineAnnotation+"=soon")
}

func TestAPolicyWeakenedWithANewTemplateGovernsOnlyTheNextOne(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Replicas(4).Annotation(canary.StepsAnnotation, "20%").Obj())
	n.Kubectl("patch", "deployment/web", "-p", `{"metadata":{"annotations":{"sluice.dev/steps":"100%:1s"}},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
	require.Equal(t, "20%", requireHeld(t, n, v2, 1, 4).Policy.Steps)
	n.Approve("web")
	n.WaitStable("web")
	n.SetImage("web", v3)
	n.WaitStable("web") // the second one goes by the new policy: by itself after a second
}

func TestFourEyesNeedSomebodyElse(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Annotation(canary.ApprovalAnnotation, "four-eyes"))
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Refused("alice", []string{"needs somebody else's approval", `"alice" is its author`}, "kubectl", "rollout", "resume", "deployment/web")
	n.Mark("web", watch.Approved)
	result := n.Command("admin", "kubectl", "rollout", "resume", "deployment/web")
	require.Zero(t, result.Code, result)
	n.WaitStable("web")
}

func TestWhatIsNotOptedInNeverReachesSluice(t *testing.T) {
	t.Parallel()
	t.Run("a namespace that did not opt in", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t, harness.OptedOut)
		n.Create(web().Obj())
		n.Mark("web", watch.Native)
		require.Empty(t, n.SetImage("web", v2).Warnings())
		n.WaitStable("web")
		require.Empty(t, env.Proxy.Writes(n.Name))
	})
	t.Run("a workload that opted out, which needs the permission", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.Refused("alice", []string{`the verb "bypass" on deployments.apps`}, "kubectl", "label", "deployment/web", canary.EnabledLabel+"=false")
		require.Zero(t, n.Command("admin", "kubectl", "label", "deployment/web", canary.EnabledLabel+"=false").Code)
		n.Mark("web", watch.Native)
		require.NotContains(t, n.SetImage("web", v2).Stderr, "held")
		n.WaitStable("web")
	})
	t.Run("a namespace that opts out in the middle of a release, which can still be finished", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.SetImage("web", v2)
		requireHeld(t, n, v2, 1, 3)
		n.OptOut()
		n.Approve("web")
		n.WaitStable("web")
		require.Equal(t, map[string]int{v2: 3}, podImages(n.LivePods(t.Context(), "web")))
		n.Mark("web", watch.Native)
		require.Empty(t, n.SetImage("web", v3).Warnings())
		n.WaitStable("web")
	})
	t.Run("a namespace that opts out in the middle of a release, which can still be aborted", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.SetImage("web", v2)
		requireHeld(t, n, v2, 1, 3)
		n.OptOut()
		n.Abort("web")
		n.PodsOfEventually("web", v2, 0)
		n.SetImage("web", v1)
		n.WaitStable("web")
	})
	t.Run("opting in with running workloads rolls nothing", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t, harness.OptedOut)
		for i := range 3 {
			d := web().Obj()
			d.Name = fmt.Sprintf("web-%d", i)
			d.Spec.Selector.MatchLabels = map[string]string{"app": d.Name}
			d.Spec.Template.Labels = map[string]string{"app": d.Name}
			n.Create(d)
		}
		n.OptIn()
		n.Kubectl("annotate", "deployments", "--all", "example.com/poke=1")
		n.Quiet("web-0")
		require.Equal(t, 3, replicaSetsMade(n.Recorded()))
		n.SetImage("web-0", v2)
		n.WaitPhase("web-0", canary.Waiting, 1)
	})
}
