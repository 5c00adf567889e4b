package ownership

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	replicasPath = []any{"spec", "replicas"}
	three        = applied("A", set(int64(3), replicasPath...))
	five         = set(int64(5), replicasPath...)
	aReplicas    = []string{`"A" .spec.replicas`}
)

func TestFlows(t *testing.T) {
	app := image("app")
	container := app[:5]
	label := func(key, value string) func(manifest) { return set(value, "metadata", "labels", key) }
	label1, label2 := label("a", "1"), label("b", "2")
	noClaims := func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry { return []metav1.ManagedFieldsEntry{} }
	renamed := func(from, to string) func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
		return func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
			for i := range entries {
				if entries[i].Manager == from {
					entries[i].Manager = to
				}
			}
			return entries
		}
	}
	var crowd []step
	for i := range maxUpdateEntries {
		crowd = append(crowd, updated(fmt.Sprintf("m%02d", i), label(fmt.Sprintf("m%02d", i), "1")))
	}
	everybody := "m00, m01, m02, m03, m04, m05, m06, m07, m08, m09, ancient-changes"
	tests := map[string]acceptanceCase{
		"32. merge patch of replicas from 3 to 5":            {past: []step{three}, write: write{edit: five}, want: aReplicas},
		"33. the same updater twice: adds a key":             {past: []step{applied("A", label1), updated("U", label2)}, write: write{edit: label("c", "3")}, allowed: true},
		"33. the same updater twice: changes A's key":        {past: []step{applied("A", label1), updated("U", label2)}, write: write{edit: label("a", "3")}, want: []string{`"A" .metadata.labels.a`}},
		"35. the eleventh updater, whose write harms nobody": {past: crowd, protect: everybody, write: write{edit: label("u", "1")}, allowed: true},
		"35. the eleventh updater changes the first's":       {past: crowd, protect: everybody, write: write{edit: label("m00", "2")}, want: []string{`"m00" using apps/v1 .metadata.labels.m00`}},
		"35. the eleventh updater changes the last's":        {past: crowd, protect: everybody, write: write{edit: label("m09", "2")}, want: []string{`"m09" using apps/v1 .metadata.labels.m09`}},
		"35. the twelfth updater changes what lost its owner's name": {past: append(slices.Clip(crowd), updated("m10", label("m10", "1"))), protect: everybody,
			write: write{manager: "z", edit: label("m00", "2")}, want: []string{`"ancient-changes" using apps/v1 .metadata.labels.m00`}},
		"35. an entry named ancient-changes by a body, among few": {past: []step{updated("A", label1)}, protect: "A", write: write{claims: renamed("A", ancient)},
			want: []string{`"A" using apps/v1 .metadata.managedFields`}},
		"35. entries by Apply are never put together": {past: append(slices.Clip(crowd), three), protect: everybody, write: write{edit: label("u", "1")}, allowed: true},
		"35. several versions among the oldest": {past: crowd, protect: everybody, write: write{edit: label("u", "1")}, allowed: true,
			prepare: func(o manifest) manifest {
				return withClaims(o, reclaimed(claims(o), "m01", "apps/v1beta1", []string{"metadata.labels.m01"}))
			}},
		"37. a controller sets workingDir in A's container": {past: []step{applied("A", set("1", app...))}, write: write{edit: set("/tmp", append(container[:5:5], "workingDir")...)}, allowed: true},
		"37. A's apply drops the container with it": {protect: "controller",
			past:  []step{applied("A", both(set("1", app...), set("1", image("proxy")...))), updated("controller", set("/tmp", append(container[:5:5], "workingDir")...))},
			write: write{manager: "A", forced: true, edit: set("1", image("proxy")...)}, allowed: true},
		"38. the creator owns all by Update: U changes replicas": {past: []step{updated("creator", both(five, label1))}, protect: "creator",
			write: write{edit: set(int64(1), replicasPath...)}, want: []string{`"creator" using apps/v1 .spec.replicas`}},
		"39. from client-side to server-side apply": {past: []step{updated("kubectl-client-side-apply", five), applied("kubectl", five)},
			protect: "kubectl-client-side-apply", write: write{manager: "kubectl", claims: func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry { return entries[:1] }}, allowed: true},
		"39. the field drifted: it is another's": {past: []step{updated("kubectl-client-side-apply", five), updated("helm", set(int64(1), replicasPath...))}, protect: "helm",
			write: write{manager: "kubectl-client-side-apply", edit: five}, want: []string{`"helm" using apps/v1 .spec.replicas`}},
		"39. helm's Apply over helm's Update": {past: []step{updated("helm", five)}, protect: "helm",
			write: write{manager: "helm", forced: true, edit: set(int64(1), replicasPath...)}, allowed: true},
		"40. an entry of a version that is not served vanishes": {past: []step{three},
			prepare: inVersion("A", "extensions/v1beta1", "spec.replicas"), write: write{edit: label1}, allowed: true},
		"41. a write that changes nothing":                               {past: []step{three}, write: write{unnamed: true}, allowed: true},
		"42. times mislead nobody: U takes over, the owner's time stays": {past: []step{three, updated("U", label1)}, write: write{unnamed: true, edit: five}, want: aReplicas},
		"43. a very large object comes without managedFields": {past: []step{three}, write: write{edit: label1}, allowed: true,
			forge: func(r *Review) {
				o := withClaims(decodedObject(r.New), nil)
				set(strings.Repeat("x", tooLarge), "spec", "template", "metadata", "annotations", "large")(o)
				r.New = raw(panics{}, o)
			}},
		"43. a very large object comes without managedFields, with another value": {past: []step{three}, write: write{edit: five}, want: aReplicas,
			forge: func(r *Review) {
				o := withClaims(decodedObject(r.New), nil)
				set(strings.Repeat("x", tooLarge), "spec", "template", "metadata", "annotations", "large")(o)
				r.New = raw(panics{}, o)
			}},
		"45. PUT with managedFields: [] drops all claims": {past: []step{three, applied("B", label1)}, write: write{claims: noClaims},
			want: []string{`"A" .metadata.managedFields`, `"B" .metadata.managedFields`}, wantText: "leave managedFields out"},
		"45. PUT with managedFields: [] and another value": {past: []step{three}, write: write{claims: noClaims, edit: five}, want: aReplicas},
		"46. a body's entry without fieldsType counts as none": {past: []step{three}, want: aReplicas,
			write: write{edit: five, claims: func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
				entries[0].FieldsType = ""
				return entries
			}}},
		"48. a PUT renames A's entry":                    {past: []step{three}, write: write{claims: renamed("A", "U")}, want: []string{`"A" .metadata.managedFields`}},
		"48. a PUT merges A's entry with B's":            {past: []step{three, applied("B", five)}, write: write{claims: renamed("B", "U")}, want: []string{`"B" .metadata.managedFields`}},
		"48. a PUT gives an alias of the same principal": {past: []step{applied("kubectl", five)}, write: write{claims: renamed("kubectl", "kubectl-last-applied")}, allowed: true},
		"48. a PUT turns A's claims by Apply into ones by Update": {past: []step{three}, want: []string{`"A" .metadata.managedFields`},
			write: write{claims: func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
				entries[0].Operation = metav1.ManagedFieldsOperationUpdate
				return entries
			}}},
		"48. a PUT turns A's claims into one to the whole spec": {past: []step{three}, want: []string{`"A" .metadata.managedFields`},
			write: write{claims: func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
				return reclaimed(entries, "A", "apps/v1", []string{"spec"})
			}}},
		"49. a PUT drops the subresource of an entry": {past: []step{updated("helm", three.edit), {manager: "keda", scales: true, edit: five}}, protect: "keda",
			write: write{claims: func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
				for i := range entries {
					entries[i].Subresource = ""
				}
				return entries
			}}, allowed: true},
		"50. an object that nobody owns": {past: []step{three}, prepare: func(o manifest) manifest { return withClaims(o, nil) }, write: write{edit: five}, allowed: true},
		"50. the first apply to it gives the rest to before-first-apply": {past: []step{three}, prepare: func(o manifest) manifest {
			o, err := deployments.apply(withClaims(o, nil), withEdit(deployments.empty(), label1), "A", false)
			if err != nil {
				panic(err)
			}
			return o
		}, write: write{edit: five}, allowed: true, warned: []string{`"before-first-apply" using apps/v1 .spec.replicas`}},
	}
	for name, test := range tests {
		test.server = &deployments
		tests[name] = test
	}
	runAll(t, tests)
}

