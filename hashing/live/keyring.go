package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/hashing"
)

// SecretName is the Secret in sluice's namespace that holds the hash keys.
const SecretName = "sluice-hash-key"

// rereadAfter is the shortest time between two reads that unknown key ids cause. Anyone may write a digest with an
// unknown id on a workload, and must not make us ask the API server once per request.
const rereadAfter = 10 * time.Second

// Writer is the part of a client.Client that makes and changes the key Secret.
type Writer interface {
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
	Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error
}

// Options of a Keyring. All are needed.
type Options struct {
	Reader    client.Reader
	Writer    Writer
	Namespace string
	// Random is where keys come from, crypto/rand.Reader outside of tests.
	Random io.Reader
	Now    func() time.Time
}

// Validate lists every option that is missing.
func (o Options) Validate() error {
	var faults []error
	for _, option := range []struct {
		name    string
		missing bool
	}{
		{"Reader", o.Reader == nil},
		{"Writer", o.Writer == nil},
		{"Namespace", o.Namespace == ""},
		{"Random", o.Random == nil},
		{"Now", o.Now == nil},
	} {
		if option.missing {
			faults = append(faults, fmt.Errorf("%s is not set", option.name))
		}
	}
	return errors.Join(faults...)
}

// Keyring is the hash keys of the cluster, read once, regularly (Follow), and when a digest names a key that is not among
// them. It is safe for concurrent use.
type Keyring struct {
	options Options
	known   atomic.Pointer[hashing.Keyring]
	leading atomic.Bool
	// turn is held by whoever reads the Secret, and guards what is below. A channel, because waiting for it must end with
	// ctx.
	turn   chan struct{}
	readAt time.Time
	// owed: the Secret has lost what was its current key. Until it has all keys again that were known then, none of them
	// is forgotten.
	owed bool
	// labels of the Secret, which are put back with it.
	labels map[string]string
}

// NewKeyring returns a keyring that has not read anything.
func NewKeyring(options Options) (*Keyring, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("setting up the hash keyring: %w", err)
	}
	return &Keyring{options: options, turn: make(chan struct{}, 1)}, nil
}

// Ensure reads the key Secret and makes it if it does not exist. It is for the start, before sluice says that it is
// ready. However many replicas start at once, all end with the same key. A malformed Secret is an error and stays as it
// is.
func (k *Keyring) Ensure(ctx context.Context) error {
	if err := k.takeTurn(ctx); err != nil {
		return err
	}
	defer k.endTurn()
	if k.known.Load() != nil {
		return nil
	}
	_, err := k.read(ctx)
	if isAbsent(err) {
		err = k.found(ctx)
	}
	if apierrors.IsAlreadyExists(err) {
		_, err = k.read(ctx)
	}
	return err
}

// Current is the id of the key for new digests as it was last read, "" before that.
func (k *Keyring) Current() string {
	if keys := k.known.Load(); keys != nil {
		return keys.Current()
	}
	return ""
}

// Digest is hashing.Keyring.Digest with the keys of the cluster. It reads the Secret only if that has not been done or
// if previous names an unknown key, the latter at most every ten seconds, and never writes: a dry-run leaves no trace.
func (k *Keyring) Digest(
	ctx context.Context, previous, namespace string, refs []hashing.Reference, objects []hashing.Object,
) (string, error) {
	keys, err := k.loaded(ctx)
	if err != nil {
		return "", err
	}
	digest, err := keys.Digest(previous, namespace, refs, objects)
	var unverifiable *hashing.UnverifiableError
	if !errors.As(err, &unverifiable) || unverifiable.KeyID == "" {
		return digest, err
	}
	keys, rereadErr := k.knowing(ctx, unverifiable.KeyID)
	if rereadErr != nil {
		return "", fmt.Errorf("%w; %w", err, rereadErr)
	}
	return keys.Digest(previous, namespace, refs, objects)
}

