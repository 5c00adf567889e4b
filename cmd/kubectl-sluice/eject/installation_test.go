package eject

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The policy of pinned config goes like sluice's other ones: pods then read the objects themselves.
func TestEverythingThatStandsInTheWayOfTheAPIServerIsTakenOut(t *testing.T) {
	all, err := registered()
	require.NoError(t, err)
	var names []string
	for _, i := range all {
		names = append(names, i.resource.Resource+"/"+i.name)
	}
	require.Equal(t, []string{
		"mutatingwebhookconfigurations/sluice", "validatingwebhookconfigurations/sluice", "validatingwebhookconfigurations/sluice-ownership",
		"mutatingadmissionpolicybindings/pin.sluice.dev", "mutatingadmissionpolicies/pin.sluice.dev",
		"validatingadmissionpolicybindings/sluice-status", "validatingadmissionpolicybindings/sluice-opt-out",
		"validatingadmissionpolicybindings/sluice-defaults",
		"validatingadmissionpolicies/sluice-status", "validatingadmissionpolicies/sluice-opt-out",
		"validatingadmissionpolicies/sluice-defaults",
	}, names)
}
