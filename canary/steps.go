package canary

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const stepsGrammar = "a comma list of WEIGHT[/PODS][:WAIT], WEIGHT 0% to 100% and not decreasing, PODS a count or a percent, WAIT \"approve\" or a duration like 10m; for example \"20%, 50%/5:10m, 100%/100%\""

// Step is one step of a release.
type Step struct {
	// Weight is the percentage of traffic, 0 to 100.
	Weight int32
	// Pods or Percent of N is the number of pods; both 0: Weight percent of N.
	Pods, Percent int32
	// Wait is how long the step lasts; 0: until it is approved.
	Wait time.Duration
}

// Size returns how many canary pods the step has beside n stable ones: at least 1 and at most n, and
// none where n is 0. Fractions are rounded up.
func (s Step) Size(n int32) int32 {
	if n <= 0 {
		return 0
	}
	size := s.Pods
	if size == 0 {
		percent := int64(s.Percent)
		if percent == 0 {
			percent = int64(s.Weight)
		}
		size = int32((int64(n)*percent + 99) / 100) // n is an int32, so the result is one
	}
	return min(max(size, 1), n)
}

// size is Size for a kind of workload. Canary pods of a StatefulSet replace stable ones above the user's
// own partition, and one stable pod has to stay: once all pods run one revision, Kubernetes forgets the
// other. Source: k8s.io/kubernetes pkg/controller/statefulset, completeRollingUpdate.
func (s Step) size(kind string, n int32, held Held) int32 {
	if kind != StatefulSet {
		return s.Size(n)
	}
	return max(0, min(s.Size(n), n-1, n-held.Partition))
}

// ParseSteps parses the value of StepsAnnotation. The error names the faulty step and the grammar.
func ParseSteps(value string) ([]Step, error) {
	var steps []Step
	for _, text := range strings.Split(value, ",") {
		step, err := parseStep(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%q: %w; want %s", strings.TrimSpace(text), err, stepsGrammar)
		}
		if len(steps) > 0 && step.Weight < steps[len(steps)-1].Weight {
			return nil, fmt.Errorf("%q: its weight is less than the one before; want %s", strings.TrimSpace(text), stepsGrammar)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func parseStep(text string) (Step, error) {
	var step Step
	text, wait, hasWait := strings.Cut(text, ":")
	if hasWait && strings.TrimSpace(wait) != waitApprove {
		d, err := time.ParseDuration(strings.TrimSpace(wait))
		if err != nil || d <= 0 {
			return step, errors.New("its wait is neither \"approve\" nor a duration greater than 0")
		}
		step.Wait = d
	}
	weight, pods, hasPods := strings.Cut(text, "/")
	w, ok := parsePercent(weight)
	if !ok {
		return step, errors.New("its weight is not a percentage from 0% to 100%")
	}
	step.Weight = w
	if !hasPods {
		return step, nil
	}
	if p, ok := parsePercent(pods); ok && p > 0 {
		step.Percent = p
		return step, nil
	}
	count, err := strconv.ParseInt(strings.TrimSpace(pods), 10, 32)
	if err != nil || count < 1 {
		return step, errors.New("its pods are neither a count from 1 nor a percentage from 1% to 100%")
	}
	step.Pods = int32(count)
	return step, nil
}

func parsePercent(text string) (int32, bool) {
	digits, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	return int32(n), err == nil && n <= 100
}
