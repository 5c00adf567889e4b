package split

import (
	"cmp"
	"fmt"
)

// gatewayWaiting: every parent of the route has to have accepted the generation, and resolved its backends.
func gatewayWaiting(root node) string {
	spec, _, _ := root.object("spec")
	parents, err := spec.objects("parentRefs")
	if err != nil {
		return err.Error()
	}
	if len(parents) == 0 {
		return "the route names no parentRefs, so no gateway serves it"
	}
	status, _, err := root.object("status")
	if err != nil {
		return err.Error()
	}
	reports, err := status.objects("parents")
	if err != nil {
		return err.Error()
	}
	for _, parent := range parents {
		if waiting := parentWaiting(root, parent, reports); waiting != "" {
			return waiting
		}
	}
	return ""
}

// parentWaiting says what one parent has not accepted. A report that is older than the route is that of a
// controller that is gone where another one's is current.
func parentWaiting(root, parent node, reports []node) string {
	namespace, generation := namespaceOf(root), generationOf(root)
	name := parentName(parent)
	waiting, accepted := fmt.Sprintf("%s has not taken up the route", name), false
	for _, report := range reports {
		of, _, _ := report.object("parentRef")
		if parentKey(of, namespace) != parentKey(parent, namespace) {
			continue
		}
		state := stateOf(report, generation, "Accepted", "ResolvedRefs")
		if state.refused == "" && state.pending == "" {
			state = refusedBy(report, generation, "PartiallyInvalid")
		}
		switch {
		case state.refused != "":
			return fmt.Sprintf("%s does not accept the route: %s", name, state.refused)
		case state.pending != "":
			waiting = fmt.Sprintf("%s has not accepted the route yet: %s", name, state.pending)
		default:
			accepted = true
		}
	}
	if accepted {
		return ""
	}
	return waiting
}

// parentKey is the same for the same parent, however much of the defaults is written.
func parentKey(parent node, namespace string) string {
	return fmt.Sprint(
		cmp.Or(parent.text("group"), "gateway.networking.k8s.io"), "/", cmp.Or(parent.text("kind"), "Gateway"), "/",
		cmp.Or(parent.text("namespace"), namespace), "/", parent.text("name"), "/", parent.text("sectionName"), "/", parent.fields["port"])
}

func parentName(parent node) string {
	name := cmp.Or(parent.text("kind"), "Gateway") + " " + parent.text("name")
	if section := parent.text("sectionName"); section != "" {
		name += ", section " + section
	}
	return name
}
