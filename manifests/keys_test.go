package manifests_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// elsewhere are the keys that are not the workload's own: they stand on other
// objects or in its pod template, and a change of them matters in other ways.
var elsewhere = map[string]string{
	"sluice.dev/overrides":       "on Namespaces",
	"sluice.dev/config-hash":     "in pod templates",
	"sluice.dev/config-at-once":  "on ConfigMaps and Secrets",
	"sluice.dev/snapshot":        "on snapshots",
	"sluice.dev/snapshot-of":     "on snapshots",
	"sluice.dev/snapshot-used":   "on snapshots",
	"sluice.dev/force-conflicts": "good for the write that sets it, where package webhook/ownership looks",
	"sluice.dev/split":           "on routes, where routes.sluice.dev looks",
	"sluice.dev/rotate":          "on sluice's Secret of hash keys",
	"sluice.dev/rotation":        "on sluice's Secret of hash keys",
	"sluice.dev/service":         "on sluice's Services",
	"sluice.dev/workload":        "on what sluice makes",
	"sluice.dev/phase":           "on what sluice makes",
	"sluice.dev/step":            "on what sluice makes",
	"sluice.dev/weight":          "on what sluice makes",
}

// The conditions list the keys one by one: in the API server, walking all
// annotations takes seconds when there are tens of thousands, and whoever may
// edit a workload may put them there.
func TestEveryKeyOfTheCodeIsInTheConditionsAndInThePolicy(t *testing.T) {
	policy := statusPolicy(t)
	texts := map[string]string{
		"the policy": policy.Variables[0].Expression + policy.Variables[1].Expression,
	}
	for _, name := range []string{"mutating workloads.sluice.dev", "validating workloads.sluice.dev"} {
		texts[name] = entries(t)[name].MatchConditions[1].Expression
	}
	keys := keysInCode(t)
	require.NotEmpty(t, keys)
	for key, file := range keys {
		if _, other := elsewhere[key]; other {
			continue
		}
		for place, text := range texts {
			require.Contains(t, text, strconv.Quote(key), "%s of %s is missing in %s", key, file, place)
		}
	}
}

var keyPattern = regexp.MustCompile(`^sluice\.dev/[a-z][a-z-]*$`)

// keysInCode returns the string constants of the product's code that are keys,
// and the file that each is declared in.
func keysInCode(t *testing.T) map[string]string {
	t.Helper()
	keys := map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(path, entry.Name())
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if key, ok := stringLiteral(node); ok && keyPattern.MatchString(key) {
				keys[key] = path
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	return keys
}

func skip(path, name string) error {
	if path == "../test" || name == ".git" || name == ".cache" {
		return filepath.SkipDir
	}
	return nil
}

func stringLiteral(node ast.Node) (string, bool) {
	literal, ok := node.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}
