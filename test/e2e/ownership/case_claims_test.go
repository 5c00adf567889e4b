package ownership

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type claims = func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry

// changed returns what changes the entries of a manager, all where it is empty.
func changed(manager string, change func(*metav1.ManagedFieldsEntry)) claims {
	return func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
		for i := range entries {
			if manager == "" || entries[i].Manager == manager {
				change(&entries[i])
			}
		}
		return entries
	}
}

func renamed(from, to string) claims {
	return changed(from, func(e *metav1.ManagedFieldsEntry) { e.Manager = to })
}

func plus(entry metav1.ManagedFieldsEntry, fields string) claims {
	return func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
		entry.FieldsType, entry.FieldsV1 = "FieldsV1", metav1.NewFieldsV1(fields)
		return append(entries, entry)
	}
}

// A body may say what managedFields are. The API server believes it, but for fields that the write changes.
func TestBodiesWithManagedFields(t *testing.T) {
	none := func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry { return nil }
	blank := func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
		return make([]metav1.ManagedFieldsEntry, 1)
	}
	labelByB := appliedBy("B", labelled("b", "1"))
	fiveByB := appliedBy("B", five)
	shared := []step{appliedBy("A", five), fiveByB}
	aClaims, bClaims := []string{`"A" .metadata.managedFields`}, []string{`"B" .metadata.managedFields`}
	evil := plus(metav1.ManagedFieldsEntry{Manager: "evil", Operation: "Apply", APIVersion: "example.com/v1"}, `{"f:spec":{"f:replicas":{}}}`)
	unserved := plus(metav1.ManagedFieldsEntry{Manager: "old", Operation: "Update", APIVersion: "example.com/v0"}, `{"f:spec":{"f:text":{}}}`)
	toUpdate := changed("A", func(e *metav1.ManagedFieldsEntry) { e.Operation = "Update" })
	toSpec := changed("A", func(e *metav1.ManagedFieldsEntry) { e.FieldsV1 = metav1.NewFieldsV1(`{"f:spec":{}}`) })
	untyped := changed("A", func(e *metav1.ManagedFieldsEntry) { e.FieldsType = "" })
	later := changed("A", func(e *metav1.ManagedFieldsEntry) { e.Time = &metav1.Time{Time: e.Time.AddDate(1, 0, 0)} })
	main := changed("", func(e *metav1.ManagedFieldsEntry) { e.Subresource = "" })
	migrating := []step{updated("kubectl-client-side-apply", five), appliedBy("kubectl", five)}
	byKeda := []step{updated("helm", set(int64(3), replicas...)), scaled("keda", 4)}
	// With nothing left and a write of its own, the API server tracks the object no more.
	untracked := claiming("A", labelled("x", "1"), blank)
	tests := map[string]acceptanceCase{
		"39. kubectl gives up its client-side entry":  {past: migrating, write: write{manager: "kubectl", claims: without("kubectl-client-side-apply")}, allowed: true, then: owns("kubectl-client-side-apply", `{"f:spec":{".":{},"f:replicas":{}}}`, false)},
		"40. an entry of a version that is no longer": {past: []step{three}, write: write{edit: labelled("a", "1"), claims: unserved}, allowed: true, then: owns("A", `{"f:spec":{"f:replicas":{}}}`, true)},
		"45. managedFields: [{}] drops all claims":    {past: []step{three, labelByB}, write: write{claims: blank}, want: []string{`"A" .metadata.managedFields`, `"B" .metadata.managedFields`}, unlike: claimsAre},
		"45. managedFields: [{}] and another value":   {past: []step{three}, write: write{edit: five, claims: blank}, want: aReplicas},
		"45. A drops the claims of all, its own":      {past: []step{three}, write: write{manager: "A", claims: blank}, allowed: true},
		"45. managedFields: [] drops all claims":      {kind: &deployments, past: []step{three}, write: write{claims: none}, want: []string{`"A" .metadata.managedFields`, `"base" .metadata.managedFields`}, unlike: claimsAre},
		"45. managedFields: [] and another value":     {kind: &deployments, past: []step{three}, write: write{edit: five, claims: none}, want: []string{`"A" .spec.replicas`, `"base" .metadata.managedFields`}, unlike: claimsAre},
		// Of a custom resource the API server reads an empty list as none: nothing changes.
		"45. of a custom resource managedFields: [] drops nothing": {past: []step{three, labelByB}, write: write{claims: none}, allowed: true, then: owns("A", `{"f:spec":{"f:replicas":{}}}`, true)},
		"45. of a custom resource, and another value":              {past: []step{three}, write: write{edit: five, claims: none}, want: aReplicas},
		"46. an entry without fieldsType, and another value":       {past: []step{three}, write: write{edit: five, claims: untyped}, want: aReplicas},
		"48. renames A's entry":                                    {past: []step{three}, write: write{claims: renamed("A", "U")}, want: aClaims, unlike: claimsAre},
		"48. merges B's entry with A's":                            {past: shared, write: write{claims: renamed("B", "A")}, want: bClaims, unlike: claimsAre},
		"48. drops A's entry":                                      {past: []step{three, labelByB}, write: write{claims: without("A")}, want: aClaims, unlike: claimsAre},
		"48. a further name of the same principal":                 {past: migrating[1:], write: write{claims: renamed("kubectl", "kubectl-last-applied")}, allowed: true},
		"48. turns A's claims by apply into ones by Update":        {past: []step{three}, write: write{claims: toUpdate}, want: nil, allowed: true},
		"48. turns A's claims into one to the whole spec":          {past: []step{three}, write: write{claims: toSpec}, want: aClaims, unlike: claimsAre},
		"49. drops the subresource of an entry":                    {kind: &deployments, past: byKeda, write: write{claims: main}, allowed: true},
		"50. an object that nobody owns":                           {past: []step{three, untracked}, write: write{edit: five}, allowed: true},
		"50. the first apply gives the rest to before-first-apply": {past: []step{three, untracked, appliedBy("A", labelled("a", "1"))}, write: write{edit: five}, allowed: true,
			warned: []string{`sluice: this write takes .spec.replicas from "before-first-apply" using example.com/v1`}},
		"62. a removal by whom nothing tells, who dates the owner's entry anew": {past: []step{three, updated("U", set("1", text...))}, write: write{unnamed: true, edit: unset(replicas...), claims: later}, allowed: true,
			warned: []string{`sluice: this write takes .spec.replicas from "A"`}},
		"63. a forged entry by apply": {past: []step{three}, write: write{edit: five, claims: evil}, want: aReplicas},
	}
	runAll(t, tests)
}
