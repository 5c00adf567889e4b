package traffic

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// serviceAnnotation, on one of sluice's Services, names the user's beside which it stands.
const serviceAnnotation = "sluice.dev/service"

// service is a Service of the user's that selects the workload's pods, with the two of sluice's beside it.
type service struct {
	*corev1.Service
	names          split.Names
	stable, canary *corev1.Service // nil: not there
	// lost says why it is the workload's no more, although a release divides its requests; empty: it is. The Service
	// itself is nil where it is gone.
	lost string
}

// services returns those that select the workload's pods, and those beside which sluice's stand although they are gone
// or select them no more, each in the order of their names.
func (r *Router) services(ctx context.Context, w Workload) (found, lost []*service, err error) {
	list := &corev1.ServiceList{}
	if err := r.client.List(ctx, list, client.InNamespace(w.Namespace)); err != nil {
		return nil, nil, fmt.Errorf("listing services of namespace %s: %w", w.Namespace, err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Service) int { return strings.Compare(a.Name, b.Name) })
	byName := map[string]*corev1.Service{}
	var own []corev1.Service
	for i := range list.Items {
		s := &list.Items[i]
		byName[s.Name] = s
		if w.belongs(s) {
			own = append(own, *s)
		}
	}
	among := func(name string) *service {
		names := split.NamesOf(name)
		return &service{Service: byName[name], names: names, stable: byName[names.Stable], canary: byName[names.Canary]}
	}
	for i := range list.Items {
		if w.isSelectedBy(&list.Items[i]) {
			found = append(found, among(list.Items[i].Name))
		}
	}
	for _, name := range beside(own) {
		s := among(name)
		switch {
		case s.Service == nil:
			s.lost = fmt.Sprintf("Service %s is gone, whose requests the release divides: create it again, or abort the release", name)
		case !w.isSelectedBy(s.Service):
			s.lost = fmt.Sprintf("Service %s does not select the pods of %s any more, and the release divides its requests: let it select them, or abort the release", name, w.subject())
		default:
			continue
		}
		lost = append(lost, s)
	}
	return found, lost, nil
}

// isSelectedBy tells whether one of the user's Services selects the workload's pods.
func (w Workload) isSelectedBy(s *corev1.Service) bool {
	return !isOwn(s) && len(s.Spec.Selector) > 0 && s.Spec.Type != corev1.ServiceTypeExternalName &&
		labels.SelectorFromSet(s.Spec.Selector).Matches(w.Labels)
}

// isOwn tells whether a Service is one that sluice made.
func isOwn(s metav1.Object) bool { return s.GetLabels()[canary.WorkloadLabel] != "" }

// belongs tells whether one of sluice's Services was made for the workload.
func (w Workload) belongs(s metav1.Object) bool {
	owners := s.GetOwnerReferences()
	for _, ref := range owners {
		if ref.Kind == w.Kind && ref.Name == w.Name {
			return isOwn(s)
		}
	}
	// A deletion that orphans takes the reference off.
	return len(owners) == 0 && s.GetLabels()[canary.WorkloadLabel] == canary.WorkloadLabelValue(w.Name)
}

// copiedPrefixes are those of annotations by which a proxy treats a Service's endpoints; anything else is about the
// Service itself, or makes another tool believe that the copy is its own.
var copiedPrefixes = []string{"traefik.ingress.kubernetes.io/", "service.kubernetes.io/topology-"}

// versionOf returns the Service that selects one version of what the user's selects.
func versionOf(s *service, w Workload, name, hash string) *corev1.Service {
	own := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.Namespace, Name: name,
			Labels:          map[string]string{canary.WorkloadLabel: canary.WorkloadLabelValue(w.Name)},
			Annotations:     map[string]string{serviceAnnotation: s.Name},
			OwnerReferences: []metav1.OwnerReference{w.Owner},
		},
		Spec: corev1.ServiceSpec{
			Type:                     corev1.ServiceTypeClusterIP,
			Selector:                 maps.Clone(s.Spec.Selector),
			PublishNotReadyAddresses: s.Spec.PublishNotReadyAddresses,
			SessionAffinity:          s.Spec.SessionAffinity,
			SessionAffinityConfig:    s.Spec.SessionAffinityConfig.DeepCopy(),
			InternalTrafficPolicy:    s.Spec.InternalTrafficPolicy,
			IPFamilies:               s.Spec.IPFamilies,
			IPFamilyPolicy:           s.Spec.IPFamilyPolicy,
			TrafficDistribution:      s.Spec.TrafficDistribution,
		},
	}
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		own.Spec.ClusterIP = corev1.ClusterIPNone
	}
	own.Spec.Selector[w.HashLabel] = hash
	for _, port := range s.Spec.Ports {
		port.NodePort = 0
		own.Spec.Ports = append(own.Spec.Ports, port)
	}
	for key, value := range s.Annotations {
		for _, prefix := range copiedPrefixes {
			if strings.HasPrefix(key, prefix) {
				metav1.SetMetaDataAnnotation(&own.ObjectMeta, key, value)
			}
		}
	}
	return own
}

