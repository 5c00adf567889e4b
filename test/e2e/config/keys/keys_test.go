package keys

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/hashing"
)

func TestARotationRollsNothingAlsoWhereSluiceIsKilledInBetween(t *testing.T) {
	s := workloads(t)
	old := s.keys().Current()
	s.wait("what is seen is under the first key", s.notedUnder(old))
	before := s.running()

	s.rotate("first")
	s.wait("the new key is announced", func() error { return expect(s.rotation().Since != nil, "it is not: %v", s.rotation()) })
	next := s.rotation().Next
	require.Equal(t, old, s.keys().Current(), "not every replica may know the new key")
	require.True(t, s.keys().Has(next))
	restart(t)

	s.pass(hashing.Propagation)
	s.wait("the new key is current", func() error { return expect(s.keys().Current() == next, "it is not: %v", s.rotation()) })
	require.Equal(t, hashing.Rotation{Word: "first"}, s.rotation())
	require.True(t, s.keys().Has(old))
	s.wait("what is seen is under the new key", s.notedUnder(next))
	require.Equal(t, before, s.running(), "no template changed and no pod was made")

	r := s.Command("admin", "kubectl", "--namespace="+sluiceNamespace, "patch", "secret", keySecret, "--type=json",
		`-p=[{"op":"remove","path":"/data/`+old+`"}]`)
	require.Zero(t, r.Code, r.String())
	restart(t) // which forgets it
	require.False(t, s.keys().Has(old))
	s.changes(next)
	s.leaksNothing()
}

func TestALostSecretRollsNothing(t *testing.T) {
	s := workloads(t)
	old := s.keys()
	s.wait("what is seen is under the key", s.notedUnder(old.Current()))
	before := s.running()

	s.deleteSecret()
	s.wait("the leader puts the Secret back", func() error { return expect(s.exists(), "it is gone") })
	require.Equal(t, old.Data(), s.keys().Data())

	env.Sluice().Kill()
	s.deleteSecret()
	restart(t)
	fresh := s.keys().Current()
	require.False(t, old.Has(fresh), "nobody knew the keys any more")
	s.wait("what is seen is under the new key", s.notedUnder(fresh))
	require.Equal(t, before, s.running(), "no template changed and no pod was made")

	s.changes(fresh)
	s.leaksNothing()
}

// restart kills sluice, where it still lives, and starts it again.
func restart(t *testing.T) {
	t.Helper()
	env.Sluice().Kill()
	_, err := env.StartSluice(t.Context())
	require.NoError(t, err)
}

// pass lets time pass for the rotation that is under way, without waiting: the time is in the Secret.
func (s space) pass(d time.Duration) {
	s.t.Helper()
	rotation := s.rotation()
	require.NotNil(s.t, rotation.Since)
	since := rotation.Since.Add(-d)
	rotation.Since = &since
	s.annotate(hashing.AnnotationRotation, rotation.Encode())
}

// rotate asks for a rotation, as the README says.
func (s space) rotate(word string) {
	s.t.Helper()
	s.annotate(hashing.AnnotationRotate, word)
}

func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
