package ownership

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Deployments are judged by owners.sluice.dev; strategic merge patches are one more verb.
func TestDeployments(t *testing.T) {
	app := image("app")
	in := func(field string) []any { return append(app[:5:5], field) }
	port := func(numbers ...int64) func(manifest) {
		var ports []any
		for _, number := range numbers {
			ports = append(ports, manifest{"containerPort": number, "protocol": "TCP"})
		}
		return set(ports, in("ports")...)
	}
	appByA := set("example/app:v1", app...)
	volume := []any{"spec", "template", "spec", "volumes", key{"name", "tmp"}}
	emptyDir := append(volume[:5:5], "emptyDir")
	digest := []any{"spec", "template", "metadata", "annotations", "sluice.dev/config-hash"}
	drift := []step{updated("creator", both(five, labelled("a", "1"))), updated("helm", set(int64(1), replicas...))}
	k := &deployments
	tests := map[string]acceptanceCase{
		"19. U reorders A's containers": {past: []step{appliedBy("A", both(set("1", image("app")...), set("1", image("proxy")...)))},
			write: write{edit: ordered([]string{"proxy", "base", "app"}, app[:4]...)}, allowed: true},
		"27. U keeps A's emptyDir: {}": {past: []step{appliedBy("A", set(manifest{}, emptyDir...))}, write: write{edit: labelled("a", "1")}, allowed: true},
		// The API server gives a volume without a source an emptyDir: nothing changes.
		"27. U removes A's emptyDir: {}, which comes back":  {past: []step{appliedBy("A", set(manifest{}, emptyDir...))}, write: write{edit: unset(emptyDir...)}, allowed: true, unsaid: true},
		"27. U removes A's volume":                          {past: []step{appliedBy("A", set(manifest{}, emptyDir...))}, write: write{edit: unset(volume...)}, want: []string{`"A" .spec.template.spec.volumes[name="tmp"]`}, unlike: removal},
		"28. U removes a port of A's container":             {past: []step{appliedBy("A", both(appByA, port(80, 81)))}, write: write{edit: port(81)}, want: []string{`"A" .spec.template.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]`}, unlike: removal},
		"28. A removes a port of its container":             {past: []step{appliedBy("A", both(appByA, port(80, 81)))}, write: write{manager: "A", edit: port(81)}, allowed: true},
		"32. replicas from 3 to 5":                          {past: []step{three}, write: write{edit: five}, want: aReplicas},
		"32. the same, with the right to force it":          {past: []step{three}, write: write{user: "fiona", manager: "sluice-force-conflicts", edit: five}, allowed: true, warned: []string{`sluice: this write takes .spec.replicas from "A", by force`}},
		"32. the same, without the right to force it":       {past: []step{three}, write: write{manager: "sluice-force-conflicts", edit: five}, want: aReplicas, unlike: "the ways out begin otherwise"},
		"33. the same updater twice: adds a key":            {past: []step{appliedBy("A", labelled("a", "1")), updated("U", labelled("b", "2"))}, write: write{edit: labelled("c", "3")}, allowed: true},
		"33. the same updater twice: changes A's key":       {past: []step{appliedBy("A", labelled("a", "1")), updated("U", labelled("b", "2"))}, write: write{edit: labelled("a", "3")}, want: []string{`"A" .metadata.labels.a`}},
		"37. a controller sets workingDir in A's container": {past: []step{appliedBy("A", appByA)}, write: write{edit: set("/tmp", in("workingDir")...)}, allowed: true},
		"37. A's apply drops the container with it": {verbs: []verb{apply},
			past:  []step{appliedBy("A", both(appByA, set("1", image("proxy")...))), updated("controller", set("/tmp", in("workingDir")...))},
			write: write{manager: "A", edit: set("1", image("proxy")...)}, allowed: true, then: lacks("app")},
		"38. the creator owns all by Update: U changes replicas":           {past: drift[:1], write: write{edit: set(int64(2), replicas...)}, want: []string{`"creator" using apps/v1 .spec.replicas`}},
		"39. the field drifted: it is another's":                           {past: drift, write: write{manager: "kubectl-client-side-apply", edit: five}, want: []string{`"helm" using apps/v1 .spec.replicas`}},
		"39. kubectl's apply, after its client-side one":                   {verbs: []verb{apply}, past: []step{updated("kubectl-client-side-apply", set(int64(3), replicas...))}, write: write{manager: "kubectl", edit: five}, allowed: true},
		"39. helm's apply over helm's Update":                              {verbs: []verb{apply}, past: []step{updated("helm", five)}, write: write{manager: "helm", edit: set(int64(1), replicas...)}, allowed: true},
		"42. U takes over, the owner's time stays: U does not name itself": {past: []step{three, updated("U", labelled("a", "1"))}, write: write{unnamed: true, edit: five}, want: aReplicas},
		"63. a PUT of what was, without a resourceVersion": {verbs: []verb{put}, past: []step{three, appliedBy("A", set(int64(4), replicas...))},
			write: write{edit: both(set(int64(3), replicas...), unset("metadata", "resourceVersion"))}, want: aReplicas, unlike: "an apply may not say resourceVersion"},
		"63. sluice's digest over the owner's": {past: []step{appliedBy("A", set("x", digest...))}, write: write{edit: set("y", digest...)}, allowed: true, unsaid: true},
	}
	for name, test := range tests {
		test.kind = k
		tests[name] = test
	}
	runAll(t, tests)
}

