package webhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

// pinKnownFor is how long it is remembered that the policy is installed that has pods read snapshots. That it is not is
// never remembered: what was installed counts at once.
const pinKnownFor = 10 * time.Second

// pinForceAfter is how long after it was made every API server goes by the policy: they look for new ones every second.
const pinForceAfter = 5 * time.Second

// pinning makes the snapshots of what is pinned. It is asked only where a template gets another digest.
type pinning struct {
	client live.PinClient
	now    func() time.Time

	mu    sync.Mutex
	known time.Time // when it was last seen installed
}

func newPinning(c live.PinClient, now func() time.Time) *pinning {
	return &pinning{client: c, now: now}
}

const (
	noPinPolicy  = "sluice.dev/config: pin needs Kubernetes 1.36 and what `kubectl apply -f manifests/pin.yaml` installs; or set hash"
	newPinPolicy = "the policy of manifests/pin.yaml was made a moment ago, and pods of this version might start before it is in force; try again in a few seconds"
	hashInstead  = "; or set hash: kubectl annotate --overwrite %s -n %s %s=%s"
)

// refusal returns why a digest cannot become a template's, empty where it can.
func (p *pinning) refusal(ctx context.Context, review canary.Review, digest string) (string, error) {
	if why := hashing.Unpinnable(digest); why != "" {
		w := review.New.Metadata
		return why + fmt.Sprintf(hashInstead, subjectOf(review.Kind, w.Name), w.Namespace, canary.ConfigAnnotation, hashing.ConfigHash), nil
	}
	return p.notInForce(ctx)
}

// notInForce returns why pods do not read snapshots yet, empty where they do.
func (p *pinning) notInForce(ctx context.Context) (string, error) {
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	if p.now().Sub(known) < pinKnownFor {
		return "", nil
	}
	installed, since, err := live.PinInstalled(ctx, p.client)
	switch {
	case err != nil:
		return "", err
	case !installed:
		return noPinPolicy, nil
	case p.now().Sub(since) < pinForceAfter:
		return newPinPolicy, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = p.now()
	return "", nil
}

// make makes snapshots. It returns why the write is refused, empty where all of them are there.
func (p *pinning) make(ctx context.Context, namespace string, snapshots []hashing.Snapshot) (string, error) {
	err := live.Pin(ctx, p.client, namespace, snapshots, p.now)
	var taken *live.TakenError
	switch {
	case errors.As(err, &taken):
		return err.Error() + "; delete it, or set hash", nil
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err):
		return err.Error() + "; see to that, and apply it again", nil
	}
	return "", err
}
