package collector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

// repair makes the snapshots again that are missing, where the objects still have the content that the digest is of. Of
// the others an Event tells, once. In a namespace that has opted out, pods need none.
func (c *Collector) repair(ctx context.Context, namespace string, users users, exist map[string]bool) error {
	of := &metav1.PartialObjectMetadata{}
	of.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := c.client.Get(ctx, types.NamespacedName{Name: namespace}, of); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the Namespace: %w", err)
	}
	if of.Labels[canary.EnabledLabel] != "true" {
		delete(c.told, namespace)
		return nil
	}
	told := map[string]bool{}
	var faults []error
	for _, s := range users.starting {
		if !slices.ContainsFunc(hashing.SnapshotsOf(s.digest), func(name string) bool { return !exist[name] }) {
			continue
		}
		lost, err := c.mend(ctx, of, s, exist)
		if err != nil {
			faults = append(faults, err)
		}
		if len(lost) == 0 {
			continue
		}
		key := string(s.object.GetUID()) + "/" + s.digest
		if told[key] = true; !c.told[namespace][key] {
			c.tell(s, lost)
		}
	}
	c.told[namespace] = told
	return errors.Join(faults...)
}

// mend returns the required snapshots that are lost for good.
func (c *Collector) mend(ctx context.Context, of *metav1.PartialObjectMetadata, s starting, exist map[string]bool) ([]string, error) {
	namespace := of.Name
	refs, pinned, err := references(of, s)
	if err != nil {
		return nil, err
	}
	objects, err := live.Read(ctx, c.client, namespace, refs)
	if err != nil {
		return nil, err
	}
	now, err := c.keyring.Digest(ctx, s.digest, namespace, refs, objects)
	switch {
	case hashing.IsUnverifiable(err): // nobody knows any more what the content was
		return missing(pinned, s.digest, exist), nil
	case err != nil:
		return nil, err
	case now != s.digest:
		return missing(pinned, s.digest, exist), nil
	}
	snapshots := slices.DeleteFunc(hashing.Snapshots(s.digest, refs, objects), func(s hashing.Snapshot) bool {
		return exist[hashing.ObjectName(s.Kind, s.Name)]
	})
	if len(snapshots) == 0 {
		return nil, nil // what is optional and absent has none
	}
	if err := live.Pin(ctx, c.client, namespace, snapshots, c.now); err != nil {
		return nil, err
	}
	logf.FromContext(ctx).Info("made snapshots again", "workload", namespace+"/"+s.object.GetName(), "count", len(snapshots))
	return nil, nil
}

// references returns what the digest is of, and what of it the template refers to.
func references(of *metav1.PartialObjectMetadata, s starting) (all, pinned []hashing.Reference, err error) {
	raw, err := json.Marshal(s.template)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the pod template of %s: %w", s.object.GetName(), err)
	}
	if pinned, err = hashing.References(raw); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.object.GetName(), err)
	}
	extra := s.object.GetAnnotations()[canary.ConfigExtraAnnotation] // of a ReplicaSet too: it has its Deployment's
	if extra == "" {
		return pinned, pinned, nil
	}
	refs, err := hashing.ParseExtra(extra)
	if err != nil || of.Annotations[canary.OverridesAnnotation] == "denied" {
		return pinned, pinned, nil //nolint:nilerr // admission counts no extra objects then either
	}
	return hashing.Join(pinned, refs), pinned, nil
}

// missing are the snapshots that pods wait for.
func missing(pinned []hashing.Reference, digest string, exist map[string]bool) []string {
	var names []string
	for _, ref := range pinned {
		name := hashing.ObjectName(ref.Kind, hashing.SnapshotName(ref.Name, digest))
		if !ref.Optional && slices.Contains(hashing.Pinned(digest), hashing.ObjectName(ref.Kind, ref.Name)) && !exist[name] {
			names = append(names, name)
		}
	}
	return names
}

// mostNamed bounds an Event, which may have 1 KiB.
const mostNamed = 3

// tell warns on the workload: of a ReplicaSet it is the Deployment.
func (c *Collector) tell(s starting, lost []string) {
	about := runtime.Object(s.object)
	if owner := metav1.GetControllerOf(s.object); owner != nil && owner.Kind == canary.Deployment {
		deployment := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: s.object.GetNamespace(), Name: owner.Name, UID: owner.UID,
		}}
		deployment.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind(canary.Deployment))
		about = deployment
	}
	if more := len(lost) - mostNamed; more > 0 {
		lost = append(lost[:mostNamed:mostNamed], fmt.Sprintf("%d more", more))
	}
	c.recorder.Eventf(about, nil, corev1.EventTypeWarning, "SnapshotMissing", "SnapshotMissing",
		"pods of a version need %s, which is gone and cannot be made of what is there now: no more of its pods start. "+
			"Release another version, or put the content back that it was released with", strings.Join(lost, ", "))
}
