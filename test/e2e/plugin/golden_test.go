package plugin

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/harness"
)

// golden compares what a command showed with a file of testdata.
func golden(t *testing.T, n *harness.Namespace, name string, r harness.Result) {
	t.Helper()
	goldenText(t, n, name, r.Stdout+r.Stderr)
}

func goldenText(t *testing.T, n *harness.Namespace, name, text string) {
	t.Helper()
	got := settled(n, text)
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "-update writes it")
	require.Equal(t, string(want), got, file)
}

// volatile is what differs from run to run, and what stands for it. Columns keep the widths that they
// have with ages of two or three characters.
var volatile = []struct {
	pattern *regexp.Regexp
	stands  func(found string) string
}{
	{regexp.MustCompile(`\b(web|db)-[a-z0-9]{8,10}(-[a-z0-9]{5})?\b`), hidden},
	{regexp.MustCompile(`(?m)^shop +`), always("shop        ")},
	{regexp.MustCompile(`\bAGE {3,}`), always("AGE   ")},
	{regexp.MustCompile(`\b(\d+m)?\d+s {3,}`), always("9s    ")},
	{regexp.MustCompile(`(?m)  (\d+m)?\d+s$`), always("  9s")},
	{regexp.MustCompile(`Waiting for (\d+m)?\d+s`), always("Waiting for 9s")},
	{regexp.MustCompile(`Aborted for (\d+m)?\d+s`), always("Aborted for 9s")},
	// The first release of a Deployment is release 2. When the others begin depends on how many writes were
	// made meanwhile.
	{regexp.MustCompile(`release ([3-9]|\d\d+)\b`), always("release N")},
	{regexp.MustCompile(`Release:     ([3-9]|\d\d+)\b`), always("Release:     N")},
	{regexp.MustCompile(`retry=\d+`), always("retry=N")},
	{regexp.MustCompile(`approve=\d+`), always("approve=N")},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), always("127.0.0.1:PORT")},
}

func always(text string) func(string) string { return func(string) string { return text } }

// hidden keeps a name's length: "web-7df98fb9b-c7xtx" becomes "web-hhhhhhhhh-hhhhh".
func hidden(name string) string {
	workload, rest, _ := strings.Cut(name, "-")
	return workload + "-" + strings.Map(func(r rune) rune {
		if r == '-' {
			return r
		}
		return 'h'
	}, rest)
}

func settled(n *harness.Namespace, text string) string {
	text = strings.ReplaceAll(text, n.Name, "shop")
	for _, v := range volatile {
		text = v.pattern.ReplaceAllStringFunc(text, v.stands)
	}
	return text
}
