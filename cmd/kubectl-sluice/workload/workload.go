package workload

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// Workload is a Deployment or StatefulSet as it was read.
type Workload struct {
	Ref
	UID             types.UID
	ResourceVersion string
	Generation      int64
	// Replicas is spec.replicas, N.
	Replicas int32
	// Paused is spec.paused.
	Paused bool
	// Template is spec.template, raw.
	Template json.RawMessage
	// TemplateHash and Digest name the template as sluice does.
	TemplateHash, Digest string
	// Release is nil where there is none.
	Release *canary.Release
	Status  Status

	selector  labels.Selector
	partition int32
}

// Status is what the native controller says.
type Status struct {
	ObservedGeneration int64  `json:"observedGeneration"`
	Replicas           int32  `json:"replicas"`
	UpdatedReplicas    int32  `json:"updatedReplicas"`
	AvailableReplicas  int32  `json:"availableReplicas"`
	CurrentRevision    string `json:"currentRevision"` // StatefulSet
	UpdateRevision     string `json:"updateRevision"`  // StatefulSet
}

// spec is the part of both kinds' spec that is looked at.
type spec struct {
	Replicas       *int32               `json:"replicas"`
	Paused         bool                 `json:"paused"`
	Selector       metav1.LabelSelector `json:"selector"`
	UpdateStrategy struct {
		RollingUpdate struct {
			Partition *int32 `json:"partition"`
		} `json:"rollingUpdate"`
	} `json:"updateStrategy"`
}

// Decode returns the workload of an object.
func Decode(kind *Kind, object *unstructured.Unstructured) (*Workload, error) {
	w := &Workload{
		Ref:             Ref{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName()},
		UID:             object.GetUID(),
		ResourceVersion: object.GetResourceVersion(),
		Generation:      object.GetGeneration(),
	}
	if err := w.decode(object); err != nil {
		return nil, fmt.Errorf("%s in namespace %s: %w", w.Ref, w.Namespace, err)
	}
	return w, nil
}

func (w *Workload) decode(object *unstructured.Unstructured) error {
	var fields struct {
		Spec   spec   `json:"spec"`
		Status Status `json:"status"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &fields); err != nil {
		return fmt.Errorf("decoding it: %w", err)
	}
	w.Paused, w.Status, w.Replicas = fields.Spec.Paused, fields.Status, 1
	if fields.Spec.Replicas != nil {
		w.Replicas = *fields.Spec.Replicas
	}
	if p := fields.Spec.UpdateStrategy.RollingUpdate.Partition; p != nil {
		w.partition = *p
	}
	var err error
	if w.selector, err = metav1.LabelSelectorAsSelector(&fields.Spec.Selector); err != nil {
		return fmt.Errorf("reading its selector: %w", err)
	}
	if w.Template, err = templateOf(object); err != nil {
		return err
	}
	if w.TemplateHash, w.Digest, err = identify(w.Template); err != nil {
		return err
	}
	if object.GetLabels()[canary.ActiveLabel] == "true" { // a state without the label is not sluice's
		w.Release, err = canary.DecodeRelease(object.GetAnnotations())
	}
	return err
}

// templateOf returns spec.template of an object, raw.
func templateOf(object *unstructured.Unstructured) (json.RawMessage, error) {
	template, _, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "template")
	if err != nil {
		return nil, fmt.Errorf("reading its pod template: %w", err)
	}
	raw, err := json.Marshal(template)
	if err != nil {
		return nil, fmt.Errorf("encoding its pod template: %w", err)
	}
	return raw, nil
}

// identify returns the hash and the config digest of a template, as sluice's state names them.
func identify(template json.RawMessage) (hash, digest string, err error) {
	if hash, err = canary.HashTemplate(template); err != nil {
		return "", "", err
	}
	digest, err = canary.TemplateDigest(template)
	return hash, digest, err
}

// RolledOut tells whether the native controller has brought every pod to the template, and all are
// available.
func (w *Workload) RolledOut() bool { return w.Kind.rolledOut(w) }

// Selector selects the pods of all revisions.
func (w *Workload) Selector() labels.Selector { return w.selector }

// StepSize returns how many canary pods a step has. Those of a StatefulSet replace stable ones above the
// user's own partition, and one stable pod stays.
func (w *Workload) StepSize(step canary.Step) int32 {
	size := step.Size(w.Replicas)
	if w.Kind.Name != canary.StatefulSet {
		return size
	}
	size = min(size, w.Replicas-1)
	if w.Release.Step > 0 { // before, the partition is the pause that will be taken back
		size = min(size, w.Replicas-w.Release.Held.Partition)
	}
	return max(size, 0)
}

// Updated tells whether every pod runs the template, available or not.
func (w *Workload) Updated() bool {
	return w.Status.UpdatedReplicas >= w.Replicas-w.partition
}
