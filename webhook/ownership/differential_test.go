package ownership

import (
	"flag"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Where the verdict on a plain write is not that on an apply of the same.
const (
	// Apply leaves what it does not name; a plain write removes it.
	removal = "a plain write removes what an apply leaves"
	// To server-side apply Apply and Update entries of one name are two owners.
	samePrincipal = "one principal has several entries"
	ignoredField  = "the field is ignored"
	// The first apply takes all there is for the claim of before-first-apply.
	untracked = "the object has no managedFields"
	// Lists with two items of one key can be stored but not applied.
	duplicates = "the list cannot be applied: it has duplicates"
	// An apply carries no managedFields.
	rewriting = "the body rewrites managedFields"
)

var exceptions = []string{removal, samePrincipal, ignoredField, untracked, duplicates, rewriting}

const (
	randomObjects  = 1000
	editsPerObject = 10
)

// The verdict on a plain write is the verdict of server-side apply, without force, on the same change; so
// are text and causes, but for who it is that failed. Each difference is one of the exceptions.
func TestAPlainWriteIsJudgedAsAnApplyIs(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // which is a third of the time otherwise
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	require.NoError(t, checks.Value.Set(fmt.Sprint(randomObjects)))
	defer func() { require.NoError(t, checks.Value.Set(before)) }()

	counts := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		was := someModel(t)
		live := withOwners(t, was)
		for range editsPerObject {
			differentialCase(t, was, live, counts)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%6d  %s", counts[name], name)
	}
	if !testing.Short() {
		require.GreaterOrEqual(t, counts["cases"], 10_000)
	}
	for _, name := range append(exceptions, "equal: refused", "equal: allowed") {
		require.Positive(t, counts[name], "no random write came to this: %s", name)
	}
}

var someOwners = []Owner{
	{Manager: "flux", Operation: apply},
	{Manager: "kapp", Operation: apply},
	{Manager: "helm", Operation: apply},
	{Manager: "helm", Operation: update, APIVersion: "apps/v1"},
	{Manager: "kubectl", Operation: apply},
	{Manager: "kubectl-edit", Operation: update, APIVersion: "apps/v1"},
	{Manager: "kubectl-client-side-apply", Operation: update, APIVersion: "apps/v1"},
	{Manager: "helm-operator", Operation: update, APIVersion: "apps/v1"},
	{Manager: "kube-controller-manager", Operation: update, APIVersion: "apps/v1", Subresource: scale},
}

// withOwners returns the object with owners of parts of it, or with none.
func withOwners(t *rapid.T, m model) manifest {
	live := m.object()
	if chance(t, 5) {
		return live
	}
	var entries []metav1.ManagedFieldsEntry
	add := func(o Owner, set *fieldpath.Set) {
		if !set.Empty() {
			entries = append(entries, claim(o, set))
		}
	}
	for _, o := range subset(t, someOwners, 55) {
		part := m.part(t)
		if o.Subresource == scale {
			part = model{Replicas: m.Replicas}
		}
		add(o, deployments.fieldSet(part.object()))
	}
	if chance(t, 10) { // as many as the API server keeps apart
		for i := range maxUpdateEntries {
			add(Owner{Manager: fmt.Sprintf("m%02d", i), Operation: update, APIVersion: "apps/v1"}, deployments.fieldSet(m.part(t).object()))
		}
	}
	if len(entries) == 0 || chance(t, 20) { // who creates an object owns all of it
		add(Owner{Manager: "creator", Operation: update, APIVersion: "apps/v1"}, deployments.fieldSet(live))
	}
	return withClaims(live, entries)
}

var someRequesters = []string{"ci", "ci", "ci", "kubectl-edit", "helm", "flux"}

// strictest refuses all that is found.
var strictest = map[string]string{
	ModeAnnotation:    string(Enforce),
	ProtectAnnotation: "helm, kubectl-edit, kubectl-client-side-apply, helm-operator, kube-controller-manager, creator, ancient-changes, m00, m01, m02, m03, m04, m05, m06, m07, m08, m09",
}

func differentialCase(t *rapid.T, was model, live manifest, counts map[string]int) {
	edited := was.edited(t)
	for chance(t, 30) {
		edited = edited.edited(t)
	}
	content, who := edited.object(), pick(t, someRequesters)
	body := withClaims(content, claims(live))
	rewrites := chance(t, 5)
	if rewrites {
		body = withClaims(content, rewritten(t, claims(live)))
	}
	stored := deployments.update(live, body, who)

	review := Review{Old: raw(t, live), New: raw(t, stored), User: "bob", Resource: "deployments.apps"}
	if chance(t, 50) {
		review.FieldManager = who
	}
	decision, err := decide(review, strictest, Operator{Unknown: Enforce, ForcedApply: Enforce})
	require.NoError(t, err)
	_, applyErr := deployments.apply(live, content, who, false)
	counts["cases"]++
	compareVerdicts(t, comparedCase{decision, applyErr, who, live, rewrites, review}, counts)
}

// rewritten returns managedFields as somebody may send them who means to get rid of an owner.
func rewritten(t *rapid.T, entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	entries = slices.Clone(entries)
	if len(entries) < 2 || chance(t, 20) {
		return []metav1.ManagedFieldsEntry{}
	}
	if chance(t, 50) {
		return entries[1:]
	}
	entries[0].Manager = pick(t, []string{"evil", ancient, entries[1].Manager})
	return entries
}

type comparedCase struct {
	decision Decision
	applyErr error
	who      string
	live     manifest
	rewrites bool
	review   Review
}

func compareVerdicts(t *rapid.T, c comparedCase, counts map[string]int) {
	ours, theirs, found := conflictSet(c.decision.Refused), map[string]Conflict{}, map[string]bool{}
	var status apierrors.APIStatus
	switch {
	case c.applyErr == nil:
	case strings.Contains(c.applyErr.Error(), "duplicate entries"):
		counts[duplicates]++
		return
	default:
		require.ErrorAs(t, c.applyErr, &status)
		theirs = causeSet(status.Status().Details.Causes)
	}
	for key, conflict := range ours {
		if _, both := theirs[key]; both {
			continue
		}
		switch {
		case conflict.How == Removed:
			found[removal] = true
		case c.rewrites: // all claims are at stake, also those that the change does not touch
			found[rewriting] = true
		default:
			t.Fatalf("only ours: %s is %s\n%v\n%s", key, conflict.How, c.applyErr, c)
		}
	}
	for key, conflict := range theirs {
		if _, both := ours[key]; both {
			continue
		}
		switch {
		case len(claims(c.live)) == 0:
			found[untracked] = true
		case Operator{}.Principal(conflict.Owner.Manager) == Operator{}.Principal(c.who):
			found[samePrincipal] = true
		case strings.HasPrefix(conflict.Field, ".metadata.annotations.deployment.kubernetes.io/"), strings.HasPrefix(conflict.Field, ".metadata.finalizers"):
			found[ignoredField] = true
		default:
			t.Fatalf("only theirs: %s\n%s", key, c)
		}
	}
	for name := range found {
		counts[name]++
	}
	if len(found) == 0 {
		equalVerdicts(t, c.decision, status, counts)
	}
}

func equalVerdicts(t *rapid.T, d Decision, status apierrors.APIStatus, counts map[string]int) {
	if status == nil {
		require.Equal(t, Allowed, d.Verdict)
		counts["equal: allowed"]++
		return
	}
	require.Equal(t, Denied, d.Verdict)
	require.Equal(t, status.Status().Message, summary("Apply", d.Refused))
	require.True(t, strings.HasPrefix(d.Message(), summary("Update", d.Refused)+"\n"))
	theirs := status.Status().Details.Causes // in no order of managers
	require.ElementsMatch(t, theirs, d.Causes())
	counts["equal: refused"]++
}

func conflictSet(conflicts []Conflict) map[string]Conflict {
	set := map[string]Conflict{}
	for _, c := range conflicts {
		set[c.Owner.String()+" "+c.Field] = c
	}
	return set
}

func causeSet(causes []metav1.StatusCause) map[string]Conflict {
	set := map[string]Conflict{}
	for _, cause := range causes {
		owner := strings.TrimPrefix(cause.Message, "conflict with ")
		name, _, _ := strings.Cut(strings.TrimPrefix(owner, `"`), `"`)
		set[owner+" "+cause.Field] = Conflict{Owner: Owner{Manager: name}, Field: cause.Field}
	}
	return set
}

func (c comparedCase) String() string {
	return fmt.Sprintf("requester %q %+v, rewrites: %t\nold: %s\nnew: %s\nrefused: %v",
		c.who, c.decision.Requester, c.rewrites, c.review.Old, c.review.New, c.decision.Refused)
}
