package ownership

import (
	"slices"
	"strings"
)

// Who may change what a write is judged by could take any field in two writes. So where the mode is enforce,
// a write that makes it milder, protects fewer managers or frees more fields needs VerbForce like the write
// that it prepares. The Namespace's own annotations are guarded by who may edit Namespaces.

// ValidateChange checks the annotations of policy that differ, and lists every fault, each with key, value
// and grammar. What stood there before is left alone.
func ValidateChange(before, after map[string]string) error {
	changed := map[string]string{}
	for _, key := range changedPolicy(before, after) {
		if value, ok := after[key]; ok {
			changed[key] = value
		}
	}
	return Validate(changed)
}

// ValidatePolicy checks the annotations of policy that the write changes, as ValidateChange does.
func (c *Comparison) ValidatePolicy() error {
	return ValidateChange(c.old.Metadata.Annotations, c.new.Metadata.Annotations)
}

// changedPolicy returns the keys of policy that the write changes.
func (c *Comparison) changedPolicy() []string {
	if c.scaling {
		return nil
	}
	return changedPolicy(c.old.Metadata.Annotations, c.new.Metadata.Annotations)
}

func changedPolicy(before, after map[string]string) []string {
	var changed []string
	for _, key := range policyKeys {
		old, had := before[key]
		now, has := after[key]
		if had != has || old != now {
			changed = append(changed, key)
		}
	}
	return changed
}

// loosened returns those of them by which less is protected than before.
func (r *rules) loosened(namespace map[string]string) []string {
	changed := r.changedPolicy()
	if len(changed) == 0 {
		return nil
	}
	// What is not valid is refused where it is written, and counts for nothing.
	next, _ := policyOf(r.new.Metadata.Annotations, namespace)
	return slices.DeleteFunc(changed, func(key string) bool {
		switch key {
		case ModeAnnotation:
			return severity[next.mode] >= severity[r.policy.mode]
		case ProtectAnnotation:
			return !slices.ContainsFunc(r.policy.protect, func(manager string) bool { return !slices.Contains(next.protect, manager) })
		default: // IgnoreAnnotation
			return !slices.ContainsFunc(next.ignored, func(field Field) bool { return !field.within(r.policy.ignored) })
		}
	})
}

// within tells whether one of the fields is this one, or contains it.
func (f Field) within(fields []Field) bool {
	return slices.ContainsFunc(fields, func(whole Field) bool {
		prefix, wild := strings.CutSuffix(string(whole), "*")
		rest, ok := strings.CutPrefix(string(f), prefix)
		return ok && (wild || rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}
