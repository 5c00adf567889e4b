package webhook

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

// Keyring makes config digests; *live.Keyring is one.
type Keyring interface {
	// Ensure loads the keys and makes the first one.
	Ensure(ctx context.Context) error
	Digest(ctx context.Context, previous, namespace string, refs []hashing.Reference, objects []hashing.Object) (string, error)
}

// observer reads what decisions need, live.
type observer struct {
	reader      client.Reader
	permissions permissions
	keyring     Keyring
	pinning     *pinning
}

// observation is the answer to canary.Needs, what to warn about, and what the pods of the new template read.
type observation struct {
	world     canary.World
	warnings  []string
	snapshots []hashing.Snapshot // to be made where the template gets the digest
}

// observe reads what is needed. An error names the object that could not be read; then nothing that
// was read counts.
func (o observer) observe(ctx context.Context, req *request, review canary.Review, needs canary.Needs) (observation, error) {
	var seen observation
	group, ctx := errgroup.WithContext(ctx)
	if needs.Namespace || needs.Digest {
		group.Go(recovered(ctx, func() error { return o.config(ctx, req, review, needs.Digest, &seen) }))
	}
	var mu sync.Mutex
	allowed := make(map[string]bool, len(needs.Verbs))
	for _, verb := range needs.Verbs {
		group.Go(recovered(ctx, func() error {
			yes, err := o.permissions.allowed(ctx, req, verb)
			mu.Lock()
			defer mu.Unlock()
			allowed[verb] = yes
			return err
		}))
	}
	if err := group.Wait(); err != nil {
		return observation{}, err
	}
	seen.world.Allowed = allowed
	return seen, nil
}

// config reads the Namespace and then, where it is asked for and the Namespace has opted in, the
// digest of the new template: whatever review is forged, config of other namespaces is never read.
// There the digest stays as it came.
func (o observer) config(ctx context.Context, req *request, review canary.Review, digest bool, seen *observation) error {
	namespace, err := o.namespace(ctx, req.Namespace)
	if err != nil {
		return err
	}
	seen.world.NamespaceAnnotations = namespace.Annotations
	seen.world.OptedOut = namespace.Labels[canary.EnabledLabel] != "true"
	switch {
	case !digest:
		return nil
	case seen.world.OptedOut:
		seen.world.Digest, err = canary.TemplateDigest(review.New.Spec.Template)
	default:
		err = o.digest(ctx, req.Namespace, namespace.Annotations, review, seen)
	}
	return err
}

func (o observer) namespace(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	namespace := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
	if err := o.reader.Get(ctx, types.NamespacedName{Name: name}, namespace); err != nil {
		return nil, fmt.Errorf("reading Namespace %s: %w", name, err)
	}
	return namespace, nil
}

// digest sees to the digest of the config of the new template. Where something is missing that pods
// wait for there is none, and a warning for each. Defaults are the Namespace's annotations.
func (o observer) digest(ctx context.Context, namespace string, defaults map[string]string, review canary.Review, seen *observation) error {
	used, err := canary.Config(review, defaults)
	if err != nil || len(used.References) == 0 {
		return err
	}
	objects, err := live.Read(ctx, o.reader, namespace, used.References)
	if err != nil {
		return err
	}
	for _, absence := range hashing.Missing(used.References, objects) {
		seen.warnings = append(seen.warnings, "sluice: "+absence.String())
	}
	if len(seen.warnings) > 0 {
		seen.world.ConfigMissing = true
		return nil
	}
	known, err := canary.KnownConfig(review)
	if err != nil {
		return err
	}
	digest, verified, err := o.knownDigest(ctx, namespace, used.References, objects, review, known)
	if err != nil || verified == "" {
		seen.world.Digest = digest
		return err
	}
	seen.world.Digest = hashing.Plain(digest)
	pinned := hashing.Pin(verified, used.Pinned, objects)
	if len(hashing.Pinned(pinned)) == 0 {
		return nil
	}
	seen.world.Digest = pinned // not what stands for it: a snapshot's name says what its content is
	refusal, err := o.pinning.refusal(ctx, review, pinned)
	switch {
	case err != nil:
		return err
	case refusal == "":
		seen.snapshots = hashing.Snapshots(pinned, used.References, objects)
	case !slices.ContainsFunc(known, func(k canary.Known) bool { return k.Means == pinned }):
		seen.world.Unpinnable = refusal
	}
	return nil // its pods read what those of the version before do
}

// knownDigest returns the digest that stands for the content where it is known, and else a new one. Where
// only a lost key or a later version could tell, a template that is the same keeps its digest: nothing
// tells that the content changed, and a lost key must roll nothing. A new template is a release anyway.
// For a template that has been released with the answer, it stands as it is. For any other, verified is the
// digest of the content under a known key, and the policy says what of it is pinned.
func (o observer) knownDigest(
	ctx context.Context, namespace string, refs []hashing.Reference, objects []hashing.Object, review canary.Review, known []canary.Known,
) (found, verified string, err error) {
	fresh, lost := "", (*canary.Known)(nil)
	for _, k := range known {
		if k.Digest == "" {
			continue
		}
		digest, err := o.keyring.Digest(ctx, k.Digest, namespace, refs, objects)
		switch {
		case hashing.IsUnverifiable(err):
			lost = cmp.Or(lost, &k)
		case err != nil:
			return "", "", err
		case digest == k.Digest && k.SameTemplate:
			return k.Means, "", nil
		case digest == k.Digest:
			return k.Means, digest, nil
		default:
			fresh = digest
		}
	}
	if fresh != "" {
		return fresh, fresh, nil
	}
	if lost != nil {
		if same, err := sameButDigest(review); err != nil || same {
			return lost.Means, "", err
		}
	}
	found, err = o.keyring.Digest(ctx, "", namespace, refs, objects)
	return found, found, err
}

func sameButDigest(review canary.Review) (bool, error) {
	before, err := canary.HashTemplate(review.Old.Spec.Template)
	if err != nil {
		return false, err
	}
	after, err := canary.HashTemplate(review.New.Spec.Template)
	return before == after, err
}

// recovered turns a panic into an error: in a goroutine of ours it would end the process, and not just
// the request.
func recovered(ctx context.Context, read func() error) func() error {
	return func() (err error) {
		defer func() {
			if cause := recover(); cause != nil {
				log.FromContext(ctx).Error(nil, "reading for a decision panicked", "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
				err = &panicError{cause}
			}
		}()
		return read()
	}
}

// panicError is a panic that was recovered.
type panicError struct{ cause any }

func (e *panicError) Error() string { return "this is a bug, see sluice's log" }
