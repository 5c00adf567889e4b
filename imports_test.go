// Package sluice_test holds the rule of the tree: imports go one way,
// cmd -> edges -> pure -> k8s.io/api, apimachinery, standard library.
package sluice_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "sluice.dev/sluice"

// layer says what a package may import.
type layer string

const (
	pure    layer = "pure"
	edge    layer = "edge"
	command layer = "command"
	support layer = "test support"
	unknown layer = ""
)

// layers places every package; a folder named with a slash at the end places
// all packages below it.
var layers = map[string]layer{
	"canary":               pure,
	"hashing":              pure,
	"webhook/ownership":    pure,
	"canary/controller":    edge,
	"canary/traffic":       edge,
	"canary/traffic/split": pure,
	"certs":                edge,
	"hashing/collector":    edge,
	"hashing/controller":   edge,
	"hashing/live":         edge,
	"manifests":            edge,
	"webhook":              edge,
	"cmd/":                 command,
	"test/":                support,
}

// between lists the only imports of an edge by another: reading config live is
// what admission and the config controller do to learn a digest, and snapshots
// are made by admission, and again by what collects them; and the controller of
// releases reads and steers traffic by the package that knows routes.
var between = map[string][]string{
	"canary/controller":  {"canary/traffic"},
	"webhook":            {"hashing/live"},
	"hashing/collector":  {"hashing/live"},
	"hashing/controller": {"hashing/live"},
}

// source is what the rules look at in one package.
type source struct {
	folder  string   // below the module's root, with slashes
	imports []string // of its files that are not tests
	clocks  []string // uses of the clock, as "file.go:12 time.Now"
}

func layerOf(folder string) layer {
	if l, ok := layers[folder]; ok {
		return l
	}
	top, _, _ := strings.Cut(folder, "/")
	return layers[top+"/"]
}

// violations returns one sentence per broken rule.
func violations(s source) []string {
	own := layerOf(s.folder)
	if own == unknown {
		return []string{s.folder + " is in no layer: place it in imports_test.go"}
	}
	var broken []string
	for _, imported := range s.imports {
		if reason := forbidden(s.folder, own, imported); reason != "" {
			broken = append(broken, fmt.Sprintf("%s imports %s: %s", s.folder, imported, reason))
		}
	}
	if own == pure {
		for _, use := range s.clocks {
			broken = append(broken, fmt.Sprintf("%s reads the clock, %s: time is an argument", s.folder, use))
		}
	}
	return broken
}

// forbidden returns why a package of this layer may not import that, or "".
func forbidden(folder string, own layer, imported string) string {
	local, isLocal := strings.CutPrefix(imported, module+"/")
	if !isLocal {
		return forbiddenOutside(own, imported)
	}
	switch target := layerOf(local); {
	case own == support:
		return ""
	case target == support:
		return "product code does not import test support"
	case own == command:
		return ""
	case target == command:
		return "only a command imports a command's packages"
	case own == pure && target == edge:
		return "pure does not import edges"
	case own == edge && target == edge && !slices.Contains(between[folder], local):
		return "edges do not import each other"
	}
	return ""
}

// A pure package takes values and returns values: nothing that waits, reaches
// out, or differs from run to run.
var impure = []string{"context", "crypto/rand", "math/rand", "math/rand/v2", "net", "os", "syscall", "testing"}

func forbiddenOutside(own layer, imported string) string {
	if own != pure {
		return ""
	}
	host, _, _ := strings.Cut(imported, "/")
	if strings.Contains(host, ".") {
		for _, allowed := range []string{"k8s.io/api/", "k8s.io/apimachinery/", "sigs.k8s.io/json", "sigs.k8s.io/structured-merge-diff/v6/"} {
			if strings.HasPrefix(imported, allowed) {
				return ""
			}
		}
		return "pure imports only k8s.io/api, apimachinery, their JSON and field sets, and the standard library"
	}
	for _, root := range impure {
		if imported == root || strings.HasPrefix(imported, root+"/") {
			return "pure takes values and returns values"
		}
	}
	return ""
}

func TestImportsGoOneWay(t *testing.T) {
	sources := sourcesOf(t, ".")
	require.NotEmpty(t, sources)
	for _, s := range sources {
		require.Empty(t, violations(s))
	}
}

