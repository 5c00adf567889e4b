package ownership

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"sluice.dev/sluice/canary"
)

func TestClaimsNameWhatAnyoneHolds(t *testing.T) {
	live := deployments.history(t,
		applied("flux", both(three.edit, set("1", image("app")...))),
		updated("kubectl-edit", both(set("1", "metadata", "labels", "team"), set("1", "metadata", "annotations", "kubernetes.io/change-cause"))),
		step{manager: controllerManager, scales: true, edit: set(int64(4), replicasPath...)})

	h, err := Claims(raw(t, live), map[string]string{ModeAnnotation: "enforce"}, Operator{})

	require.NoError(t, err)
	require.Equal(t, Enforce, h.Mode)
	require.Equal(t, FromNamespace, h.Source)
	outcomes := map[string]Mode{}
	for _, holder := range h.Holders {
		for _, claim := range holder.Claims {
			outcomes[holder.String()+" "+claim.Path.String()] = h.Outcome(claim)
		}
	}
	require.Subset(t, outcomes, map[string]Mode{
		`"flux" .spec.template.spec.containers[name="app"]`:                               Enforce,
		`"flux" .spec.template.spec.containers[name="app"].image`:                         Enforce,
		`"kubectl-edit" using apps/v1 .metadata.labels.team`:                              Warn,
		`"kubectl-edit" using apps/v1 .metadata.annotations.kubernetes.io/change-cause`:   Ignore,
		`"kube-controller-manager" with subresource "scale" using apps/v1 .spec.replicas`: Enforce,
	})
	require.NotContains(t, outcomes, `"flux" .spec.replicas`)

	holder, claim, found := h.Find(`conflict with "flux"`, `.spec.template.spec.containers[name="app"].image`)
	require.True(t, found)
	require.Equal(t, Owner{Manager: "flux", Operation: apply}, holder.Owner)
	require.WithinDuration(t, time.Now(), holder.Since, time.Hour)
	require.True(t, claim.Protected)
	_, _, found = h.Find(`conflict with "flux"`, ".spec.replicas")
	require.False(t, found)
}

// What is shown before a write is what Decide says of it.
func TestTheOutcomeOfAClaimIsThatOfTheWrite(t *testing.T) {
	for _, mode := range []Mode{Ignore, Warn, Enforce} {
		for _, policy := range []map[string]string{{}, {ProtectAnnotation: "helm"}, {IgnoreAnnotation: ".metadata.labels.app"}} {
			policy[ModeAnnotation] = string(mode)
			live := owned(t)
			review := write{manager: "ci", edit: everything}.review(t, live)
			decision, err := decide(review, policy, Operator{})
			require.NoError(t, err)
			h, err := Claims(raw(t, live), policy, Operator{})
			require.NoError(t, err)

			for outcome, conflicts := range map[Mode][]Conflict{Enforce: decision.Refused, Warn: decision.Warned} {
				for _, conflict := range conflicts {
					_, claim, found := h.Find("conflict with "+conflict.Owner.String(), conflict.Field)
					require.True(t, found, conflict)
					require.Equal(t, outcome, h.Outcome(claim), conflict)
				}
			}
			require.Equal(t, mode == Ignore, len(decision.Refused)+len(decision.Warned) == 0)
		}
	}
}

func TestWhatWasTakenByForceIsAnyonesToTake(t *testing.T) {
	live := deployments.history(t, updated(ForceManager, set(int64(7), "spec", "minReadySeconds")))
	h, err := Claims(raw(t, live), map[string]string{ModeAnnotation: string(Enforce)}, Operator{})
	require.NoError(t, err)
	holder := h.Holders[len(h.Holders)-1]
	require.Equal(t, ForceManager, holder.Manager)
	require.NotEmpty(t, holder.Claims)
	for _, claim := range holder.Claims {
		require.Equal(t, Ignore, h.Outcome(claim), claim)
	}
}

func TestTheModeIsOfWhoseAnnotationHolds(t *testing.T) {
	tests := map[string]struct {
		workload, namespace map[string]string
		mode                Mode
		source              Source
		faults              int
	}{
		"nobody says":                            {nil, nil, Warn, FromDefault, 0},
		"the Namespace says":                     {nil, map[string]string{ModeAnnotation: "enforce"}, Enforce, FromNamespace, 0},
		"the workload says":                      {map[string]string{ModeAnnotation: "ignore"}, map[string]string{ModeAnnotation: "enforce"}, Ignore, FromWorkload, 0},
		"the Namespace denies overrides":         {map[string]string{ModeAnnotation: "ignore"}, map[string]string{ModeAnnotation: "enforce", canary.OverridesAnnotation: "denied"}, Enforce, FromNamespace, 0},
		"denied, and the Namespace says nothing": {map[string]string{ModeAnnotation: "ignore"}, map[string]string{canary.OverridesAnnotation: "denied"}, Warn, FromDefault, 0},
		"the Namespace's is no mode":             {nil, map[string]string{ModeAnnotation: "on"}, Warn, FromDefault, 1},
		"the workload's is no mode, and hides":   {map[string]string{ModeAnnotation: "on"}, map[string]string{ModeAnnotation: "enforce"}, Warn, FromDefault, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object, err := json.Marshal(manifest{"metadata": manifest{"annotations": test.workload}})
			require.NoError(t, err)
			h, err := Claims(object, test.namespace, Operator{})
			require.NoError(t, err)
			require.Equal(t, test.mode, h.Mode)
			require.Equal(t, test.source, h.Source)
			require.Len(t, h.Faults, test.faults)
			require.Empty(t, h.Holders)
		})
	}
}

func TestAReleaseMakesWhatItDrivesAnyones(t *testing.T) {
	object := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{%"managedFields":[{"manager":"helm","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:paused":{}}}}]}}`
	for annotations, ignored := range map[string]bool{"": false, `"annotations":{"sluice.dev/release":"{\"id\":4,\"phase\":\"Waiting\"}"},`: true} {
		h, err := Claims(json.RawMessage(strings.Replace(object, "%", annotations, 1)), nil, Operator{})
		require.NoError(t, err)
		require.Equal(t, []Claim{{Path: fieldpath.MakePathOrDie("spec", "paused"), Protected: true, Ignored: ignored}}, h.Holders[0].Claims)
		require.Zero(t, h.Holders[0].Since)
	}
}

func TestClaimsThatCannotBeReadAreAnError(t *testing.T) {
	for object, want := range map[string]string{
		`{`: "decoding the object",
		`{"metadata":{"managedFields":[{"manager":"a","operation":"Apply","fieldsType":"FieldsV1","time":"yesterday"}]}}`: `time "yesterday" is not of RFC 3339`,
		`{"metadata":{"managedFields":[{"manager":"a","operation":"Apply","fieldsType":"FieldsV1","fieldsV1":{"x":7}}]}}`: "parsing managedFields",
	} {
		_, err := Claims(json.RawMessage(object), nil, Operator{})
		require.ErrorContains(t, err, want)
	}
}
