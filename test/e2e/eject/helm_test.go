package eject

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestTheNextHelmUpgradeHasNoConflictWithEject: Helm 4 applies on the server, where owners count.
func TestTheNextHelmUpgradeHasNoConflictWithEject(t *testing.T) {
	var scenarios []scenario
	for _, helm := range []string{"helm3", "helm4"} {
		for _, ending := range anyEnding {
			if helm == "helm3" && ending != canary.EndReverted {
				continue // it knows no owners
			}
			scenarios = append(scenarios, scenario{helm + " " + string(ending), func(t *testing.T) func() {
				t.Helper()
				n := env.Namespace(t)
				n.Unjudged()
				n.Run(helm, "install", "web", harness.Chart(), "--set", "replicas=3,image="+v1)
				n.WaitStable("web")
				n.Run(helm, "upgrade", "web", harness.Chart(), "--set", "replicas=3,image="+v2)
				waiting(n)
				return func() {
					markEnding(n, "deployment", ending)
					ejected(t, n, "deploy/web", "--"+string(ending))
					if ending == canary.EndPaused {
						n.Kubectl("rollout", "resume", "deployment/web")
					}
					n.Run(helm, "upgrade", "web", harness.Chart(), "--set", "replicas=3,image="+v3)
					n.WaitStable("web")
					n.PodsOfEventually("web", v3, 3)
					require.Equal(t, "false", n.Deployment("web").Labels[canary.EnabledLabel])
					requirePlain(t, n.Deployment("web"), true)
				}
			}})
		}
	}
	whileDead(t, scenarios)
}
