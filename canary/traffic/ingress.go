package traffic

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary/traffic/split"
)

// nginxController is the one whose canary annotations are known.
const nginxController = "k8s.io/ingress-nginx"

// ingressClasses are the controllers of the cluster's IngressClasses by their names.
type ingressClasses struct {
	controllers map[string]string
	byDefault   string // the class of an Ingress that names none; empty: there is none
}

func (r *Router) ingressClasses(ctx context.Context) (ingressClasses, error) {
	list := &networkingv1.IngressClassList{}
	if err := r.client.List(ctx, list); err != nil {
		return ingressClasses{}, fmt.Errorf("listing ingress classes: %w", err)
	}
	classes := ingressClasses{controllers: map[string]string{}}
	for _, class := range list.Items {
		classes.controllers[class.Name] = class.Spec.Controller
		if class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			classes.byDefault = class.Name
		}
	}
	return classes, nil
}

// reject says why an Ingress is not one of ingress-nginx, empty where it is. The annotation kubernetes.io/ingress.class
// is older than the field, and needs no IngressClass.
func (c ingressClasses) reject(ingress *unstructured.Unstructured) string {
	named, _, _ := unstructured.NestedString(ingress.Object, "spec", "ingressClassName")
	annotated := ingress.GetAnnotations()["kubernetes.io/ingress.class"]
	class := cmp.Or(named, annotated, c.byDefault)
	controller, known := c.controllers[class]
	switch {
	case class == "":
		return "it names no class, and there is no default one"
	case known && controller == nginxController, !known && named == "" && annotated == "nginx":
		return ""
	case !known:
		return fmt.Sprintf("there is no IngressClass %s", class)
	}
	return fmt.Sprintf("its class %s is of the controller %s, and a share can be given to %s only", class, controller, nginxController)
}

// companion returns the canary Ingress of a route, nil where there is none, and for every other kind.
func (l *look) companion(route *unstructured.Unstructured, names split.Names) *unstructured.Unstructured {
	if route.GroupVersionKind().GroupKind() != split.Ingress {
		return nil
	}
	return l.canaries[split.CanaryIngressName(route.GetName(), names)]
}

// isTaken tells whether somebody's Ingress has a name.
func (l *look) isTaken(name string) bool {
	return slices.ContainsFunc(l.routes, func(route *unstructured.Unstructured) bool {
		return route.GroupVersionKind().GroupKind() == split.Ingress && route.GetName() == name
	})
}

// sameCanary tells whether a canary Ingress says what it should. Others may add to its metadata.
func sameCanary(is, want *unstructured.Unstructured) bool {
	if is == nil || want == nil {
		return is == want
	}
	if !equality.Semantic.DeepEqual(is.Object["spec"], want.Object["spec"]) {
		return false
	}
	has := is.GetAnnotations()
	for key, value := range want.GetAnnotations() {
		if has[key] != value {
			return false
		}
		delete(has, key)
	}
	for key := range has {
		if strings.HasPrefix(key, "nginx.ingress.kubernetes.io/") {
			return false
		}
	}
	return true
}
