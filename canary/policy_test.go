package canary

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseSteps(t *testing.T) {
	tests := map[string]struct {
		value     string
		wantSteps []Step
		wantError string
	}{
		"one weight":              {value: "20%", wantSteps: []Step{{Weight: 20}}},
		"the design's example":    {value: "20%, 50%/5:10m, 100%/100%", wantSteps: []Step{{Weight: 20}, {Weight: 50, Pods: 5, Wait: 10 * time.Minute}, {Weight: 100, Percent: 100}}},
		"blue-green":              {value: "0%/100%, 100%", wantSteps: []Step{{Percent: 100}, {Weight: 100}}},
		"approve said out loud":   {value: "10%:approve", wantSteps: []Step{{Weight: 10}}},
		"nothing":                 {value: "", wantError: `"": its weight is not a percentage`},
		"a trailing comma":        {value: "20%,", wantError: `"": its weight is not a percentage`},
		"no percent sign":         {value: "20", wantError: `"20": its weight is not a percentage`},
		"more than all":           {value: "101%", wantError: `"101%": its weight is not a percentage`},
		"a sign":                  {value: "+5%", wantError: `"+5%": its weight is not a percentage`},
		"a decreasing weight":     {value: "50%, 20%", wantError: `"20%": its weight is less than the one before`},
		"no pods":                 {value: "20%/0", wantError: `"20%/0": its pods are neither`},
		"zero percent of pods":    {value: "20%/0%", wantError: `"20%/0%": its pods are neither`},
		"a wait that is no time":  {value: "20%:soon", wantError: `"20%:soon": its wait is neither`},
		"a wait of no time":       {value: "20%:0s", wantError: `"20%:0s": its wait is neither`},
		"a number past all sizes": {value: "20%/99999999999", wantError: `its pods are neither`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			steps, err := ParseSteps(test.value)
			if test.wantError != "" {
				require.ErrorContains(t, err, test.wantError)
				require.ErrorContains(t, err, "want a comma list of WEIGHT[/PODS][:WAIT]")
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.wantSteps, steps)
		})
	}
}

func TestSizeOfAStep(t *testing.T) {
	tests := map[string]struct {
		step     Step
		n        int32
		wantSize int32
	}{
		"a fifth of ten":              {Step{Weight: 20}, 10, 2},
		"rounded up":                  {Step{Weight: 20}, 6, 2},
		"at least one":                {Step{Weight: 1}, 3, 1},
		"at least one without load":   {Step{Weight: 0}, 3, 1},
		"a count":                     {Step{Weight: 1, Pods: 3}, 10, 3},
		"a count never above N":       {Step{Weight: 1, Pods: 30}, 10, 10},
		"a percentage of its own":     {Step{Weight: 0, Percent: 100}, 7, 7},
		"none of none":                {Step{Weight: 20}, 0, 0},
		"the greatest N there may be": {Step{Weight: 100}, 1<<31 - 1, 1<<31 - 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.wantSize, test.step.Size(test.n))
		})
	}
}

