package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
)

// stableRecord is the data of the ControllerRevision that outlives the stable ReplicaSet. Its keys are in
// order: a patch, as the garbage collector's of an orphan, makes the API server encode the data anew, and
// refuses it where that differs, since the data is immutable.
type stableRecord struct {
	// Hash is its pod-template-hash, ReplicaSet its name, Revision its number by the deployment controller.
	Hash       string `json:"hash,omitempty"`
	ReplicaSet string `json:"replicaSet"`
	Revision   string `json:"revision,omitempty"`
	// Template is its pod template without the hash.
	Template map[string]any `json:"template"`
}

// recordName is the same for the same stable revision of the same Deployment, and for nothing else.
func recordName(w *workload, stable canary.Revision) string {
	sum := sha256.Sum256([]byte(string(w.typed.UID) + "/" + stable.Hash + "/" + stable.Digest))
	return nameWithHash(w.typed.Name, hex.EncodeToString(sum[:8]))
}

// listRecords returns the ControllerRevisions that releases of the workload made.
func (r *reconciler) listRecords(ctx context.Context, w *workload) ([]appsv1.ControllerRevision, error) {
	list := &appsv1.ControllerRevisionList{}
	err := r.client.List(ctx, list, client.InNamespace(w.typed.Namespace),
		client.MatchingLabels{canary.WorkloadLabel: canary.WorkloadLabelValue(w.typed.Name)})
	if err != nil {
		return nil, fmt.Errorf("listing controller revisions of deployment %s/%s: %w", w.typed.Namespace, w.typed.Name, err)
	}
	return slices.DeleteFunc(list.Items, func(record appsv1.ControllerRevision) bool {
		return !refersTo(&record, w.typed.UID) || record.DeletionTimestamp != nil
	}), nil
}

// stableRecordOf returns the record of the release's stable template, nil where there is none.
func (s *snapshot) stableRecordOf() *appsv1.ControllerRevision {
	name := recordName(s.workload, s.release.Stable)
	for i := range s.records {
		if s.records[i].Name == name {
			return &s.records[i]
		}
	}
	return nil
}

// newRecord returns the ControllerRevision that keeps a ReplicaSet's template.
func newRecord(w *workload, release *canary.Release, rs *unstructured.Unstructured) (*appsv1.ControllerRevision, error) {
	template, _, err := unstructured.NestedMap(rs.Object, "spec", "template")
	if err != nil {
		return nil, err
	}
	hash, _, _ := unstructured.NestedString(template, "metadata", "labels", hashLabel)
	unstructured.RemoveNestedField(template, "metadata", "labels", hashLabel)
	data, err := json.Marshal(stableRecord{
		ReplicaSet: rs.GetName(), Hash: hash, Revision: rs.GetAnnotations()[revisionAnnotation], Template: template,
	})
	if err != nil {
		return nil, err
	}
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.typed.Namespace,
			Name:      recordName(w, release.Stable),
			Labels: map[string]string{
				canary.WorkloadLabel: canary.WorkloadLabelValue(w.typed.Name),
				canary.ReleaseLabel:  release.Name(),
			},
			OwnerReferences: []metav1.OwnerReference{w.reference()},
		},
		Data: runtime.RawExtension{Raw: data},
	}, nil
}

func (r *reconciler) recordStable(ctx context.Context, s *snapshot, uid string) error {
	rs, err := s.replicaSet(uid)
	if err != nil {
		return err
	}
	record, err := newRecord(s.workload, s.release, rs.object)
	if err != nil {
		return fmt.Errorf("recording the template of replica set %s/%s: %w", s.key.Namespace, rs.state.Name, err)
	}
	err = r.client.Create(ctx, record, fieldManager)
	if apierrors.IsAlreadyExists(err) {
		return r.checkRecord(ctx, s, record)
	}
	if err != nil {
		return fmt.Errorf("creating controller revision %s/%s: %w", s.key.Namespace, record.Name, err)
	}
	return nil
}

// checkRecord tells whether the ControllerRevision of that name is the record: then an earlier create
// was applied although it seemed to fail.
func (r *reconciler) checkRecord(ctx context.Context, s *snapshot, want *appsv1.ControllerRevision) error {
	found := &appsv1.ControllerRevision{}
	if err := r.client.Get(ctx, client.ObjectKeyFromObject(want), found); err != nil {
		return fmt.Errorf("reading controller revision %s/%s: %w", want.Namespace, want.Name, err)
	}
	if refersTo(found, s.workload.typed.UID) && found.Labels[canary.WorkloadLabel] == want.Labels[canary.WorkloadLabel] {
		return nil
	}
	return &blocked{fmt.Sprintf("the stable template cannot be recorded: controller revision %s exists and is not sluice's; delete it", want.Name)}
}

// forgetStable deletes one record; the next look finds the others.
func (r *reconciler) forgetStable(ctx context.Context, s *snapshot) error {
	if len(s.records) == 0 {
		return nil
	}
	return r.deleteExactly(ctx, &s.records[0], "controller revision")
}

// stableReplicaSet returns the recorded ReplicaSet, owned by the Deployment from the start, so that it
// is never taken for a canary.
func stableReplicaSet(w *workload, record *appsv1.ControllerRevision, replicas int32) (*unstructured.Unstructured, error) {
	var stable stableRecord
	if err := kjson.UnmarshalCaseSensitivePreserveInts(record.Data.Raw, &stable); err != nil {
		return nil, fmt.Errorf("decoding controller revision %s: %w", record.Name, err)
	}
	rs := newReplicaSet(w, stable.ReplicaSet, nil, w.controllerReference())
	err := setSpec(rs, w, podSpec{
		template: stable.Template, hash: stable.Hash, replicas: replicas, minReadySeconds: w.typed.Spec.MinReadySeconds,
	})
	if err != nil {
		return nil, err
	}
	rs.SetLabels(templateLabels(rs))
	if stable.Revision != "" {
		rs.SetAnnotations(map[string]string{revisionAnnotation: stable.Revision})
	}
	return rs, nil
}

func (r *reconciler) restoreStable(ctx context.Context, s *snapshot, replicas int32) error {
	record := s.stableRecordOf()
	if record == nil {
		return fmt.Errorf("this is a bug: restoring a stable replica set of %s that is not recorded", s.key)
	}
	rs, err := stableReplicaSet(s.workload, record, replicas)
	if err != nil {
		return fmt.Errorf("restoring the stable replica set of %s: %w", s.key, err)
	}
	if err := r.client.Create(ctx, rs, fieldManager); err != nil {
		return fmt.Errorf("creating replica set %s/%s: %w", s.key.Namespace, rs.GetName(), err)
	}
	return nil
}
