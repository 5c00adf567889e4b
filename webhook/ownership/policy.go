package ownership

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice.dev/sluice/canary"
)

// Mode is what comes of a conflict.
type Mode string

const (
	// Ignore: nothing is said and nothing refused.
	Ignore Mode = "ignore"
	// Warn: the user reads what the write takes from whom.
	Warn Mode = "warn"
	// Enforce: the write is refused.
	Enforce Mode = "enforce"
)

// severity orders modes, so that the milder of two is min.
var severity = map[Mode]int{Ignore: 0, Warn: 1, Enforce: 2}

func milder(a, b Mode) Mode {
	if severity[b] < severity[a] {
		return b
	}
	return a
}

// Operator is what holds in the whole cluster. The zero value is the default.
type Operator struct {
	// Bindings say who may be a manager: for all others its name counts for nothing. It also tells who
	// asks where a write names no manager.
	Bindings []Binding
	// Aliases are further names of managers, as name -> the name it stands for. kubectl's are known.
	Aliases map[string]string
	// Unknown is the most that comes of a removal when nothing tells who asks. Default: warn.
	Unknown Mode
	// ForcedApply is the most that comes of a server-side apply with force. Default: ignore, since
	// the tools that keep a cluster like Git always force.
	ForcedApply Mode
}

// Binding lists the users that may be a manager.
type Binding struct {
	Manager string
	// Users are user names; one that ends in * stands for all that begin so.
	Users []string
}

// Validate lists every fault of an operator's settings.
func (o Operator) Validate() error {
	var faults []error
	for _, b := range o.Bindings {
		if b.Manager == "" || len(b.Users) == 0 || slices.Contains(b.Users, "") {
			faults = append(faults, fmt.Errorf("binding of manager %q to users %q: both are needed", b.Manager, b.Users))
		}
	}
	for name, of := range o.Aliases {
		if name == "" || of == "" {
			faults = append(faults, fmt.Errorf("alias %q of manager %q: both are needed", name, of))
		}
		if _, chained := o.Aliases[of]; chained {
			faults = append(faults, fmt.Errorf("alias %q of manager %q: that is an alias itself", name, of))
		}
	}
	for what, mode := range map[string]Mode{"unknown requesters": o.Unknown, "forced applies": o.ForcedApply} {
		if _, known := severity[mode]; !known && mode != "" {
			faults = append(faults, fmt.Errorf("mode of %s: %w", what, notAMode(string(mode))))
		}
	}
	return errors.Join(faults...)
}

func (o Operator) unknown() Mode {
	if o.Unknown == "" {
		return Warn
	}
	return o.Unknown
}

func (o Operator) forcedApply() Mode {
	if o.ForcedApply == "" {
		return Ignore
	}
	return o.ForcedApply
}

// policy is what the annotations say.
type policy struct {
	mode    Mode
	protect []string
	ignored []Field
}

// Validate checks the policy annotations of a workload or a Namespace and lists every fault, each with
// key, value and grammar.
func Validate(annotations map[string]string) error {
	var faults []error
	for _, key := range policyKeys {
		if value, ok := annotations[key]; ok {
			if err := new(policy).set(key, value); err != nil {
				faults = append(faults, fmt.Errorf("annotation %s: %w", key, err))
			}
		}
	}
	return errors.Join(faults...)
}

// policyOf resolves the annotations of a workload over those of its Namespace. What is not valid, which
// admission refuses but a Namespace may hold, counts as absent, and the error says so.
func policyOf(workload, namespace map[string]string) (policy, error) {
	p := policy{mode: Warn}
	var faults []error
	for _, key := range policyKeys {
		value, ok := workload[key]
		if !ok || namespace[canary.OverridesAnnotation] == "denied" {
			if value, ok = namespace[key]; !ok {
				continue
			}
		}
		if err := p.set(key, value); err != nil {
			faults = append(faults, fmt.Errorf("annotation %s counts for nothing: %w", key, err))
		}
	}
	return p, errors.Join(faults...)
}

func (p *policy) set(key, value string) error {
	switch key {
	case ModeAnnotation:
		if _, known := severity[Mode(value)]; !known {
			return notAMode(value)
		}
		p.mode = Mode(value)
	case ProtectAnnotation:
		names, err := parseManagers(value)
		if err != nil {
			return err
		}
		p.protect = names
	default: // IgnoreAnnotation
		fields, err := ParseFields(value)
		if err != nil {
			return err
		}
		p.ignored = fields
	}
	return nil
}

func notAMode(value string) error {
	return fmt.Errorf("%q is not one of ignore, warn, enforce", value)
}

// parseManagers reads a comma list of managers. A manager has at most 128 bytes, all printable.
func parseManagers(list string) ([]string, error) {
	names := strings.Split(list, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if names[i] == "" || len(names[i]) > 128 {
			return nil, fmt.Errorf("%q is not a comma list of field managers like helm, argocd-controller", list)
		}
	}
	return names, nil
}