func TestSettings(t *testing.T) {
	seconds := int32(90)
	workload := func(annotations map[string]string) *Workload {
		return &Workload{Metadata: Metadata{Annotations: annotations}, Spec: Spec{ProgressDeadlineSeconds: &seconds}}
	}
	tests := map[string]struct {
		namespace, workload map[string]string
		wantSettings        Settings
		wantError           string
	}{
		"defaults, and the Deployment's own deadline": {
			wantSettings: Settings{Policy: Policy{Steps: "20%", Deadline: Duration(90 * time.Second)}},
		},
		"the workload overrides the Namespace": {
			namespace:    map[string]string{StepsAnnotation: "10%", DeadlineAnnotation: "1m", ApprovalAnnotation: "four-eyes"},
			workload:     map[string]string{StepsAnnotation: "30%"},
			wantSettings: Settings{Policy: Policy{Steps: "30%", Deadline: Duration(time.Minute), FourEyes: true}},
		},
		"the Namespace denies overrides": {
			namespace:    map[string]string{StepsAnnotation: "10%", OverridesAnnotation: "denied"},
			workload:     map[string]string{StepsAnnotation: "30%", CanaryAnnotation: "disabled"},
			wantSettings: Settings{Policy: Policy{Steps: "10%", Deadline: Duration(90 * time.Second)}, Overridden: []string{CanaryAnnotation, StepsAnnotation}},
		},
		"routes and requests that are the canary's": {
			namespace:    map[string]string{TrafficAnnotation: "none", MatchAnnotation: "cookie:canary=always"},
			workload:     map[string]string{TrafficAnnotation: "httproute/web, ingress/shop", MatchAnnotation: " header:X-Canary=yes "},
			wantSettings: Settings{Policy: Policy{Steps: "20%", Deadline: Duration(90 * time.Second), Traffic: "httproute/web, ingress/shop", Match: "header:x-canary=yes"}},
		},
		"the Namespace's, where the workload says nothing": {
			namespace:    map[string]string{TrafficAnnotation: "none", MatchAnnotation: "cookie:canary=always"},
			wantSettings: Settings{Policy: Policy{Steps: "20%", Deadline: Duration(90 * time.Second), Traffic: "none", Match: "cookie:canary=always"}},
		},
		"what is found is the default": {
			namespace:    map[string]string{TrafficAnnotation: "none"},
			workload:     map[string]string{TrafficAnnotation: "auto"},
			wantSettings: Settings{Policy: Policy{Steps: "20%", Deadline: Duration(90 * time.Second)}},
		},
		"the Namespace denies other routes": {
			namespace:    map[string]string{TrafficAnnotation: "auto", OverridesAnnotation: "denied"},
			workload:     map[string]string{TrafficAnnotation: "none", MatchAnnotation: "header:a=b"},
			wantSettings: Settings{Policy: Policy{Steps: "20%", Deadline: Duration(90 * time.Second)}, Overridden: []string{TrafficAnnotation, MatchAnnotation}},
		},
		"a Namespace names no routes": {
			namespace: map[string]string{TrafficAnnotation: "httproute/web"},
			wantError: `on the Namespace: annotation sluice.dev/traffic: "httproute/web" is not one of auto, none: routes are named on the workload`,
		},
		"a match that is none": {
			workload:  map[string]string{MatchAnnotation: "x-canary"},
			wantError: `annotation sluice.dev/match: "x-canary": it begins with neither "header:" nor "cookie:"; want header:NAME=VALUE or cookie:NAME=VALUE`,
		},
		"a fault of the Namespace is named as such": {
			namespace: map[string]string{CanaryAnnotation: "off"},
			wantError: `on the Namespace: annotation sluice.dev/canary: "off" is not one of enabled, disabled`,
		},
		"every fault at once": {
			workload:  map[string]string{StepsAnnotation: "x", DeadlineAnnotation: "y"},
			wantError: "annotation sluice.dev/progress-deadline: \"y\" is not a duration",
		},
		"four eyes need a step that asks": {
			workload:  map[string]string{StepsAnnotation: "20%:1m", ApprovalAnnotation: "four-eyes"},
			wantError: "needs a step that waits for approval",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := settings(test.namespace, workload(test.workload))
			if test.wantError != "" {
				require.ErrorContains(t, err, test.wantError)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.wantSettings, s)
		})
	}
}

func TestHashTemplate(t *testing.T) {
	hash := func(template string) string {
		h, err := HashTemplate(json.RawMessage(template))
		require.NoError(t, err)
		return h
	}
	base := hash(`{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"v1"}],"hostUsers":true}}`)
	t.Run("leaves out what sluice and the deployment controller add", func(t *testing.T) {
		require.Equal(t, base, hash(`{"metadata":{"creationTimestamp":null,"labels":{"app":"web","pod-template-hash":"x"},"annotations":{"sluice.dev/config-hash":"v1:a:b"}},`+
			`"spec":{"hostUsers":true,"containers":[{"image":"v1","name":"c"}]}}`))
	})
	t.Run("sees a field that no library knows", func(t *testing.T) {
		require.NotEqual(t, base, hash(`{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"v1","ofTomorrow":1}],"hostUsers":true}}`))
	})
	t.Run("sees the order of containers", func(t *testing.T) {
		require.NotEqual(t, hash(`{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}`), hash(`{"spec":{"containers":[{"name":"b"},{"name":"a"}]}}`))
	})
	t.Run("keeps the last digit of a number", func(t *testing.T) {
		require.NotEqual(t, hash(`{"spec":{"a":9007199254740993}}`), hash(`{"spec":{"a":9007199254740992}}`))
	})
}
