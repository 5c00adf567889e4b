package cluster

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsersHaveTheRightsOfThePackageComment(t *testing.T) {
	tests := map[string]struct {
		user, may string
		want      string
	}{
		"admin may anything":                 {"admin", "delete nodes", "yes"},
		"alice may update deployments":       {"alice", "update deployments.apps", "yes"},
		"alice may create ingresses":         {"alice", "create ingresses.networking.k8s.io", "yes"},
		"alice may not bypass":               {"alice", "bypass deployments.apps", "no"},
		"alice may not create roles":         {"alice", "create clusterroles", "no"},
		"bob may update deployments":         {"bob", "update deployments.apps", "yes"},
		"bob may scale statefulsets":         {"bob", "patch statefulsets.apps/scale", "yes"},
		"bob may write secrets":              {"bob", "create secrets", "yes"},
		"bob may watch replica sets":         {"bob", "watch replicasets.apps", "yes"},
		"bob may not write replica sets":     {"bob", "update replicasets.apps", "no"},
		"bob may not delete pods":            {"bob", "delete pods", "no"},
		"bob may not promote":                {"bob", "promote deployments.apps", "no"},
		"bob may not abort":                  {"bob", "abort deployments.apps", "no"},
		"carol may look":                     {"carol", "list deployments.apps", "yes"},
		"carol may not touch":                {"carol", "patch deployments.apps", "no"},
		"carol may not read secrets":         {"carol", "get secrets", "no"},
		"sluice may nothing of itself":       {"sluice", "list deployments.apps", "no"},
		"the scheduler may bind pods":        {"kube-scheduler", "create pods/binding", "yes"},
		"the scheduler may not create roles": {"kube-scheduler", "create clusterroles", "no"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"auth", "can-i"}, strings.Fields(subresource(test.may))...)
			out, _ := tryKubectl(test.user, "", args...) // "no" is exit code 1
			lines := strings.Split(out, "\n")
			require.Equal(t, test.want, lines[len(lines)-1])
		})
	}
}

// subresource turns "patch statefulsets.apps/scale" into kubectl's words.
func subresource(may string) string {
	resource, sub, found := strings.Cut(may, "/")
	if !found {
		return may
	}
	return resource + " --subresource=" + sub
}

func TestUserIsKnownByItsUsernameAndGroups(t *testing.T) {
	require.Equal(t,
		"system:serviceaccount:sluice-system:sluice system:serviceaccounts system:serviceaccounts:sluice-system system:authenticated",
		kubectl(t, "sluice", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups[*]}"))
}

func TestTokenOfAServiceAccountAuthenticatesIt(t *testing.T) {
	ns := namespace(t)
	kubectl(t, "admin", "create", "serviceaccount", "robot", "-n", ns)
	_, err := shared.WriteKubeconfig("robot", kubectl(t, "admin", "create", "token", "robot", "-n", ns))
	require.NoError(t, err)
	require.Equal(t, "system:serviceaccount:"+ns+":robot",
		kubectl(t, "robot", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"))
}

func TestUnknownUserIsAPanicThatNamesTheKnownOnes(t *testing.T) {
	require.PanicsWithValue(t, `the cluster has no user "mallory"; it has admin, alice, bob, carol, sluice, `+
		`kube-controller-manager, kube-scheduler, kwok`, func() { shared.Token("mallory") })
}
