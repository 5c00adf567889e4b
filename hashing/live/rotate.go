package live

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/hashing"
)

const (
	fieldManager = client.FieldOwner("sluice")
	// roundTimeout bounds a read of the Secret and the write that follows. Requests that name an unknown key wait for it.
	roundTimeout = 5 * time.Second
	// soon is when to look again after a write, also one for which someone was faster.
	soon = 200 * time.Millisecond
)

// Follow reads the key Secret again every hashing.RereadEvery until ctx ends, so that a key is known before digests name
// it. Every replica does. The keys in use stay while the Secret is gone or malformed.
func (k *Keyring) Follow(ctx context.Context) {
	k.repeat(ctx, func(ctx context.Context) (time.Duration, error) {
		if k.leading.Load() {
			return hashing.RereadEvery, nil // Keep reads it
		}
		_, err := k.read(ctx)
		return hashing.RereadEvery, err
	})
}

// Keep is Follow for the replica that leads, until ctx ends. It rotates the key where AnnotationRotate asks for it, and
// puts back the keys of a Secret that was deleted or replaced: a key that is lost tells of no change that nobody has
// looked at. Each round is at most one write, guarded by the resourceVersion: with two leaders one of them reads again.
func (k *Keyring) Keep(ctx context.Context) {
	k.leading.Store(true)
	defer k.leading.Store(false)
	k.repeat(ctx, k.round)
}

// repeat makes rounds until ctx ends, and says once what is wrong.
func (k *Keyring) repeat(ctx context.Context, round func(context.Context) (time.Duration, error)) {
	said := ""
	for ctx.Err() == nil {
		wait, err := k.inTurn(ctx, round)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			said = ""
		case err.Error() != said:
			log.FromContext(ctx).Error(err, "keeping the hash keys failed, those in use stay")
			said = err.Error()
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (k *Keyring) inTurn(ctx context.Context, round func(context.Context) (time.Duration, error)) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	if err := k.takeTurn(ctx); err != nil {
		return hashing.RereadEvery, err
	}
	defer k.endTurn()
	return round(ctx)
}

// round reads the Secret, makes at most one write, and returns when to look again. The caller holds the turn.
func (k *Keyring) round(ctx context.Context) (time.Duration, error) {
	secret, err := k.read(ctx)
	keys := k.known.Load()
	switch {
	case keys != nil && isAbsent(err):
		return k.after(ctx, k.create(ctx, *keys), "put back the hash key Secret, which was gone")
	case err != nil:
		return hashing.RereadEvery, err
	case k.owed:
		secret.Data = keys.Data()
		return k.after(ctx, k.update(ctx, secret, *keys), "put back hash keys that the Secret had lost")
	}
	return k.rotate(ctx, secret, *keys)
}

// rotate makes the next step of a rotation.
func (k *Keyring) rotate(ctx context.Context, secret *corev1.Secret, keys hashing.Keyring) (time.Duration, error) {
	stored, err := hashing.DecodeRotation(secret.Annotations)
	if err != nil {
		return hashing.RereadEvery, fmt.Errorf("reading hash key Secret %s: %w", k.key(), err)
	}
	step := hashing.NextRotation(secret.Annotations[hashing.AnnotationRotate], stored, keys, k.options.Now())
	var done string
	switch step.Action {
	case hashing.Rest:
		return hashing.RereadEvery, nil
	case hashing.Wait:
		return min(step.Wait, hashing.RereadEvery), nil
	case hashing.Add:
		key, err := hashing.NewKey(k.options.Random)
		if err != nil {
			return hashing.RereadEvery, err
		}
		keys, step.Store.Next = keys.With(key), key.ID()
		done = "added a hash key, which will be the current one"
	case hashing.Announce:
		done = "waiting until every replica knows the new hash key"
	case hashing.Promote:
		keys = keys.WithCurrent(stored.Next)
		done = "the new hash key is the current one"
	default:
		return hashing.RereadEvery, fmt.Errorf("rotating the hash key: unknown action %q: this is a bug", step.Action)
	}
	secret.Data = keys.Data()
	secret.Annotations[hashing.AnnotationRotation] = step.Store.Encode()
	return k.after(ctx, k.update(ctx, secret, keys), done)
}

// after says what was written. Where someone was faster the next round reads what is there now.
func (k *Keyring) after(ctx context.Context, err error, done string) (time.Duration, error) {
	switch {
	case err == nil:
		log.FromContext(ctx).Info(done, "current", k.Current())
	case !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err):
		return hashing.RereadEvery, err
	}
	return soon, nil
}

// update writes the Secret as it was read but for what was changed, and then uses those keys.
func (k *Keyring) update(ctx context.Context, secret *corev1.Secret, keys hashing.Keyring) error {
	if err := k.options.Writer.Update(ctx, secret, fieldManager); err != nil {
		return fmt.Errorf("writing hash key Secret %s: %w", k.key(), err)
	}
	k.owed = false
	k.known.Store(&keys)
	return nil
}
