package ownership

import (
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Field names fields in the words of a refusal, to be pasted from one: `.spec.replicas`,
// `.spec.template.spec.containers[name="app"].image`. All that is below the field belongs to it. `[*]`
// stands for any item of a list; a `*` at the end for any name that begins so. A name may contain dots, as
// labels and annotations do: `.metadata.labels.example.com/team`.
type Field string

const fieldGrammar = `a comma list of fields like .spec.replicas, .spec.template.spec.containers[name="app"].image, ` +
	`.spec.template.spec.containers[*].image or .metadata.annotations.example.com/*`

// ParseFields reads a comma list of fields; commas within brackets belong to the field.
func ParseFields(list string) ([]Field, error) {
	var fields []Field
	depth, start := 0, 0
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list) || list[i] == ',' && depth == 0:
			field := Field(strings.TrimSpace(list[start:i]))
			if err := field.validate(); err != nil {
				return nil, err
			}
			fields = append(fields, field)
			start = i + 1
		case list[i] == '[':
			depth++
		case list[i] == ']':
			depth--
		}
	}
	return fields, nil
}

// fieldPattern is the grammar of one field; the policy for Namespaces has the same.
var fieldPattern = regexp.MustCompile(`^\.([^,\[\]*]|\[(\*|[^\[\]*]*)\])+\*?$`)

func (f Field) validate() error {
	if fieldPattern.MatchString(string(f)) {
		return nil
	}
	return fmt.Errorf("%q is not %s", string(f), fieldGrammar)
}

// covers tells whether the path is the field or below it. It goes element by element, so `.spec.re` is
// not `.spec.replicas`.
func (f Field) covers(path fieldpath.Path, texts []string) bool {
	rest := string(f)
	for i, text := range texts {
		switch after, ok := strings.CutPrefix(rest, text); {
		case ok && after == "":
			return true
		case ok && (after[0] == '.' || after[0] == '['):
			rest = after
		case path[i].FieldName == nil && strings.HasPrefix(rest, "[*]"):
			if rest = rest[len("[*]"):]; rest == "" {
				return true
			}
		default:
			prefix, wild := strings.CutSuffix(rest, "*")
			return wild && strings.HasPrefix(text, prefix)
		}
	}
	return false
}

func covered(fields []Field, path fieldpath.Path) bool {
	texts := make([]string, len(path))
	for i, element := range path {
		texts[i] = element.String()
	}
	for _, field := range fields {
		if field.covers(path, texts) {
			return true
		}
	}
	return false
}
