package canary

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"sluice.dev/sluice/canary/traffic/split"
	"sluice.dev/sluice/hashing"
)

const (
	defaultSteps    = "20%"
	defaultDeadline = 10 * time.Minute

	enabled     = "enabled"
	disabled    = "disabled"
	anyone      = "anyone"
	fourEyes    = "four-eyes"
	configHash  = hashing.ConfigHash
	configPin   = hashing.ConfigPin
	configNo    = hashing.ConfigIgnore
	waitApprove = "approve"
	denied      = "denied"
	allowed     = "allowed"
)

// Policy is what governs one release, as it stood when the release started.
type Policy struct {
	// Steps is the value of StepsAnnotation, valid.
	Steps string `json:"steps"`
	// Deadline is how long a step's pods may take to become available.
	Deadline Duration `json:"deadline"`
	FourEyes bool     `json:"fourEyes,omitempty"`
	// IgnoreConfig: no digest is kept in the template.
	IgnoreConfig bool `json:"ignoreConfig,omitempty"`
	// PinConfig: pods read snapshots.
	PinConfig bool `json:"pinConfig,omitempty"`
	// SettleTime is the value of SettleAnnotation, 0 where there is none.
	SettleTime Duration `json:"settleTime,omitempty"`
	// ConfigExtra is the value of ConfigExtraAnnotation, valid.
	ConfigExtra string `json:"configExtra,omitempty"`
	// Traffic is the value of TrafficAnnotation, valid; empty: auto.
	Traffic string `json:"traffic,omitempty"`
	// Match is the value of MatchAnnotation as split.Match writes it; empty: only the weight decides.
	Match string `json:"match,omitempty"`
}

// Settings is a workload's whole policy: what governs its releases and whether it has any.
type Settings struct {
	Policy
	// Disabled: changes roll out natively.
	Disabled bool
	// Overridden names the workload's annotations that count for nothing since the Namespace denies
	// overrides.
	Overridden []string
}

// Duration is a time.Duration that reads and writes as its string, like "10m0s".
type Duration time.Duration

// MarshalText writes it as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// steps returns the parsed steps; the policy was validated when it was stored.
func (p Policy) steps() []Step {
	steps, err := ParseSteps(p.Steps)
	if err != nil {
		steps, _ = ParseSteps(defaultSteps)
	}
	return steps
}

// step returns step number n, from 1; the last one for any greater number.
func (p Policy) step(n int) Step {
	steps := p.steps()
	return steps[min(max(n, 1), len(steps))-1]
}

// settings resolves the policy of a workload: its annotations over the namespace's over the defaults.
// The error lists every fault with key, value and grammar; the key of a fault of the namespace says so.
func settings(namespace map[string]string, w *Workload) (Settings, error) {
	own, overridden := w.Metadata.Annotations, []string(nil)
	if namespace[OverridesAnnotation] == denied {
		own = nil
		for _, key := range policyKeys {
			if _, ok := w.Metadata.Annotations[key]; ok {
				overridden = append(overridden, key)
			}
		}
	}
	value := func(key string) string {
		if v, ok := own[key]; ok {
			return v
		}
		return namespace[key]
	}
	if err := errors.Join(Validate(own), inNamespace(ValidateDefaults(namespace))); err != nil {
		return Settings{}, err
	}
	s := Settings{
		Policy:     Policy{Steps: defaultSteps, Deadline: defaultDeadlineOf(w), FourEyes: value(ApprovalAnnotation) == fourEyes, IgnoreConfig: value(ConfigAnnotation) == configNo, PinConfig: value(ConfigAnnotation) == configPin, ConfigExtra: own[ConfigExtraAnnotation]},
		Disabled:   value(CanaryAnnotation) == disabled,
		Overridden: overridden,
	}
	if v := value(StepsAnnotation); v != "" {
		s.Steps = v
	}
	if v := value(DeadlineAnnotation); v != "" {
		d, _ := time.ParseDuration(v) // validated above
		s.Deadline = Duration(d)
	}
	s.SettleTime = Duration(SettleTime(own, namespace))
	if v := strings.TrimSpace(value(TrafficAnnotation)); v != trafficAuto {
		s.Traffic = v
	}
	if v := value(MatchAnnotation); v != "" {
		match, _ := split.ParseMatch(v) // validated above
		s.Match = match.String()
	}
	if s.FourEyes && !s.asksForApproval() {
		return s, fmt.Errorf("annotation %s: %s needs a step that waits for approval, and %q has none", ApprovalAnnotation, fourEyes, s.Steps)
	}
	return s, nil
}

