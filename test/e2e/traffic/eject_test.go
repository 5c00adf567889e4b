package traffic

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/gateway"
)

// atOnce is how many apps share a death of sluice: as many as the machine serves without being late.
const atOnce = 6

// TestNoRequestIsLostByAnEject, nor before by a sluice that is dead for good, nor by the native rollout of what was
// held. Until eject comes requests are shared as they were when sluice died; a version that is left paused gets none
// until it is rolled out.
func TestNoRequestIsLostByAnEject(t *testing.T) {
	require.NoError(t, plane.Env.BuildPlugin())
	phases := ejectedPhases()
	for apps := range slices.Chunk(ejectedApps(phases), atOnce) {
		t.Run("sluice dead", func(t *testing.T) {
			t.Cleanup(func() {
				plane.Env.Sluice().Kill()
				_, err := plane.Env.StartSluice(context.WithoutCancel(t.Context()))
				require.NoError(t, err)
			})
			tests := map[string]func(*testing.T, *meeting){}
			for _, app := range apps {
				tests[app.phase+", "+app.kind.Name] = func(t *testing.T, m *meeting) {
					phases[app.phase].run(t, app.kind, m, func() { plane.Env.Sluice().Kill() })
				}
			}
			together(t, tests)
		})
	}
	t.Run("sluice alive", func(t *testing.T) {
		tests := map[string]func(*testing.T, *meeting){}
		attended := attendedPhases()
		for _, app := range append(ejectedApps(attended), ejectedApp{waitingPhase, gateway.Kinds[1]}) {
			tests[app.phase+", "+app.kind.Name] = func(t *testing.T, m *meeting) {
				attended[app.phase].run(t, app.kind, m, nil)
			}
		}
		together(t, tests)
	})
}

// ejectedApp is an app in a phase.
type ejectedApp struct {
	phase string
	kind  gateway.Kind
}

// ejectedApps has each phase once, with one kind of route and the other in turns.
func ejectedApps(phases map[string]ejectedPhase) []ejectedApp {
	var apps []ejectedApp
	for i, name := range slices.Sorted(maps.Keys(phases)) {
		apps = append(apps, ejectedApp{name, gateway.Kinds[i%len(gateway.Kinds)]})
	}
	return apps
}

// run brings an app to a phase, where sluice dies unless die is nil, and ejects it.
func (p ejectedPhase) run(t *testing.T, kind gateway.Kind, m *meeting, die func()) {
	a := p.start(t, kind)
	p.reach(a)
	p.inForce(a)
	m.attend(nil)
	if p.then != nil {
		p.then(a)
	}
	m.attend(die)
	p.unattended(a)
	p.eject(a)
	p.complete(a)
	a.nothingLost()
}
