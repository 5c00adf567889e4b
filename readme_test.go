package sluice_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	key       = regexp.MustCompile(`sluice\.dev/[a-z]+(-[a-z]+)*`)
	wholeText = regexp.MustCompile(`^` + key.String() + `$`)
)

func TestReadmeNamesEveryKeyThatPeopleMeet(t *testing.T) {
	declared := keysOf(t, filepath.Join("canary", "annotations.go"))
	require.Contains(t, declared, "sluice.dev/steps", "the test has lost its subject")

	require.Subset(t, keysOfReadme(t), declared)
}

func TestReadmeNamesNoKeyThatTheCodeDoesNotKnow(t *testing.T) {
	var known []string
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return outsideModule(".", file, entry.Name())
		case layerOf(filepath.ToSlash(filepath.Dir(file))) != support && isProduct(file):
			known = append(known, keysOf(t, file)...)
		}
		return nil
	})
	require.NoError(t, err)

	require.Subset(t, known, keysOfReadme(t))
}

func isProduct(file string) bool {
	return strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
}

func keysOfReadme(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	found := key.FindAllString(string(content), -1)
	require.NotEmpty(t, found)
	return found
}

// keysOf returns the string constants of a file that are keys.
func keysOf(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var found []string
	ast.Inspect(parsed, func(node ast.Node) bool {
		literal, ok := node.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		if text, err := strconv.Unquote(literal.Value); err == nil && wholeText.MatchString(text) {
			found = append(found, text)
		}
		return true
	})
	return found
}