func lacks(container string) func(*testing.T, *unstructured.Unstructured) {
	return func(t *testing.T, stored *unstructured.Unstructured) {
		t.Helper()
		containers, _, err := unstructured.NestedSlice(stored.Object, "spec", "template", "spec", "containers")
		require.NoError(t, err)
		for _, c := range containers {
			require.NotEqual(t, container, c.(manifest)["name"])
		}
	}
}

func TestDuplicates(t *testing.T) {
	app := image("app")
	env := append(app[:5:5], "env")
	variable := func(value string) manifest { return manifest{"name": "X", "value": value} }
	twice := updated("A", both(set("example/app:v1", app...), set([]any{variable("1"), variable("2")}, env...)))
	port := func(name string) manifest {
		return manifest{"name": name, "containerPort": int64(80), "protocol": "TCP"}
	}
	ports := append(app[:5:5], "ports")
	twicePorts := updated("A", both(set("example/app:v1", app...), set([]any{port("a"), port("b")}, ports...)))
	whole := []verb{put, merge, jsonPatch} // a strategic merge patch tells items of one key not apart
	runAll(t, map[string]acceptanceCase{
		"26. two variables of one name: another field changes": {kind: &deployments, past: []step{twice}, write: write{edit: labelled("a", "1")}, allowed: true},
		"26. two variables of one name: U removes one": {kind: &deployments, verbs: whole, past: []step{twice}, write: write{edit: set([]any{variable("1")}, env...)},
			want: []string{`"A" using apps/v1 .spec.template.spec.containers[name="app"].env[name="X"]`}, unlike: removal},
		"26. two ports of one number: another field changes": {kind: &deployments, past: []step{twicePorts}, write: write{edit: labelled("a", "1")}, allowed: true},
		"26. two ports of one number: U removes one": {kind: &deployments, verbs: whole, past: []step{twicePorts}, write: write{edit: set([]any{port("a")}, ports...)},
			want: []string{`"A" using apps/v1 .spec.template.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]`}, unlike: removal},
	})
}

