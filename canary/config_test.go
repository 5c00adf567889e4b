package canary

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/hashing"
)

func TestConfigOfANewTemplate(t *testing.T) {
	flags, license := hashing.Reference{Kind: hashing.ConfigMap, Name: "flags", Optional: true}, hashing.Reference{Kind: hashing.Secret, Name: "license", Optional: true}
	plain, extra := web("v1"), web("v1").annotated(ConfigExtraAnnotation, "configmap/flags, secret/license")
	held := Release{ID: 5, Phase: Progressing, Step: 1, Policy: Policy{Steps: "20%", ConfigExtra: "configmap/flags"}}
	tests := map[string]struct {
		old, new  object
		operation Operation
		sluice    bool
		namespace map[string]string
		want      []hashing.Reference
	}{
		"none":                                 {old: plain, new: plain.image("v2")},
		"listed":                               {old: extra, new: extra.image("v2"), want: []hashing.Reference{flags, license}},
		"listed from the next release on":      {old: plain, new: extra.image("v2")},
		"listed until the next release":        {old: extra, new: plain.image("v2"), want: []hashing.Reference{flags, license}},
		"a first version's":                    {new: extra, operation: Create, want: []hashing.Reference{flags, license}},
		"ignored":                              {old: extra.annotated(ConfigAnnotation, "ignore"), new: extra.image("v2")},
		"overrides are denied":                 {old: extra, new: extra.image("v2"), namespace: map[string]string{OverridesAnnotation: "denied"}},
		"a Namespace has no config of its own": {old: plain, new: plain.image("v2"), namespace: map[string]string{ConfigExtraAnnotation: "configmap/flags"}},
		"what a release began with":            {old: extra.annotated(ReleaseAnnotation, held.Encode()), new: extra, sluice: true, want: []hashing.Reference{flags}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			review := Review{Operation: Update, Kind: Deployment, New: test.new.workload(t), Sluice: test.sluice}
			if test.operation != "" {
				review.Operation = test.operation
			}
			if test.old != nil {
				review.Old = test.old.workload(t)
			}
			used, err := Config(review, test.namespace)
			got := used.References
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestConfigOfAStoredWorkload(t *testing.T) {
	flags := hashing.Reference{Kind: hashing.ConfigMap, Name: "flags", Optional: true}
	plain, extra := web("v1"), web("v1").annotated(ConfigExtraAnnotation, "configmap/flags")
	held := Release{ID: 5, Phase: Waiting, Step: 1, Policy: Policy{Steps: "20%"}}
	denied := map[string]string{OverridesAnnotation: "denied"}
	tests := map[string]struct {
		stored    object
		namespace map[string]string
		want      []hashing.Reference
		wantError string
	}{
		"none":                                  {stored: plain},
		"listed":                                {stored: extra, want: []hashing.Reference{flags}},
		"listed for the version after this one": {stored: extra.annotated(ReleaseAnnotation, held.Encode()), want: []hashing.Reference{flags}},
		"ignored":                               {stored: extra.annotated(ConfigAnnotation, "ignore")},
		"ignored in the Namespace":              {stored: extra, namespace: map[string]string{ConfigAnnotation: "ignore"}},
		"not ignored, against the Namespace": {
			stored: extra.annotated(ConfigAnnotation, "hash"), namespace: map[string]string{ConfigAnnotation: "ignore"}, want: []hashing.Reference{flags}},
		"overrides are denied": {stored: extra, namespace: denied},
		"a policy that is not valid lets nothing pass": {
			stored: plain.annotated(CanaryAnnotation, "perhaps"), wantError: `annotation sluice.dev/canary: "perhaps" is not one of enabled, disabled`},
		"nor does one of the Namespace": {
			stored: plain, namespace: map[string]string{CanaryAnnotation: "perhaps"},
			wantError: `on the Namespace: annotation sluice.dev/canary: "perhaps" is not one of enabled, disabled`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ConfigOf(test.stored.workload(t), test.namespace)
			if test.wantError != "" {
				require.EqualError(t, err, test.wantError)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestAListOfExtraConfigIsChecked(t *testing.T) {
	err := Validate(map[string]string{ConfigExtraAnnotation: "deployment/web"})
	require.EqualError(t, err, `annotation sluice.dev/config-extra: "deployment/web": it is neither configmap/NAME nor secret/NAME; `+
		`want a comma list of configmap/NAME and secret/NAME; for example "configmap/flags, secret/license"`)
}

func TestWhatOfATemplateIsPinned(t *testing.T) {
	const referring = `{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"app"}}]}]}}`
	refs := []hashing.Reference{{Kind: hashing.ConfigMap, Name: "app"}}
	extra := hashing.Reference{Kind: hashing.Secret, Name: "license", Optional: true}
	for mode, want := range map[string][]hashing.Reference{"pin": refs, "hash": nil, "ignore": nil} {
		w := web("v1").annotated(ConfigAnnotation, mode).annotated(ConfigExtraAnnotation, "secret/license").workload(t)
		w.Spec.Template = []byte(referring)
		used, err := Config(Review{Operation: Create, Kind: Deployment, New: w}, nil)
		require.NoError(t, err)
		require.Equal(t, want, used.Pinned, mode)
		if mode != "ignore" {
			require.Equal(t, append(refs, extra), used.References, mode)
		}
	}
}

func TestAReleaseKeepsThatItsConfigIsPinned(t *testing.T) {
	held := Release{ID: 5, Phase: Progressing, Step: 1, Policy: Policy{Steps: "20%", PinConfig: true}}
	stored := web("v1").annotated(ReleaseAnnotation, held.Encode()).workload(t)
	stored.Spec.Template = []byte(`{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"app"}}]}]}}`)
	used, err := Config(Review{Operation: Update, Kind: Deployment, Old: stored, New: stored, Sluice: true}, nil)
	require.NoError(t, err)
	require.Len(t, used.Pinned, 1)
}

func TestADigestThatCannotBePinnedIsRefusedAndNoOther(t *testing.T) {
	review := Review{Operation: Create, Kind: Deployment, New: web("v1").workload(t)}
	d, err := Decide(review, World{Digest: "A", Unpinnable: "there is no policy"})
	require.NoError(t, err)
	require.Equal(t, Denied, d.Verdict)
	require.Equal(t, NotPinned, d.Reason)
	require.Equal(t, "sluice refuses this change of deployment/web: its config cannot be pinned: there is no policy", d.Message)

	review = request{stored: web("v1"), sent: web("v1").annotated("note", "x")}.review(t)
	d, err = Decide(review, World{Digest: "A", Unpinnable: "there is no policy"})
	require.NoError(t, err)
	require.Equal(t, Unchanged, d.Verdict, "the template keeps its digest")
}
