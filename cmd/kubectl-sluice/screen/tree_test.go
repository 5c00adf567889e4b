package screen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
)

// fieldsOf returns what managers hold, in the order of a tree.
func fieldsOf(claims map[string][]fieldpath.Path) []report.OwnedField {
	owners := map[string][]report.FieldOwner{}
	all := fieldpath.NewSet()
	for _, manager := range []string{"a", "b", "c"} {
		for _, path := range claims[manager] {
			all.Insert(path)
			owners[path.String()] = append(owners[path.String()], report.FieldOwner{Manager: manager})
		}
	}
	var fields []report.OwnedField
	all.Iterate(func(path fieldpath.Path) {
		fields = append(fields, report.OwnedField{Path: path.String(), Steps: path.Copy(), Owners: owners[path.String()]})
	})
	slices.SortFunc(fields, func(x, y report.OwnedField) int { return x.Steps.Compare(y.Steps) })
	return fields
}

func TestWhatTheSameOwnersHoldIsOneRow(t *testing.T) {
	path := fieldpath.MakePathOrDie
	app := fieldpath.KeyByFields("name", "app")
	tests := map[string]struct {
		claims map[string][]fieldpath.Path
		want   []string
	}{
		"a chain is one row": {
			claims: map[string][]fieldpath.Path{"a": {path("spec", "template", "spec", "dnsPolicy")}},
			want:   []string{".spec.template.spec.dnsPolicy a"},
		},
		"a subtree is one row": {
			claims: map[string][]fieldpath.Path{"a": {path("spec", "x", "p"), path("spec", "x", "q"), path("spec", "y")}},
			want:   []string{".spec (3) a"},
		},
		"siblings are one row": {
			claims: map[string][]fieldpath.Path{"a": {path("spec", "x"), path("spec", "z")}, "b": {path("spec", "y")}},
			want:   []string{".spec", "  .x, .z (2) a", "  .y b"},
		},
		"names that get too long are left out": {
			claims: map[string][]fieldpath.Path{"a": {path("spec", "x"), path("spec", strings.Repeat("y", 40))}, "b": {path("spec", "z")}},
			want:   []string{".spec", "  .x, ... (2) a", "  .z b"},
		},
		"other co-owners are another row": {
			claims: map[string][]fieldpath.Path{"a": {path("spec", "x"), path("spec", "y")}, "b": {path("spec", "y")}},
			want:   []string{".spec", "  .x a", "  .y a b"},
		},
		"who holds a field holds what it is in": {
			claims: map[string][]fieldpath.Path{"a": {path("spec", app), path("spec", app, "name"), path("spec", app, "image")}, "b": {path("spec", app, "args")}},
			want:   []string{`.spec[name="app"]`, "  .args b", "  .image a"},
		},
		"who holds but the struct is shown": {
			claims: map[string][]fieldpath.Path{"a": {path("spec")}, "b": {path("spec", "x"), path("spec", "y")}},
			want:   []string{".spec a", "  .x, .y (2) b"},
		},
		"who holds but the item's key is shown": {
			claims: map[string][]fieldpath.Path{"a": {path("spec", app, "name")}, "b": {path("spec", app), path("spec", app, "name"), path("spec", app, "x")}},
			want:   []string{`.spec[name="app"] a`, "  .x b"},
		},
		"an item without other fields is one": {
			claims: map[string][]fieldpath.Path{"a": {path("spec", app), path("spec", app, "name")}},
			want:   []string{`.spec[name="app"] a`},
		},
		"names with dots are no chains": {
			claims: map[string][]fieldpath.Path{"a": {path("data", "x.y")}, "b": {path("data", "x")}},
			want:   []string{".data", "  .x b", "  .x.y a"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tree := treeOf(fieldsOf(test.claims))
			tree.fold()
			var rows []string
			tree.walk(0, func(label string, n *node) {
				if n.count > 1 {
					label += fmt.Sprintf(" (%d)", n.count)
				}
				for _, owner := range n.owners {
					label += " " + owner.Manager
				}
				rows = append(rows, label)
			})
			require.Equal(t, test.want, rows)
		})
	}
}

func TestConflictsAreShownWithoutControlCharacters(t *testing.T) {
	lines, err := Conflicts(&report.FieldConflicts{Items: []report.ObjectConflicts{{
		Object: report.Object{Word: "gadget\x1b", Name: "a\nb"}, Exists: true, Notes: []string{"x\x07"},
		Conflicts: []report.FieldConflict{{Field: ".a\tb\u009b2J", FieldOwner: report.FieldOwner{Manager: "\x1b[31m\r\nevil", PlainWrite: report.Refused}}},
	}}}, time.Time{})
	require.NoError(t, err)
	for _, line := range lines {
		require.NotRegexp(t, `[[:cntrl:]\x{80}-\x{9f}]`, line.Text)
	}
	require.Equal(t, `.a^Ib\u009b2J   ^[[31m^M^Jevil               <unknown>   refused`, lines[3].Text)
	require.Equal(t, Bad, lines[3].Style)
}
