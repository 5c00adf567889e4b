package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/hashing"
)

// stored returns the key Secret.
func (c *cluster) stored(t *testing.T) *corev1.Secret {
	t.Helper()
	defer c.gets.Add(-1) // of the test
	var secret corev1.Secret
	require.NoError(t, c.Get(context.WithoutCancel(t.Context()), client.ObjectKey{Namespace: "sluice-system", Name: SecretName}, &secret))
	return &secret
}

func (c *cluster) keys(t *testing.T) hashing.Keyring {
	t.Helper()
	keys, err := hashing.ParseKeyring(c.stored(t).Data)
	require.NoError(t, err)
	return keys
}

func (c *cluster) rotation(t *testing.T) hashing.Rotation {
	t.Helper()
	rotation, err := hashing.DecodeRotation(c.stored(t).Annotations)
	require.NoError(t, err)
	return rotation
}

// change changes the key Secret as a person does.
func (c *cluster) change(t *testing.T, change func(*corev1.Secret)) {
	t.Helper()
	secret := c.stored(t)
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	change(secret)
	onUpdate := c.onUpdate
	c.onUpdate = nil
	require.NoError(t, c.Update(context.WithoutCancel(t.Context()), secret))
	c.onUpdate = onUpdate
	c.updates.Store(0)
}

func (c *cluster) ask(t *testing.T, word string) {
	t.Helper()
	c.change(t, func(s *corev1.Secret) { s.Annotations[hashing.AnnotationRotate] = word })
}

func (c *cluster) remove(t *testing.T) {
	t.Helper()
	require.NoError(t, c.Delete(context.WithoutCancel(t.Context()), c.stored(t)))
}

// leader makes one round and returns how long it waits for the next.
func leader(t *testing.T, keys *Keyring) time.Duration {
	t.Helper()
	wait, err := keys.inTurn(t.Context(), keys.round)
	require.NoError(t, err)
	return wait
}

func TestARotationStepByStep(t *testing.T) {
	server := newCluster(t)
	var clock clock
	keys := newKeyring(t, server, clock.now)
	require.NoError(t, keys.Ensure(t.Context()))
	old := keys.Current()
	first, err := appDigest(t.Context(), keys, "")
	require.NoError(t, err)
	require.Equal(t, hashing.RereadEvery, leader(t, keys))
	require.Zero(t, server.updates.Load(), "nothing is written while nobody asks")

	server.ask(t, "a")
	require.Equal(t, soon, leader(t, keys))
	next := server.rotation(t).Next
	require.Equal(t, old, server.keys(t).Current())
	require.True(t, server.keys(t).Has(next))
	require.Equal(t, soon, leader(t, keys))
	require.NotNil(t, server.rotation(t).Since)
	for passed := time.Duration(0); passed < hashing.Propagation; {
		wait := leader(t, keys)
		require.Equal(t, old, keys.Current())
		passed += wait
		clock.advance(wait)
	}
	require.EqualValues(t, 2, server.updates.Load())
	require.Equal(t, soon, leader(t, keys))
	require.Equal(t, next, server.keys(t).Current())
	require.Equal(t, next, keys.Current())
	require.Equal(t, hashing.Rotation{Word: "a"}, server.rotation(t))
	require.Equal(t, hashing.RereadEvery, leader(t, keys))
	require.EqualValues(t, 3, server.updates.Load())

	again, err := appDigest(t.Context(), keys, first)
	require.NoError(t, err)
	require.Equal(t, first, again, "digests stay")
	fresh, err := appDigest(t.Context(), keys, "")
	require.NoError(t, err)
	require.Contains(t, fresh, next)

	server.ask(t, "b")
	leader(t, keys)
	require.NotEqual(t, next, server.rotation(t).Next)
	require.Len(t, server.stored(t).Data, 4, "three keys, and which is current")
}

