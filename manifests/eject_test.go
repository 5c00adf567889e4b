package manifests_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
)

// released is web with a release.
func released(change func(*appsv1.Deployment)) *appsv1.Deployment {
	return webWith(func(d *appsv1.Deployment) {
		d.Labels = map[string]string{canary.ActiveLabel: "true", "team": "shop"}
		d.Annotations = map[string]string{canary.ReleaseAnnotation: "{}", "example.com/a": "1"}
		d.Spec.Paused = true
		change(d)
	})
}

func ended(d *appsv1.Deployment) {
	delete(d.Labels, canary.ActiveLabel)
	delete(d.Annotations, canary.ReleaseAnnotation)
}

// notEjected returns that condition of a webhook, the last one.
func notEjected(t *testing.T, webhook string) []admissionregistrationv1.MatchCondition {
	t.Helper()
	all := entries(t)[webhook].MatchConditions
	require.Equal(t, "not-ejected", all[len(all)-1].Name)
	return all[len(all)-1:]
}

// The way past a dead sluice ends a release, with whatever spec, for whoever may bypass it.
func TestOnlyTheEndOfAReleasePassesWithoutSluice(t *testing.T) {
	same := func(*appsv1.Deployment) {}
	resume := func(d *appsv1.Deployment) { d.Spec.Paused = false }
	image := func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "example/web:v1" }
	all := func(changes ...func(*appsv1.Deployment)) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) {
			for _, change := range changes {
				change(d)
			}
		}
	}
	manager := canary.EjectManager
	tests := map[string]struct {
		write      write
		wantPasses bool
	}{
		"it ends": {write{old: released(same), new: released(ended), manager: manager, bypasses: true}, true},
		"it ends, and the user's own fields come back": {
			write{old: released(same), new: released(all(ended, resume)), manager: manager, bypasses: true}, true},
		"it ends, and the stable template comes back": {
			write{old: released(same), new: released(all(ended, resume, image)), manager: manager, bypasses: true}, true},
		"it ends, and the workload opts out": {
			write{old: released(same), manager: manager, bypasses: true, new: released(all(ended, func(d *appsv1.Deployment) {
				d.Labels[canary.EnabledLabel] = "false"
			}))}, true},
		"it ends, and the phase stays as the mark of what is left to do": {
			write{old: released(same), manager: manager, bypasses: true, new: released(all(ended, func(d *appsv1.Deployment) {
				d.Labels[canary.PhaseLabel] = "Reverting"
			}))}, true},
		"it ends without any label or annotation": {
			write{old: released(same), manager: manager, bypasses: true, new: released(func(d *appsv1.Deployment) {
				d.Labels, d.Annotations = nil, nil
			})}, true},
		"by somebody without the permission": {write{old: released(same), new: released(ended), manager: manager}, false},
		"by another manager":                 {write{old: released(same), new: released(ended), manager: "kubectl-edit", bypasses: true}, false},
		"by no manager":                      {write{old: released(same), new: released(ended), bypasses: true}, false},
		"its label stays": {
			write{old: released(same), manager: manager, bypasses: true, new: released(func(d *appsv1.Deployment) {
				delete(d.Annotations, canary.ReleaseAnnotation)
			})}, false},
		"its label stays with another value": {
			write{old: released(same), manager: manager, bypasses: true, new: released(all(ended, func(d *appsv1.Deployment) {
				d.Labels[canary.ActiveLabel] = "false"
			}))}, false},
		"its state stays": {
			write{old: released(same), manager: manager, bypasses: true, new: released(func(d *appsv1.Deployment) {
				delete(d.Labels, canary.ActiveLabel)
			})}, false},
		"its state is emptied": {
			write{old: released(same), manager: manager, bypasses: true, new: released(all(ended, func(d *appsv1.Deployment) {
				d.Annotations[canary.ReleaseAnnotation] = ""
			}))}, false},
		"the template changes and the release stays": {
			write{old: released(same), new: released(image), manager: manager, bypasses: true}, false},
		"a state is forged": {
			write{old: web(), new: released(same), manager: manager, bypasses: true}, false},
		"the template of a workload without a release changes": {
			write{old: web(), new: webWith(image), manager: manager, bypasses: true}, false},
		"a workload whose label has another value": {
			write{old: labelled(canary.ActiveLabel, "yes"), new: web(), manager: manager, bypasses: true}, false},
		"a new workload": {write{new: web(), manager: manager, bypasses: true}, false},
	}
	for _, configuration := range []string{"mutating", "validating"} {
		for _, webhook := range []string{"workloads.sluice.dev", "releases.sluice.dev"} {
			conditions := notEjected(t, configuration+" "+webhook)
			for name, test := range tests {
				t.Run(fmt.Sprintf("%s %s: %s", configuration, webhook, name), func(t *testing.T) {
					test.write.resource = "deployments"
					got, _ := called(t, conditions, test.write)
					require.Equal(t, test.wantPasses, !got)
				})
			}
		}
	}
}

// The last write of eject takes its mark off: it never reaches sluice, whoever makes it.
func TestTheLastWriteOfEjectPassesWithoutSluice(t *testing.T) {
	for _, configuration := range []string{"mutating", "validating"} {
		conditions := entries(t)[configuration+" workloads.sluice.dev"].MatchConditions
		got, _ := called(t, conditions, write{resource: "deployments", old: labelled(canary.PhaseLabel, "Reverting"), new: web(), manager: canary.EjectManager})
		require.False(t, got, configuration)
	}
}

// What the API server evaluates first is cheap, so that it asks who may bypass only for such a write.
func TestOnlyTheEndOfAReleaseCostsAnAuthorization(t *testing.T) {
	conditions := notEjected(t, "mutating releases.sluice.dev")
	_, plain := called(t, conditions, write{resource: "deployments", old: released(ended), new: released(ended), manager: "helm"})
	_, asked := called(t, conditions, write{resource: "deployments", old: released(func(*appsv1.Deployment) {}), new: released(ended), manager: canary.EjectManager, bypasses: true})
	require.Less(t, plain, int64(100))
	require.Greater(t, asked, int64(350_000), "an authorization is what CEL charges most for")
	require.Less(t, asked, int64(1_000_000))
}
