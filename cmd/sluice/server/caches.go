package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"sluice.dev/sluice/canary/controller"
)

// listTime is how long a replica that begins to lead stays ready while it lists.
// Admission needs no cache, and the replica that led before may be on its way out:
// with two of them nobody would answer the API server meanwhile.
const listTime = 30 * time.Second

// caches tell readiness whether the controllers of this replica see the cluster.
// They are empty outside of a term: a replica that does not lead watches nothing.
type caches struct {
	listTime time.Duration

	mu       sync.Mutex
	began    time.Time // of the term
	watched  []*watched
	lastFail error // of listing or watching, in this term; nil: none
}

// watched is a kind that the controllers watch.
type watched struct {
	object   *metav1.PartialObjectMetadata
	informer cache.Informer // nil until the term's manager runs
}

// begin is for the start of a term: nothing was listed yet.
func (c *caches) begin() error {
	var all []*watched
	for object := range controller.CacheOptions() {
		kind, err := apiutil.GVKForObject(object, clientgoscheme.Scheme)
		if err != nil {
			return fmt.Errorf("looking for what the controllers watch: %w", err)
		}
		metadata := &metav1.PartialObjectMetadata{}
		metadata.SetGroupVersionKind(kind)
		all = append(all, &watched{object: metadata})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.watched, c.lastFail = time.Now(), all, nil
	return nil
}

// end is for when the controllers have stopped, for whatever reason.
func (c *caches) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched = nil
}

// follow looks at the informers that the controllers use. They have to be
// started: the manager would not start controllers before these have synced.
func (c *caches) follow(ctx context.Context, informers cache.Informers) error {
	c.mu.Lock()
	all := c.watched
	c.mu.Unlock()
	for _, w := range all {
		informer, err := informers.GetInformer(ctx, w.object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("looking at the informer of %s: %w", w.object.Kind, err)
		}
		c.mu.Lock()
		w.informer = informer
		c.mu.Unlock()
	}
	return nil
}

// failed is called when listing or watching fails, which is then tried again.
func (c *caches) failed(ctx context.Context, r *toolscache.Reflector, err error) {
	toolscache.DefaultWatchErrorHandler(ctx, r, err) // logs
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastFail = err
}

// synced is an error that names what was not listed in time, and why.
func (c *caches) synced(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []string
	for _, w := range c.watched {
		if w.informer == nil || !w.informer.HasSynced() {
			missing = append(missing, w.object.Kind)
		}
	}
	led := time.Since(c.began)
	if len(missing) == 0 || led < c.listTime {
		return nil
	}
	slices.Sort(missing)
	err := fmt.Errorf("this replica has led for %s and has not listed every %s yet", led.Round(time.Second), strings.Join(missing, ", "))
	if c.lastFail != nil {
		err = fmt.Errorf("%w: %w", err, c.lastFail)
	}
	return err
}
