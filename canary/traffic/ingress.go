package traffic

import (
	"cmp"
	"context"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
