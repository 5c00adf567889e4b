package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
	"sluice.dev/sluice/manifests"
)

// FieldManager is named in managedFields, for the annotation alone.
const FieldManager = "kubectl-sluice"

// attempts bounds how often a write is made again after somebody else wrote; status updates of a busy
// rollout come a few times a second.
const attempts = 10

// Driver drives releases with the rights of the client's user.
type Driver struct {
	client dynamic.Interface
	reader *workload.Reader
}

// New returns a driver.
func New(client dynamic.Interface) *Driver {
	return &Driver{client, workload.NewReader(client)}
}

// Request is what to drive, and how to name it in commands.
type Request struct {
	Ref    workload.Ref
	Target report.Target
	// Release that is meant; 0: the current one.
	Release int64
}

// Do does what the verb says and returns what came of it, in one line. What is so already is no error.
func (d *Driver) Do(ctx context.Context, verb Verb, request Request) (string, error) {
	var first *canary.Release
	for range attempts {
		w, err := d.reader.Get(ctx, request.Ref)
		if err != nil {
			return "", err
		}
		if err := meant(w, verb, request); err != nil {
			return "", err
		}
		if first == nil {
			first = w.Release
		}
		if err := unmoved(w, first); err != nil {
			return "", err
		}
		if done, err := verb.before(w, request.Target); done != "" || err != nil {
			return done, err
		}
		after, err := d.annotate(ctx, w, verb)
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("%s %s: %w%s", verb.doing, request.Ref, err, hint(err))
		}
		return verb.conclude(w, after)
	}
	return "", fmt.Errorf("%s %s: somebody keeps changing it; try again", verb.doing, request.Ref)
}

// hint says where to look when the API server could not ask sluice.
func hint(err error) string {
	if apierrors.IsInternalError(err) && strings.Contains(err.Error(), "failed calling webhook") {
		return "; " + lookAtSluice
	}
	return ""
}

// lookAtSluice says how to find out whether sluice runs.
const lookAtSluice = "does sluice run? Look with: kubectl get pods -n " + manifests.Namespace

// meant checks that the workload has the release that is meant.
func meant(w *workload.Workload, verb Verb, request Request) error {
	switch r := w.Release; {
	case r == nil && request.Release != 0:
		return fmt.Errorf("%s has no release any more, so there is nothing to %s: release %d is over; look with: %s",
			w.Ref, verb.name, request.Release, request.Target.Plugin("history"))
	case r == nil:
		return fmt.Errorf("%s has no release, so there is nothing to %s; look with: %s", w.Ref, verb.name, request.Target.Plugin("status"))
	case request.Release != 0 && r.ID != request.Release:
		return fmt.Errorf("%s is at release %d, not %d, so nothing was done; look with: %s", w.Ref, r.ID, request.Release, request.Target.Plugin("status"))
	}
	return nil
}

// unmoved checks that the release stands where it stood when it was first looked at.
func unmoved(w *workload.Workload, first *canary.Release) error {
	if r := w.Release; r.ID != first.ID || r.Phase != first.Phase || r.Step != first.Step {
		return fmt.Errorf("%s moved on meanwhile, from release %d, step %d, %s to release %d, step %d, %s: nothing was done",
			w.Ref, first.ID, first.Step, first.Phase, r.ID, r.Step, r.Phase)
	}
	return nil
}

// annotate sets the annotation of the verb and returns the workload as it was stored.
func (d *Driver) annotate(ctx context.Context, w *workload.Workload, verb Verb) (*stored, error) {
	value := verb.value(w.Release)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": w.ResourceVersion,
		"annotations":     map[string]string{verb.annotation: value},
	}})
	if err != nil {
		return nil, fmt.Errorf("this is a bug: encoding the patch: %w", err)
	}
	object, err := d.client.Resource(w.Kind.Resource).Namespace(w.Namespace).
		Patch(ctx, w.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return nil, err
	}
	after, err := workload.Decode(w.Kind, object)
	if err != nil {
		return nil, err
	}
	return &stored{after, object.GetAnnotations()[verb.annotation] == value}, nil
}

// stored is what the API server answered.
type stored struct {
	*workload.Workload
	// kept: the annotation stands as it was sent.
	kept bool
}
