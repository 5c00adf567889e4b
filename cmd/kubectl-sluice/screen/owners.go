package screen

import (
	"fmt"
	"strings"
	"time"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/webhook/ownership"
)

// Owners shows who owns the fields of an object, as a tree. Unless all are wanted, what the same owners hold is
// one row.
func Owners(r *report.FieldOwners, now time.Time, all bool) ([]Line, error) {
	lines := []Line{field("Name", r.Object.Word+"/"+r.Object.Name, Strong)}
	if r.Object.Namespace != "" {
		lines = append(lines, field("Namespace", r.Object.Namespace, Plain))
	}
	lines = append(lines, field("Ownership", rule(r.Ownership), Plain))
	lines = append(append(lines, notes(r.Notes)...), Line{})
	if len(r.Fields) == 0 {
		return append(lines,
			plain("Nobody owns its fields: it has no managedFields."),
			plain("Nothing is protected until somebody applies it server-side.")), nil
	}
	tree, folded := treeOf(r.Fields), false
	if !all {
		tree.fold()
	}
	t := newTable("FIELD", "MANAGER", "OPERATION", "AGE", "PLAIN WRITE")
	tree.walk(0, func(label string, n *node) {
		if n.count > 1 {
			label, folded = fmt.Sprintf("%s (%d fields)", label, n.count), true
		}
		if len(n.owners) == 0 {
			t.add(Plain, word(label), "", "", "", "")
		}
		for i, owner := range n.owners {
			if i > 0 {
				label = ""
			}
			t.add(ownedStyle(owner), append([]any{word(label)}, ownerCells(owner, now)...)...)
		}
	})
	rows, err := t.lines()
	lines = append(lines, rows...)
	if folded {
		lines = append(lines, Line{}, styled("--all shows every field.", Faint))
	}
	return lines, err
}

// Conflicts shows what an apply of files would conflict with, and the ways out.
func Conflicts(r *report.FieldConflicts, now time.Time) ([]Line, error) {
	var lines []Line
	others := false
	for i, item := range r.Items {
		if i > 0 && (len(item.Conflicts) > 0 || len(r.Items[i-1].Conflicts) > 0) {
			lines = append(lines, Line{})
		}
		lines = append(lines, styled(found(item), Strong))
		lines = append(lines, notes(item.Notes)...)
		if len(item.Conflicts) == 0 {
			continue
		}
		t := newTable("FIELD", "MANAGER", "OPERATION", "AGE", "PLAIN WRITE")
		for _, conflict := range item.Conflicts {
			others = others || conflict.PlainWrite != report.Own
			t.add(conflictStyle(conflict.PlainWrite), append([]any{word(conflict.Field)}, ownerCells(conflict.FieldOwner, now)...)...)
		}
		rows, err := t.lines()
		if err != nil {
			return nil, err
		}
		lines = append(lines, rows...)
	}
	if others {
		lines = append(lines, Line{},
			plain("To go on: agree (write the value that is there), give it up (leave the field out of the file),"),
			plain("or force it (kubectl apply --server-side --force-conflicts)."))
	}
	return lines, nil
}

// found is what came of one object of a file.
func found(item report.ObjectConflicts) string {
	name := item.Object.Word + "/" + item.Object.Name
	if item.Object.Namespace != "" {
		name += " in namespace " + item.Object.Namespace
	}
	switch len(item.Conflicts) {
	case 0:
		if !item.Exists {
			return name + ": it does not exist yet, so nobody owns its fields"
		}
		return name + ": no conflict"
	case 1:
		return name + ": 1 conflict; ownership: " + rule(item.Ownership)
	}
	return fmt.Sprintf("%s: %d conflicts; ownership: %s", name, len(item.Conflicts), rule(item.Ownership))
}

// rule is the mode, and where it comes from.
func rule(o report.Ownership) string {
	switch {
	case o.Unchecked != "":
		return "not checked: " + o.Unchecked
	case o.Mode == "":
		return "<unknown>"
	case o.From == string(ownership.FromNamespace):
		return fmt.Sprintf("%s (%s of the Namespace)", o.Mode, ownership.ModeAnnotation)
	case o.From == string(ownership.FromWorkload):
		return fmt.Sprintf("%s (%s of the workload)", o.Mode, ownership.ModeAnnotation)
	}
	return o.Mode + " (the default)"
}

func ownerCells(o report.FieldOwner, now time.Time) []any {
	operation, meets := o.Operation, o.PlainWrite
	if o.Subresource != "" {
		operation += " (" + o.Subresource + ")"
	}
	if meets == report.Warned && o.Protected {
		meets += " (protected)"
	}
	return []any{word(o.Manager), word(operation), age(o.Since, now), meets}
}

// word is a text that stays in its cell.
func word(text string) string { return strings.ReplaceAll(Escape(text), "\n", "^J") }

func ownedStyle(o report.FieldOwner) Style {
	switch o.PlainWrite {
	case report.Refused:
		return Strong
	case report.Ignored:
		return Faint
	}
	return Plain
}

func conflictStyle(meets string) Style {
	switch meets {
	case report.Refused:
		return Bad
	case report.Warned, report.Unknown:
		return Warn
	}
	return Plain
}
