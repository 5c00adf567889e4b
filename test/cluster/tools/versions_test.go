package tools

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func output(program string, into io.Writer) error {
	cmd := exec.Command(program)
	cmd.Stdout, cmd.Stderr = into, into
	return cmd.Run()
}

func TestPackageCommentNamesThePinnedVersions(t *testing.T) {
	c, err := Open()
	require.NoError(t, err)
	doc, err := os.ReadFile(filepath.Join(c.programs, "..", "..", "doc.go"))
	require.NoError(t, err)
	for _, tool := range All {
		version, err := tool.version(c.programs)
		require.NoError(t, err)
		row := fmt.Sprintf(`(?m)^//\t%s +%s +.*\b%s\b`, regexp.QuoteMeta(tool.Module), regexp.QuoteMeta(version), tool.Name)
		require.Regexp(t, row, string(doc))
	}
}

func TestLinkFlagsCarryTheVersion(t *testing.T) {
	require.Equal(t, "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.0"+
		" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37",
		kubernetes("kubectl").linkFlags("v1.37.0"))
	require.Equal(t, "-s -w", Tool{}.linkFlags("v3.7.3"))
}

func TestVersionThatIsNotPinnedIsAnError(t *testing.T) {
	programs := t.TempDir()
	file := filepath.Join(programs, "go.mod")
	require.NoError(t, os.WriteFile(file, []byte("module x\n"), 0o644))
	_, err := Tool{Name: "etcd", Module: "go.etcd.io/etcd/server/v3"}.version(programs)
	require.EqualError(t, err, "reading the version of etcd: "+file+" does not require go.etcd.io/etcd/server/v3")
}

func TestCacheFolderIsThatOfTheEnvironment(t *testing.T) {
	t.Setenv("SLUICE_CACHE", "/elsewhere")
	c, err := Open()
	require.NoError(t, err)
	require.Equal(t, "/elsewhere/bin/kubectl", c.Path("kubectl"))
	t.Setenv("SLUICE_CACHE", "")
	c, err = Open()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(c.programs, "..", "..", "..", "..", ".cache", "cluster"), c.Dir)
}