// See is hashing.Keyring.See with the keys of the cluster.
func (k *Keyring) See(ctx context.Context, namespace string, refs []hashing.Reference, objects []hashing.Object) (hashing.Seen, error) {
	keys, err := k.loaded(ctx)
	if err != nil {
		return hashing.Seen{}, err
	}
	return keys.See(namespace, refs, objects)
}

// Difference is hashing.Keyring.Difference with the keys of the cluster.
func (k *Keyring) Difference(
	ctx context.Context, before hashing.Seen, namespace string, refs []hashing.Reference, objects []hashing.Object,
) (map[string][]string, error) {
	keys, err := k.loaded(ctx)
	if err != nil {
		return nil, err
	}
	return keys.Difference(before, namespace, refs, objects)
}

// loaded returns the keys as they were last read.
func (k *Keyring) loaded(ctx context.Context) (hashing.Keyring, error) {
	if keys := k.known.Load(); keys != nil {
		return *keys, nil
	}
	if err := k.takeTurn(ctx); err != nil {
		return hashing.Keyring{}, err
	}
	defer k.endTurn()
	if k.known.Load() == nil {
		if _, err := k.read(ctx); err != nil {
			return hashing.Keyring{}, err
		}
	}
	return *k.known.Load(), nil
}

// knowing returns the keys after another read, unless a key is known by now or the last read is too recent. The keys that
// it returns may still lack that key.
func (k *Keyring) knowing(ctx context.Context, id string) (hashing.Keyring, error) {
	if err := k.takeTurn(ctx); err != nil {
		return hashing.Keyring{}, err
	}
	defer k.endTurn()
	if !k.known.Load().Has(id) && k.options.Now().Sub(k.readAt) >= rereadAfter {
		if _, err := k.read(ctx); err != nil {
			return hashing.Keyring{}, err
		}
	}
	return *k.known.Load(), nil
}

// read replaces the known keys, and leaves them if it fails. The caller holds the turn.
func (k *Keyring) read(ctx context.Context) (*corev1.Secret, error) {
	k.readAt = k.options.Now()
	secret := &corev1.Secret{}
	if err := k.options.Reader.Get(ctx, k.key(), secret); err != nil {
		return nil, fmt.Errorf("reading hash key Secret %s: %w", k.key(), err)
	}
	keys, err := hashing.ParseKeyring(secret.Data)
	if err != nil {
		return nil, fmt.Errorf("reading hash key Secret %s: %w", k.key(), err)
	}
	if before := k.known.Load(); before != nil {
		lost := !keys.Has(before.Current())
		if k.owed = (k.owed || lost) && !keys.HasAll(*before); k.owed {
			keys = keys.Joined(*before)
		}
	}
	k.known.Store(&keys)
	k.labels = secret.Labels
	return secret, nil
}

// found makes the first key.
func (k *Keyring) found(ctx context.Context) error {
	key, err := hashing.NewKey(k.options.Random)
	if err != nil {
		return err
	}
	return k.create(ctx, hashing.NewKeyring(key))
}

// create makes the Secret, and then uses its keys.
func (k *Keyring) create(ctx context.Context, keys hashing.Keyring) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.key().Namespace, Name: k.key().Name, Labels: k.labels},
		Type:       corev1.SecretTypeOpaque,
		Data:       keys.Data(),
	}
	if err := k.options.Writer.Create(ctx, secret, fieldManager); err != nil {
		return fmt.Errorf("creating hash key Secret %s: %w", k.key(), err)
	}
	k.owed = false
	k.known.Store(&keys)
	return nil
}

func (k *Keyring) key() types.NamespacedName {
	return types.NamespacedName{Namespace: k.options.Namespace, Name: SecretName}
}

func (k *Keyring) takeTurn(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for hash key Secret %s: %w", k.key(), ctx.Err())
	}
}

func (k *Keyring) endTurn() { <-k.turn }