// SettleTime returns the settle time by the annotations of a workload and its Namespace, 0 where neither says
// one that is valid.
func SettleTime(workload, namespace map[string]string) time.Duration {
	value := namespace[SettleAnnotation]
	if own, ok := workload[SettleAnnotation]; ok && namespace[OverridesAnnotation] != denied {
		value = own
	}
	if validateValue(SettleAnnotation, value) != nil {
		return 0
	}
	d, _ := time.ParseDuration(value) // validated
	return d
}

func (p Policy) asksForApproval() bool {
	for _, step := range p.steps() {
		if step.Wait == 0 {
			return true
		}
	}
	return false
}

func inNamespace(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("on the Namespace: %w", err)
}

// defaultDeadlineOf returns the Deployment's own progress deadline, else ten minutes. The greatest
// int32 means "none" to Kubernetes.
func defaultDeadlineOf(w *Workload) Duration {
	if s := w.Spec.ProgressDeadlineSeconds; s != nil && *s != math.MaxInt32 {
		return Duration(time.Duration(*s) * time.Second)
	}
	return Duration(defaultDeadline)
}

var policyKeys = []string{CanaryAnnotation, StepsAnnotation, DeadlineAnnotation, ApprovalAnnotation, ConfigAnnotation, ConfigExtraAnnotation, SettleAnnotation, TrafficAnnotation, MatchAnnotation}

// Validate checks the policy annotations of a workload and lists every fault, each with key, value and grammar.
func Validate(annotations map[string]string) error {
	var faults []error
	for _, key := range append([]string{OverridesAnnotation}, policyKeys...) {
		value, ok := annotations[key]
		if !ok {
			continue
		}
		if err := validateValue(key, value); err != nil {
			faults = append(faults, fmt.Errorf("annotation %s: %w", key, err))
		}
	}
	return errors.Join(faults...)
}

// ValidateDefaults is Validate for the annotations of a Namespace, where no routes are named.
func ValidateDefaults(annotations map[string]string) error {
	err := Validate(annotations)
	value := annotations[TrafficAnnotation]
	if traffic, invalid := ParseTraffic(value); invalid == nil && len(traffic.Named) > 0 {
		named := fmt.Errorf("annotation %s: %q is not one of %s, %s: routes are named on the workload", TrafficAnnotation, value, trafficAuto, trafficNone)
		err = errors.Join(err, named)
	}
	return err
}

func validateValue(key, value string) error {
	switch key {
	case StepsAnnotation:
		_, err := ParseSteps(value)
		return err
	case DeadlineAnnotation:
		if d, err := time.ParseDuration(value); err != nil || d < time.Second {
			return fmt.Errorf("%q is not a duration of at least 1s, like 90s or 10m", value)
		}
		return nil
	case SettleAnnotation:
		if d, err := time.ParseDuration(value); err != nil || d < time.Second || d > time.Minute {
			return fmt.Errorf("%q is not a duration of 1s to 1m, like 5s", value)
		}
		return nil
	case CanaryAnnotation:
		return oneOf(value, enabled, disabled)
	case ApprovalAnnotation:
		return oneOf(value, anyone, fourEyes)
	case ConfigAnnotation:
		return oneOf(value, configHash, configPin, configNo)
	case ConfigExtraAnnotation:
		_, err := hashing.ParseExtra(value)
		return err
	case TrafficAnnotation:
		_, err := ParseTraffic(value)
		return err
	case MatchAnnotation:
		_, err := split.ParseMatch(value)
		return err
	default: // OverridesAnnotation
		return oneOf(value, allowed, denied)
	}
}

func oneOf(value string, values ...string) error {
	for _, v := range values {
		if value == v {
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", value, strings.Join(values, ", "))
}
