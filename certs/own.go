package certs

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// ownStep reads, plans, and makes at most one kind of write: the Secret, or the
// configurations. The leaf comes before any write, so that a refused write
// stops no renewal.
func (a *Authority) ownStep(ctx context.Context) (stepResult, error) {
	readAt := a.now()
	secret, stored, err := a.readCA(ctx)
	if err != nil {
		return stepResult{}, err
	}
	configurations, err := a.readConfigurations(ctx) // after the Secret: see doc.go
	if err != nil {
		return stepResult{}, err
	}
	now, observed := a.now(), observe(configurations)
	renewal, err := a.serveOwn(ctx, stored.alive(now).Signing, observed, readAt)
	if err != nil {
		return stepResult{}, err
	}

	step := a.plan(stored, observed, now, a.opts.Timing)
	if step.Action != Keep {
		return stepResult{again: true}, a.store(ctx, secret, step)
	}
	wrote, err := a.writeBundles(ctx, configurations, func(Bundle) Bundle { return step.Bundle })
	if err != nil || wrote {
		return stepResult{again: true}, err
	}
	return stepResult{reason: step.Reason, wait: a.soonest(step.Wait, renewal.Sub(now))}, nil
}

// soonest is the shortest pause that is one, and at most the Interval. It is
// short while there is no leaf, and while a configuration is missing: that will
// be called as soon as it exists.
func (a *Authority) soonest(waits ...time.Duration) time.Duration {
	soonest := a.opts.Interval
	if len(a.missing) > 0 || a.leaf.Load() == nil {
		soonest = min(soonest, pendingInterval)
	}
	for _, wait := range waits {
		if wait > 0 {
			soonest = min(soonest, wait)
		}
	}
	// Leaves that end with their CA get ever shorter: without a floor a CA that
	// cannot be rotated would end in a hot loop.
	return max(soonest, shortestPause)
}

const (
	pendingInterval = 5 * time.Second
	shortestPause   = time.Second
)

// serveOwn renews the leaf if it is due or another CA signs, and returns when
// the next is due. A leaf of another CA is served only if every webhook trusts
// that CA.
func (a *Authority) serveOwn(ctx context.Context, ca *CA, observed Observed, readAt time.Time) (time.Time, error) {
	if ca == nil {
		return time.Time{}, nil
	}
	leaf := a.leaf.Load()
	sameCA := leaf != nil && ca.signed(leaf.Leaf)
	if sameCA && readAt.Before(renewAt(leaf.Leaf)) {
		return renewAt(leaf.Leaf), nil
	}
	if !sameCA && !observed.everywhere(ca.Certificate) {
		return time.Time{}, nil
	}
	leaf, err := ca.Issue(a.opts.DNSNames, a.opts.IPs, readAt, a.opts.Timing)
	if err != nil {
		return time.Time{}, err
	}
	a.serve(ctx, leaf)
	return renewAt(leaf.Leaf), nil
}

// readCA returns the Secret and what it says; a Secret that does not exist has
// no resourceVersion.
func (a *Authority) readCA(ctx context.Context) (*corev1.Secret, Stored, error) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: a.opts.Namespace, Name: a.opts.SecretName}}
	key := client.ObjectKeyFromObject(secret)
	switch err := a.client.Get(ctx, key, secret); {
	case apierrors.IsNotFound(err):
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}, Stored{}, nil
	case err != nil:
		return nil, Stored{}, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	stored, err := parseStored(secret.Data)
	if err != nil {
		return nil, Stored{}, fmt.Errorf("reading the CA in Secret %s: %w; `kubectl -n %s delete secret %s` makes a new CA, and what is trusted now stays trusted meanwhile",
			key, err, key.Namespace, key.Name)
	}
	return secret, stored, nil
}

// store makes the one write that the step asks for.
func (a *Authority) store(ctx context.Context, secret *corev1.Secret, step Step) error {
	stored := step.Store
	if step.Mint != Nobody {
		ca, err := NewCA(a.now(), a.opts.Timing)
		if err != nil {
			return err
		}
		stored = stored.with(step.Mint, ca)
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	if err := stored.write(secret.Data); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(secret)
	stale, err := a.createOrUpdate(ctx, secret)
	if stale {
		return nil // someone was faster: read what is there now
	}
	if err != nil {
		return fmt.Errorf("storing the CA in Secret %s (%s): %w", key, step.Action, err)
	}
	log.FromContext(ctx).Info("stored certificate authority", "secret", key.String(), "action", step.Action, "reason", step.Reason)
	return nil
}

// createOrUpdate reports whether the Secret is no longer as it was read.
func (a *Authority) createOrUpdate(ctx context.Context, secret *corev1.Secret) (stale bool, err error) {
	if secret.ResourceVersion == "" {
		err = a.client.Create(ctx, secret, fieldManager)
		return apierrors.IsAlreadyExists(err), err
	}
	err = a.client.Update(ctx, secret, fieldManager)
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err), err
}

const fieldManager = client.FieldOwner("sluice")
