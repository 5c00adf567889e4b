package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mattbaird/jsonpatch"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// configuration is a webhook configuration as it was read.
type configuration struct {
	object   client.Object
	kind     string
	injector string // the annotation that makes cert-manager write its caBundle; "" if none
	hooks    []hook
}

// hook is one webhook of a configuration that calls sluice.
type hook struct {
	index  int
	name   string
	bundle Bundle
}

// cert-manager's cainjector owns the caBundle of a configuration with one of these.
var injectorAnnotations = []string{
	"cert-manager.io/inject-ca-from",
	"cert-manager.io/inject-ca-from-secret",
	"cert-manager.io/inject-apiserver-ca",
}

// readConfigurations reads those that exist, and remembers them for Ready.
func (a *Authority) readConfigurations(ctx context.Context) ([]configuration, error) {
	var found []configuration
	for _, name := range a.opts.MutatingConfigurations {
		object := &admissionv1.MutatingWebhookConfiguration{}
		exists, err := a.read(ctx, name, object)
		if err != nil {
			return nil, err
		}
		if exists {
			c := newConfiguration(object, "MutatingWebhookConfiguration")
			for i, w := range object.Webhooks {
				c.add(i, w.Name, w.ClientConfig, a.opts.Namespace)
			}
			found = append(found, c)
		}
	}
	for _, name := range a.opts.ValidatingConfigurations {
		object := &admissionv1.ValidatingWebhookConfiguration{}
		exists, err := a.read(ctx, name, object)
		if err != nil {
			return nil, err
		}
		if exists {
			c := newConfiguration(object, "ValidatingWebhookConfiguration")
			for i, w := range object.Webhooks {
				c.add(i, w.Name, w.ClientConfig, a.opts.Namespace)
			}
			found = append(found, c)
		}
	}
	a.trust.Store(&found)
	return found, nil
}

// read reports whether the configuration exists. A missing one is said once: it
// may come later, or sluice was ejected.
func (a *Authority) read(ctx context.Context, name string, object client.Object) (bool, error) {
	id := fmt.Sprintf("%T/%s", object, name)
	err := a.client.Get(ctx, client.ObjectKey{Name: name}, object)
	if apierrors.IsNotFound(err) {
		if !a.missing[id] && !slices.Contains(a.opts.Optional, name) {
			log.FromContext(ctx).V(1).Info("webhook configuration does not exist yet", "configuration", name)
		}
		if !slices.Contains(a.opts.Optional, name) {
			a.missing[id] = true
		}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading webhook configuration %s: %w", name, err)
	}
	delete(a.missing, id)
	return true, nil
}

func newConfiguration(object client.Object, kind string) configuration {
	c := configuration{object: object, kind: kind}
	for _, annotation := range injectorAnnotations {
		if object.GetAnnotations()[annotation] != "" {
			c.injector = annotation
		}
	}
	return c
}

// add takes a webhook that calls sluice: by URL, or a Service of its namespace.
func (c *configuration) add(index int, name string, to admissionv1.WebhookClientConfig, namespace string) {
	if to.URL == nil && (to.Service == nil || to.Service.Namespace != namespace) {
		return
	}
	c.hooks = append(c.hooks, hook{index: index, name: name, bundle: readBundle(to.CABundle)})
}

// observe is what sluice's own bundles trust; those of cert-manager's injector
// are not sluice's to reason about.
func observe(configurations []configuration) Observed {
	var observed Observed
	for _, c := range configurations {
		for _, h := range c.hooks {
			if c.injector == "" {
				observed = append(observed, h.bundle)
			}
		}
	}
	return observed
}

// verify says which webhook would not trust the leaf.
func (c configuration) verify(leaf *tls.Certificate, now time.Time) error {
	chain := chainOf(leaf)
	for _, h := range c.hooks {
		if err := h.bundle.verify(leaf.Leaf, chain, now); err != nil {
			return fmt.Errorf("the caBundle of webhook %s in %s %s does not verify the serving certificate: %w%s",
				h.name, c.kind, c.object.GetName(), err, c.injectorHint())
		}
	}
	return nil
}

func (c configuration) injectorHint() string {
	if c.injector == "" {
		return ""
	}
	return fmt.Sprintf("; its annotation %s leaves the caBundle to cert-manager: check what that names, or remove it", c.injector)
}

// writeBundles gives every webhook the bundle that want makes of its present
// one, where it differs. It reports whether they have to be read again.
func (a *Authority) writeBundles(ctx context.Context, configurations []configuration, want func(Bundle) Bundle) (bool, error) {
	var wrote bool
	var faults []error
	for _, c := range configurations {
		operations := c.changes(want)
		if len(operations) == 0 {
			continue
		}
		wrote = true // also when someone else was faster: what was read is not what is there
		if err := a.patch(ctx, c, operations); apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			faults = append(faults, fmt.Errorf("writing the caBundle of %s %s: %w", c.kind, c.object.GetName(), err))
			continue
		}
		log.FromContext(ctx).Info("wrote ca bundle", "configuration", c.object.GetName(), "kind", c.kind)
	}
	return wrote, errors.Join(faults...)
}

// changes are the operations for the webhooks whose bundle differs; none for a
// configuration of cert-manager's injector.
func (c configuration) changes(want func(Bundle) Bundle) []jsonpatch.JsonPatchOperation {
	var operations []jsonpatch.JsonPatchOperation
	if c.injector != "" {
		return nil
	}
	for _, h := range c.hooks {
		if wanted := want(h.bundle); !wanted.equal(h.bundle) {
			path := fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", h.index)
			operations = append(operations, jsonpatch.NewPatch("add", path, wanted.PEM()))
		}
	}
	return operations
}
