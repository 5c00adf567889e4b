package workload

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/canary"
)

// Canaries returns the canary of each of these workloads that has one, all of one namespace or, where it
// is empty, of any. Deployments cost one request together, StatefulSets one each.
func (r *Reader) Canaries(ctx context.Context, namespace string, of []*Workload) (map[Ref]Revision, error) {
	marked, err := labels.Parse(canary.WorkloadLabel)
	if err != nil {
		return nil, fmt.Errorf("this is a bug: %w", err)
	}
	items, err := r.list(ctx, replicaSetResource, namespace, marked)
	if err != nil {
		return nil, fmt.Errorf("listing the replica sets of releases: %w", err)
	}
	found := map[Ref]Revision{}
	for _, w := range of {
		var revision *Revision
		if w.Kind == StatefulSet {
			revision, err = r.statefulSetCanary(ctx, w)
		} else {
			revision, err = replicaSetCanary(w, items)
		}
		if err != nil {
			return nil, err
		}
		if revision != nil {
			found[w.Ref] = *revision
		}
	}
	return found, nil
}

// replicaSetCanary returns the canary of a Deployment among marked ReplicaSets, nil where it is not.
func replicaSetCanary(w *Workload, marked []unstructured.Unstructured) (*Revision, error) {
	for i := range marked {
		if marked[i].GetNamespace() != w.Namespace || !belongsTo(&marked[i], w.UID) {
			continue
		}
		revision, err := replicaSetRevision(w, &marked[i])
		if err != nil {
			return nil, fmt.Errorf("replica set %s/%s: %w", w.Namespace, marked[i].GetName(), err)
		}
		if revision.Role == Canary {
			return &revision, nil
		}
	}
	return nil, nil
}

// statefulSetCanary counts the pods that run the template of a StatefulSet, nil where that is stable.
func (r *Reader) statefulSetCanary(ctx context.Context, w *Workload) (*Revision, error) {
	if w.Status.UpdateRevision == w.Status.CurrentRevision {
		return nil, nil
	}
	pods, err := r.pods(ctx, w)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Workload: w, Pods: pods, Revisions: []Revision{{
		Name: w.Status.UpdateRevision, Role: Canary, PodLabel: w.Status.UpdateRevision,
		Template: w.Template, Hash: w.TemplateHash, Digest: w.Digest, Wanted: w.canaryPods(),
	}}}
	s.countAvailable()
	return &s.Revisions[0], nil
}
