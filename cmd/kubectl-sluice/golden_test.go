package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/canary"
)

// worlds are the states that are shown, one folder of testdata each.
var worlds = map[string]func(*world){
	"no-release": (*world).end,
	"no-release-rolling-out": func(w *world) {
		w.end()
		w.deployment.Status.UpdatedReplicas, w.deployment.Status.AvailableReplicas = 3, 4
	},
	"paused-before-the-release": func(w *world) {
		w.release.Phase, w.release.Step, w.release.Held.Paused = canary.Progressing, 0, true
		w.canary, w.pods = nil, w.pods[:5]
	},
	"just-held": func(w *world) {
		w.release.Phase, w.release.Since = canary.Progressing, nil
		w.canary, w.pods = nil, w.pods[:5]
	},
	"progressing-with-a-broken-pod": func(w *world) {
		w.release.Phase = canary.Progressing
		w.canary.Status.AvailableReplicas = 0
		breakPod(w.canaryPods()[0])
	},
	"progressing-without-quota": func(w *world) {
		w.release.Phase = canary.Progressing
		w.pods = w.pods[:5]
		w.canary.Status = appsv1.ReplicaSetStatus{Conditions: []appsv1.ReplicaSetCondition{{
			Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "pods \"web-x4k2-\" is forbidden: exceeded quota: pods",
		}}}
	},
	"waiting": func(*world) {},
	"waiting-with-a-divided-route": func(w *world) {
		w.release.Traffic = &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/web", "ingress/web"}}
	},
	"waiting-with-a-match-and-notes": func(w *world) {
		w.release.Policy.Match = "header:X-Canary=yes"
		w.release.Traffic = &canary.Found{Services: []string{"api", "web"}, Routes: []string{"httproute/web"}, Notes: []string{
			"ingress/web is not divided: its class haproxy is of the controller haproxy.org/ingress-controller, and a share can be given to k8s.io/ingress-nginx only",
			"httproute/web: spec.rules[0]: RequestMirror: the copies are not split",
		}}
	},
	"waiting-with-routes-that-are-not-divided": func(w *world) {
		w.release.Traffic = &canary.Found{Services: []string{"web"}, Notes: []string{"httproute/web is not divided: Service web also selects pod other-1, which is not of Deployment/web"}}
	},
	"waiting-for-a-route-that-is-gone": func(w *world) {
		w.release.Reason = "requests are not divided: httproute/web is gone, which divided the requests: create it again, or abort the release"
		w.release.Traffic = &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/web"}}
	},
	"progressing-until-a-gateway-accepts": func(w *world) {
		w.release.Phase = canary.Progressing
		w.release.Reason = "requests are not divided: it is waited for httproute/web: Gateway web has not accepted the route yet: condition Accepted is that of generation 4, not 5"
		w.release.Traffic = &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/web"}}
	},
	"aborted-with-a-divided-route": func(w *world) {
		w.release.Phase, w.release.Reason = canary.Aborted, "aborted by bob"
		w.release.Traffic = &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/web"}}
		w.dropCanary()
	},
	"aborted-until-a-gateway-accepts": func(w *world) {
		w.release.Phase, w.release.Reason = canary.Aborted, "aborted by bob"
		w.release.Traffic = &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/web"}}
	},
	"adopting-behind-a-route": func(w *world) {
		w.promoting(canary.Adopting)
		w.release.Traffic = &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/web"}}
	},
	"waiting-with-other-config": func(w *world) {
		w.release.Author, w.release.Cause = "system:serviceaccount:sluice-system:sluice", "configmap/web: log.level; secret/db"
	},
	"waiting-for-other-eyes": func(w *world) {
		w.release.Policy.FourEyes = true
	},
	"waiting-for-a-while": func(w *world) {
		w.release.Step, w.release.Approvals = 2, []canary.Approval{{Step: 1, By: "bob"}}
		w.canary.Spec.Replicas, w.canary.Status.AvailableReplicas = pointer(int32(3)), 3
		w.addPods(w.canary, 2, now.Add(-time.Minute))
	},
	"waiting-and-approved-fully": func(w *world) {
		w.release.Approvals = []canary.Approval{{Step: 1, By: "bob", Full: true}}
	},
	"adopting": func(w *world) {
		w.promoting(canary.Adopting)
	},
	"finishing": func(w *world) {
		w.promoting(canary.Finishing)
		w.stable.Spec.Replicas, w.stable.Status.AvailableReplicas = pointer(int32(2)), 2
		w.canary.Labels = map[string]string{"app": "web"} // it was unmarked
		w.canary.OwnerReferences[0].Controller = pointer(true)
		w.canary.Annotations["deployment.kubernetes.io/revision"] = "3"
		w.deployment.Status.UpdatedReplicas = 5
		w.pods = append(w.pods[:2], w.pods[5:]...)
	},
	"aborted-by-its-deadline": func(w *world) {
		w.release.Phase = canary.Aborted
		w.release.Reason = "0 of 1 canary pods were available after 10m0s: pod web-x4k2-00 container app: ImagePullBackOff: Back-off pulling image \"example/web:v2\""
		w.dropCanary()
	},
	"aborted-by-a-person": func(w *world) {
		w.release.Phase, w.release.Reason = canary.Aborted, "aborted by bob"
		w.dropCanary()
	},
	"reverting": func(w *world) {
		w.release.Phase, w.release.Reason = canary.Reverting, "the stable version was applied again"
		template := *w.stable.Spec.Template.DeepCopy()
		delete(template.Labels, "pod-template-hash")
		w.deployment.Spec.Template = template
	},
	"a-phase-of-a-newer-sluice": func(w *world) {
		w.release.Phase = "Draining"
	},
	"too-much-to-show": func(w *world) {
		w.pods = nil
		w.addPods(w.stable, 60, since)
		w.addPods(w.canary, 12, since)
		breakPod(w.pods[59])
		for i := range 30 {
			w.deployment.Spec.Template.Spec.Containers[0].Env = append(w.deployment.Spec.Template.Spec.Containers[0].Env,
				corev1.EnvVar{Name: fmt.Sprintf("KEY_%02d", i), Value: "a value that goes on and on, longer than anybody wants to read in one line of a terminal"})
		}
	},
	"stable-set-deleted": func(w *world) {
		w.recordStable()
		w.stable, w.pods = nil, w.pods[5:]
	},
	"hostile-names": func(w *world) {
		w.release.Author = "mallory\x1b[31m\nRelease: 6"
		w.deployment.Spec.Template.Spec.Containers[0].Image = "evil\x1b]0;title\x07\r\nimage"
		w.release.Phase, w.release.Reason = canary.Aborted, "first\nsecond \x1b[2J"
	},
}

