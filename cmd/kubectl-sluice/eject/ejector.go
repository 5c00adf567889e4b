package eject

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

const (
	// attempts bounds how often a write is made again after somebody else wrote.
	attempts = 10
	// lookEvery is how often pods are looked at that are awaited.
	lookEvery = 500 * time.Millisecond
	// DefaultTimeout is how long pods are waited for where nobody says it.
	DefaultTimeout = 5 * time.Minute
)

// Ejector ejects with the rights of the client's user.
type Ejector struct {
	client dynamic.Interface
	reader *workload.Reader
	mapper meta.RESTMapper
	// Clock tells when pods were awaited for long enough.
	Clock clock.Clock
	// Timeout bounds how long pods are waited for before others that serve are taken away; 0: those go at
	// once.
	Timeout time.Duration
	// Say is told what was done.
	Say func(ref workload.Ref, what string)

	// keeps are the Namespaces in which the user may not delete records of stable versions.
	keeps map[string]bool
}

// New returns an ejector that tells nobody, and waits for five minutes. The mapper knows which kinds of routes the
// API server has.
func New(client dynamic.Interface, mapper meta.RESTMapper) *Ejector {
	return &Ejector{
		client: client, reader: workload.NewReader(client), mapper: mapper, Clock: clock.RealClock{}, Timeout: DefaultTimeout,
		Say: func(workload.Ref, string) {}, keeps: map[string]bool{},
	}
}

// end ends the release of an item in one write.
func (e *Ejector) end(ctx context.Context, request Request, item *Item) error {
	for range attempts {
		object, err := e.get(ctx, item.Ref)
		if apierrors.IsNotFound(err) && !request.Named {
			return nil // it went meanwhile
		}
		if err != nil {
			return err
		}
		after, err := e.without(ctx, request, item, object)
		if after == nil || err != nil {
			return err
		}
		stored, err := e.client.Resource(item.Kind.Resource).Namespace(item.Namespace).
			Update(ctx, after, metav1.UpdateOptions{FieldManager: canary.EjectManager})
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return item.failed(err)
		}
		if !isEnded(stored) {
			return fmt.Errorf("ending the release of %s: sluice took it back; %s", item.Ref, pastWebhooks)
		}
		e.Say(item.Ref, item.done())
		return nil
	}
	return fmt.Errorf("ending the release of %s: somebody keeps changing it; run it again", item.Ref)
}

// without returns the object as it is to be, nil where it is so already.
func (e *Ejector) without(ctx context.Context, request Request, item *Item, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	out := "false"
	optsOut := item.OptsOut && object.GetLabels()[canary.EnabledLabel] != out
	s, err := subject(item.Kind, object)
	if err != nil || (isEnded(object) && !optsOut) {
		return nil, err
	}
	want := canary.Stateless()
	if isEnded(object) {
		want = &canary.Want{Labels: map[string]*string{}}
	}
	var template []byte
	if s.Release != nil {
		if err := e.unmoved(ctx, request, item, s); err != nil {
			return nil, err
		}
		decoded, err := decodeFor(object)
		if err != nil {
			return nil, err
		}
		want, template = s.Release.Without(decoded, item.Ending), s.template(item.Ending)
	}
	if !isEnded(object) {
		want.Labels[canary.PhaseLabel] = item.marking(object)
	}
	if item.OptsOut {
		want.Labels[canary.EnabledLabel] = &out
	}
	return ended(object, want, template)
}

// unmoved looks again at what was planned: another release, or one that would end another way now, is not
// what somebody agreed to.
func (e *Ejector) unmoved(ctx context.Context, request Request, item *Item, s *Subject) error {
	if item.Release == nil || item.Release.ID != s.Release.ID {
		return fmt.Errorf("%s has another release than the one that was planned for, release %d: nothing was done to it; run it again", s.Ref, s.Release.ID)
	}
	if err := e.look(ctx, s); err != nil {
		return err
	}
	ending, err := request.ending(s)
	if err != nil {
		return err
	}
	if ending != item.Ending {
		return fmt.Errorf("release %d of %s is %s now, which ends by %q, not by %q as was planned: nothing was done to it; run it again",
			s.Release.ID, s.Ref, s.Release.Phase, ending, item.Ending)
	}
	return nil
}

// template returns the one that the spec gets, nil where it keeps its own.
func (s *Subject) template(ending canary.Ending) []byte {
	stable := s.Release.Stable
	if ending != canary.EndReverted || s.Release.Ending(s.TemplateHash) == canary.EndReverted ||
		(s.TemplateHash == stable.Hash && s.Digest == stable.Digest) {
		return nil
	}
	return s.Stable
}

func (e *Ejector) stepSet(ctx context.Context, item *Item) (waits wait, err error) {
	if item.Gone {
		return wait{}, nil
	}
	for {
		s, err := e.readSet(ctx, item.Ref)
		if apierrors.IsNotFound(err) {
			item.Gone = true
			return wait{}, nil
		}
		if err != nil {
			return wait{}, err
		}
		next := s.left(e.Timeout == 0)
		if next.remove == nil {
			return next.await, nil
		}
		err = e.client.Resource(pods).Namespace(item.Namespace).Delete(ctx, next.remove.name, metav1.DeleteOptions{Preconditions: preconditions(next.remove.uid)})
		if err != nil {
			return wait{}, fmt.Errorf("deleting pod %s/%s: %w", item.Namespace, next.remove.name, err)
		}
		e.Say(item.Ref, fmt.Sprintf("pod %s deleted, and made anew by the native controller", next.remove.name))
	}
}

// finish takes this program off the object: nothing is left to do for it.
func (e *Ejector) finish(ctx context.Context, item *Item) (waits wait, err error) {
	if item.Gone {
		return wait{}, nil
	}
	objects := e.client.Resource(item.Kind.Resource).Namespace(item.Namespace)
	object, err := e.get(ctx, item.Ref)
	if apierrors.IsNotFound(err) {
		return wait{}, nil
	}
	if err != nil {
		return wait{}, err
	}
	if after := untold(object); after != nil {
		if _, err := objects.UpdateStatus(ctx, after, metav1.UpdateOptions{FieldManager: canary.EjectManager}); err != nil {
			return wait{}, fmt.Errorf("taking the condition of its release off %s: %w", item.Ref, err)
		}
		return changed, nil // the native controller writes a status that it made before once more after a conflict
	}
	after := unmarked(object)
	if after == nil {
		return wait{}, nil
	}
	_, err = objects.Update(ctx, after, metav1.UpdateOptions{FieldManager: canary.EjectManager})
	if unreachable(err) {
		return wait{what: "the API server to know that its webhooks are gone"}, nil
	}
	if err != nil {
		return wait{}, fmt.Errorf("taking the mark of this program off %s: %w", item.Ref, err)
	}
	return wait{}, nil
}
