package watch

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
)

// wish is what the user wants in the fields that sluice sets during a release: what is stored while sluice
// sets neither, and what the test says it states meanwhile (facts Paused, Unpaused and Surge).
type wish struct {
	paused   bool
	maxSurge string
}

func wishOf(d *appsv1.Deployment) wish { return wish{d.Spec.Paused, maxSurge(d)} }

// follow goes from one version of a Deployment to the next and says what sluice did not give back.
func (w *wish) follow(old, d *appsv1.Deployment) (wrong string) {
	before, after := release(old), release(d)
	switch surge := maxSurge(d); {
	case after != nil && after.Surge > 0: // pinned
	case before != nil && before.Surge > 0 && surge != w.maxSurge:
		wrong = fmt.Sprintf("maxSurge is %s after it was pinned, where the user wants %s", surge, w.maxSurge)
	default:
		w.maxSurge = surge
	}
	switch {
	case before == nil && after == nil, finishes(before) && finishes(after) && old.Spec.Paused != d.Spec.Paused:
		w.paused = d.Spec.Paused
	case before != nil && after == nil && d.Spec.Paused != w.paused:
		wrong = fmt.Sprintf("paused is %t after the release, where the user wants %t", d.Spec.Paused, w.paused)
	}
	return wrong
}

func finishes(r *canary.Release) bool { return r != nil && r.Stage == canary.Finishing }

func release(d *appsv1.Deployment) *canary.Release {
	r, err := canary.DecodeRelease(d.Annotations)
	if err != nil {
		return nil // History shows it
	}
	return r
}

// maxSurge is empty where the strategy has none.
func maxSurge(d *appsv1.Deployment) string {
	if r := d.Spec.Strategy.RollingUpdate; r != nil && r.MaxSurge != nil {
		return r.MaxSurge.String()
	}
	return ""
}
