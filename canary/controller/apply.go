package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
)

// fieldManager is named in managedFields. It owns the annotation with the state and nothing of a spec.
const fieldManager = client.FieldOwner("sluice")

// apply makes one write, guarded by the resourceVersion or the UID that was observed.
func (r *reconciler) apply(ctx context.Context, s *snapshot, write canary.Write) error {
	message, err := r.write(ctx, s, write)
	if err != nil {
		return err
	}
	release := s.release
	if write.SetRelease != nil {
		release = write.SetRelease
	}
	logf.FromContext(ctx).Info(message,
		"release", release.ID, "phase", release.Phase,
		"stage", release.Stage, "step", release.Step, "revision", release.Canary.Hash, "reason", release.Reason)
	return nil
}

// write returns the log message that goes with the write.
func (r *reconciler) write(ctx context.Context, s *snapshot, w canary.Write) (string, error) {
	switch {
	case w.SetRelease != nil:
		state := w.SetRelease.Encode()
		return "set the state of a release", r.patchState(ctx, s, &state)
	case w.EndRelease:
		return "ended a release", r.patchState(ctx, s, nil)
	case w.SetCondition != nil, w.ClearConditions:
		return "told of a release in the conditions", r.patchConditions(ctx, s, w.SetCondition)
	case w.RecordStable != nil:
		return "recorded the stable template", r.recordStable(ctx, s, w.RecordStable.UID)
	case w.ForgetStable:
		return "deleted the record of the stable template", r.forgetStable(ctx, s)
	case w.RestoreStable != nil:
		return "restored the stable replica set", r.restoreStable(ctx, s, *w.RestoreStable)
	case w.SelectPods:
		return "made a service for a version", r.router.SelectPods(ctx, s.traffic)
	case w.Steer != nil:
		return "divided requests", r.router.Steer(ctx, s.traffic, w.Steer.Share)
	case w.CreateCanary != nil:
		return "created a canary replica set", r.createCanary(ctx, s, *w.CreateCanary)
	case w.DeletePod != nil:
		return "deleted a pod of a stateful set", r.deletePod(ctx, s, w.DeletePod.UID)
	case w.DeleteReplicaSet != nil:
		return "deleted a canary replica set", r.deleteReplicaSet(ctx, s, w.DeleteReplicaSet.UID)
	}
	return r.writeReplicaSet(ctx, s, w)
}

// writeReplicaSet makes the writes that change a ReplicaSet.
func (r *reconciler) writeReplicaSet(ctx context.Context, s *snapshot, w canary.Write) (string, error) {
	switch {
	case w.UpdateReplicaSet != nil:
		return "resized or marked a replica set", r.updateReplicaSet(ctx, s, w.UpdateReplicaSet.ReplicaSet.UID, resize(*w.UpdateReplicaSet))
	case w.Adopt != nil:
		return "handed a canary replica set to its deployment", r.updateReplicaSet(ctx, s, w.Adopt.ReplicaSet.UID, adopt(*w.Adopt))
	case w.Disown != nil:
		return "took a replica set back from its deployment", r.updateReplicaSet(ctx, s, w.Disown.UID, disown)
	case w.Reference != nil:
		return "made a replica set depend on its deployment", r.updateReplicaSet(ctx, s, w.Reference.UID, refer)
	case w.Unmark != nil:
		return "unmarked a replica set", r.updateReplicaSet(ctx, s, w.Unmark.UID, unmark)
	}
	return "", fmt.Errorf("this is a bug: a write of %s that says nothing", s.key)
}

// patchState writes the state, or removes it, and nothing else: admission makes spec fields of it in
// the same request, so that no chart ever finds sluice as the owner of one.
func (r *reconciler) patchState(ctx context.Context, s *snapshot, state *string) error {
	object := s.workload.object
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": object.GetResourceVersion(),
		"annotations":     map[string]*string{canary.ReleaseAnnotation: state},
	}})
	if err != nil {
		return fmt.Errorf("encoding the state of %s: %w", s.key, err)
	}
	target := newObject(r.kind)
	target.SetNamespace(s.key.Namespace)
	target.SetName(s.key.Name)
	if err := r.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch), fieldManager); err != nil {
		return fmt.Errorf("writing the state of the release of %s %s: %w", strings.ToLower(r.kind.Kind), s.key, err)
	}
	return nil
}
