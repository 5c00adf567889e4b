package ownership

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mostListed is how many fields a refusal and a record name: more is for nobody to read.
const mostListed = 50

// Causes returns what machines read of a refusal: one per field, in the words of server-side apply, and one
// per annotation that may not be loosened.
func (d Decision) Causes() []metav1.StatusCause {
	causes := make([]metav1.StatusCause, 0, len(d.Refused)+len(d.Loosened))
	for _, conflict := range d.Refused[:min(len(d.Refused), mostListed)] {
		causes = append(causes, metav1.StatusCause{
			Type:    metav1.CauseTypeFieldManagerConflict,
			Message: fmt.Sprintf("conflict with %v", conflict.Owner),
			Field:   conflict.Field,
		})
	}
	for _, key := range d.Loosened {
		causes = append(causes, metav1.StatusCause{
			Type: metav1.CauseTypeForbidden, Message: fmt.Sprintf("loosening it needs the verb %q", VerbForce), Field: ".metadata.annotations." + key,
		})
	}
	return causes
}

// Message returns what people read: the conflicts in the words of server-side apply, and the ways out.
// It is empty unless Denied.
func (d Decision) Message() string {
	if d.Verdict != Denied {
		return ""
	}
	var lines []string
	if len(d.Refused) > 0 {
		lines = append([]string{summary("Update", d.Refused)}, d.waysOut()...)
	}
	if len(d.Loosened) > 0 {
		lines = append(lines, d.loosening())
	}
	return strings.Join(lines, "\n")
}

func (d Decision) loosening() string {
	return fmt.Sprintf("Update failed: less of %s would be protected with the new %s. Leave it as it is, or have somebody change it who has the verb %q on %s.",
		d.subject.target(), strings.Join(d.Loosened, ", "), VerbForce, d.subject.resource)
}

// Record says in one line what a Forced write took and loosened, for the log and for Events.
func (d Decision) Record() string {
	var parts []string
	if len(d.Forced) > 0 {
		parts = append(parts, "took "+List(d.Forced)+" by force")
	}
	if len(d.Loosened) > 0 {
		parts = append(parts, "loosened "+strings.Join(d.Loosened, ", "))
	}
	return strings.Join(parts, " and ")
}

// List names the fields of each owner in one line; conflicts are sorted by owner.
func List(conflicts []Conflict) string {
	var text strings.Builder
	for i, conflict := range conflicts {
		if i == mostListed {
			fmt.Fprintf(&text, " and %d more", len(conflicts)-i)
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(conflict.Field)
		if i+1 == min(len(conflicts), mostListed) || conflicts[i+1].Owner != conflict.Owner {
			fmt.Fprintf(&text, " of %v", conflict.Owner)
		}
	}
	return text.String()
}

// summary lists conflicts, sorted, as server-side apply does.
func summary(operation string, conflicts []Conflict) string {
	if len(conflicts) == 1 {
		return fmt.Sprintf("%s failed with 1 conflict: conflict with %v: %s", operation, conflicts[0].Owner, conflicts[0].Field)
	}
	lines := make([]string, 0, mostListed)
	for i, conflict := range conflicts {
		if i == mostListed {
			lines = append(lines, fmt.Sprintf("and %d more", len(conflicts)-i))
			break
		}
		if i == 0 || conflicts[i-1].Owner != conflict.Owner {
			lines = append(lines, fmt.Sprintf("conflicts with %v:", conflict.Owner))
		}
		lines = append(lines, "- "+conflict.Field)
	}
	return fmt.Sprintf("%s failed with %d conflicts: %s", operation, len(conflicts), strings.Join(lines, "\n"))
}

// Status returns the refusal as the API server passes it on. It is 403 and nothing else: on 409 and 422
// `kubectl apply --force` and GitOps tools delete the object and create it anew, and others try again
// without end.
func (d Decision) Status() metav1.Status {
	return metav1.Status{
		Status: metav1.StatusFailure, Code: 403, Reason: metav1.StatusReasonForbidden, Message: d.Message(),
		Details: &metav1.StatusDetails{Name: d.subject.name, Group: d.subject.group, Kind: d.subject.kind, Causes: d.Causes()},
	}
}

// A warning of more than 256 characters is cut by the API server; what we say ourselves ends before.
const warningLimit = 250

// warnings tells what a write takes that nobody refuses, one per owner.
func warnings(conflicts []Conflict, mode Mode) []string {
	var protected, others []Conflict
	for _, conflict := range conflicts {
		if conflict.Protected && mode == Warn {
			protected = append(protected, conflict)
		} else {
			others = append(others, conflict)
		}
	}
	return append(takenWarnings(protected, "which "+ModeAnnotation+"=enforce would refuse"), takenWarnings(others, "")...)
}

func takenWarnings(conflicts []Conflict, addition string) []string {
	var texts []string
	for first := 0; first < len(conflicts); {
		end := first
		for end < len(conflicts) && conflicts[end].Owner == conflicts[first].Owner {
			end++
		}
		texts = append(texts, takenWarning(conflicts[first:end], addition))
		first = end
	}
	return texts
}

// takenWarning names as many fields of one owner as there is room for.
func takenWarning(conflicts []Conflict, addition string) string {
	if addition != "" {
		addition = ", " + addition
	}
	tail := fmt.Sprintf(" from %v%s", conflicts[0].Owner, addition)
	text := "sluice: this write takes " + conflicts[0].Field
	for i, conflict := range conflicts[1:] {
		more := fmt.Sprintf(" and %d more", len(conflicts)-1-i)
		if len(text)+len(", "+conflict.Field)+len(more)+len(tail) > warningLimit {
			return cut(text + more + tail)
		}
		text += ", " + conflict.Field
	}
	return cut(text + tail)
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > warningLimit {
		return string(runes[:warningLimit-1]) + "…"
	}
	return text
}
