package harness

import (
	"strconv"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

// SetImage changes the image of its container, as alice with kubectl does.
func (s Set) SetImage(image string) Result {
	s.t.Helper()
	if s.Deliver != nil {
		return s.Deliver(image)
	}
	return s.rehearseAndMake(imageEdit("app", image))
}

// Approve approves the current step with its annotation, as alice.
func (s Set) Approve() Result {
	s.t.Helper()
	s.Mark("db", watch.Approved)
	return s.drive(canary.ApproveAnnotation, s.Release().ApproveValue())
}

// ApproveFull approves the current step and all after it.
func (s Set) ApproveFull() Result {
	s.t.Helper()
	s.Mark("db", watch.ApprovedFull)
	return s.drive(canary.ApproveAnnotation, s.Release().ApproveFullValue())
}

// Abort aborts the release.
func (s Set) Abort() Result {
	s.t.Helper()
	return s.drive(canary.AbortAnnotation, s.Release().Name())
}

// Retry starts the aborted release again.
func (s Set) Retry() Result {
	s.t.Helper()
	s.Mark("db", watch.Retried)
	return s.drive(canary.RetryAnnotation, s.Release().Name())
}

func (s Set) drive(key, value string) Result {
	s.t.Helper()
	return s.rehearseAndMake(annotationEdit(key, value))
}

// rehearseAndMake sends a write as dry runs and then makes it.
func (s Set) rehearseAndMake(e edit) Result {
	s.t.Helper()
	s.rehearse(e)
	return s.makeWith(e, func(alice kubernetes.Interface) error {
		_, err := alice.AppsV1().StatefulSets(s.Name).Patch(s.t.Context(), "db", e.kind, []byte(e.patch), e.options())
		return err
	})
}

// StatePartition states the partition, as the user's own wish.
func (s Set) StatePartition(partition int) Result {
	s.t.Helper()
	value := strconv.Itoa(partition)
	s.Mark("db", watch.Partition, value)
	return s.Kubectl("patch", "statefulset/db", "-p", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":`+value+`}}}}`)
}

func (s Set) rehearse(e edit) {
	s.t.Helper()
	alice := s.Env.Client(s.t, "alice").AppsV1().StatefulSets(s.Name)
	s.rehearseWith(func() workload { return ofStatefulSet(s.Get()) }, func() workload {
		s.t.Helper()
		set, err := alice.Patch(s.t.Context(), "db", e.kind, []byte(e.patch), e.dryRun())
		require.NoError(s.t, err, "a dry run of what is permitted")
		return ofStatefulSet(set)
	})
}
