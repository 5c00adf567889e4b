package eject

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/canary"
)

// reasons why a ReplicaSet is waited for.
var reasons = map[fate]wait{
	await: {what: "the deployment controller to let go of replica set %s"},
	cover: {what: "its own pods to be available, since those of replica set %s stand in for them", serves: true},
}

// sweep takes away, or unmarks, what releases of a Deployment left.
func (e *Ejector) sweep(ctx context.Context, item *Item) (waits wait, err error) {
	marked := labels.Set{canary.WorkloadLabel: canary.WorkloadLabelValue(item.Name)}.AsSelector()
	items, err := e.list(ctx, replicaSets, item.Namespace, marked)
	if err != nil {
		return wait{}, err
	}
	sets, err := decodeAll[appsv1.ReplicaSet](items)
	if err != nil {
		return wait{}, err
	}
	// Read after them: what a release that only now begins has made is not among them.
	o, err := e.ownerOf(ctx, item.Namespace, item.Name)
	if err != nil {
		return wait{}, err
	}
	for i := range sets {
		if name := ownerName(&sets[i]); name != "" && name != item.Name {
			continue
		}
		what := fateOf(&sets[i], o)
		if what == cover && e.Timeout == 0 {
			what = drop
		}
		if err := e.meet(ctx, item, &items[i], what); err != nil {
			return wait{}, err
		}
		if reason, ok := reasons[what]; ok {
			waits = wait{what: fmt.Sprintf(reason.what, sets[i].Name), serves: reason.serves}
		}
	}
	if waits != (wait{}) || o.active {
		return waits, nil
	}
	return wait{}, e.forget(ctx, item, marked)
}

// meet does to a ReplicaSet what its fate is.
func (e *Ejector) meet(ctx context.Context, item *Item, rs *unstructured.Unstructured, what fate) error {
	name := rs.GetName()
	switch what {
	case unmark:
		rs.SetLabels(withoutMarks(rs.GetLabels()))
		_, err := e.client.Resource(replicaSets).Namespace(item.Namespace).Update(ctx, rs, metav1.UpdateOptions{FieldManager: canary.EjectManager})
		if err != nil {
			return fmt.Errorf("unmarking replica set %s/%s: %w", item.Namespace, name, err)
		}
		e.Say(item.Ref, fmt.Sprintf("replica set %s stays, without sluice's labels", name))
	case drop:
		uid, version, background := rs.GetUID(), rs.GetResourceVersion(), metav1.DeletePropagationBackground
		err := e.client.Resource(replicaSets).Namespace(item.Namespace).Delete(ctx, name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}, PropagationPolicy: &background,
		})
		if err != nil {
			return fmt.Errorf("deleting replica set %s/%s: %w", item.Namespace, name, err)
		}
		e.Say(item.Ref, fmt.Sprintf("replica set %s deleted", name))
	case spare, await, cover:
	}
	return nil
}

// forget deletes the records of stable templates.
func (e *Ejector) forget(ctx context.Context, item *Item, marked labels.Selector) error {
	records, err := e.list(ctx, controllerRevisions, item.Namespace, marked)
	if err != nil {
		return err
	}
	for i := range records {
		if name := ownerName(&records[i]); name != "" && name != item.Name {
			continue
		}
		if e.keeps[item.Namespace] {
			e.Say(item.Ref, fmt.Sprintf("note: record %s of its stable version stays, since you may not delete it; it goes with the workload", records[i].GetName()))
			continue
		}
		err := e.client.Resource(controllerRevisions).Namespace(item.Namespace).Delete(ctx, records[i].GetName(),
			metav1.DeleteOptions{Preconditions: preconditions(records[i].GetUID())})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting controller revision %s/%s: %w", item.Namespace, records[i].GetName(), err)
		}
		e.Say(item.Ref, fmt.Sprintf("record %s of its stable version deleted", records[i].GetName()))
	}
	return nil
}
