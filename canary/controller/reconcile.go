package controller

import (
	"cmp"
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic"
)

const (
	// maxMoves bounds the writes of one pass, so that one workload cannot keep a worker.
	maxMoves = 10
	// lookAgain is when to observe again after a guarded write came too late, or while routes are given back.
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
	router   *traffic.Router
}

func newReconciler(kind schema.GroupVersionKind, live client.Client, recorder events.EventRecorder, opts Options) *reconciler {
	return &reconciler{kind: kind, client: live, recorder: recorder, settle: opts.SettleTime, now: opts.Now, pace: newPace(), router: traffic.New(live, opts.Now)}
}

// Reconcile observes, decides, makes at most one write, and observes again.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var untold error
	for range maxMoves {
		s, err := r.observe(ctx, request.NamespacedName)
		if err != nil && ctx.Err() == context.Canceled {
			return ctrl.Result{}, nil // sluice stops; whoever leads next looks again
		}
		if err != nil {
			return ctrl.Result{}, err
		}
		if s.release == nil {
			again, err := r.tidy(ctx, s)
			if err != nil {
				return tooLate(err)
			}
			return ctrl.Result{RequeueAfter: cmp.Or(again, r.pace.end(request.NamespacedName, r.now()))}, nil
		}
		if s.deleting() {
			return ctrl.Result{}, nil
		}
		s.observed.Mute = untold != nil
		move := canary.Next(s.observed, r.now())
		if move.Write == nil {
			return ctrl.Result{RequeueAfter: move.Wait}, untold
		}
		if wait := r.pace.take(request.NamespacedName, courseOf(s.release), r.now()); wait > 0 {
			r.backOff(s)
			return ctrl.Result{RequeueAfter: wait}, nil
		}
		if err := r.apply(ctx, s, *move.Write); err != nil {
			if move.Write.Tells() && !isTooLate(err) {
				r.refused(s, err)
				untold = err // nothing waits for what is only told; it is tried again
				continue
			}
			if refused := r.refused(s, err); (refused && move.Write.CreateCanary != nil) || (move.Write.Divides() && !isTooLate(err)) {
				err = r.giveUp(ctx, s, *move.Write, err)
			}
			return tooLate(err)
		}
		r.record(s, move.Event)
	}
	return ctrl.Result{RequeueAfter: lookAgain}, nil
}

// giveUp says what keeps a release whose canary cannot be created, or whose requests cannot be divided, and aborts it
// once its deadline is over; else the failure stays one, to be tried again.
func (r *reconciler) giveUp(ctx context.Context, s *snapshot, failed canary.Write, failure error) error {
	if failed.Divides() {
		s.observed.Traffic.Blocked = failure.Error()
	} else {
		s.observed.Blocked = failure.Error()
	}
	move := canary.Next(s.observed, r.now())
	if move.Write == nil || move.Write.SetRelease == nil {
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
	case isTooLate(err):
		return ctrl.Result{RequeueAfter: lookAgain}, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return ctrl.Result{RequeueAfter: lastRetry}, nil
	}
	return ctrl.Result{}, err
}

func isTooLate(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}
