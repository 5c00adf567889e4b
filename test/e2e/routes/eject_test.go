package routes

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestEjectGivesRoutesOfEachKindBack with sluice dead. The version that is left paused has no pods, and what is said of
// the routes nobody owns but who said it.
func TestEjectGivesRoutesOfEachKindBack(t *testing.T) {
	require.NoError(t, env.BuildPlugin())
	installed(t)
	var apps []*app
	for _, workload := range []string{canary.Deployment, canary.StatefulSet} {
		for _, k := range kinds {
			a := start(t, k, workload, harness.Steps("20%"))
			a.Unjudged() // eject owns fields for a moment
			a.setImage(v2)
			apps = append(apps, a)
		}
	}
	for _, a := range apps {
		a.waits(canary.Waiting, 1)
		a.shared(20)
	}
	t.Cleanup(func() { restart(t) })
	env.Sluice().Kill()
	for _, a := range apps {
		a.eject()
	}
}

// eject leaves the workload paused.
func (a *app) eject() {
	a.t.Helper()
	resource, name := a.workload()
	r := a.Plugin("admin", "eject", resource+"/"+name, "--leave-paused", "--yes", "--timeout=60s")
	require.Zero(a.t, r.Code, r)
	a.givenBack()
	a.gone()
	for _, route := range a.routes() {
		for _, entry := range route.GetManagedFields() {
			require.NotEqual(a.t, canary.EjectManager, entry.Manager, "%s", route.GetName())
		}
	}
	require.Nil(a.t, a.release())
	a.only(v1)
}

// only waits until all pods run an image.
func (a *app) only(image string) {
	a.t.Helper()
	if a.set != nil {
		a.set.WaitCount(image, 4)
		return
	}
	a.PodsOfEventually("web", v2, 0)
	a.PodsOfEventually("web", image, 4)
}