// selects tells whether one of sluice's Services selects what it should, but for the version.
func (s *service) selects(w Workload, own *corev1.Service) bool {
	want := versionOf(s, w, own.Name, own.Spec.Selector[w.HashLabel])
	return equality.Semantic.DeepEqual(own.OwnerReferences, want.OwnerReferences) && equality.Semantic.DeepEqual(own.Spec.Selector, want.Spec.Selector) &&
		equality.Semantic.DeepEqual(own.Spec.Ports, want.Spec.Ports)
}

// missing tells whether a Service has to be made or mended before requests can be divided: one is not there, has
// other ports or labels, or that of the stable version selects another.
func (s *service) missing(w Workload) bool {
	return s.stable == nil || s.canary == nil || !s.selects(w, s.stable) || !s.selects(w, s.canary) ||
		(w.Stable != "" && s.stable.Spec.Selector[w.HashLabel] != w.Stable)
}

// astray tells whether the canary's Service selects another version.
func (s *service) astray(w Workload) bool {
	return s.canary != nil && w.Canary != "" && s.canary.Spec.Selector[w.HashLabel] != w.Canary
}

// stands tells whether one of sluice's Services was made for the workload.
func (s *service) stands(w Workload) bool {
	return s.stable != nil && w.belongs(s.stable) || s.canary != nil && w.belongs(s.canary)
}

// foreign names a Service that has the name of one of sluice's and is not, empty where there is none.
func (s *service) foreign(w Workload) string {
	for _, own := range []*corev1.Service{s.stable, s.canary} {
		if own != nil && !w.belongs(own) {
			return own.Name
		}
	}
	return ""
}

// SelectPods makes or mends one of the Services of the two versions. One that is not sluice's stays as it is, and the
// canary's selects another version once nothing else is missing: until then requests may be sent there.
func (r *Router) SelectPods(ctx context.Context, v *View) error {
	for _, s := range v.services {
		if s.lost != "" || s.foreign(v.workload) != "" {
			continue
		}
		for _, version := range []struct {
			is         *corev1.Service
			name, hash string
		}{{s.stable, s.names.Stable, v.workload.Stable}, {s.canary, s.names.Canary, v.workload.Canary}} {
			is, hash := version.is, version.hash
			if is != nil && (hash == "" || (is == s.canary && v.State.Missing)) {
				hash = is.Spec.Selector[v.workload.HashLabel]
			}
			want := versionOf(s, v.workload, version.name, hash)
			if is == nil {
				return r.createService(ctx, want)
			}
			if s.selects(v.workload, is) && is.Spec.Selector[v.workload.HashLabel] == hash {
				continue
			}
			return r.updateService(ctx, is, want)
		}
	}
	return nil
}

func (r *Router) createService(ctx context.Context, s *corev1.Service) error {
	if err := r.client.Create(ctx, s, fieldManager); err != nil {
		return fmt.Errorf("creating service %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}

func (r *Router) updateService(ctx context.Context, is, want *corev1.Service) error {
	changed := is.DeepCopy()
	changed.OwnerReferences, changed.Spec.Selector, changed.Spec.Ports = want.OwnerReferences, want.Spec.Selector, want.Spec.Ports
	if err := r.client.Update(ctx, changed, fieldManager); err != nil {
		return fmt.Errorf("updating service %s/%s: %w", is.Namespace, is.Name, err)
	}
	return nil
}

func (r *Router) deleteService(ctx context.Context, s *corev1.Service) error {
	err := r.client.Delete(ctx, s, client.Preconditions{UID: &s.UID})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting service %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}
