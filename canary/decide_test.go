package canary

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdmissionOfAnUpdate(t *testing.T) {
	tests := map[string]struct {
		request     func(t *testing.T) request
		wantVerdict Verdict
		wantPaused  bool
		wantPhase   Phase // empty: no release
		wantStep    int
		wantSays    string // in the message or a warning
	}{
		"an object that is being deleted passes as it came": {
			request: func(*testing.T) request {
				return request{stored: web("v1").with("metadata.deletionTimestamp", "2026-01-01T00:00:00Z"), sent: web("v2")}
			},
			wantVerdict: Unchanged,
		},
		"a stale resourceVersion passes as it came, for the server's own 409": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v2").with("metadata.resourceVersion", "9")}
			},
			wantVerdict: Unchanged,
		},
		"an image change is held": {
			request:     func(*testing.T) request { return request{stored: web("v1"), sent: web("v2")} },
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
			wantSays: "kubectl rollout resume deployment/web -n shop",
		},
		"a template annotation alone (rollout restart) is held": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v1").with("spec.template.metadata.annotations.restartedAt", "now")}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"a template label alone is held": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v1").with("spec.template.metadata.labels.team", "shop")}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"a pod field that no library knows is held": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v1").with("spec.template.spec.fieldOfTomorrow", object{"a": 1})}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"replicas, labels and annotations of the workload are not held": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v1").with("spec.replicas", 7).labelled("team", "a").annotated("note", "b")}
			},
			wantVerdict: Unchanged,
		},
		"forged state and label are taken off": {
			request: func(t *testing.T) request {
				return request{stored: web("v1"), sent: web("v1").annotated(ReleaseAnnotation, held(t).release(t).Encode()).labelled(ActiveLabel, "true")}
			},
			wantVerdict: Unchanged,
		},
		"a template change with forged state is held with sluice's own": {
			request: func(t *testing.T) request {
				forged := held(t).release(t)
				forged.Phase, forged.Stage = Promoting, Finishing
				return request{stored: web("v1"), sent: web("v2").annotated(ReleaseAnnotation, forged.Encode())}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"the user's own pause delays step one": {
			request: func(*testing.T) request {
				paused := web("v1").with("spec.paused", true)
				return request{stored: paused, sent: paused.image("v2")}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 0, wantSays: "is paused",
		},
		"N = 0 is native": {
			request: func(*testing.T) request {
				return request{stored: web("v1").with("spec.replicas", 0), sent: web("v2")}
			},
			wantVerdict: Native, wantSays: "it has no replicas",
		},
		"Recreate is native": {
			request: func(*testing.T) request {
				recreate := web("v1").with("spec.strategy", object{"type": "Recreate"})
				return request{stored: recreate, sent: recreate.image("v2")}
			},
			wantVerdict: Native, wantSays: "Recreate",
		},
		"to Recreate with a new image in one write is held": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v2").with("spec.strategy", object{"type": "Recreate"})}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"a revision that never became available is native": {
			request: func(*testing.T) request {
				broken := web("v1").with("status", object{"observedGeneration": 1, "conditions": []any{object{"type": "Progressing", "reason": "ReplicaSetUpdated"}}})
				return request{stored: broken, sent: broken.image("v2")}
			},
			wantVerdict: Native, wantSays: "never became available",
		},
		"a version that nobody has observed yet is native": {
			request: func(*testing.T) request {
				return request{stored: web("v1").with("status", object{}), sent: web("v2")}
			},
			wantVerdict: Native, wantSays: "never became available",
		},
		"an outage is no reason to let a version through": {
			request: func(*testing.T) request {
				down := web("v1").with("status", object{"observedGeneration": 4, "conditions": []any{object{"type": "Progressing", "reason": "NewReplicaSetAvailable"}}})
				return request{stored: down, sent: down.image("v2")}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"a selector of NotIn and DoesNotExist only is native": {
			request: func(*testing.T) request {
				odd := web("v1").with("spec.selector", object{"matchExpressions": []any{object{"key": "x", "operator": "DoesNotExist"}}})
				return request{stored: odd, sent: odd.image("v2")}
			},
			wantVerdict: Native, wantSays: "selector",
		},
		"canaries disabled before are native": {
			request: func(*testing.T) request {
				off := web("v1").annotated(CanaryAnnotation, "disabled")
				return request{stored: off, sent: off.image("v2")}
			},
			wantVerdict: Native, wantSays: "disabled",
		},
		"canaries disabled in the same write govern the next release only": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v2").annotated(CanaryAnnotation, "disabled"), world: may(VerbBypass)}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"disabling canaries needs bypass": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v1").annotated(CanaryAnnotation, "disabled")}
			},
			wantVerdict: Denied, wantSays: `needs the verb "bypass"`,
		},
		"taking back the word for canaries needs bypass where the Namespace disables them": {
			request: func(*testing.T) request {
				world := World{NamespaceAnnotations: map[string]string{CanaryAnnotation: "disabled"}}
				return request{stored: web("v1").annotated(CanaryAnnotation, "enabled"), sent: web("v1"), world: world}
			},
			wantVerdict: Denied, wantSays: `needs the verb "bypass"`,
		},
		"taking it back needs nothing where the Namespace has them": {
			request: func(*testing.T) request {
				return request{stored: web("v1").annotated(CanaryAnnotation, "enabled"), sent: web("v1")}
			},
			wantVerdict: Unchanged,
		},
		"opting out needs bypass": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v1").labelled(EnabledLabel, "false")}
			},
			wantVerdict: Denied, wantSays: `needs the verb "bypass"`,
		},
		"opting out with a new template needs bypass": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v2").labelled(EnabledLabel, "false")}
			},
			wantVerdict: Denied, wantSays: `needs the verb "bypass"`,
		},
		"opting out with a new template governs the next one only": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v2").labelled(EnabledLabel, "false"), world: may(VerbBypass)}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"a new template with no replicas is held by the old object": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v2").with("spec.replicas", 0)}
			},
			wantVerdict: Hold, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"malformed steps are refused with key, value and grammar": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v1").annotated(StepsAnnotation, "20%, ten")}
			},
			wantVerdict: Denied, wantSays: `annotation sluice.dev/steps: "ten": its weight is not a percentage`,
		},
		"maxUnavailable 0 is refused where the maxSurge that comes back is 0": {
			request: func(t *testing.T) request {
				o := adoptingObject(t).changed(t, func(r *Release) { r.Held.MaxSurge = json.RawMessage("0") })
				return request{stored: o, sent: o.with("spec.strategy.rollingUpdate.maxUnavailable", 0)}
			},
			wantVerdict: Denied, wantSays: "maxUnavailable cannot be 0 where maxSurge is 0",
		},
		"maxUnavailable 0 together with a maxSurge is the user's wish": {
			request: func(t *testing.T) request {
				o := adoptingObject(t).changed(t, func(r *Release) { r.Held.MaxSurge = json.RawMessage("0") })
				return request{stored: o, sent: o.with("spec.strategy.rollingUpdate.maxUnavailable", 0).with("spec.strategy.rollingUpdate.maxSurge", 3)}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Promoting, wantStep: 1,
		},
		"a DaemonSet is native": {
			request: func(*testing.T) request {
				return request{stored: web("v1"), sent: web("v2"), kind: DaemonSet}
			},
			wantVerdict: Native, wantSays: "daemonset/web rolls out natively",
		},
		"a write without our state during a release carries it over": {
			request: func(t *testing.T) request {
				return request{stored: held(t), sent: file("v2")}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"paused: false by a chart approves nothing": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).with("spec.paused", false), manager: "helm", world: may(VerbPromote)}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Waiting, wantStep: 1, wantSays: "approves nothing",
		},
		"rollout resume approves a waiting step": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).with("spec.paused", false), manager: "kubectl-rollout", world: may(VerbPromote)}
			},
			wantVerdict: Approved, wantPaused: true, wantPhase: Waiting, wantStep: 1, wantSays: "is approved by",
		},
		"rollout resume without permission is refused": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).with("spec.paused", false), manager: "kubectl-rollout"}
			},
			wantVerdict: Denied, wantSays: `the verb "promote" on deployments.apps`,
		},
		"rollout resume of a step that progresses is refused": {
			request: func(t *testing.T) request {
				return request{stored: held(t), sent: held(t).with("spec.paused", false), manager: "kubectl-rollout", world: may(VerbPromote)}
			},
			wantVerdict: Denied, wantSays: "is not ready",
		},
		"rollout resume of an aborted release is refused with the reason": {
			request: func(t *testing.T) request {
				return request{stored: abortedObject(t), sent: abortedObject(t).with("spec.paused", false), manager: "kubectl-rollout", world: may(VerbPromote)}
			},
			wantVerdict: Denied, wantSays: "2 of 2 pods crash",
		},
		"a second resume approves nothing more": {
			request: func(t *testing.T) request {
				o := waitingObject(t).changed(t, func(r *Release) { r.Approvals = []Approval{{Step: 1, By: "alice"}} })
				return request{stored: o, sent: o.with("spec.paused", false), manager: "kubectl-rollout", world: may(VerbPromote)}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Waiting, wantStep: 1, wantSays: "already",
		},
		"resume together with a new template supersedes and approves nothing": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).with("spec.paused", false).image("v3"), manager: "kubectl-rollout", world: may(VerbPromote)}
			},
			wantVerdict: Superseded, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"an approval together with a new template supersedes and approves nothing": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).annotated(ApproveAnnotation, "5/full").image("v3"), world: may(VerbPromote)}
			},
			wantVerdict: Superseded, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"rollout resume while the canary is adopted approves nothing more": {
			request: func(t *testing.T) request {
				return request{stored: adoptingObject(t), sent: adoptingObject(t).with("spec.paused", false), manager: "kubectl-rollout", world: may(VerbPromote)}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Promoting, wantStep: 1, wantSays: "is being promoted already",
		},
		"rollout resume while it is reverted is refused": {
			request: func(t *testing.T) request {
				o := held(t).image("v1").changed(t, func(r *Release) { r.Phase = Reverting })
				return request{stored: o, sent: o.with("spec.paused", false), manager: "kubectl-rollout", world: may(VerbPromote)}
			},
			wantVerdict: Denied, wantSays: "nothing to approve",
		},
		"the approve annotation approves the step that it names": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).annotated(ApproveAnnotation, "5/1"), world: may(VerbPromote)}
			},
			wantVerdict: Approved, wantPaused: true, wantPhase: Waiting, wantStep: 1,
		},
		"an approval of another step does nothing": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).annotated(ApproveAnnotation, "5/2"), world: may(VerbPromote)}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Waiting, wantStep: 1, wantSays: "does nothing",
		},
		"rollout resume approves also where an older annotation says the same": {
			request: func(t *testing.T) request {
				_, stored := request{stored: web("v1").annotated(ApproveAnnotation, "5/1"), sent: web("v2").annotated(ApproveAnnotation, "5/1")}.decide(t)
				o := stored.changed(t, func(r *Release) { r.Phase = Waiting })
				return request{stored: o, sent: o.with("spec.paused", false), manager: "kubectl-rollout", world: may(VerbPromote)}
			},
			wantVerdict: Approved, wantPaused: true, wantPhase: Waiting, wantStep: 1,
		},
		"of several annotations the one that means something acts": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).annotated(AbortAnnotation, "9").annotated(ApproveAnnotation, "5/1").annotated(RetryAnnotation, "5"), world: may(VerbPromote)}
			},
			wantVerdict: Approved, wantPaused: true, wantPhase: Waiting, wantStep: 1, wantSays: "sluice.dev/abort=9 does nothing",
		},
		"four eyes: the author may not approve": {
			request: func(t *testing.T) request {
				o := waitingObject(t).changed(t, func(r *Release) { r.Policy.FourEyes = true })
				return request{stored: o, sent: o.annotated(ApproveAnnotation, "5/1"), world: may(VerbPromote)}
			},
			wantVerdict: Denied, wantSays: "somebody else's approval",
		},
		"the abort annotation aborts": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).annotated(AbortAnnotation, "5"), world: may(VerbAbort)}
			},
			wantVerdict: AbortedBy, wantPaused: true, wantPhase: Aborted, wantStep: 1,
		},
		"an abort during adoption keeps maxSurge pinned": {
			request: func(t *testing.T) request {
				return request{stored: adoptingObject(t), sent: adoptingObject(t).annotated(AbortAnnotation, "5"), world: may(VerbAbort)}
			},
			wantVerdict: AbortedBy, wantPaused: true, wantPhase: Aborted, wantStep: 1,
		},
		"an abort after the unpause is too late": {
			request: func(t *testing.T) request {
				return request{stored: finishingObject(t), sent: finishingObject(t).annotated(AbortAnnotation, "5"), world: may(VerbAbort)}
			},
			wantVerdict: Denied, wantSays: "apply the old version",
		},
		"an aborted release applied again stays aborted": {
			request: func(t *testing.T) request {
				return request{stored: abortedObject(t), sent: file("v2"), manager: "helm"}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Aborted, wantStep: 1, wantSays: "still held and aborted",
		},
		"an abort of what is aborted does nothing": {
			request: func(t *testing.T) request {
				return request{stored: abortedObject(t), sent: abortedObject(t).annotated(AbortAnnotation, "5"), world: may(VerbAbort)}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Aborted, wantStep: 1, wantSays: "sluice.dev/abort=5 does nothing",
		},
		"an abort of another release does nothing": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).annotated(AbortAnnotation, "4"), world: may(VerbAbort)}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Waiting, wantStep: 1, wantSays: "sluice.dev/abort=4 does nothing",
		},
		"a retry of what is not aborted does nothing": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).annotated(RetryAnnotation, "5"), world: may(VerbPromote)}
			},
			wantVerdict: Carried, wantPaused: true, wantPhase: Waiting, wantStep: 1, wantSays: "sluice.dev/retry=5 does nothing",
		},
		"a retry by somebody not permitted is refused": {
			request: func(t *testing.T) request {
				return request{stored: abortedObject(t), sent: abortedObject(t).annotated(RetryAnnotation, "5")}
			},
			wantVerdict: Denied, wantSays: `the verb "promote" on deployments.apps`,
		},
		"retry at a later step starts at step one": {
			request: func(t *testing.T) request {
				o := abortedObject(t).changed(t, func(r *Release) { r.Step, r.Approvals = 2, []Approval{{Step: 1, By: "alice"}} })
				return request{stored: o, sent: o.annotated(RetryAnnotation, "5"), world: may(VerbPromote)}
			},
			wantVerdict: Retried, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"retry starts at step one": {
			request: func(t *testing.T) request {
				return request{stored: abortedObject(t), sent: abortedObject(t).annotated(RetryAnnotation, "5"), world: may(VerbPromote)}
			},
			wantVerdict: Retried, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"the stable template reverts a waiting release": {
			request: func(t *testing.T) request {
				return request{stored: waitingObject(t), sent: waitingObject(t).image("v1")}
			},
			wantVerdict: Reverted, wantPaused: true, wantPhase: Reverting, wantStep: 1,
		},
		"the stable template from a file reverts an aborted release": {
			request:     func(t *testing.T) request { return request{stored: abortedObject(t), sent: file("v1")} },
			wantVerdict: Reverted, wantPaused: true, wantPhase: Reverting, wantStep: 1,
		},
		"the stable template after the unpause goes back natively": {
			request: func(t *testing.T) request {
				return request{stored: finishingObject(t), sent: finishingObject(t).image("v1")}
			},
			wantVerdict: Reverted, wantPaused: false, wantPhase: Reverting, wantStep: 1,
		},
		"a third template supersedes": {
			request:     func(t *testing.T) request { return request{stored: held(t), sent: held(t).image("v3")} },
			wantVerdict: Superseded, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"a third template from a file supersedes": {
			request:     func(t *testing.T) request { return request{stored: abortedObject(t), sent: file("v3")} },
			wantVerdict: Superseded, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"a third template after the unpause is held": {
			request: func(t *testing.T) request {
				return request{stored: finishingObject(t), sent: finishingObject(t).image("v3")}
			},
			wantVerdict: Superseded, wantPaused: true, wantPhase: Progressing, wantStep: 1,
		},
		"a third template with canaries disabled goes native and ends the hold": {
			request: func(t *testing.T) request {
				o := held(t).annotated(CanaryAnnotation, "disabled")
				return request{stored: o, sent: o.image("v3")}
			},
			wantVerdict: Native, wantPaused: false, wantPhase: Promoting, wantStep: 1,
		},
		"a strategy change during a release is refused": {
			request: func(t *testing.T) request {
				return request{stored: held(t), sent: held(t).with("spec.strategy", object{"type": "Recreate"})}
			},
			wantVerdict: Denied, wantSays: "strategy",
		},
		"N to 0 together with the stable template is refused": {
			request: func(t *testing.T) request {
				return request{stored: held(t), sent: held(t).image("v1").with("spec.replicas", 0)}
			},
			wantVerdict: Denied, wantSays: "cannot be scaled to 0",
		},
		"N to 0 during a release is refused with the way out": {
			request:     func(t *testing.T) request { return request{stored: held(t), sent: held(t).with("spec.replicas", 0)} },
			wantVerdict: Denied, wantSays: "cannot be scaled to 0",
		},
		"sluice's transition is accepted": {
			request: func(t *testing.T) request {
				return request{stored: held(t), sent: waitingObject(t), sluice: true}
			},
			wantVerdict: Advanced, wantPaused: true, wantPhase: Waiting, wantStep: 1,
		},
		"sluice's end of a release unpauses": {
			request: func(t *testing.T) request {
				o := held(t).changed(t, func(r *Release) { r.Phase = Reverting })
				return request{stored: o, sent: o.annotated(ReleaseAnnotation, ""), sluice: true}
			},
			wantVerdict: Advanced,
		},
		"sluice may not change a template": {
			request: func(t *testing.T) request {
				return request{stored: held(t), sent: held(t).image("v3"), sluice: true}
			},
			wantVerdict: Denied, wantSays: "this is a bug",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, stored := test.request(t).decide(t)
			require.Equal(t, test.wantVerdict, d.Verdict, "%s %v", d.Message, d.Warnings)
			require.Contains(t, d.Message+strings.Join(d.Warnings, "\n"), test.wantSays)
			if d.Verdict == Denied || d.Verdict == Unchanged && d.Want == nil {
				return
			}
			w := stored.workload(t)
			require.Equal(t, test.wantPaused, w.Spec.Paused)
			r := stored.release(t)
			if test.wantPhase == "" {
				require.Nil(t, r)
				require.Empty(t, w.Metadata.Labels[ActiveLabel])
				return
			}
			require.Equal(t, test.wantPhase, r.Phase)
			require.Equal(t, test.wantStep, r.Step)
			require.Equal(t, "true", w.Metadata.Labels[ActiveLabel])
			for _, warning := range d.Warnings {
				require.LessOrEqual(t, len(warning), 256, "the API server cuts it: %s", warning)
			}
		})
	}
}

func TestTheUsersOwnFieldsComeBack(t *testing.T) {
	end := func(t *testing.T, o object) *Workload {
		_, stored := request{stored: o, sent: o.annotated(ReleaseAnnotation, ""), sluice: true}.decide(t)
		return stored.workload(t)
	}
	t.Run("a maxSurge set during adoption is in force afterwards", func(t *testing.T) {
		o := adoptingObject(t)
		_, stored := request{stored: o, sent: o.with("spec.strategy.rollingUpdate.maxSurge", "50%")}.decide(t)
		require.Equal(t, `1`, string(stored.workload(t).Spec.Strategy.MaxSurge()))
		require.Equal(t, `"50%"`, string(end(t, stored).Spec.Strategy.MaxSurge()))
	})
	t.Run("the chart's maxSurge stated again during adoption changes nothing", func(t *testing.T) {
		o := adoptingObject(t)
		_, stored := request{stored: o, sent: file("v2")}.decide(t)
		require.Equal(t, `1`, string(stored.workload(t).Spec.Strategy.MaxSurge()))
		require.Equal(t, `"25%"`, string(end(t, stored).Spec.Strategy.MaxSurge()))
	})
	t.Run("sluice pins maxSurge and remembers the user's", func(t *testing.T) {
		o := waitingObject(t)
		sent := o.changed(t, func(r *Release) { r.Phase, r.Stage, r.Surge = Promoting, Adopting, 1 })
		_, stored := request{stored: o, sent: sent, sluice: true}.decide(t)
		require.Equal(t, `1`, string(stored.workload(t).Spec.Strategy.MaxSurge()))
		require.Equal(t, `"25%"`, string(stored.release(t).Held.MaxSurge))
	})
	t.Run("one write unpauses and gives maxSurge back", func(t *testing.T) {
		o := adoptingObject(t)
		sent := o.changed(t, func(r *Release) { r.Stage, r.Surge = Finishing, 0 })
		_, stored := request{stored: o, sent: sent, sluice: true}.decide(t)
		require.False(t, stored.workload(t).Spec.Paused)
		require.Equal(t, `"25%"`, string(stored.workload(t).Spec.Strategy.MaxSurge()))
	})
	for name, change := range map[string]func(object) object{
		"from a file": func(object) object { return file("v2").with("spec.paused", true) },
		"by server-side apply": func(o object) object {
			return o.with("metadata.managedFields", []any{object{"manager": "flux", "fieldsV1": object{"f:spec": object{"f:paused": object{}}}}})
		},
		"by client-side apply": func(o object) object {
			return o.annotated("kubectl.kubernetes.io/last-applied-configuration", `{"spec":{"paused":true}}`)
		},
	} {
		t.Run("paused: true stated during a release "+name+" is in force afterwards", func(t *testing.T) {
			o := held(t)
			_, stored := request{stored: o, sent: change(o)}.decide(t)
			require.Equal(t, 1, stored.release(t).Step)
			require.True(t, end(t, stored).Spec.Paused)
		})
	}
	t.Run("taking our annotation or label off states nothing", func(t *testing.T) {
		live := held(t).annotated("deployment.kubernetes.io/revision", "1")
		for _, o := range []object{
			live.annotated(ReleaseAnnotation, ""), live.labelled(ActiveLabel, ""), live.annotated(ReleaseAnnotation, "").labelled(ActiveLabel, ""),
		} {
			_, stored := request{stored: live, sent: o}.decide(t)
			require.False(t, end(t, stored).Spec.Paused)
		}
	})
	t.Run("a pause before the release outlives its revert", func(t *testing.T) {
		paused := web("v1").with("spec.paused", true)
		_, o := request{stored: paused, sent: paused.image("v2")}.decide(t)
		d, stored := request{stored: o, sent: o.image("v1")}.decide(t)
		require.Equal(t, Reverted, d.Verdict)
		require.True(t, end(t, stored).Spec.Paused)
	})
	t.Run("a pause before the release ends with the user's resume, and step one starts", func(t *testing.T) {
		paused := web("v1").with("spec.paused", true)
		_, o := request{stored: paused, sent: paused.image("v2")}.decide(t)
		_, stored := request{stored: o, sent: o.with("spec.paused", false), manager: "kubectl-rollout"}.decide(t)
		require.Equal(t, 1, stored.release(t).Step)
		require.True(t, stored.workload(t).Spec.Paused)
		require.False(t, end(t, stored).Spec.Paused)
	})
}

func TestCreate(t *testing.T) {
	t.Run("a copy of a held Deployment is a plain running one", func(t *testing.T) {
		_, stored := request{sent: held(t).with("metadata.uid", nil)}.decide(t)
		require.False(t, stored.workload(t).Spec.Paused)
		require.Nil(t, stored.release(t))
	})
	t.Run("a copy made during adoption has the user's maxSurge", func(t *testing.T) {
		_, stored := request{sent: adoptingObject(t)}.decide(t)
		require.Equal(t, `"25%"`, string(stored.workload(t).Spec.Strategy.MaxSurge()))
	})
	t.Run("a first version gets its digest and says that it is not held", func(t *testing.T) {
		d, stored := request{sent: web("v1"), world: World{Digest: "v1:k:d"}}.decide(t)
		require.Equal(t, Native, d.Verdict)
		require.Contains(t, d.Warnings[0], "it is new")
		digest, err := TemplateDigest(stored.workload(t).Spec.Template)
		require.NoError(t, err)
		require.Equal(t, "v1:k:d", digest)
	})
}

func TestDigest(t *testing.T) {
	digest := func(o object) string {
		d, err := TemplateDigest(o.workload(t).Spec.Template)
		require.NoError(t, err)
		return d
	}
	_, stable := request{sent: web("v1"), world: World{Digest: "v1:k:old"}}.decide(t)
	q := request{stored: stable, sent: file("v2"), world: World{Digest: "v1:k:new"}}
	d, o := q.decide(t)
	require.Equal(t, Hold, d.Verdict)
	require.Equal(t, "v1:k:new", digest(o))
	t.Run("a write without it keeps it", func(t *testing.T) {
		_, stored := request{stored: o, sent: file("v2")}.decide(t)
		require.Equal(t, "v1:k:new", digest(stored))
	})
	t.Run("a forged one is replaced", func(t *testing.T) {
		_, stored := request{stored: o, sent: o.with("spec.template.metadata.annotations", object{"sluice.dev/config-hash": "v1:k:forged"})}.decide(t)
		require.Equal(t, "v1:k:new", digest(stored))
	})
	t.Run("reverting brings the stable ReplicaSet's own back", func(t *testing.T) {
		_, stored := request{stored: o, sent: file("v1")}.decide(t)
		require.Equal(t, "v1:k:old", digest(stored))
	})
	t.Run("settling reads it once more", func(t *testing.T) {
		sent := o.changed(t, func(r *Release) { r.Settled = true })
		_, stored := request{stored: o, sent: sent, sluice: true, world: World{Digest: "v1:k:settled"}}.decide(t)
		require.Equal(t, "v1:k:settled", digest(stored))
		require.Equal(t, "v1:k:settled", stored.release(t).Canary.Digest)
	})
}

func TestAskReadsNothingThatIsNotNeeded(t *testing.T) {
	tests := map[string]struct {
		request   request
		wantNeeds Needs
	}{
		"a label":                       {request{stored: web("v1"), sent: web("v1").labelled("a", "b")}, Needs{}},
		"the same object during a hold": {request{stored: held(t), sent: file("v2")}, Needs{}},
		"a new template":                {request{stored: web("v1"), sent: web("v2")}, Needs{Namespace: true, Digest: true}},
		"the stable template":           {request{stored: held(t), sent: file("v1")}, Needs{Namespace: true}},
		"an approval":                   {request{stored: held(t), sent: held(t).with("spec.paused", false), manager: "kubectl-rollout"}, Needs{Verbs: []string{VerbPromote}}},
		"an abort":                      {request{stored: held(t), sent: held(t).annotated(AbortAnnotation, "5")}, Needs{Verbs: []string{VerbAbort}}},
		"sluice's transition":           {request{stored: held(t), sent: waitingObject(t), sluice: true}, Needs{}},
		"a new object":                  {request{sent: web("v1")}, Needs{Namespace: true, Digest: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			needs, err := Ask(test.request.review(t))
			require.NoError(t, err)
			require.Equal(t, test.wantNeeds, needs)
		})
	}
}

func TestWorkloadLabelValueFitsIntoALabel(t *testing.T) {
	require.Equal(t, "web", WorkloadLabelValue("web"))
	long := WorkloadLabelValue(strings.Repeat("a", 100))
	require.LessOrEqual(t, len(long), 63)
	require.NotEqual(t, long, WorkloadLabelValue(strings.Repeat("a", 101)), fmt.Sprint(long))
}