// A leader dies at each of its three writes, before it or when nobody heard the answer. Whoever leads next goes on.
func TestARotationWithACrashAtEachWrite(t *testing.T) {
	died := errors.New("connection refused")
	for write := int32(1); write <= 3; write++ {
		for how, stores := range map[string]bool{"is refused": false, "is stored and the answer lost": true} {
			for what, restarts := range map[string]bool{", the leader goes on": false, ", another one takes over": true} {
				t.Run(fmt.Sprint("write ", write, " ", how, what), func(t *testing.T) {
					server := newCluster(t)
					var clock clock
					keys := newKeyring(t, server, clock.now)
					require.NoError(t, keys.Ensure(t.Context()))
					old := keys.Current()
					server.ask(t, "a")
					server.onUpdate = func(update func() error) error {
						if server.updates.Load() == write {
							if stores {
								require.NoError(t, update())
							}
							return died
						}
						return update()
					}
					var known time.Time // when the next key was in the Secret
					for range 30 {
						wait, err := keys.inTurn(t.Context(), keys.round)
						if err != nil {
							require.ErrorIs(t, err, died)
							if restarts {
								keys = newKeyring(t, server, clock.now)
								require.NoError(t, keys.Ensure(t.Context()))
							}
						}
						if now := server.keys(t); known.IsZero() && len(now.Data()) == 3 {
							known = clock.now()
						} else if now.Current() != old {
							break
						}
						clock.advance(wait)
					}
					require.GreaterOrEqual(t, clock.now().Sub(known), hashing.Propagation-time.Second, "to the second")
					leader(t, keys)
					require.NotEqual(t, old, keys.Current())
					require.Equal(t, server.keys(t).Current(), keys.Current())
					require.Equal(t, hashing.Rotation{Word: "a"}, server.rotation(t))
					require.Len(t, server.stored(t).Data, 3, "one key was made, and no more")
				})
			}
		}
	}
}

// Between each read and write of one leader the other makes a round of its own.
func TestARotationByTwoLeaders(t *testing.T) {
	server := newCluster(t)
	var clock clock
	one, two := newKeyring(t, server, clock.now), newKeyring(t, server, clock.now)
	require.NoError(t, one.Ensure(t.Context()))
	require.NoError(t, two.Ensure(t.Context()))
	old := one.Current()
	server.ask(t, "a")
	inside := false
	conflicts := 0
	server.onUpdate = func(update func() error) error {
		if !inside {
			inside = true
			leader(t, two)
			inside = false
		}
		err := update()
		if apierrors.IsConflict(err) {
			conflicts++
		}
		return err
	}
	for range 20 {
		clock.advance(leader(t, one))
	}
	leader(t, two)
	require.Equal(t, 3, conflicts, "each write of the first came too late")
	require.NotEqual(t, old, one.Current())
	require.Equal(t, one.Current(), two.Current())
	require.Len(t, server.stored(t).Data, 3)
	require.Equal(t, hashing.Rotation{Word: "a"}, server.rotation(t))
}

// No replica ever meets a digest whose key it does not know, though one of its reads fails.
func TestEveryReplicaKnowsAKeyBeforeItIsCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newCluster(t)
		leads, follows := newKeyring(t, server, time.Now), newKeyring(t, server, time.Now)
		require.NoError(t, leads.Ensure(t.Context()))
		require.NoError(t, follows.Ensure(t.Context()))
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { leads.Follow(ctx) })
		running.Go(func() { leads.Keep(ctx) })
		running.Go(func() { follows.Follow(ctx) })
		synctest.Wait()
		server.ask(t, "a")
		old := leads.Current()
		var learned time.Time
		for range 600 {
			time.Sleep(time.Second)
			synctest.Wait()
			if follows.known.Load().Has(server.rotation(t).Next) && learned.IsZero() {
				learned = time.Now()
			}
			digest, err := appDigest(ctx, leads, "")
			require.NoError(t, err)
			require.True(t, follows.known.Load().Has(strings.Split(digest, ":")[1]))
		}
		require.NotEqual(t, old, leads.Current())
		require.Equal(t, leads.Current(), follows.Current())
		require.False(t, learned.IsZero())
		require.EqualValues(t, 3, server.updates.Load())
		// 600 s: the follower reads every 30 s, the leader too and once more after each write.
		require.LessOrEqual(t, server.gets.Load(), int32(2*21+10))
		stop()
		running.Wait()
	})
}

