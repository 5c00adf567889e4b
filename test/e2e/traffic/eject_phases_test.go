package traffic

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// ejectedPhase is a point in a release at which kubectl sluice eject comes.
type ejectedPhase struct {
	// reach brings the app there; then what goes on by itself begins when all are there.
	reach, then func(a *app)
	// set: of a StatefulSet "db" of five pods; else of a Deployment "web" of ten.
	set bool
	// known: the version ran before, and is promoted beside the native rollout.
	known   bool
	steps   string // of the release; empty: one of 20 %
	options []harness.Option
	image   string // the new version; empty: v2

	// weight is what the route gives to the canary, in percent. Shared: requests go to the Service itself, and so to
	// two pods of the canary beside ten. Header is whose requests are the canary's in any case.
	weight float64
	shared bool
	header string
	// native: Kubernetes replaces the stable pods by itself.
	native bool

	// decided: how the release ends was decided, so that nobody says it; else it is left paused. Reverted: it ends
	// with the stable version.
	decided, reverted bool
	// promote: the person who ejects it decides that it is promoted.
	promote bool
}

const (
	waitingPhase = "Waiting at 20 %"
	waitingSet   = "Waiting, a StatefulSet"
	lateV2       = "example/app:v2-late-4s" // a pod is ready four seconds after it was made
	canaryHeader = "x-canary=yes"
)

// attendedPhases are those in which sluice is alive, and tidies up beside eject once it has ended the release.
func attendedPhases() map[string]ejectedPhase {
	all := ejectedPhases()
	return map[string]ejectedPhase{
		waitingPhase:               all[waitingPhase],
		waitingSet:                 all[waitingSet],
		"Waiting, to be promoted":  {weight: 20, decided: true, promote: true, reach: func(a *app) { a.hold(v2) }},
		"Waiting, full size, at 0": {steps: "0%/100%, 100%", reach: func(a *app) { a.hold(v2) }},
	}
}

func ejectedPhases() map[string]ejectedPhase {
	return map[string]ejectedPhase{
		"Progressing with weight 0": {reach: func(a *app) {
			a.stopAt(writes("", `\"weight\":20`), func() { a.SetImage("web", v2) })
			a.PodsOfEventually("web", v2, 2)
		}},
		waitingPhase: {weight: 20, reach: func(a *app) { a.hold(v2) }},
		"Waiting at 60 %, a later step": {steps: "20%, 60%", weight: 60, reach: func(a *app) {
			a.hold(v2)
			a.next(2)
		}},
		"Waiting at 100 %, with a canary of full size": {steps: "100%/100%", weight: 100, reach: func(a *app) { a.hold(v2) }},
		"Waiting, with the requests that match": {steps: "0%/20%, 50%", header: canaryHeader,
			options: []harness.Option{harness.Annotation(canary.MatchAnnotation, "header:"+canaryHeader)},
			reach:   func(a *app) { a.hold(v2) }},
		waitingSet: {set: true, weight: 20, reach: func(a *app) {
			s := harness.Set{Namespace: a.Namespace}
			s.SetImage(v2)
			s.WaitPhase(canary.Waiting, 1)
		}},
		"approved": {shared: true, reach: afterApproval(writes("deployments", "Adopting"))},
		"Promoting, before the relabel": {shared: true, decided: true,
			reach: afterApproval(writes("replicasets", "deployment.kubernetes.io/max-replicas"))},
		"Promoting, before the unpause": {shared: true, decided: true,
			reach: afterApproval(writes("deployments", "Finishing"))},
		"Promoting a canary of full size, adopted": {steps: "100%/100%", weight: 100, decided: true, reach: func(a *app) {
			a.hold(v2)
			a.stopAt(writes(a.kind.Resource.Resource, ""), func() { a.Approve("web") })
		}},
		"Promoting, after the unpause": {image: lateV2, native: true, weight: 20, decided: true,
			reach: func(a *app) { a.hold(lateV2) }, then: rollsOut},
		"Promoting by C, before the unpause": {known: true, shared: true,
			reach: afterApproval(writes("deployments", `\"sequence\":\"C\"`))},
		"Promoting by C, after the unpause": {known: true, image: lateV2, native: true, weight: 20, decided: true,
			reach: func(a *app) { a.hold(lateV2) }, then: rollsOut},
		"Aborted, while its canary has its share": {weight: 20, reach: func(a *app) {
			a.hold(v2)
			a.stopAt(writes(a.kind.Resource.Resource, ""), func() { a.Abort("web") })
		}},
		"Aborted, before its pods go": {reach: func(a *app) {
			a.hold(v2)
			a.stopAt(writes("replicasets", ""), func() { a.Abort("web") })
		}},
		"Aborted": {reach: func(a *app) {
			a.hold(v2)
			a.Abort("web")
			a.WaitPhase("web", canary.Aborted, 1)
			a.PodsOfEventually("web", v2, 0)
			a.settle(v1)
		}},
		"Reverting, while its canary has its share": {weight: 20, decided: true, reverted: true, reach: func(a *app) {
			a.hold(v2)
			a.stopAt(writes(a.kind.Resource.Resource, ""), func() { a.SetImage("web", v1) })
		}},
		"Reverting, before its pods go": {decided: true, reverted: true, reach: func(a *app) {
			a.hold(v2)
			a.stopAt(writes("replicasets", ""), func() { a.SetImage("web", v1) })
		}},
	}
}

// writes matches those of a resource, empty for any, whose body has a text.
func writes(resource, text string) func(harness.Write) bool {
	return func(w harness.Write) bool {
		return w.Method != http.MethodGet && (resource == "" || w.Resource == resource) && strings.Contains(w.Body, text)
	}
}

func afterApproval(match func(harness.Write) bool) func(*app) {
	return func(a *app) {
		a.t.Helper()
		a.hold(v2)
		a.stopAt(match, func() { a.Approve("web") })
	}
}

// rollsOut approves and returns when the native rollout is under way, after which sluice clears nothing up.
func rollsOut(a *app) {
	a.t.Helper()
	plane.Env.Proxy.Interfere(a.Name, func(w harness.Write) harness.Fault {
		if (w.Resource == "replicasets" && w.Method == http.MethodDelete) || writes("deployments", `"sluice.dev/release":null`)(w) {
			return harness.Internal
		}
		return harness.Pass
	})
	a.Approve("web")
	a.WaitDeployment("web", "the native rollout goes on", func(d *appsv1.Deployment) bool {
		r, err := canary.DecodeRelease(d.Annotations)
		return err == nil && r != nil && r.Stage == canary.Finishing && !d.Spec.Paused
	})
}

// stopAt acts, and keeps sluice from making the writes that match: it tries, and comes no further.
func (a *app) stopAt(match func(harness.Write) bool, act func()) {
	a.t.Helper()
	reached := make(chan struct{})
	once := sync.OnceFunc(func() { close(reached) })
	plane.Env.Proxy.Interfere(a.Name, func(w harness.Write) harness.Fault {
		if !match(w) {
			return harness.Pass
		}
		once()
		return harness.Internal
	})
	act()
	select {
	case <-reached:
	case <-time.After(time.Minute):
		require.Fail(a.t, "sluice never came to the write that the test waits for")
	}
}
