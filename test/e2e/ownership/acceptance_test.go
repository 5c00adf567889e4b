package ownership

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/test/e2e/harness"
)

// acceptanceCase is a situation with the verdict on it. A and B are protected owners, U is who asks, with each
// verb on an object of its own. The other managers own by Update; all are protected but kubectl and its commands.
type acceptanceCase struct {
	kind  *kind // a Thing where nil
	past  []step
	write write
	verbs []verb // all of the kind where empty

	want    []string // what is refused: owner, field
	allowed bool     // says that want is none on purpose
	warned  []string // the warnings that the writer reads
	// unlike says why the API server's own apply of the same change cannot be compared.
	unlike string
	// then looks at what was stored.
	then func(*testing.T, *unstructured.Unstructured)
	// unsaid: the edit does not tell what is stored, which then looks at.
	unsaid bool
}

const (
	removal   = "an apply removes nothing"
	claimsAre = "an apply cannot say what managedFields are"
)

// protected are the managers whose claims by Update are protected in the namespaces of these tests.
const protected = "A, B, controller, creator, helm, keda, m00, m01, m02, m03, m04, m05, m06, m07, m08, m09, ancient-changes"

// enforced returns a namespace in which ownership is enforced, and no release interferes.
func enforced(t *testing.T, options ...harness.Option) *harness.Namespace {
	t.Helper()
	registered(t)
	n := env.Namespace(t, append([]harness.Option{
		harness.Annotation("sluice.dev/ownership", "enforce"), harness.Annotation("sluice.dev/protect", protected),
		harness.Annotation("sluice.dev/canary", "disabled"),
	}, options...)...)
	n.Unjudged() // there are no releases to judge, and the force manager's name is not sluice's writing
	return n
}

func runAll(t *testing.T, tests map[string]acceptanceCase) {
	t.Helper()
	t.Parallel()
	n := enforced(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test.run(t, n.Name) })
	}
}

var objects atomic.Int64

func (c acceptanceCase) run(t *testing.T, namespace string) {
	k := things
	if c.kind != nil {
		k = *c.kind
	}
	if c.verbs == nil {
		c.verbs = k.verbs()
	}
	require.NotEqual(t, c.allowed, len(c.want) > 0, "the case says what it wants")
	name := t.Name()[strings.Index(t.Name(), "/")+1:]
	for _, v := range c.verbs {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			o := object{k, namespace, fmt.Sprintf("%s-%s-%d", slug(name), v, objects.Add(1))}
			o.history(t, c.past...)
			if c.allowed {
				c.passes(t, o, v)
			} else {
				c.isRefused(t, o, v)
			}
		})
	}
}

// passes requires that the write is stored as it was sent, also in a dry run, which stores nothing.
func (c acceptanceCase) passes(t *testing.T, o object, v verb) {
	before := o.settled(t)
	rehearsed := o.send(t, v, c.write.dry())
	require.NoError(t, rehearsed.err)
	require.Equal(t, c.warned, rehearsed.heard())
	require.Equal(t, before, o.settled(t))

	done := o.send(t, v, c.write)

	require.NoError(t, done.err)
	require.Equal(t, c.warned, done.heard())
	if c.write.edit != nil && !c.unsaid {
		wanted := done.stored.DeepCopy()
		c.write.edit(wanted.Object)
		require.Equal(t, wanted.Object, done.stored.Object, "it is stored as it was sent")
	}
	if c.then != nil {
		c.then(t, done.stored)
	}
}

// isRefused requires the same refusal of a dry run and of the write, in the API server's own words, and that
// nothing changes.
func (c acceptanceCase) isRefused(t *testing.T, o object, v verb) {
	before := o.settled(t)
	rehearsed, refused := o.send(t, v, c.write.dry()), o.send(t, v, c.write)
	require.Equal(t, before, o.settled(t))

	status := refused.status(t)
	require.Equal(t, c.want, conflicts(status), status.Message)
	require.Empty(t, refused.heard())
	require.EqualValues(t, 403, status.Code)
	require.Equal(t, metav1.StatusReasonForbidden, status.Reason)
	entry := o.kind.webhook
	if c.write.subresource == "scale" {
		entry = "scale.sluice.dev"
	}
	said, ok := strings.CutPrefix(status.Message, fmt.Sprintf("admission webhook %q denied the request: ", entry))
	require.True(t, ok, status.Message)
	require.Contains(t, said, "\nThere are three ways out:\n1. ")
	rehearsal := rehearsed.status(t)
	require.Equal(t, status.Details, rehearsal.Details)
	if o.kind.name != "Deployment" || !strings.Contains(said, "with the annotation") { // that names the version, which a controller may have changed
		require.Equal(t, status.Message, rehearsal.Message)
	}
	if c.unlike != "" {
		return
	}
	native := o.native(t, c.write)
	require.EqualValues(t, 409, native.Code)
	require.Equal(t, byOwner(native.Details.Causes), byOwner(status.Details.Causes))
	require.True(t, strings.HasPrefix(said, strings.Replace(native.Message, "Apply", "Update", 1)+"\n"), "%s\nis not what the API server says:\n%s", said, native.Message)
}

// heard returns the warnings, but for what sluice says of every new template in these namespaces, and the API server
// of two variables or ports of one key.
func (a answer) heard() []string {
	var heard []string
	for _, text := range a.warnings {
		if !strings.HasSuffix(text, "without a canary: its canaries are disabled") &&
			!strings.Contains(text, "hides previous definition of") && !strings.Contains(text, "duplicate port") {
			heard = append(heard, text)
		}
	}
	return heard
}

// byOwner sorts causes: the API server names the owners in any order. The fields of one keep theirs.
func byOwner(causes []metav1.StatusCause) []metav1.StatusCause {
	slices.SortStableFunc(causes, func(a, b metav1.StatusCause) int { return strings.Compare(a.Message, b.Message) })
	return causes
}

func (w write) dry() write {
	w.dryRun = true
	return w
}

// conflicts returns what a refusal names: owner, field.
func conflicts(status metav1.Status) []string {
	if status.Details == nil {
		return nil
	}
	var lines []string
	for _, cause := range status.Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			lines = append(lines, strings.TrimPrefix(cause.Message, "conflict with ")+" "+cause.Field)
		}
	}
	return lines
}
