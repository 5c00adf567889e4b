package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

const (
	// maxMoves bounds the writes of one pass, so that one workload cannot keep a worker.
	maxMoves = 10
	// lookAgain is when to observe again after a guarded write came too late.
	lookAgain = 200 * time.Millisecond
)

// reconciler works on the releases of one kind of workload.
type reconciler struct {
	kind     schema.GroupVersionKind
	client   client.Client // uncached: every read is a quorum read
	recorder events.EventRecorder
	settle   time.Duration
	now      func() time.Time
	pace     *pace
}

func newReconciler(kind schema.GroupVersionKind, live client.Client, recorder events.EventRecorder, opts Options) *reconciler {
	return &reconciler{kind: kind, client: live, recorder: recorder, settle: opts.SettleTime, now: opts.Now, pace: newPace()}
}

// Reconcile observes, decides, makes at most one write, and observes again.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	for range maxMoves {
		s, err := r.observe(ctx, request.NamespacedName)
		if err != nil && ctx.Err() == context.Canceled {
			return ctrl.Result{}, nil // sluice stops; whoever leads next looks again
		}
		if err != nil {
			return ctrl.Result{}, err
		}
		if s.release == nil {
			r.pace.forget(request.NamespacedName)
			r.lost(s)
			if r.kind == statefulSetKind {
				return ctrl.Result{}, nil // sluice makes no objects for it
			}
			return tooLate(r.sweep(ctx, s))
		}
		if s.deleting() {
			return ctrl.Result{}, nil
		}
		move := canary.Next(s.observed, r.now())
		if move.Write == nil {
			return ctrl.Result{RequeueAfter: move.Wait}, nil
		}
		if wait := r.pace.take(request.NamespacedName, r.now()); wait > 0 {
			r.backOff(s)
			return ctrl.Result{RequeueAfter: wait}, nil
		}
		if err := r.apply(ctx, s, *move.Write); err != nil {
			if r.refused(s, err) && move.Write.CreateCanary != nil {
				err = r.giveUp(ctx, s, err)
			}
			return tooLate(err)
		}
		r.record(s, move.Event)
	}
	return ctrl.Result{RequeueAfter: lookAgain}, nil
}

// giveUp aborts a release whose canary cannot be created, once its deadline is over; before, the
// failure stays one, to be tried again.
func (r *reconciler) giveUp(ctx context.Context, s *snapshot, failure error) error {
	s.observed.Blocked = failure.Error()
	move := canary.Next(s.observed, r.now())
	if move.Write == nil {
		return failure
	}
	if err := r.apply(ctx, s, *move.Write); err != nil {
		return err
	}
	r.record(s, move.Event)
	return nil
}

// tooLate turns the failure of a guarded write whose premise has changed into another look; it is
// no error. A namespace that is being deleted takes everything with it.
func tooLate(err error) (ctrl.Result, error) {
	switch {
	case err == nil:
		return ctrl.Result{}, nil
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return ctrl.Result{RequeueAfter: lookAgain}, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return ctrl.Result{RequeueAfter: lastRetry}, nil
	}
	return ctrl.Result{}, err
}
