package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

const (
	// fieldManager is named in managedFields. It owns the annotation and nothing else.
	fieldManager = client.FieldOwner("sluice")
	// lookAgain is when to look again after a guarded write came too late.
	lookAgain = 200 * time.Millisecond
	// idleLook is when to look again at what something is in the way of; events come sooner.
	idleLook = 30 * time.Second
	// waitingLook is the same for what waits for other workloads.
	waitingLook = 2 * time.Minute
)

// Keyring makes and verifies digests; *live.Keyring is one.
type Keyring interface {
	Digest(ctx context.Context, previous, namespace string, refs []hashing.Reference, objects []hashing.Object) (string, error)
	See(ctx context.Context, namespace string, refs []hashing.Reference, objects []hashing.Object) (hashing.Seen, error)
	// Difference names what differs from what was seen before.
	Difference(ctx context.Context, before hashing.Seen, namespace string, refs []hashing.Reference, objects []hashing.Object) (map[string][]string, error)
	// Current is the id of the key for new digests.
	Current() string
}

// reconciler compares the config of workloads with what they were released with.
type reconciler struct {
	live     client.Client // every read is a quorum read
	users    users
	keyring  Keyring
	recorder events.EventRecorder
	rations  *rations
	renotes  *renotes
	spared   map[string]bool // namespaces that the webhooks leave alone
	settle   time.Duration
	now      func() time.Time
}

// Reconcile looks at one workload and makes at most one write, and one to its status.
func (r *reconciler) Reconcile(ctx context.Context, w workload) (reconcile.Result, error) {
	s, err := r.observe(ctx, w)
	if err != nil || s == nil {
		r.rations.calm(w)
		return reconcile.Result{}, unlessStopped(ctx, err)
	}
	result, err := r.look(ctx, s)
	if err != nil && !s.judged {
		return result, err
	}
	return result, errors.Join(err, unlessStopped(ctx, r.tellPostponed(ctx, s)))
}

func (r *reconciler) look(ctx context.Context, s *snapshot) (reconcile.Result, error) {
	w := s.workload
	if s.exempt || len(s.refs) == 0 {
		r.rations.calm(w)
		return reconcile.Result{}, nil
	}
	if s.busy() {
		r.rations.calm(w)
		return reconcile.Result{RequeueAfter: r.afterRelease(s)}, nil
	}
	complete, err := r.read(ctx, s)
	if err != nil || !complete {
		r.rations.calm(w)
		return reconcile.Result{}, unlessStopped(ctx, err)
	}
	now, changed, err := r.compare(ctx, s)
	if err != nil {
		return reconcile.Result{}, unlessStopped(ctx, fmt.Errorf("comparing the config of %s of namespace %s: %w", w, w.Namespace, err))
	}
	if !changed {
		r.rations.calm(w)
		if s.stands() && now.Digest == s.before.Digest {
			return reconcile.Result{}, nil
		}
		if s.stands() { // noted under another key, as all workloads are at once
			if wait := r.renotes.wait(w, r.now()); wait > 0 {
				return reconcile.Result{RequeueAfter: wait}, nil
			}
		}
		return r.write(ctx, s, now)
	}
	wait, err := r.postpone(ctx, s, &now)
	s.judged = err == nil
	if wait > 0 || err != nil {
		return reconcile.Result{RequeueAfter: wait}, unlessStopped(ctx, err)
	}
	result, err := r.write(ctx, s, now)
	if err == nil && result.IsZero() {
		r.rations.wrote(w, now)
		changes.WithLabelValues(w.kind).Inc()
		r.tell(s, corev1.EventTypeNormal, "ConfigChanged", "%s", told(now))
	}
	return result, err
}

// afterRelease is when to look again at a workload whose release is under way.
func (r *reconciler) afterRelease(s *snapshot) time.Duration {
	switch {
	case s.release.Phase == canary.Progressing && s.release.Step > 0:
		return cmp.Or(time.Duration(s.release.Policy.SettleTime), r.settle)
	case s.release.Phase == canary.Aborted:
		return 0 // whatever ends that is an event
	}
	return idleLook
}

func told(seen hashing.Seen) string {
	if cause := seen.Cause(); cause != "" {
		return "config changed: " + cause
	}
	return "config changed"
}

// write notes what was seen, and nothing else: admission makes a release of it in the same request, so
// that no chart ever finds sluice as the owner of a field of the spec.
func (r *reconciler) write(ctx context.Context, s *snapshot, seen hashing.Seen) (reconcile.Result, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": s.object.GetResourceVersion(),
		"annotations":     map[string]string{hashing.AnnotationConfigSeen: seen.Encode()},
	}})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("encoding what was seen of the config of %s: %w", s, err)
	}
	target := &unstructured.Unstructured{}
	target.SetGroupVersionKind(s.object.GroupVersionKind())
	target.SetNamespace(s.Namespace)
	target.SetName(s.Name)
	err = r.live.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch), fieldManager)
	switch {
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		return reconcile.Result{RequeueAfter: lookAgain}, nil
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
		r.tell(s, corev1.EventTypeWarning, "ConfigBlocked", "%s", err.Error())
	}
	if err != nil {
		return reconcile.Result{}, unlessStopped(ctx, fmt.Errorf("noting the config of %s of namespace %s: %w", s, s.Namespace, err))
	}
	if target.GetAnnotations()[hashing.AnnotationConfigSeen] != seen.Encode() {
		return reconcile.Result{RequeueAfter: r.settle}, nil // admission found other content than was seen here
	}
	logf.FromContext(ctx).Info("noted the config of a workload", "cause", seen.Cause(), "streak", seen.Streak)
	return reconcile.Result{}, nil
}

func (r *reconciler) tell(s *snapshot, kind, reason, format string, args ...any) {
	r.recorder.Eventf(s.object, nil, kind, reason, reason, format, args...)
}

// unlessStopped drops the error of a look that was told to stop; whoever leads next looks again.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() == context.Canceled {
		return nil
	}
	return err
}