func TestWhatIsLostIsPutBack(t *testing.T) {
	for sentence, test := range map[string]struct {
		lose func(t *testing.T, server *cluster)
		// what the Secret has after a round, of the keys 1 (older), 2 (current) and 3 (someone else's)
		wantCurrent byte
		wantKeys    []byte
		wantWrites  int32
	}{
		"nothing": {func(*testing.T, *cluster) {}, 2, []byte{1, 2}, 0},
		"the Secret": {func(t *testing.T, server *cluster) {
			server.remove(t)
		}, 2, []byte{1, 2}, 1},
		"the current key, by an older Secret": {func(t *testing.T, server *cluster) {
			server.change(t, func(s *corev1.Secret) { s.Data = hashing.NewKeyring(keyOf(t, 1)).Data() })
		}, 1, []byte{1, 2}, 1},
		"all keys, by a replica that started without": {func(t *testing.T, server *cluster) {
			server.remove(t)
			require.NoError(t, server.Create(t.Context(), keySecret(hashing.NewKeyring(keyOf(t, 3)))))
		}, 3, []byte{1, 2, 3}, 1},
		"an older key, taken out on purpose": {func(t *testing.T, server *cluster) {
			server.change(t, func(s *corev1.Secret) { delete(s.Data, keyOf(t, 1).ID()) })
		}, 2, []byte{2}, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := newCluster(t, keySecret(hashing.NewKeyring(keyOf(t, 1)).Rotated(keyOf(t, 2))))
			keys, follower := loadedKeyring(t, server), loadedKeyring(t, server)
			first, err := appDigest(t.Context(), keys, "")
			require.NoError(t, err)
			test.lose(t, server)
			server.creates.Store(0)

			_, _ = follower.inTurn(t.Context(), func(ctx context.Context) (time.Duration, error) { _, err := follower.read(ctx); return 0, err })
			require.Zero(t, server.creates.Load()+server.updates.Load(), "only the leader writes")
			// A read that a request causes must not make the leader forget what it has to put back.
			_, _ = keys.inTurn(t.Context(), func(ctx context.Context) (time.Duration, error) { _, err := keys.read(ctx); return 0, err })
			leader(t, keys)
			leader(t, keys)
			require.Equal(t, test.wantWrites, server.creates.Load()+server.updates.Load())
			got := server.keys(t)
			require.Equal(t, keyOf(t, test.wantCurrent).ID(), got.Current())
			require.Len(t, got.Data(), len(test.wantKeys)+1)
			for _, b := range test.wantKeys {
				require.True(t, got.Has(keyOf(t, b).ID()))
			}
			for _, replica := range []*Keyring{keys, follower} {
				again, err := appDigest(t.Context(), replica, first)
				require.NoError(t, err)
				require.Equal(t, first, again)
			}
		})
	}
}

// The rotation has to be asked for again: while the Secret was gone, no replica came to know a new key.
func TestASecretIsPutBackWithItsLabelsAndWithoutARotation(t *testing.T) {
	server := newCluster(t)
	keys := loadedKeyring(t, server)
	server.change(t, func(s *corev1.Secret) { s.Labels = map[string]string{"team": "platform"} })
	server.ask(t, "a")
	leader(t, keys)
	leader(t, keys)
	before := server.stored(t)
	server.remove(t)
	leader(t, keys)
	after := server.stored(t)
	require.Equal(t, before.Data, after.Data)
	require.Equal(t, before.Labels, after.Labels)
	require.Empty(t, after.Annotations)
	require.Equal(t, hashing.RereadEvery, leader(t, keys))
}

// Nobody knows the key any more: a start makes a new one, and a digest under the old one cannot be verified.
func TestAKeyThatNobodyKnowsIsMadeAnewAtAStart(t *testing.T) {
	server := newCluster(t)
	first, err := appDigest(t.Context(), loadedKeyring(t, server), "")
	require.NoError(t, err)
	server.remove(t)
	var unverifiable *hashing.UnverifiableError
	_, err = appDigest(t.Context(), loadedKeyring(t, server), first)
	require.ErrorAs(t, err, &unverifiable)
}

// journal collects log lines.
type journal struct {
	mutex sync.Mutex
	lines []string
}

