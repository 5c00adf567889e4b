package screen

import (
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
)

// node is a field in the tree of an object's owned fields.
type node struct {
	label    string
	step     fieldpath.PathElement
	owners   []report.FieldOwner
	children []*node
	// count is how many fields the row stands for.
	count int
}

// treeOf makes a tree of fields that are sorted.
func treeOf(fields []report.OwnedField) *node {
	root := &node{}
	for _, field := range fields {
		at := root
		for _, step := range field.Steps {
			at = at.child(step)
		}
		at.owners = field.Owners
	}
	return root
}

// child returns the child of a step; it is the last one, or new.
func (n *node) child(step fieldpath.PathElement) *node {
	if last := len(n.children) - 1; last >= 0 && n.children[last].step.Equals(step) {
		return n.children[last]
	}
	made := &node{label: step.String(), step: step, count: 1}
	n.children = append(n.children, made)
	return made
}

// fold makes one row of what the same owners hold: of a subtree, and of siblings. What goes without saying is left
// out: that who owns a field of a struct or an item holds the struct or item, and the fields that are an item's key.
func (n *node) fold() {
	for _, child := range n.children {
		child.fold()
	}
	n.dropKeys()
	if len(n.children) == 0 {
		return
	}
	n.owners = slices.DeleteFunc(slices.Clone(n.owners), n.holdBelow)
	if n.label == "" {
		return // the root is not a field
	}
	siblings := len(n.children)
	n.group()
	if only := n.children[0]; len(n.children) == 1 && len(only.children) == 0 && len(n.owners) == 0 {
		n.owners, n.count, n.children = only.owners, only.count, nil
		if siblings == 1 {
			n.label += only.label
		}
	}
}

// dropKeys takes the fields that are an item's key for the item.
func (n *node) dropKeys() {
	if n.step.Key == nil {
		return
	}
	n.children = slices.DeleteFunc(n.children, func(child *node) bool {
		for _, key := range *n.step.Key {
			if child.step.FieldName == nil || *child.step.FieldName != key.Name || len(child.children) > 0 {
				continue
			}
			for _, owner := range child.owners {
				if !slices.ContainsFunc(n.owners, owner.IsSame) {
					n.owners = append(n.owners, owner)
				}
			}
			return true
		}
		return false
	})
}

func (n *node) holdBelow(owner report.FieldOwner) bool {
	return slices.ContainsFunc(n.children, func(child *node) bool {
		return slices.ContainsFunc(child.owners, owner.IsSame) || child.holdBelow(owner)
	})
}

// listed bounds the names of siblings in one row, in characters.
const listed = 32

// group makes one row of the leaves that have the same owners.
func (n *node) group() {
	var rows []*node
	members := map[*node][]*node{}
	for _, child := range n.children {
		at := slices.IndexFunc(rows, func(row *node) bool {
			return len(row.children) == 0 && len(child.children) == 0 && slices.EqualFunc(row.owners, child.owners, report.FieldOwner.Alike)
		})
		if at < 0 {
			row := *child
			rows, members[&row] = append(rows, &row), []*node{child}
			continue
		}
		rows[at].count += child.count
		members[rows[at]] = append(members[rows[at]], child)
	}
	for _, row := range rows {
		if of := members[row]; len(of) > 1 {
			row.label = list(of)
		}
	}
	n.children = rows
}

func list(nodes []*node) string {
	text := nodes[0].label
	for _, n := range nodes[1:] {
		if len([]rune(text+n.label)) > listed {
			return text + ", ..."
		}
		text += ", " + n.label
	}
	return text
}

// walk calls a function for each row with its label, from the top down. A chain of single fields is one row.
func (n *node) walk(depth int, row func(label string, n *node)) {
	for _, child := range n.children {
		label := child.label
		for len(child.owners) == 0 && len(child.children) == 1 {
			child = child.children[0]
			label += child.label
		}
		row(strings.Repeat("  ", depth)+label, child)
		child.walk(depth+1, row)
	}
}
