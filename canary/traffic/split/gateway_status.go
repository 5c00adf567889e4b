package split

import (
	"cmp"
	"fmt"
	"slices"
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

// acceptedBefore tells whether each parent has a report that accepts the route at some generation.
func acceptedBefore(root node) bool {
	spec, _, _ := root.object("spec")
	status, _, _ := root.object("status")
	parents, err := spec.objects("parentRefs")
	reports, faults := status.objects("parents")
	if err != nil || faults != nil || len(parents) == 0 {
		return false
	}
	namespace := namespaceOf(root)
	for _, parent := range parents {
		accepts := slices.ContainsFunc(reports, func(report node) bool {
			of, _, _ := report.object("parentRef")
			return parentKey(of, namespace) == parentKey(parent, namespace) && isTrue(report, "Accepted") && isTrue(report, "ResolvedRefs")
		})
		if !accepts {
			return false
		}
	}
	return true
}

// isTrue tells whether a report has a condition that is true, at whatever generation.
func isTrue(report node, kind string) bool {
	conditions, _ := report.objects("conditions")
	return slices.ContainsFunc(conditions, func(c node) bool { return c.text("type") == kind && c.text("status") == "True" })
}
