package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// installer puts objects into the cluster and takes them out, as the person.
type installer struct {
	client client.Client
	parts  parts
	// leftovers: webhooks of an earlier dev were found, which block until this
	// one serves.
	leftovers bool
}

const (
	// terminationTimeout is how long an earlier dev's namespace may take to go.
	terminationTimeout  = time.Minute
	terminationInterval = 200 * time.Millisecond
)

// inspect refuses when sluice is installed already, by anything but a dev.
func (i *installer) inspect(ctx context.Context) error {
	for _, obj := range i.parts.all() {
		found, err := i.find(ctx, obj)
		switch {
		case err != nil:
			return err
		case found == nil:
		case isDevs(found.GetLabels()):
			i.leftovers = i.leftovers || isConfiguration(found)
		case obj.GetKind() != "Namespace":
			return fmt.Errorf("sluice is installed in this cluster already (%s), and two would fight:"+
				" take it out first (kubectl delete -f manifests/install.yaml), or use another cluster", describe(found))
		}
	}
	return nil
}

// find returns an object as it is in the cluster, nil where it is not.
func (i *installer) find(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(obj.GroupVersionKind())
	err := i.client.Get(ctx, client.ObjectKeyFromObject(obj), found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", describe(obj), err)
	}
	return found, nil
}

// prepareNamespace makes the namespace, unless there is one, which then stays
// what it was. One that an earlier dev is still deleting is waited for.
func (i *installer) prepareNamespace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, terminationTimeout)
	defer cancel()
	for said := false; ; said = true {
		found, err := i.find(ctx, i.parts.namespace)
		switch {
		case err != nil:
			return err
		case found == nil:
			return i.apply(ctx, i.parts.namespace)
		case found.GetDeletionTimestamp() == nil:
			return nil
		}
		if !said {
			log.FromContext(ctx).Info("waiting for the namespace of an earlier run to go", "namespace", found.GetName())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("namespace %s is being deleted and does not go: kubectl get namespace %s -o yaml says what it waits for",
				found.GetName(), found.GetName())
		case <-time.After(terminationInterval):
		}
	}
}

// apply writes objects as dev's.
func (i *installer) apply(ctx context.Context, objs ...*unstructured.Unstructured) error {
	for _, obj := range objs {
		err := i.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj.DeepCopy()), client.FieldOwner(FieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("installing %s: %w", describe(obj), err)
		}
	}
	return nil
}

// secrets of the server that did not exist before it ran are dev's to take out.
var secrets = []string{"sluice-ca", "sluice-hash-key"}

// existing returns the names of the server's Secrets that are there.
func (i *installer) existing(ctx context.Context) ([]string, error) {
	var names []string
	for _, name := range secrets {
		err := i.client.Get(ctx, client.ObjectKey{Namespace: i.parts.namespace.GetName(), Name: name}, secretMetadata())
		switch {
		case err == nil:
			names = append(names, name)
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("reading Secret %s: %w", name, err)
		}
	}
	return names, nil
}

// claim labels the Secrets that the server made.
func (i *installer) claim(ctx context.Context, before []string) error {
	patch := client.RawPatch("application/merge-patch+json",
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, managedByLabel, managedByDev))
	for _, name := range secrets {
		if slices.Contains(before, name) {
			continue
		}
		secret := secretMetadata()
		secret.Namespace, secret.Name = i.parts.namespace.GetName(), name
		if err := client.IgnoreNotFound(i.client.Patch(ctx, secret, patch, client.FieldOwner(FieldManager))); err != nil {
			return fmt.Errorf("labelling Secret %s: %w", name, err)
		}
	}
	return nil
}

func secretMetadata() *metav1.PartialObjectMetadata {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return secret
}

// removeWebhooks takes the webhooks out.
func (i *installer) removeWebhooks(ctx context.Context) error {
	return i.remove(ctx, i.parts.webhooks)
}

// removeRest takes everything else out: Secrets before the namespace, which may
// have been there before.
func (i *installer) removeRest(ctx context.Context) error {
	var rest []*unstructured.Unstructured
	for _, name := range secrets {
		secret := &unstructured.Unstructured{}
		secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		secret.SetNamespace(i.parts.namespace.GetName())
		secret.SetName(name)
		rest = append(rest, secret)
	}
	for _, obj := range slices.Backward(i.parts.account) {
		rest = append(rest, obj)
	}
	return i.remove(ctx, append(rest, i.parts.namespace))
}

// remove deletes what carries dev's label, and goes on after a fault.
func (i *installer) remove(ctx context.Context, objs []*unstructured.Unstructured) error {
	var faults []error
	for _, obj := range objs {
		found, err := i.find(ctx, obj)
		if err == nil && found != nil && isDevs(found.GetLabels()) {
			err = client.IgnoreNotFound(i.client.Delete(ctx, found, client.Preconditions{UID: ptr.To(found.GetUID())}))
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("taking out %s: %w", describe(obj), err))
		}
		if ctx.Err() != nil {
			break // the others would say the same
		}
	}
	return errors.Join(faults...)
}
