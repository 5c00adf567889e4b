package canary

import (
	"bytes"
	"encoding/json"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// rolloutManager is the field manager of `kubectl rollout resume`.
const rolloutManager = "kubectl-rollout"

// resumes: the request is `kubectl rollout resume` of a held workload.
func (c change) resumes() bool {
	return c.release.Holds() && c.sameTemplate && c.FieldManager == rolloutManager &&
		c.Old.Spec.Paused && !c.New.Spec.Paused
}

// wishes returns what the user wants in the fields that sluice sets, as far as this write tells. Where
// admission is called a second time for the same request, the fields are already set and the state
// that it wrote says what the user had sent; a user who forges that part only changes their own wish.
func (c change) wishes() Held {
	held, now := c.release.Held, c.Old.Metadata.Generation+1
	incoming, _ := DecodeRelease(c.New.Metadata.Annotations)
	switch {
	case incoming != nil && (incoming.ID == c.nextID() || incoming.Held.Stated == now):
		return incoming.Held
	case incoming != nil && incoming.ID == c.release.ID:
		held = incoming.Held
	}
	if pausedOwners(c.New) > pausedOwners(c.Old) {
		held.Stated = now
	}
	fromFile := c.fromFile()
	if c.Kind == StatefulSet {
		if now := c.New.Spec.UpdateStrategy.Partition(); !c.release.Holds() || (now != closed && now != c.Old.Spec.UpdateStrategy.Partition()) {
			held.Partition = now
		}
		return held
	}
	held.Paused = c.wishesPaused(held.Paused, fromFile)
	if c.release.Surge == 0 {
		return held
	}
	pinned, current := strconv.Itoa(int(c.release.Surge)), c.New.Spec.Strategy.MaxSurge()
	if current != nil && (fromFile || string(current) != pinned) {
		held.MaxSurge = current
	}
	return held
}

// fromFile: a write that has nothing of what controllers add comes from a file and states every field.
func (c change) fromFile() bool {
	_, annotated := c.New.Metadata.Annotations[ReleaseAnnotation]
	_, labelled := c.New.Metadata.Labels[ActiveLabel]
	_, revised := c.New.Metadata.Annotations["deployment.kubernetes.io/revision"]
	return !annotated && !labelled && !revised
}

func (c change) wishesPaused(before, fromFile bool) bool {
	switch {
	case !c.release.Holds():
		if c.New.Spec.Paused != c.Old.Spec.Paused {
			return c.New.Spec.Paused
		}
		return before
	case c.New.Spec.Paused:
		return before || fromFile || c.statesPaused()
	case c.resumes() && c.release.Step > 0:
		return before
	default:
		return false
	}
}

// firstInvocation returns the release that admission itself started earlier in this very request, nil
// where it did not.
func (c change) firstInvocation() *Release {
	incoming, _ := DecodeRelease(c.New.Metadata.Annotations)
	if incoming == nil || incoming.ID != c.nextID() || (c.Sluice && !c.notices()) {
		return nil
	}
	return incoming
}

// statesPaused tells whether `paused: true` was newly stated in this write although the field already
// was true: a server-side apply that now owns it, or a client-side apply that now remembers it.
func (c change) statesPaused() bool {
	if pausedOwners(c.New) > pausedOwners(c.Old) {
		return true
	}
	return lastAppliedPaused(c.New) && !lastAppliedPaused(c.Old)
}

func pausedOwners(w *Workload) int {
	if !bytes.Contains(w.Metadata.ManagedFields, []byte(`"f:paused"`)) {
		return 0
	}
	var entries []struct {
		FieldsV1 struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		} `json:"fieldsV1"`
	}
	if err := json.Unmarshal(w.Metadata.ManagedFields, &entries); err != nil {
		return 0 // the API server keeps them well-formed; without them nobody states anything
	}
	owners := 0
	for _, entry := range entries {
		if _, ok := entry.FieldsV1.Spec["f:paused"]; ok {
			owners++
		}
	}
	return owners
}

func lastAppliedPaused(w *Workload) bool {
	applied, ok := w.Metadata.Annotations[corev1.LastAppliedConfigAnnotation]
	if !ok {
		return false
	}
	var object struct {
		Metadata Metadata `json:"metadata"`
		Spec     struct {
			Paused bool `json:"paused"`
		} `json:"spec"`
	}
	if json.Unmarshal([]byte(applied), &object) != nil || !object.Spec.Paused {
		return false
	}
	_, exported := object.Metadata.Annotations[ReleaseAnnotation]
	return !exported // what was saved while it was held has our pause in it
}
