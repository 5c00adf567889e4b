package collector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

// Keyring verifies digests; *live.Keyring is one.
type Keyring interface {
	Digest(ctx context.Context, previous, namespace string, refs []hashing.Reference, objects []hashing.Object) (string, error)
}

// Options of a Collector; a zero field means its default.
type Options struct {
	// Every is the time between two rounds; default: live.SnapshotAge.
	Every time.Duration
	// Now is the clock.
	Now func() time.Time
}

// soon is how long after something was deleted its namespace is looked at: much goes together.
const soon = 30 * time.Second

// Collector looks after snapshots.
type Collector struct {
	client   client.Client // every read is live
	keyring  Keyring
	recorder events.EventRecorder
	every    time.Duration
	now      func() time.Time

	// seen are the namespaces that have had snapshots, told what was said of missing ones in the last look at each.
	seen map[string]bool
	told map[string]map[string]bool

	mu      sync.Mutex
	pending map[string]bool // namespaces in which something was deleted
}

// New returns a Collector. The client has to read live.
func New(c client.Client, keyring Keyring, recorder events.EventRecorder, opts Options) *Collector {
	if opts.Every == 0 {
		opts.Every = live.SnapshotAge
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Collector{
		client: c, keyring: keyring, recorder: recorder, every: opts.Every, now: opts.Now,
		seen: map[string]bool{}, told: map[string]map[string]bool{}, pending: map[string]bool{},
	}
}

// Start makes rounds until ctx ends.
func (c *Collector) Start(ctx context.Context) error {
	round := time.NewTicker(c.every)
	defer round.Stop()
	look := time.NewTicker(min(soon, c.every))
	defer look.Stop()
	err := c.Round(ctx)
	for {
		if err != nil && ctx.Err() == nil {
			logf.FromContext(ctx).Error(err, "collecting snapshots failed")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-round.C:
			err = c.Round(ctx)
		case <-look.C:
			err = c.lookAt(ctx, c.take())
		}
	}
}

// Round looks at every namespace that has snapshots, or should have: those that have opted in.
func (c *Collector) Round(ctx context.Context) error {
	installed, _, err := live.PinInstalled(ctx, c.client)
	if err != nil || !installed {
		return err
	}
	all, err := c.snapshots(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		c.seen[s.Namespace] = true
	}
	optedIn := &metav1.PartialObjectMetadataList{}
	optedIn.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := c.client.List(ctx, optedIn, client.MatchingLabels{canary.EnabledLabel: "true"}); err != nil {
		return fmt.Errorf("listing the namespaces that have opted in: %w", err)
	}
	namespaces := maps.Clone(c.seen)
	for _, namespace := range optedIn.Items {
		namespaces[namespace.Name] = true
	}
	return c.collectAll(ctx, slices.Sorted(maps.Keys(namespaces)))
}

// deleted notes a namespace in which something was deleted that may have been the last to need a snapshot.
func (c *Collector) deleted(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[namespace] = true
}

func (c *Collector) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	namespaces := slices.Sorted(maps.Keys(c.pending))
	clear(c.pending)
	return namespaces
}

// lookAt looks at those of the namespaces that have had snapshots.
func (c *Collector) lookAt(ctx context.Context, namespaces []string) error {
	namespaces = slices.DeleteFunc(namespaces, func(n string) bool { return !c.seen[n] })
	if len(namespaces) == 0 {
		return nil
	}
	installed, _, err := live.PinInstalled(ctx, c.client)
	if err != nil || !installed {
		return err
	}
	return c.collectAll(ctx, namespaces)
}

func (c *Collector) collectAll(ctx context.Context, namespaces []string) error {
	var faults []error
	for _, namespace := range namespaces {
		if err := c.collect(ctx, namespace); err != nil {
			faults = append(faults, fmt.Errorf("namespace %s: %w", namespace, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(faults...)
}

// collect deletes what nobody needs in a namespace, and makes what is missing.
func (c *Collector) collect(ctx context.Context, namespace string) error {
	snapshots, err := c.snapshots(ctx, client.InNamespace(namespace))
	if err != nil {
		return err
	}
	users, err := c.users(ctx, namespace, len(snapshots) > 0) // after the snapshots: what is admitted in between touches these
	if err != nil {
		return err
	}
	if len(snapshots) == 0 && len(users.needed) == 0 {
		delete(c.seen, namespace)
		return nil
	}
	c.seen[namespace] = true
	exist := map[string]bool{}
	var faults []error
	for _, s := range snapshots {
		exist[s.name()] = true
		if !users.needed[s.name()] && c.now().Sub(live.UsedAt(s.PartialObjectMetadata)) >= live.SnapshotAge {
			faults = append(faults, c.delete(ctx, s))
		}
	}
	return errors.Join(append(faults, c.repair(ctx, namespace, users, exist))...)
}

// snapshot is the metadata of one.
type snapshot struct {
	*metav1.PartialObjectMetadata
	kind hashing.Kind
}

func (s snapshot) name() string { return hashing.ObjectName(s.kind, s.Name) }

// suffix is what Pin adds to a name.
var suffix = regexp.MustCompile(`^-[0-9a-f]{16}$`)

// isOne: the label alone may be on anything.
func (s snapshot) isOne() bool {
	of := s.Annotations[hashing.AnnotationSnapshotOf]
	return of != "" && len(s.Name) > len(of) && s.Name[:len(of)] == of && suffix.MatchString(s.Name[len(of):])
}

// snapshots lists them as metadata: their content is nobody's business here.
func (c *Collector) snapshots(ctx context.Context, opts ...client.ListOption) ([]snapshot, error) {
	var found []snapshot
	for _, kind := range []hashing.Kind{hashing.ConfigMap, hashing.Secret} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(string(kind) + "List"))
		err := c.client.List(ctx, list, append(opts, client.MatchingLabels{hashing.LabelSnapshot: "true"})...)
		if err != nil {
			return nil, fmt.Errorf("listing snapshots (%ss): %w", kind, err)
		}
		for i := range list.Items {
			if s := (snapshot{&list.Items[i], kind}); s.isOne() && s.DeletionTimestamp == nil {
				found = append(found, s)
			}
		}
	}
	return found, nil
}

// delete deletes a snapshot as it was when it was listed.
func (c *Collector) delete(ctx context.Context, s snapshot) error {
	object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(string(s.kind)))
	err := c.client.Delete(ctx, object, client.Preconditions{UID: ptr.To(s.UID), ResourceVersion: ptr.To(s.ResourceVersion)})
	switch {
	case err == nil:
		logf.FromContext(ctx).Info("deleted a snapshot that nobody needs", "kind", s.kind, "snapshot", s.Namespace+"/"+s.Name)
		return nil
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err): // gone, or used again
		return nil
	}
	return fmt.Errorf("deleting %s: %w", s.name(), err)
}
