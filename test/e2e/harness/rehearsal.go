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
	before, dry workload
}

// workload is a version of a Deployment or StatefulSet.
type workload struct {
	metav1.Object
	spec, template any
}

func ofDeployment(d *appsv1.Deployment) workload   { return workload{d, d.Spec, d.Spec.Template} }
func ofStatefulSet(s *appsv1.StatefulSet) workload { return workload{s, s.Spec, s.Spec.Template} }

// edit is a write that alice is about to make, with a patch that says what kubectl's does.
type edit struct {
	manager string
	kind    types.PatchType
	patch   string
}

func (e edit) options() metav1.PatchOptions { return metav1.PatchOptions{FieldManager: e.manager} }

func (e edit) dryRun() metav1.PatchOptions {
	options := e.options()
	options.DryRun = []string{metav1.DryRunAll}
	return options
}

// rehearse sends a write of alice's to a Deployment twice as a dry run, and requires the same answer. It is
// called right before the write.
func (n *Namespace) rehearse(name string, e edit) {
	n.t.Helper()
	alice := n.Env.Client(n.t, "alice").AppsV1().Deployments(n.Name)
	n.rehearseWith(func() workload { return ofDeployment(n.Deployment(name)) }, func() workload {
		n.t.Helper()
		d, err := alice.Patch(n.t.Context(), name, e.kind, []byte(e.patch), e.dryRun())
		require.NoError(n.t, err, "a dry run of what is permitted")
		return ofDeployment(d)
	})
}

func (n *Namespace) rehearseWith(get, dryRun func() workload) {
	n.t.Helper()
	if n.Env.Proxy != nil && n.Env.Proxy.interferes(n.Name) {
		return // sluice may give no answer
	}
	for range 5 { // until no controller writes in between
		before, first, second := get(), dryRun(), dryRun()
		version := before.GetResourceVersion()
		if first.GetResourceVersion() != version || second.GetResourceVersion() != version {
			continue
		}
		require.Equal(n.t, first.content(), second.content(), "a second dry run gives the same answer")
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
		if stored == nil || before.content() != r.before.content() || n.gaps {
			continue
		}
		compared++
		if got, want := stored.content(), r.dry.content(); got != want {
			n.t.Errorf("revision %s of %s is not what its dry run said:\n%s\nwant:\n%s", stored.GetResourceVersion(), stored.GetName(), got, want)
		}
	}
	if len(n.rehearsals) > 0 {
		n.t.Logf("%d of %d writes were compared with their dry runs", compared, len(n.rehearsals))
	}
}

// stored returns the version that the write stored and the one before it, nil where it changed nothing.
func (r rehearsal) stored(events []watch.Event) (before workload, stored *workload) {
	from, err := strconv.ParseInt(r.before.GetResourceVersion(), 10, 64)
	if err != nil {
		panic("this is a bug: a resourceVersion that is no number: " + err.Error())
	}
	before = r.before
	for _, e := range events {
		var w workload
		switch {
		case e.Deployment != nil:
			w = ofDeployment(e.Deployment)
		case e.StatefulSet != nil:
			w = ofStatefulSet(e.StatefulSet)
		default:
			continue
		}
		if w.GetUID() != r.before.GetUID() || e.Revision <= from {
			continue
		}
		if r.wrote(w) {
			return before, &w
		}
		before = w
	}
	return before, nil
}

// wrote tells whether a version has what no one but the user writes: the new template, or the annotation
// that drives the release.
func (r rehearsal) wrote(w workload) bool {
	if template := encode(r.dry.template); template != encode(r.before.template) {
		return encode(w.template) == template
	}
	for _, key := range []string{canary.ApproveAnnotation, canary.AbortAnnotation, canary.RetryAnnotation} {
		if value := r.dry.GetAnnotations()[key]; value != r.before.GetAnnotations()[key] {
			return w.GetAnnotations()[key] == value
		}
	}
	return false
}

// content is what a write decides on.
func (w workload) content() string {
	return encode(map[string]any{"spec": w.spec, "annotations": w.GetAnnotations(), "labels": w.GetLabels()})
}

func encode(v any) string {
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic("this is a bug: encoding an object: " + err.Error())
	}
	return string(raw)
}