func withEdit(o manifest, edit func(manifest)) manifest {
	edit(o)
	return o
}

// A state of a release counts on what sluice holds only: anybody may write one on anything else.
func TestAReleaseOfACustomResourceIsNone(t *testing.T) {
	release := set(`{"id":4,"phase":"Waiting"}`, "metadata", "annotations", "sluice.dev/release")
	runAll(t, map[string]acceptanceCase{
		"paused of a thing": {server: &unknowns, past: []step{applied("A", set(true, "spec", "paused"))}, write: write{edit: both(set(false, "spec", "paused"), release)},
			want: []string{`"A" .spec.paused`}},
	})
}

func TestCustomResourcesAndStatus(t *testing.T) {
	finalizers := func(names ...any) func(manifest) { return set(append([]any{}, names...), "metadata", "finalizers") }
	value := func(item string, to int64) func(manifest) { return set(to, "spec", "list", key{"name", item}, "value") }
	tests := map[string]acceptanceCase{
		"58. the status is ignored":   {past: []step{applied("A", set("1", "spec", "text"))}, write: write{edit: set("1", "status", "phase")}, allowed: true},
		"59. U adds a finalizer":      {past: []step{applied("A", both(three.edit, finalizers("a/b")))}, write: write{edit: finalizers("a/b", "c/d")}, allowed: true},
		"59. U removes A's finalizer": {past: []step{applied("A", both(three.edit, finalizers("a/b", "c/d")))}, write: write{edit: finalizers("a/b")}, allowed: true},
		"59. U changes replicas":      {past: []step{three}, write: write{edit: five}, want: aReplicas},
		"59. U edits A's item":        {past: []step{applied("A", value("a", 1))}, write: write{edit: value("a", 2)}, want: []string{`"A" .spec.list[name="a"].value`}},
		"59. U adds an item":          {past: []step{applied("A", value("a", 1))}, write: write{edit: value("b", 2)}, allowed: true},
		"60. no schema: an atomic list": {server: &unknowns, past: []step{applied("A", set([]any{"1"}, "spec", "list"))}, write: write{edit: set([]any{"1", "2"}, "spec", "list")},
			want: []string{`"A" .spec.list`}},
		"60. no schema: nothing of A's": {server: &unknowns, past: []step{applied("A", set([]any{"1"}, "spec", "list"))}, write: write{edit: set("1", "spec", "other")}, allowed: true},
	}
	runAll(t, tests)
}