func TestEachRuleNoticesItsViolation(t *testing.T) {
	const in = module + "/"
	tests := map[string]struct {
		source source
		want   string
	}{
		"pure may use the API types":             {source{folder: "canary", imports: []string{"k8s.io/api/apps/v1", "time"}}, ""},
		"pure may parse field sets":              {source{folder: "webhook/ownership", imports: []string{"sigs.k8s.io/structured-merge-diff/v6/fieldpath"}}, ""},
		"pure may import pure":                   {source{folder: "canary", imports: []string{in + "hashing"}}, ""},
		"pure does not import edges":             {source{folder: "hashing", imports: []string{in + "hashing/live"}}, "pure does not import edges"},
		"pure has no client":                     {source{folder: "canary", imports: []string{"k8s.io/client-go/rest"}}, "pure imports only"},
		"pure has no context":                    {source{folder: "canary", imports: []string{"context"}}, "pure takes values"},
		"pure has no network":                    {source{folder: "canary", imports: []string{"net/http"}}, "pure takes values"},
		"pure reads no clock":                    {source{folder: "canary", clocks: []string{"a.go:1 time.Now"}}, "time is an argument"},
		"an edge may read the clock":             {source{folder: "certs", clocks: []string{"a.go:1 time.Now"}}, ""},
		"edges do not import each other":         {source{folder: "certs", imports: []string{in + "webhook"}}, "edges do not import each other"},
		"the webhook reads config live":          {source{folder: "webhook", imports: []string{in + "hashing/live"}}, ""},
		"an edge does not import a command":      {source{folder: "webhook", imports: []string{in + "cmd/sluice/server"}}, "only a command"},
		"a command imports what it wires":        {source{folder: "cmd/sluice", imports: []string{in + "certs", in + "cmd/sluice/dev"}}, ""},
		"a command does not import test support": {source{folder: "cmd/sluice", imports: []string{in + "test/builders"}}, "test support"},
		"a package without a layer is noticed":   {source{folder: "util"}, "in no layer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := violations(test.source)
			if test.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Contains(t, got[0], test.want)
		})
	}
}

func TestTheClockIsFoundUnderAnyName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "late.go")
	content := "package late\n\nimport clock \"time\"\n\nfunc late() clock.Time { return clock.Now() }\n"
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))

	imports, clocks, err := scan(file)

	require.NoError(t, err)
	require.Equal(t, []string{"time"}, imports)
	require.Equal(t, []string{"late.go:5 time.Now"}, clocks)
}

// sourcesOf reads every package of this module below root.
func sourcesOf(t *testing.T, root string) []source {
	t.Helper()
	found := map[string]*source{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return outsideModule(root, file, entry.Name())
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		folder := path.Dir(filepath.ToSlash(file))
		if found[folder] == nil {
			found[folder] = &source{folder: folder}
		}
		imports, clocks, err := scan(file)
		found[folder].imports = append(found[folder].imports, imports...)
		found[folder].clocks = append(found[folder].clocks, clocks...)
		return err
	})
	require.NoError(t, err)
	var sources []source
	for _, s := range found {
		sources = append(sources, *s)
	}
	return sources
}

// outsideModule skips what go build ./... skips too.
func outsideModule(root, folder, name string) error {
	if folder == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// scan returns what a file imports and where it reads the clock.
func scan(file string) (imports, clocks []string, err error) {
	positions := token.NewFileSet()
	parsed, err := parser.ParseFile(positions, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	timeName := ""
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, nil, err
		}
		imports = append(imports, imported)
		if imported == "time" {
			timeName = "time"
			if spec.Name != nil {
				timeName = spec.Name.Name
			}
		}
	}
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	ast.Inspect(parsed, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok || !slices.Contains(clock, selector.Sel.Name) {
			return true
		}
		if of, ok := selector.X.(*ast.Ident); ok && of.Name == timeName {
			line := positions.Position(selector.Pos()).Line
			clocks = append(clocks, fmt.Sprintf("%s:%d time.%s", filepath.Base(file), line, selector.Sel.Name))
		}
		return true
	})
	return imports, clocks, nil
}