// Beyond ten Update entries the API server puts the oldest into one. On a Deployment the entry of its controller,
// for the status, is one of the ten; so these are Things.
func TestManyManagers(t *testing.T) {
	var crowd []step
	for i := range 10 {
		crowd = append(crowd, updated(fmt.Sprintf("m%02d", i), labelled(fmt.Sprintf("m%02d", i), "1")))
	}
	full := append(crowd[:10:10], updated("m10", labelled("m10", "1")))
	versions := append([]step{crowd[0], crowd[1].inVersion("v2")}, crowd[2:]...)
	// Entries of one second are as old as their names sort: z is the youngest.
	z := func(edit func(manifest)) write { return write{manager: "z", edit: edit} }
	runAll(t, map[string]acceptanceCase{
		"35. the eleventh updater, whose write harms nobody": {past: crowd, write: z(labelled("u", "1")), allowed: true, then: owns("ancient-changes", `{"f:metadata":{"f:labels":{".":{},"f:m00":{},"f:m01":{}}}}`, true)},
		"35. the eleventh updater changes the first's":       {past: crowd, write: z(labelled("m00", "2")), want: []string{`"m00" using example.com/v1 .metadata.labels.m00`}},
		"35. the eleventh updater changes the last's":        {past: crowd, write: z(labelled("m09", "2")), want: []string{`"m09" using example.com/v1 .metadata.labels.m09`}},
		"35. the twelfth changes what lost its owner's name": {past: full, write: z(labelled("m00", "2")), want: []string{`"ancient-changes" using example.com/v1 .metadata.labels.m00`}},
		"35. the twelfth updater, whose write harms nobody":  {past: full, write: z(labelled("u", "1")), allowed: true},
		"35. entries by apply are never put together":        {past: append(crowd[:10:10], three), write: z(labelled("u", "1")), allowed: true, then: owns("A", `{"f:spec":{"f:replicas":{}}}`, true)},
		"35. several versions among the oldest":              {past: versions, write: z(labelled("u", "1")), allowed: true},
	})
}

// A Scale has no managedFields where a webhook sees it: those of the Deployment count.
func TestScale(t *testing.T) {
	k := &deployments
	to := func(replicas int64) write {
		return write{subresource: "scale", edit: set(replicas, "spec", "replicas")}
	}
	byKeda := []step{updated("helm", set(int64(3), replicas...)), scaled("keda", 4)}
	keda := []string{`"keda" with subresource "scale" using apps/v1 .spec.replicas`}
	unnamed := to(5)
	unnamed.unnamed = true
	runAll(t, map[string]acceptanceCase{
		"52. U scales A's replicas":                               {kind: k, past: []step{three}, write: to(5), want: aReplicas},
		"52. U scales to what is":                                 {kind: k, past: []step{three}, write: to(3), allowed: true},
		"52. who does not say who it is scales A's replicas":      {kind: k, past: []step{three}, write: unnamed, allowed: true, warned: []string{`sluice: this write takes .spec.replicas from "A"`}},
		"54. U writes the status of a scale, which is not stored": {kind: k, past: []step{three}, write: write{subresource: "scale", edit: set(int64(7), "status", "replicas")}, allowed: true, unsaid: true},
		"56. U scales what keda scaled":                           {kind: k, past: byKeda, write: to(5), want: keda, unlike: "on /scale the API server shows claims as if made in autoscaling/v1"},
		"56. keda scales what it scaled":                          {kind: k, past: byKeda, write: write{manager: "keda", subresource: "scale", edit: set(int64(5), "spec", "replicas")}, allowed: true},
		"56. U changes what keda scaled":                          {kind: k, past: byKeda, write: write{edit: five}, want: keda},
		"56. U scales what nobody owns":                           {kind: k, past: nil, write: to(5), allowed: true},
		"56. U scales after helm was scaled by keda: helm writes": {kind: k, past: byKeda, write: write{manager: "helm", edit: five}, want: keda},
		"56. kubectl scaled, which nobody protects":               {kind: k, past: []step{updated("helm", five), scaled("kubectl", 3)}, write: write{manager: "helm", edit: five}, allowed: true, warned: []string{`sluice: this write takes .spec.replicas from "kubectl" with subresource "scale" using apps/v1`}},
		"56. the autoscaler scaled":                               {kind: k, past: []step{updated("helm", five), scaled("kube-controller-manager", 3)}, write: write{manager: "helm", edit: five}, want: []string{`"kube-controller-manager" with subresource "scale" using apps/v1 .spec.replicas`}},
	})
}
