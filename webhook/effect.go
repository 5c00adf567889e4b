package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// How many workloads are in memory at once, of all edits together: a chart may write many objects in one
// go, and a workload takes up to 200 KB.
const (
	pageSize    = 100
	pagesAtOnce = 2
)

// listed are the kinds of workloads. Typed lists come as protobuf, which costs both sides a fraction of
// JSON.
var listed = []workloadKind{
	{canary.Deployment, func() client.ObjectList { return &appsv1.DeploymentList{} }},
	{canary.StatefulSet, func() client.ObjectList { return &appsv1.StatefulSetList{} }},
	{canary.DaemonSet, func() client.ObjectList { return &appsv1.DaemonSetList{} }},
}

type workloadKind struct {
	name string
	list func() client.ObjectList
}

// effect is what an edit does to the workloads of its namespace.
type effect struct {
	held      []string // get a release
	native    []string // roll out without a canary
	unchanged int      // use the object, but none of the keys that change
	live      int      // of those that are held or native: their pods read the object itself
}

// effect finds the workloads that use the object; none in a namespace that has not opted in. They are
// listed live: only the replica that leads has a cache of them, and the API server asks any.
func (h *configs) effect(ctx context.Context, e edit) (effect, error) {
	namespace, err := h.observer.namespace(ctx, e.namespace)
	if err != nil || namespace.Labels[canary.EnabledLabel] != "true" {
		return effect{}, err
	}
	found := make([]effect, len(listed))
	group, ctx := errgroup.WithContext(ctx)
	for i, kind := range listed {
		group.Go(recovered(ctx, func() error {
			return h.each(ctx, kind, e.namespace, func(w *canary.Workload) error {
				return found[i].add(ctx, e, kind.name, w, namespace.Annotations)
			})
		}))
	}
	if err := group.Wait(); err != nil {
		return effect{}, err
	}
	var all effect
	for _, of := range found {
		all.held = append(all.held, of.held...)
		all.native = append(all.native, of.native...)
		all.unchanged += of.unchanged
		all.live += of.live
	}
	slices.Sort(all.held)
	slices.Sort(all.native)
	return all, nil
}

// each visits the workloads of one kind, page by page. The deadline ends it, however many pages there are.
func (h *configs) each(ctx context.Context, kind workloadKind, namespace string, visit func(*canary.Workload) error) error {
	options := &client.ListOptions{Namespace: namespace, Limit: pageSize}
	for {
		next, err := h.page(ctx, kind.list(), options, visit)
		if err != nil {
			return fmt.Errorf("listing %ss of %s: %w", kind.name, namespace, err)
		}
		if next == "" {
			return nil
		}
		options.Continue = next
	}
}

// page visits the workloads of one page and returns where the next one begins, empty after the last.
func (h *configs) page(ctx context.Context, list client.ObjectList, options *client.ListOptions, visit func(*canary.Workload) error) (string, error) {
	select {
	case h.pages <- struct{}{}:
		defer func() { <-h.pages }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := h.observer.reader.List(ctx, list, options); err != nil {
		return "", err
	}
	err := meta.EachListItem(list, func(object runtime.Object) error {
		w, err := decodeListed(object)
		if err != nil {
			return err
		}
		return visit(w)
	})
	return list.GetContinue(), err
}

// decodeListed goes by way of JSON: decisions are made on raw pod templates.
func decodeListed(object runtime.Object) (*canary.Workload, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	accessor.SetManagedFields(nil) // often half of the object
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", accessor.GetName(), err)
	}
	return canary.DecodeWorkload(raw)
}

// add counts a workload that uses the object. Not one that admission does not let change: it is being
// deleted, has opted out, or its policy is not valid.
func (f *effect) add(ctx context.Context, e edit, kind string, w *canary.Workload, namespace map[string]string) error {
	if w.Metadata.DeletionTimestamp != "" || w.Metadata.Labels[canary.EnabledLabel] == "false" {
		return nil
	}
	name := subjectOf(kind, w.Metadata.Name)
	refs, err := canary.ConfigOf(w, namespace)
	if err != nil {
		log.FromContext(ctx).V(1).Info("left a workload out of a warning", "workload", e.namespace+"/"+w.Metadata.Name, "kind", kind, "reason", err.Error())
		return nil
	}
	at := slices.IndexFunc(refs, func(r hashing.Reference) bool { return r.Kind == e.kind && r.Name == e.name })
	switch {
	case at < 0:
		return nil
	case !uses(refs[at], e.keys):
		f.unchanged++
		return nil
	}
	held, err := canary.Holds(kind, w, namespace)
	if err != nil {
		return err
	}
	if pinned, err := canary.RunsPinned(w, e.kind, e.name); err != nil {
		return err
	} else if !pinned {
		f.live++
	}
	switch {
	case held:
		f.held = append(f.held, name)
	default:
		f.native = append(f.native, name)
	}
	return nil
}

// uses tells whether a reference uses one of the keys.
func uses(ref hashing.Reference, keys []string) bool {
	return len(ref.Keys) == 0 || slices.ContainsFunc(keys, func(key string) bool { return slices.Contains(ref.Keys, key) })
}

// warnings are what whoever edits reads; none where nothing rolls.
func (f effect) warnings(e edit) []string {
	const natively = "rolls out natively, without a canary: "
	change := "sluice: this change of " + e.subject() + " (" + keyNames(e.keys) + ") "
	rest := ""
	switch {
	case f.unchanged == 1:
		rest = "; 1 workload uses only unchanged keys"
	case f.unchanged > 1:
		rest = fmt.Sprintf("; %d workloads use only unchanged keys", f.unchanged)
	}
	switch {
	case len(f.held) == 0 && len(f.native) == 0:
		return nil
	case len(f.held) == 0:
		return []string{warning(change+natively, f.native, rest)}
	}
	warnings := []string{warning(change+"starts a release of ", f.held, rest)}
	if len(f.native) > 0 {
		warnings = append(warnings, warning("sluice: it "+natively, f.native, ""))
	}
	if f.live == 0 {
		return append(warnings, "sluice: pods that run already keep what they were released with: it is pinned")
	}
	return append(warnings, "sluice: pods that run already may read it before it is approved")
}

// warning is a sentence with as many of the names, one at least, as there is room for: of many warnings
// the API server cuts each at 256 characters.
func warning(before string, names []string, after string) string {
	const room = 255
	list := names[0]
	for i, name := range names[1:] {
		longer := list + ", " + name
		if len(before)+len(longer)+len(more(len(names)-i-2))+len(after) > room {
			return before + list + more(len(names)-i-1) + after
		}
		list = longer
	}
	return before + list + after
}

// keyNames names three keys at most: what rolls matters more.
func keyNames(keys []string) string {
	const most = 3
	word := "keys "
	if len(keys) == 1 {
		word = "key "
	}
	return word + strings.Join(keys[:min(most, len(keys))], ", ") + more(len(keys)-most)
}

func more(count int) string {
	if count < 1 {
		return ""
	}
	return fmt.Sprintf(" and %d more", count)
}

// subjectOf names an object as kubectl does, as "deployment/web".
func subjectOf(kind, name string) string { return strings.ToLower(kind) + "/" + name }
