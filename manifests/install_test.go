package manifests_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/manifests"
)

var update = flag.Bool("update", false, "write install.yaml anew")

func TestInstallIsMadeFromTheOtherFiles(t *testing.T) {
	want, err := manifests.Install()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("install.yaml", want, 0o644))
	}

	got, err := os.ReadFile("install.yaml")
	require.NoError(t, err)

	require.Equal(t, string(want), string(got), "install.yaml is stale: run go generate ./manifests")
}

func TestEveryManifestIsInstalled(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	install, err := manifests.Install()
	require.NoError(t, err)
	for _, entry := range entries {
		name := entry.Name()
		if name == "install.yaml" || name == "pin.yaml" || name == "ownership.yaml" || // for those alone who want it
			len(name) < 5 || name[len(name)-5:] != ".yaml" {
			continue
		}
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(install), string(content), "%s is not part of install.yaml", name)
	}
}