func (j *journal) context(ctx context.Context) context.Context {
	return log.IntoContext(ctx, funcr.New(func(prefix, args string) {
		j.mutex.Lock()
		defer j.mutex.Unlock()
		j.lines = append(j.lines, prefix+args)
	}, funcr.Options{Verbosity: 100}))
}

func TestWhatCannotBeKeptIsLeftAloneAndSaidOnce(t *testing.T) {
	refused := errors.New("updates of the Secret are refused")
	for sentence, test := range map[string]struct {
		change   func(t *testing.T, s *corev1.Secret)
		onUpdate func(func() error) error
		want     string
	}{
		"an entry is malformed": {change: func(_ *testing.T, s *corev1.Secret) { s.Data["0badc0de"] = []byte("hunter2hunter2") },
			want: `parsing hash keys: entry \"0badc0de\" must be a key of 32 bytes, has 14`},
		"a key stands where its id should": {change: func(t *testing.T, s *corev1.Secret) {
			s.Data["current"] = keySecret(hashing.NewKeyring(keyOf(t, 'K'))).Data[keyOf(t, 'K').ID()]
		},
			want: `entry \"current\" does not name a valid key of this Secret`},
		"the rotation is malformed": {change: func(_ *testing.T, s *corev1.Secret) { s.Annotations[hashing.AnnotationRotation] = "hunter2hunter2" },
			want: "annotation sluice.dev/rotation is not what sluice writes: remove it"},
		"writing is refused": {change: func(*testing.T, *corev1.Secret) {}, onUpdate: func(func() error) error { return refused },
			want: "writing hash key Secret sluice-system/sluice-hash-key: updates of the Secret are refused"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newCluster(t)
				keys := newKeyring(t, server, time.Now)
				require.NoError(t, keys.Ensure(t.Context()))
				first, err := appDigest(t.Context(), keys, "")
				require.NoError(t, err)
				server.ask(t, "a")
				server.change(t, func(s *corev1.Secret) { test.change(t, s) })
				before := server.stored(t)
				server.onUpdate = test.onUpdate

				var said journal
				ctx, stop := context.WithCancel(said.context(t.Context()))
				var running sync.WaitGroup
				running.Go(func() { keys.Follow(ctx) })
				running.Go(func() { keys.Keep(ctx) })
				time.Sleep(10 * time.Minute)
				again, err := appDigest(ctx, keys, first)
				require.NoError(t, err)
				require.Equal(t, first, again)
				stop()
				running.Wait()

				require.Equal(t, before, server.stored(t))
				require.LessOrEqual(t, len(said.lines), 2, said.lines) // one of each loop, where Follow looked first
				for _, line := range said.lines {
					require.Contains(t, line, test.want)
					require.NotContains(t, line, "hunter2")
					require.NotContains(t, line, "KKKK")
				}
			})
		})
	}
}

func TestNoKeyIsLogged(t *testing.T) {
	var said journal
	server := newCluster(t)
	var clock clock
	keys, err := NewKeyring(Options{Reader: server, Writer: server, Namespace: "sluice-system", Random: rand.Reader, Now: clock.now})
	require.NoError(t, err)
	ctx := said.context(t.Context())
	require.NoError(t, keys.Ensure(ctx))
	rounds := func() {
		for range 10 {
			wait, err := keys.inTurn(ctx, keys.round)
			require.NoError(t, err)
			clock.advance(wait)
		}
	}
	server.ask(t, "a")
	rounds()
	server.remove(t)
	rounds()
	server.change(t, func(s *corev1.Secret) { s.Data = hashing.NewKeyring(keyOf(t, 'K')).Data() })
	rounds()
	everything := strings.Join(said.lines, "\n")
	require.Len(t, said.lines, 5, everything)
	for id, value := range server.stored(t).Data {
		if id == "current" {
			continue
		}
		for _, leak := range [][]byte{value, []byte(hex.EncodeToString(value)), []byte(base64.StdEncoding.EncodeToString(value)), []byte(strings.Trim(fmt.Sprint(value), "[]"))} {
			require.False(t, bytes.Contains([]byte(everything), leak))
		}
	}
}
