package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

// snapshot is what was read, live, for one look at a workload.
type snapshot struct {
	workload
	object  *unstructured.Unstructured
	decoded *canary.Workload
	release *canary.Release // nil: it has none
	refs    []hashing.Reference
	digest  string // of the template, "" where there is none
	hash    string // HashTemplate
	before  hashing.Seen
	objects []hashing.Object
	exempt  bool // its config is nobody's business
	// postponed is set where a change is kept from it; judged: that was found out, whatever fails afterwards.
	postponed postponement
	judged    bool
}

// observe reads a workload, nil where it is gone or there is nothing to do about it.
func (r *reconciler) observe(ctx context.Context, w workload) (*snapshot, error) {
	namespace, err := r.users.namespace(ctx, w.Namespace)
	if err != nil {
		return nil, err
	}
	exempt := namespace == nil || r.spared[w.Namespace]
	if exempt {
		if postponed, err := r.users.postponed(ctx, w); !postponed || err != nil {
			return nil, err
		}
	}
	s := &snapshot{workload: w, object: &unstructured.Unstructured{}, exempt: exempt}
	s.object.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind(w.kind))
	if err = r.live.Get(ctx, w.NamespacedName, s.object); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading %s of namespace %s: %w", w, w.Namespace, err)
	}
	if s.object.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	if s.exempt = exempt || s.object.GetLabels()[canary.EnabledLabel] == "false"; s.exempt {
		return s, nil
	}
	if err := s.decode(namespace); err != nil {
		return nil, fmt.Errorf("%s of namespace %s: %w", w, w.Namespace, err)
	}
	return s, nil
}

func (s *snapshot) decode(namespace map[string]string) error {
	raw, err := json.Marshal(s.object)
	if err != nil {
		return fmt.Errorf("encoding it: %w", err)
	}
	if s.decoded, err = canary.DecodeWorkload(raw); err != nil {
		return err
	}
	var invalid error
	if s.refs, invalid = canary.ConfigOf(s.decoded, namespace); invalid != nil {
		s.refs = nil // admission lets no new version pass, and says why
	}
	if s.digest, err = canary.TemplateDigest(s.decoded.Spec.Template); err != nil {
		return err
	}
	if s.hash, err = canary.HashTemplate(s.decoded.Spec.Template); err != nil {
		return err
	}
	s.before = hashing.DecodeSeen(s.decoded.Metadata.Annotations)
	if s.decoded.Metadata.Labels[canary.ActiveLabel] == "true" {
		s.release, err = canary.DecodeRelease(s.decoded.Metadata.Annotations)
	}
	return err
}

// busy: the release reads the config by itself before its canary is made, or is on its way out, or is aborted and
// somebody's to retry. What follows is looked at then.
func (s *snapshot) busy() bool {
	if s.release == nil {
		return false
	}
	phase := s.release.Phase
	return (phase == canary.Progressing && !s.release.Settled) || phase == canary.Promoting || phase == canary.Reverting || s.release.Rests()
}

// read gets the objects, false where something is missing that pods wait for.
func (r *reconciler) read(ctx context.Context, s *snapshot) (complete bool, err error) {
	s.objects, err = live.Read(ctx, r.live, s.Namespace, s.refs)
	return len(hashing.Missing(s.refs, s.objects)) == 0, err
}

// compare returns what is to be seen now, and whether it is other content than the template was released with.
func (r *reconciler) compare(ctx context.Context, s *snapshot) (now hashing.Seen, changed bool, err error) {
	if now, err = r.keyring.See(ctx, s.Namespace, s.refs, s.objects); err != nil {
		return now, false, err
	}
	same, known, err := r.asReleased(ctx, s)
	if err != nil {
		return now, false, err
	}
	if known && !same {
		if s.stands() {
			now.Changed, err = r.keyring.Difference(ctx, s.before, s.Namespace, s.refs, s.objects)
		}
		return now, true, err
	}
	now.Changed, now.At, now.Streak = s.before.Changed, s.before.At, s.before.Streak
	switch {
	case s.digest == "":
		now.Template = s.hash
	case hashing.Plain(s.digest) != now.Digest:
		now.Of = s.digest
	}
	return now, false, nil
}

// asReleased tells whether the content is what the template was released with: what was seen of it tells, and where its
// key is lost, the template's own digest.
func (r *reconciler) asReleased(ctx context.Context, s *snapshot) (same, known bool, err error) {
	if s.stands() {
		if same, known, err = r.is(ctx, s, s.before.Digest); known || err != nil {
			return same, known, err
		}
	}
	return r.is(ctx, s, s.digest)
}

// is tells whether a digest is that of the content; known is false where nothing can tell.
func (r *reconciler) is(ctx context.Context, s *snapshot, digest string) (same, known bool, err error) {
	if digest == "" {
		return false, false, nil
	}
	now, err := r.keyring.Digest(ctx, digest, s.Namespace, s.refs, s.objects)
	if hashing.IsUnverifiable(err) {
		return false, false, nil
	}
	return now == digest, err == nil, err
}

// isStable tells whether the content is that of the stable version of a release that is under way.
func (r *reconciler) isStable(ctx context.Context, s *snapshot) (bool, error) {
	if s.release == nil || s.release.Stable.Hash != s.hash {
		return false, nil
	}
	same, _, err := r.is(ctx, s, cmp.Or(s.release.StableConfig, s.release.Stable.Digest))
	return same, err
}

// stands: what was seen before is of the template as it is.
func (s *snapshot) stands() bool { return s.before.StandsFor(s.digest, s.hash) }
