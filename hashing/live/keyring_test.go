package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/hashing"
)

var (
	appRefs    = []hashing.Reference{all(hashing.ConfigMap, "app")}
	appObjects = []hashing.Object{{Kind: hashing.ConfigMap, Name: "app", Data: map[string][]byte{"a": {1}}}}
)

func newKeyring(t *testing.T, server *cluster, now func() time.Time) *Keyring {
	t.Helper()
	keys, err := NewKeyring(Options{Reader: server, Writer: server, Namespace: "sluice-system", Random: rand.Reader, Now: now})
	require.NoError(t, err)
	return keys
}

func loadedKeyring(t *testing.T, server *cluster) *Keyring {
	t.Helper()
	keys := newKeyring(t, server, new(clock).now)
	require.NoError(t, keys.Ensure(t.Context()))
	return keys
}

func keySecret(keys hashing.Keyring) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "sluice-system", Name: SecretName}, Data: keys.Data()}
}

func keyOf(t *testing.T, b byte) hashing.Key {
	key, err := hashing.NewKey(bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
	require.NoError(t, err)
	return key
}

func (c *cluster) put(t *testing.T, keys hashing.Keyring) {
	t.Helper()
	require.NoError(t, c.Update(t.Context(), keySecret(keys)))
}

func appDigest(ctx context.Context, keys *Keyring, previous string) (string, error) {
	return keys.Digest(ctx, previous, "shop", appRefs, appObjects)
}

func TestEnsureMakesTheKeyOnce(t *testing.T) {
	server := newCluster(t)
	first := loadedKeyring(t, server)
	require.NoError(t, first.Ensure(t.Context()))
	require.EqualValues(t, 1, server.creates.Load())
	require.EqualValues(t, 1, server.gets.Load())

	digest, err := appDigest(t.Context(), first, "")
	require.NoError(t, err)
	again, err := appDigest(t.Context(), loadedKeyring(t, server), "")
	require.NoError(t, err)
	require.Equal(t, digest, again, "a later replica reads the same key")
	require.EqualValues(t, 1, server.creates.Load())

	var secret corev1.Secret
	require.NoError(t, server.Get(t.Context(), client.ObjectKey{Namespace: "sluice-system", Name: "sluice-hash-key"}, &secret))
	require.Equal(t, corev1.SecretTypeOpaque, secret.Type)
	require.Len(t, secret.Data, 2)
}

func TestReplicasThatStartAtOnceEndWithOneKey(t *testing.T) {
	server := newCluster(t)
	const replicas = 8
	// Every replica has seen that there is no key before any of them makes one.
	var looked sync.WaitGroup
	looked.Add(replicas)
	server.onGet = func(context.Context, string) error {
		if server.gets.Load() <= replicas && server.creates.Load() == 0 {
			looked.Done()
			looked.Wait()
			return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, SecretName)
		}
		return nil
	}
	digests := make([]string, replicas)
	errs := make([]error, replicas)
	var done sync.WaitGroup
	for i := range replicas {
		keys := newKeyring(t, server, new(clock).now)
		done.Go(func() {
			if errs[i] = keys.Ensure(t.Context()); errs[i] == nil {
				digests[i], errs[i] = appDigest(t.Context(), keys, "")
			}
		})
	}
	done.Wait()
	for i := range replicas {
		require.NoError(t, errs[i])
		require.Equal(t, digests[0], digests[i])
	}
	require.EqualValues(t, replicas, server.creates.Load())
}

func TestEnsureFailures(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, SecretName, errors.New("no"))
	malformed := keySecret(hashing.NewKeyring(keyOf(t, 1)))
	malformed.Data["current"] = []byte("0badc0de")
	for sentence, test := range map[string]struct {
		objects []client.Object
		onGet   error
		random  string
		want    string
	}{
		"reading is refused": {nil, forbidden, "", `reading hash key Secret sluice-system/sluice-hash-key: secrets "sluice-hash-key" is forbidden: no`},
		"malformed": {[]client.Object{malformed}, nil, "",
			`reading hash key Secret sluice-system/sluice-hash-key: parsing hash keys: entry "current" does not name a valid key of this Secret`},
		"no randomness": {nil, nil, "short", "reading randomness for a hash key: unexpected EOF"},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := newCluster(t, test.objects...)
			server.onGet = func(context.Context, string) error { return test.onGet }
			keys, err := NewKeyring(Options{
				Reader: server, Writer: server, Namespace: "sluice-system",
				Random: strings.NewReader(test.random), Now: new(clock).now,
			})
			require.NoError(t, err)
			require.EqualError(t, keys.Ensure(t.Context()), test.want)
			require.Zero(t, server.creates.Load(), "nothing is made or overwritten")
		})
	}
}

type refusingWriter struct {
	Writer
	err error
}

func (c refusingWriter) Create(context.Context, client.Object, ...client.CreateOption) error {
	return c.err
}

func TestEnsureSaysThatCreatingFailed(t *testing.T) {
	server := newCluster(t)
	refused := errors.New("quota exceeded")
	keys, err := NewKeyring(Options{
		Reader: server, Writer: refusingWriter{err: refused}, Namespace: "sluice-system", Random: rand.Reader, Now: new(clock).now,
	})
	require.NoError(t, err)
	err = keys.Ensure(t.Context())
	require.ErrorIs(t, err, refused)
	require.ErrorContains(t, err, "creating hash key Secret sluice-system/sluice-hash-key: ")
	_, err = appDigest(t.Context(), keys, "")
	require.Error(t, err, "a key that was not stored makes no digests")
}

