package statefulset

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// late becomes ready two seconds after it started, so that a promotion takes a while.
const late, unready = "example/late-2s:v2", "example/unready:v2"

// phase is a point in the life of a release of three pods with a canary of one, at which a test does
// something. Between the controller's writes it is reached by holding the next one on its way to the API
// server: so whatever the test does, a write that was decided before it is still to come.
type phase struct {
	image string // of the new version
	// reach applies the new version and returns what lets sluice go on.
	reach func(t *testing.T, s harness.Set) func()
	// open: the partition is open. promoted: the new version is the stable one for what comes after.
	// reverting: v1 was applied again, so that it is what the spec says.
	open, promoted, reverting bool
}

// applied is the image in the spec.
func (p phase) applied() string {
	if p.reverting {
		return v1
	}
	return p.image
}

func nothing() {}

// stop acts and stops sluice right before the first write that matches.
func stop(t *testing.T, s harness.Set, match func(harness.Write) bool, act func()) (proceed func()) {
	t.Helper()
	reached, release := env.Proxy.Hold(s.Name, match)
	t.Cleanup(release) // where the test fails first
	act()
	select {
	case <-reached:
	case <-time.After(time.Minute):
		require.Fail(t, "sluice never came to the write that the test waits for")
	}
	return release
}

func waiting(s harness.Set, image string) {
	s.SetImage(image)
	s.WaitPhase(canary.Waiting, 1)
	s.WaitImages(v1, v1, image)
}

func says(text string) func(harness.Write) bool {
	return func(w harness.Write) bool { return w.Resource == "statefulsets" && strings.Contains(w.Body, text) }
}

// closes matches the write that follows the one that opens the partition.
func closes() func(harness.Write) bool {
	opened := false
	return func(w harness.Write) bool {
		opens := says(`\"gate\":`)(w)
		opened = opened || opens
		return opened && !opens
	}
}

func deletesPod(w harness.Write) bool { return w.Resource == "pods" && w.Method == http.MethodDelete }

// reachAfter waits until v2 is Waiting, acts, and stops sluice right before the first write that matches.
func reachAfter(act func(harness.Set), match func(harness.Write) bool) func(*testing.T, harness.Set) func() {
	return func(t *testing.T, s harness.Set) func() {
		t.Helper()
		waiting(s, v2)
		return stop(t, s, match, func() { act(s) })
	}
}

// The phases of a release.
const (
	closedYet = "while Progressing, before the partition opens"
	opened    = "while Progressing, with the partition open"
	notReady  = "while Progressing, with a pod that is not ready"
	waits     = "while Waiting"
	approved  = "when approved"
	promoting = "while Promoting"
	aborting  = "when Aborted, before the canary goes"
	aborted   = "when Aborted"
	reverting = "while Reverting"
)

func phases() map[string]phase {
	return map[string]phase{
		closedYet: {image: v2, reach: func(t *testing.T, s harness.Set) func() {
			return stop(t, s, says(`\"gate\":`), func() { s.SetImage(v2) })
		}},
		opened: {image: v2, open: true, reach: func(t *testing.T, s harness.Set) func() {
			return stop(t, s, closes(), func() { s.SetImage(v2) })
		}},
		notReady: {image: unready, reach: func(_ *testing.T, s harness.Set) func() {
			s.SetImage(unready)
			s.WaitImages(v1, v1)
			s.Wait("the partition is closed behind the pod", func(set *appsv1.StatefulSet) bool {
				return set.Status.UpdatedReplicas == 1 && *set.Spec.UpdateStrategy.RollingUpdate.Partition == harness.Closed
			})
			return nothing
		}},
		waits: {image: v2, reach: func(_ *testing.T, s harness.Set) func() {
			waiting(s, v2)
			return nothing
		}},
		approved: {image: v2, reach: reachAfter(func(s harness.Set) { s.Approve() }, says("Promoting"))},
		promoting: {image: late, promoted: true, reach: func(t *testing.T, s harness.Set) func() {
			t.Helper()
			waiting(s, late)
			_, release := env.Proxy.Hold(s.Name, says(`"sluice.dev/release":null`)) // so that it does not end before
			t.Cleanup(release)
			s.Approve()
			s.Wait("the native rollout goes on", func(set *appsv1.StatefulSet) bool {
				r, err := canary.DecodeRelease(set.Annotations)
				return err == nil && r != nil && r.Stage == canary.Finishing && set.Status.UpdatedReplicas > 1
			})
			return release
		}},
		aborting: {image: v2, reach: reachAfter(func(s harness.Set) { s.Abort() }, deletesPod)},
		aborted: {image: v2, reach: func(_ *testing.T, s harness.Set) func() {
			waiting(s, v2)
			s.Abort()
			s.WaitImages(v1, v1, v1)
			return nothing
		}},
		reverting: {image: v2, reverting: true,
			reach: reachAfter(func(s harness.Set) { s.SetImage(v1) }, says("Reverting"))},
	}
}

// inPhases runs do in a namespace where db goes from v1 to a new version, in each of these phases, or in all.
func inPhases(t *testing.T, names []string, do func(t *testing.T, s harness.Set, p phase, proceed func())) {
	for name, p := range phases() {
		if names != nil && !slices.Contains(names, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := env.Namespace(t).CreateSet(db().Replicas(3).Obj())
			do(t, s, p, p.reach(t, s))
		})
	}
}
