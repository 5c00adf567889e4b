package eject

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/manifests"
)

// registrations are the kinds by which sluice stands in the API server's way, webhooks first.
var registrations = []string{
	"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	"MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy",
	"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy",
}

// Installed is one of sluice's webhook configurations or policies.
type Installed struct {
	kind     string
	resource schema.GroupVersionResource
	name     string
	uid      types.UID
}

// String names it as kubectl says what it did.
func (i Installed) String() string {
	return strings.ToLower(i.kind) + "." + i.resource.Group + "/" + i.name
}

// guard is the policy, with its binding, that bounds what sluice itself may write. It stands in nobody else's way, and
// stays for as long as the rights.
const guard = "sluice-snapshots"

// registered returns what the manifests register, in the order of registrations. Pods read the objects themselves
// without the policy of pinned config; its snapshots stay, since running pods use them.
func registered() ([]Installed, error) {
	objects, err := manifests.Objects()
	if err != nil {
		return nil, err
	}
	pin, err := manifests.Pin()
	if err != nil {
		return nil, err
	}
	ownership, err := manifests.Ownership()
	if err != nil {
		return nil, err
	}
	objects = slices.Concat(objects, pin, ownership)
	var found []Installed
	for _, kind := range registrations {
		for _, object := range objects {
			if object.GetName() == guard {
				continue
			}
			if object.GetKind() == kind {
				resource := object.GroupVersionKind().GroupVersion().WithResource(plural(kind))
				found = append(found, Installed{kind: kind, resource: resource, name: object.GetName()})
			}
		}
	}
	return found, nil
}

func plural(kind string) string {
	if stem, ok := strings.CutSuffix(kind, "y"); ok {
		return strings.ToLower(stem) + "ies"
	}
	return strings.ToLower(kind) + "s"
}

// installed returns those that exist.
func (e *Ejector) installed(ctx context.Context) ([]Installed, error) {
	all, err := registered()
	if err != nil {
		return nil, err
	}
	var found []Installed
	for _, i := range all {
		object, err := e.client.Resource(i.resource).Get(ctx, i.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", i, err)
		}
		i.uid = object.GetUID()
		found = append(found, i)
	}
	return found, nil
}

// uninstall deletes webhooks and policies.
func (e *Ejector) uninstall(ctx context.Context, all []Installed, said func(string)) error {
	for _, i := range all {
		err := e.client.Resource(i.resource).Delete(ctx, i.name, metav1.DeleteOptions{Preconditions: preconditions(i.uid)})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting %s: %w", i, err)
		}
		said(i.String() + " deleted")
	}
	return nil
}

// optedIn tells whether a Namespace carries the label that opts it in.
func (e *Ejector) optedIn(ctx context.Context, name string) (bool, error) {
	object, err := e.client.Resource(namespaces).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	_, labelled := object.GetLabels()[canary.EnabledLabel]
	return labelled, nil
}

// optOut takes that label off.
func (e *Ejector) optOut(ctx context.Context, name string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, canary.EnabledLabel)
	_, err := e.client.Resource(namespaces).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: canary.EjectManager})
	if err != nil {
		return fmt.Errorf("taking the label %s off namespace %s: %w", canary.EnabledLabel, name, err)
	}
	return nil
}

// unreachable tells whether the API server could not ask sluice.
func unreachable(err error) bool {
	return err != nil && strings.Contains(err.Error(), "failed calling webhook") && isSluices(err)
}

// pastWebhooks is the way on where the webhooks know nothing of eject.
const pastWebhooks = "its webhooks are older than this plugin. Take them out of the way, then eject again: " +
	"kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration " + manifests.Name

// failed adds the way on where sluice's webhooks stand in the way of an item's first write.
func (i *Item) failed(err error) error {
	switch what := "ending the release of " + i.Ref.String(); {
	case !isSluices(err) || !(unreachable(err) || apierrors.IsForbidden(err)):
		return fmt.Errorf("%s: %w", what, err)
	case i.Release == nil && i.Unreadable == "":
		return fmt.Errorf("labelling %s: %w; it has no release, so nothing of it is held. Eject its namespace instead: kubectl sluice eject --all -n %s", i.Ref, err, i.Namespace)
	default:
		return fmt.Errorf("%s: %w; %s", what, err, pastWebhooks)
	}
}

// isSluices tells whether an error is about one of sluice's webhooks, which all end in its domain.
func isSluices(err error) bool { return strings.Contains(err.Error(), `.sluice.dev"`) }