func TestDigestNeverMakesAKey(t *testing.T) {
	server := newCluster(t)
	keys := newKeyring(t, server, new(clock).now)
	_, err := appDigest(t.Context(), keys, "")
	require.True(t, apierrors.IsNotFound(err))
	require.ErrorContains(t, err, "reading hash key Secret sluice-system/sluice-hash-key: ")
	require.Zero(t, server.creates.Load(), "a dry-run leaves no trace")

	require.NoError(t, loadedKeyring(t, server).Ensure(t.Context()))
	_, err = appDigest(t.Context(), keys, "")
	require.NoError(t, err, "it reads the key that someone else has made since")
}

func TestDigestReadsTheKeyOnce(t *testing.T) {
	server := newCluster(t)
	keys := loadedKeyring(t, server)
	before := server.gets.Load()
	first, err := appDigest(t.Context(), keys, "")
	require.NoError(t, err)
	for range 10 {
		again, err := appDigest(t.Context(), keys, first)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
	require.Equal(t, before, server.gets.Load())
}

// Acceptance 11: another replica, started after a rotation, writes digests under a key that we have not seen. Anyone can
// write a key id, too.
func TestDigestRereadsAtMostEveryTenSeconds(t *testing.T) {
	old := hashing.NewKeyring(keyOf(t, 1))
	rotated := old.Rotated(keyOf(t, 2))
	server := newCluster(t, keySecret(old))
	var clock clock
	keys := newKeyring(t, server, clock.now)
	require.NoError(t, keys.Ensure(t.Context()))
	forged := "v1:0badc0de:" + strings.Repeat("ab", 32)
	var unverifiable *hashing.UnverifiableError

	server.gets.Store(0)
	for range 100 {
		clock.advance(time.Second)
		_, err := appDigest(t.Context(), keys, forged)
		require.ErrorAs(t, err, &unverifiable)
		require.Equal(t, "0badc0de", unverifiable.KeyID)
	}
	require.EqualValues(t, 10, server.gets.Load(), "100 requests in 100 seconds")

	for _, previous := range []string{"v2:later", "not ours"} {
		clock.advance(time.Minute)
		_, err := appDigest(t.Context(), keys, previous)
		require.ErrorAs(t, err, &unverifiable)
	}
	require.EqualValues(t, 10, server.gets.Load(), "another version is no reason to read keys")

	server.put(t, rotated)
	other, err := rotated.Digest("", "shop", appRefs, appObjects)
	require.NoError(t, err)
	clock.advance(rereadAfter)
	digest, err := appDigest(t.Context(), keys, other)
	require.NoError(t, err)
	require.Equal(t, other, digest)
	require.EqualValues(t, 11, server.gets.Load())
}

// A reread that fails leaves the keys that we have, and the answer is still "can't be verified": keep the digest.
func TestDigestWhenTheRereadFails(t *testing.T) {
	refused := errors.New("connection refused")
	malformed := keySecret(hashing.NewKeyring(keyOf(t, 1)))
	malformed.Data = nil
	for sentence, spoil := range map[string]func(*cluster){
		"refused":   func(c *cluster) { c.setOnGet(func(context.Context, string) error { return refused }) },
		"deleted":   func(c *cluster) { require.NoError(t, c.Delete(t.Context(), malformed)) },
		"malformed": func(c *cluster) { require.NoError(t, c.Update(t.Context(), malformed.DeepCopy())) },
	} {
		t.Run(sentence, func(t *testing.T) {
			server := newCluster(t, keySecret(hashing.NewKeyring(keyOf(t, 1))))
			var clock clock
			keys := newKeyring(t, server, clock.now)
			first, err := appDigest(t.Context(), keys, "")
			require.NoError(t, err)
			spoil(server)
			clock.advance(time.Hour)

			_, err = appDigest(t.Context(), keys, "v1:0badc0de:"+strings.Repeat("ab", 32))
			var unverifiable *hashing.UnverifiableError
			require.ErrorAs(t, err, &unverifiable)
			require.ErrorContains(t, err, "reading hash key Secret sluice-system/sluice-hash-key: ")
			again, err := appDigest(t.Context(), keys, first)
			require.NoError(t, err)
			require.Equal(t, first, again)
			require.Zero(t, server.creates.Load(), "a lost key is made anew at the next start only")
		})
	}
}

// Requests that wait for another's read of the key end with their own deadline.
func TestDigestWaitsNoLongerThanItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newCluster(t)
		server.onGet = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}
		keys := newKeyring(t, server, new(clock).now)
		long, cancelLong := context.WithTimeout(t.Context(), time.Hour)
		defer cancelLong()
		var done sync.WaitGroup
		done.Go(func() { _ = keys.Ensure(long) })
		synctest.Wait()

		start := time.Now()
		short, cancelShort := context.WithTimeout(t.Context(), time.Second)
		defer cancelShort()
		_, err := appDigest(short, keys, "")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "waiting for hash key Secret sluice-system/sluice-hash-key: ")
		require.Equal(t, time.Second, time.Since(start))
		cancelLong()
		done.Wait()
	})
}

func TestNewKeyringListsWhatIsMissing(t *testing.T) {
	_, err := NewKeyring(Options{Namespace: "sluice-system", Random: rand.Reader})
	require.EqualError(t, err, "setting up the hash keyring: Reader is not set\nWriter is not set\nNow is not set")
}