func (w *world) promoting(stage canary.Stage) {
	w.release.Phase, w.release.Stage, w.release.Step, w.release.Sequence = canary.Promoting, stage, 3, canary.SequenceM
	w.release.Approvals = []canary.Approval{{Step: 1, By: "bob"}, {Step: 3, By: "carol"}}
	w.canary.Spec.Replicas, w.canary.Status.AvailableReplicas = pointer(int32(5)), 5
	w.addPods(w.canary, 5, now.Add(-time.Minute))
	w.pods = append(w.pods[:5], w.pods[6:]...)
}

func TestEveryOutputInEveryPhase(t *testing.T) {
	commands := map[string][]string{
		"status":        {"status", "deployment/web"},
		"status-o-json": {"status", "deploy/web", "-o", "json"},
		"list":          {"list"},
		"list-o-wide":   {"list", "-o", "wide"},
		"history":       {"history", "deployment", "web"},
	}
	for name, change := range worlds {
		w := newWorld()
		change(w)
		objects := w.objects()
		for command, args := range commands {
			t.Run(name+"/"+command, func(t *testing.T) {
				s := newSession(objects...)
				require.Zero(t, s.run(t, args...), s.err.String())
				golden(t, name+"/"+command, s.out.String()+s.err.String())
			})
		}
	}
}
