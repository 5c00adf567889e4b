package harness

import (
	"encoding/json"
	"strconv"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

// rehearsal is what the dry runs of a write answered. The write itself must store the same.
type rehearsal struct {
	before, dry *appsv1.Deployment
}

// rehearse sends a write of alice's twice as a dry run and requires the same answer. It is called right
// before the write, with the patch that kubectl makes of it.
func (n *Namespace) rehearse(name, manager string, kind types.PatchType, patch string) {
	n.t.Helper()
	if n.Env.Proxy != nil && n.Env.Proxy.interferes(n.Name) {
		return // sluice may give no answer
	}
	alice := n.Env.Client(n.t, "alice").AppsV1().Deployments(n.Name)
	dryRun := func() *appsv1.Deployment {
		n.t.Helper()
		d, err := alice.Patch(n.t.Context(), name, kind, []byte(patch),
			metav1.PatchOptions{FieldManager: manager, DryRun: []string{metav1.DryRunAll}})
		require.NoError(n.t, err, "a dry run of what is permitted")
		return d
	}
	for range 5 { // until no controller writes in between
		before, first, second := n.Deployment(name), dryRun(), dryRun()
		if first.ResourceVersion != before.ResourceVersion || second.ResourceVersion != before.ResourceVersion {
			continue
		}
		require.Equal(n.t, content(first), content(second), "a second dry run gives the same answer")
		n.rehearsals = append(n.rehearsals, rehearsal{before, second})
		return
	}
}

// verifyRehearsals compares each write with its dry runs: byte for byte, if nobody else changed the object
// in between.
func (n *Namespace) verifyRehearsals() {
	n.t.Helper()
	events, _ := n.recorder.Events() // its error is a failure already, or a gap that is allowed
	compared := 0
	for _, r := range n.rehearsals {
		before, stored := r.stored(events)
		if stored == nil || content(before) != content(r.before) || n.gaps {
			continue
		}
		compared++
		if got, want := content(stored), content(r.dry); got != want {
			n.t.Errorf("revision %s of deployment %s is not what its dry run said:\n%s\nwant:\n%s", stored.ResourceVersion, stored.Name, got, want)
		}
	}
	if len(n.rehearsals) > 0 {
		n.t.Logf("%d of %d writes were compared with their dry runs", compared, len(n.rehearsals))
	}
}

// stored returns the version that the write stored and the one before it, nil where it changed nothing.
func (r rehearsal) stored(events []watch.Event) (before, stored *appsv1.Deployment) {
	from, err := strconv.ParseInt(r.before.ResourceVersion, 10, 64)
	if err != nil {
		panic("this is a bug: a resourceVersion that is no number: " + err.Error())
	}
	before = r.before
	for _, e := range events {
		d := e.Deployment
		if d == nil || d.UID != r.before.UID || e.Revision <= from {
			continue
		}
		if r.wrote(d) {
			return before, d
		}
		before = d
	}
	return nil, nil
}

// wrote tells whether a version has what no one but the user writes: the new template, or the annotation
// that drives the release.
func (r rehearsal) wrote(d *appsv1.Deployment) bool {
	if template := encode(r.dry.Spec.Template); template != encode(r.before.Spec.Template) {
		return encode(d.Spec.Template) == template
	}
	for _, key := range []string{canary.ApproveAnnotation, canary.AbortAnnotation} {
		if value := r.dry.Annotations[key]; value != r.before.Annotations[key] {
			return d.Annotations[key] == value
		}
	}
	return false
}

// content is what a write decides on.
func content(d *appsv1.Deployment) string {
	return encode(map[string]any{"spec": d.Spec, "annotations": d.Annotations, "labels": d.Labels})
}

func encode(v any) string {
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic("this is a bug: encoding an object: " + err.Error())
	}
	return string(raw)
}