func TestOurs(t *testing.T) {
	annotation := func(key string, value any) func(manifest) { return set(value, "metadata", "annotations", key) }
	const waiting, surging = `{"id":4,"phase":"Waiting"}`, `{"id":4,"phase":"Promoting","surge":2,"held":{"maxSurge":"25%"}}`
	surge := func(value string) func(manifest) { return set(value, "spec", "strategy", "rollingUpdate", "maxSurge") }
	forgedClaim := func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
		return append(entries, claim(Owner{Manager: "evil", Operation: apply}, deployments.fieldSet(withEdit(deployments.empty(), five))))
	}
	flux := Operator{Bindings: []Binding{{Manager: "flux", Users: []string{"system:serviceaccount:flux-system:*"}}}}
	byFlux := applied("flux", set(int64(3), replicasPath...))
	fluxReplicas := []string{`"flux" .spec.replicas`}
	hpa := step{manager: controllerManager, scales: true, edit: set(int64(4), replicasPath...)}
	tests := map[string]acceptanceCase{
		"62. nothing tells who removes A's field":                 {past: []step{three}, write: write{unnamed: true, edit: unset(replicasPath...)}, allowed: true, warned: aReplicas},
		"62. nothing tells who, and the policy is enforce":        {past: []step{three}, write: write{unnamed: true, edit: unset(replicasPath...)}, operator: Operator{Unknown: Enforce}, want: aReplicas},
		"62. nothing tells who, and the owner is not protected":   {past: []step{updated("helm", three.edit)}, write: write{unnamed: true, edit: unset(replicasPath...)}, allowed: true, audited: []string{`"helm" using apps/v1 .spec.replicas`}},
		"62. nothing tells who, and the policy is ignore":         {past: []step{three}, write: write{unnamed: true, edit: unset(replicasPath...)}, operator: Operator{Unknown: Ignore}, allowed: true, audited: aReplicas},
		"62. nothing tells who, but the owner is bound to others": {past: []step{byFlux}, write: write{unnamed: true, edit: unset(replicasPath...)}, operator: flux, want: fluxReplicas},
		"62. the user is bound to the owner":                      {past: []step{byFlux}, write: write{unnamed: true, user: "system:serviceaccount:flux-system:k", edit: unset(replicasPath...)}, operator: flux, allowed: true},
		"62. a change of a value names its writer":                {past: []step{three}, write: write{unnamed: true, edit: five}, want: aReplicas},
		"62. a body that dates the owner's entry anew":            {past: []step{three}, write: write{unnamed: true, edit: unset(replicasPath...), claims: dated}, operator: Operator{Unknown: Enforce}, want: aReplicas},

		"63. a forged Apply entry in the body":                          {past: []step{three}, write: write{edit: five, claims: forgedClaim}, want: aReplicas},
		"63. a stale PUT without a resourceVersion":                     {past: []step{three, applied("A", set(int64(4), replicasPath...))}, write: write{edit: set(int64(3), replicasPath...)}, want: aReplicas},
		"63. sluice's digest over the owner's":                          {past: []step{applied("A", set("x", "spec", "template", "metadata", "annotations", "sluice.dev/config-hash"))}, write: write{edit: set("y", "spec", "template", "metadata", "annotations", "sluice.dev/config-hash")}, allowed: true},
		"63. another webhook changes A's field, and the write nothing":  {past: []step{three}, write: write{later: five}, allowed: true, warned: aReplicas},
		"the API server could enter nothing, and the policy is enforce": {past: []step{three}, write: write{unnamed: true, later: five}, operator: Operator{Unknown: Enforce}, want: aReplicas},
		"63. another webhook changes A's field":                         {past: []step{three}, write: write{edit: annotation("a", "1"), later: five}, allowed: true},

		"64. a forced apply over A's field":             {past: []step{three}, write: write{forced: true, edit: five}, allowed: true, audited: aReplicas},
		"64. a forced apply, and the policy is enforce": {past: []step{three}, write: write{forced: true, edit: five}, operator: Operator{ForcedApply: Enforce}, want: aReplicas},
		"64. a forced apply, and the policy is warn":    {past: []step{three}, write: write{forced: true, edit: five}, operator: Operator{ForcedApply: Warn}, allowed: true, warned: aReplicas},
		"64. a forced apply of A's own":                 {past: []step{three}, write: write{manager: "A", forced: true, edit: five}, operator: Operator{ForcedApply: Enforce}, allowed: true},
		"65. an object that is being deleted": {past: []step{applied("A", both(three.edit, set([]any{"a/b"}, "metadata", "finalizers")))}, prepare: func(o manifest) manifest {
			return withEdit(o, set("2026-11-22T00:00:00Z", "metadata", "deletionTimestamp"))
		}, write: write{edit: both(five, unset("metadata", "finalizers"))}, allowed: true},
		"65. an owner that is not protected":                 {past: []step{updated("kubectl-edit", five)}, write: write{edit: three.edit}, allowed: true, warned: []string{`"kubectl-edit" using apps/v1 .spec.replicas`}},
		"the mode is warn":                                   {mode: Warn, past: []step{three}, write: write{edit: five}, allowed: true, warned: aReplicas},
		"the mode is ignore":                                 {mode: Ignore, past: []step{three}, write: write{edit: five}, allowed: true},
		"the workload's own mode counts":                     {mode: Ignore, past: []step{applied("A", both(three.edit, annotation(ModeAnnotation, "enforce")))}, write: write{edit: five}, want: aReplicas},
		"a write does not bring its own mode along":          {past: []step{three}, write: write{edit: both(five, annotation(ModeAnnotation, "ignore"))}, want: aReplicas},
		"who owns the mode keeps it":                         {past: []step{applied("A", annotation(ModeAnnotation, "enforce"))}, write: write{edit: annotation(ModeAnnotation, "ignore")}, want: []string{`"A" .metadata.annotations.sluice.dev/ownership`}},
		"the workload names a field to ignore":               {past: []step{applied("A", both(three.edit, annotation(IgnoreAnnotation, ".spec.replicas, .spec.template.spec.containers[*].image")))}, write: write{edit: five}, allowed: true},
		"kubectl rollout restart":                            {past: []step{applied("A", set("1", "spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"))}, write: write{manager: "kubectl-rollout", edit: set("2", "spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")}, allowed: true},
		"an approval of a release is no theft of paused":     {past: []step{applied("A", both(set(false, "spec", "paused"), annotation("sluice.dev/release", waiting)))}, write: write{manager: "kubectl-rollout", edit: set(true, "spec", "paused")}, allowed: true},
		"maxSurge while sluice does not hold it":             {past: []step{applied("A", both(surge("1"), annotation("sluice.dev/release", waiting)))}, write: write{edit: surge("9")}, want: []string{`"A" .spec.strategy.rollingUpdate.maxSurge`}},
		"maxSurge while sluice holds it":                     {past: []step{applied("A", both(surge("1"), annotation("sluice.dev/release", surging)))}, write: write{edit: surge("9")}, allowed: true},
		"another wish for what comes back after the release": {past: []step{applied("A", both(surge("1"), annotation("sluice.dev/release", surging)))}, write: write{edit: both(surge("9"), annotation("sluice.dev/release", strings.Replace(surging, `"25%"`, "9", 1)))}, want: []string{`"A" .spec.strategy.rollingUpdate.maxSurge`}},
		"what was taken by force is nobody's":                {past: []step{updated(ForceManager, five)}, write: write{edit: three.edit}, allowed: true, audited: []string{`"sluice-force-conflicts" using apps/v1 .spec.replicas`}},
		"a manager is protected under all its names":         {past: []step{updated("kubectl-client-side-apply", five)}, protect: "kubectl", write: write{edit: three.edit}, want: []string{`"kubectl-client-side-apply" using apps/v1 .spec.replicas`}},
		"a body that dates the owner's claims to another version": {past: []step{three}, write: write{edit: annotation("a", "1"), claims: func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
			entries[0].APIVersion = "apps/v1beta1"
			return entries
		}}, want: []string{`"A" .metadata.managedFields`}},
		"paused without a release is a field like any": {past: []step{applied("A", set(false, "spec", "paused"))}, write: write{edit: set(true, "spec", "paused")}, want: []string{`"A" .spec.paused`}},
		"a body that is older than what a controller noted": {past: []step{three, updated(controllerManager, annotation("deployment.kubernetes.io/revision", "1"))}, protect: controllerManager,
			write: write{manager: "A", claims: func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry { return entries[:1] }}, allowed: true},
		"the last label goes with its map":                    {past: []step{updated("B", set("1", "metadata", "labels", "b")), applied("A", set("1", "metadata", "labels", "a")), updated("B", unset("metadata", "labels", "b"))}, protect: "B", write: write{edit: unset("metadata", "labels")}, want: []string{`"A" .metadata.labels.a`}},
		"an autoscaler's replicas":                            {past: []step{updated("helm", five), hpa}, write: write{manager: "helm", edit: five}, want: []string{`"kube-controller-manager" with subresource "scale" using apps/v1 .spec.replicas`}},
		"a person's kubectl scale is not protected":           {past: []step{updated("helm", five), {manager: "kubectl", scales: true, edit: three.edit}}, write: write{manager: "helm", edit: five}, allowed: true, warned: []string{`"kubectl" with subresource "scale" using apps/v1 .spec.replicas`}},
		"--field-manager=flux makes nobody flux":              {past: []step{byFlux}, operator: flux, write: write{manager: "flux", edit: five}, want: fluxReplicas, wantText: `"bob" is not "flux"`},
		"nor does an apply as flux":                           {past: []step{byFlux}, operator: flux, write: write{manager: "flux", forced: true, edit: five}, want: fluxReplicas},
		"nor a removal as flux":                               {past: []step{byFlux}, operator: flux, write: write{manager: "flux", edit: unset(replicasPath...)}, want: fluxReplicas},
		"nor, where flux owns by Update, a change as flux":    {past: []step{updated("flux", three.edit)}, protect: "flux", operator: flux, write: write{manager: "flux", edit: five}, want: []string{`"flux" using apps/v1 .spec.replicas`}},
		"who pretends to be flux may change what is nobody's": {past: []step{byFlux}, operator: flux, write: write{manager: "flux", edit: annotation("a", "1")}, allowed: true},
		"flux itself is flux":                                 {past: []step{byFlux}, operator: flux, write: write{manager: "flux", user: "system:serviceaccount:flux-system:k", edit: five}, allowed: true},
		"an alias of the operator's":                          {past: []step{applied("argocd-controller", three.edit)}, operator: Operator{Aliases: map[string]string{"argocd-application-controller": "argocd-controller"}}, write: write{manager: "argocd-application-controller", edit: five}, allowed: true},
		"kubectl edits what kubectl applied":                  {past: []step{applied("kubectl", three.edit)}, write: write{manager: "kubectl-edit", edit: five}, allowed: true},
		"a plugin of kubectl is not kubectl":                  {past: []step{applied("kubectl", three.edit)}, write: write{manager: "kubectl-neat", edit: five}, want: []string{`"kubectl" .spec.replicas`}},
		"Kubernetes' own controllers are never judged":        {past: []step{three}, write: write{manager: controllerManager, user: "system:serviceaccount:kube-system:horizontal-pod-autoscaler", edit: five}, allowed: true},
		"the name of such a controller alone does not help":   {past: []step{three}, write: write{manager: controllerManager, edit: five}, want: aReplicas},
		"a removal as such a controller, of the autoscaler's": {past: []step{updated("helm", five), hpa}, write: write{manager: controllerManager, edit: unset(replicasPath...)}, want: []string{`"kube-controller-manager" with subresource "scale" using apps/v1 .spec.replicas`}, warned: []string{}},
	}
	for name, test := range tests {
		test.server = &deployments
		if len(test.warned) == 0 {
			test.warned = nil
		}
		tests[name] = test
	}
	runAll(t, tests)
}

// dated is what a body says who means to pass for the owner.
func dated(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	entries[0].Time = &metav1.Time{Time: entries[0].Time.AddDate(1, 0, 0)}
	return entries
}

func TestUntracedChangesAreFound(t *testing.T) {
	live := deployments.history(t, three, updated("kubectl-edit", set("1", "metadata", "labels", "a")))
	review := write{manager: "U", edit: set("1", "metadata", "labels", "b"), later: both(five, set("2", "metadata", "labels", "a"))}.review(t, live)

	found, err := untracedIn(review)

	require.NoError(t, err)
	require.Equal(t, []Conflict{{Owner: Owner{Manager: "A", Operation: apply}, Field: ".spec.replicas", How: Untraced, Protected: true}}, found)
}

func TestUntracedChangesOfTheOwnersOwnAreNone(t *testing.T) {
	live := deployments.history(t, three)
	found, err := untracedIn(write{manager: "A", edit: five}.review(t, live))
	require.NoError(t, err)
	require.Empty(t, found)
}
