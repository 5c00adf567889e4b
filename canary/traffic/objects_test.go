package traffic

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// parse returns a route of the namespace shop.
func parse(text string) *unstructured.Unstructured {
	route := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &route.Object); err != nil {
		panic("this is a bug: " + err.Error())
	}
	route.SetNamespace("shop")
	route.SetUID(types.UID(route.GetName() + "-uid"))
	return route
}

// httpRoute sends requests to Services, and its gateway has accepted it.
func httpRoute(name string, services ...string) *unstructured.Unstructured {
	route := parse(fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, generation: 1}
spec:
  parentRefs: [{name: gate}]
  rules: []
status:
  parents:
  - parentRef: {name: gate}
    controllerName: example.com/gate
    conditions:
    - {type: Accepted, status: "True", observedGeneration: 1}
    - {type: ResolvedRefs, status: "True", observedGeneration: 1}
`, name))
	for _, service := range services {
		spec := route.Object["spec"].(map[string]any)
		spec["rules"] = append(spec["rules"].([]any), map[string]any{
			"backendRefs": []any{map[string]any{"name": service, "port": int64(80), "weight": int64(1)}},
		})
	}
	return route
}

// unaccepted is a route that no gateway has looked at.
func unaccepted(route *unstructured.Unstructured) *unstructured.Unstructured {
	delete(route.Object, "status")
	return route
}

func virtualService(name, service string) *unstructured.Unstructured {
	return parse(fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s}
spec:
  hosts: [web.example.com]
  http:
  - route: [{destination: {host: %s}}]
`, name, service))
}

func apisixRoute(name, service string) *unstructured.Unstructured {
	return parse(fmt.Sprintf(`
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: %s}
spec:
  http:
  - name: all
    match: {paths: ["/*"]}
    backends: [{serviceName: %s, servicePort: 80}]
`, name, service))
}

// ingressOf is of a class, of none where that is empty.
func ingressOf(class, name, service string) *unstructured.Unstructured {
	ingress := parse(fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s}
spec:
  rules:
  - host: web.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: %s, port: {number: 80}}}}
`, name, service))
	if class != "" {
		ingress.Object["spec"].(map[string]any)["ingressClassName"] = class
	}
	return ingress
}

func annotated(o *unstructured.Unstructured, key, value string) *unstructured.Unstructured {
	o.SetAnnotations(map[string]string{key: value})
	return o
}

func class(name, controller string) *networkingv1.IngressClass {
	return &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: controller}}
}

func byDefault(c *networkingv1.IngressClass) *networkingv1.IngressClass {
	c.Annotations = map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}
	return c
}

// nginx is the class of the tests.
func nginx() client.Object { return class("nginx", nginxController) }

// service selects pods by labels, "app=web" where none are given.
func serviceOf(name string, selector ...string) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name + "-uid")},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, NodePort: 30080}, {Name: "admin", Port: 81}},
		},
	}
	if len(selector) > 0 {
		s.Spec.Selector = map[string]string{}
	}
	for i := 0; i+1 < len(selector); i += 2 {
		s.Spec.Selector[selector[i]] = selector[i+1]
	}
	return s
}

// podOf has labels.
func podOf(name string, phase corev1.PodPhase, labels ...string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{}}, Status: corev1.PodStatus{Phase: phase}}
	for i := 0; i+1 < len(labels); i += 2 {
		pod.Labels[labels[i]] = labels[i+1]
	}
	return pod
}

// endpointsOf are so many ready pods of a Service, in two slices as one of two families has, and one that is not ready.
func endpointsOf(service string, ready int) []client.Object {
	var objects []client.Object
	for _, family := range []string{"ipv4", "ipv6"} {
		slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: service + "-" + family, Labels: map[string]string{discoveryv1.LabelServiceName: service},
		}}
		for i := range ready + 1 {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
				Conditions: discoveryv1.EndpointConditions{Ready: new(i < ready)},
				TargetRef:  &corev1.ObjectReference{Kind: "Pod", UID: types.UID(fmt.Sprintf("%s-%d", service, i))},
			})
		}
		objects = append(objects, slice)
	}
	return objects
}

// behind are endpoints of a Service that has the pods of endpointsOf another.
func behind(service, pods string, ready int) []client.Object {
	objects := endpointsOf(pods, ready)
	for _, o := range objects {
		o.SetName(service + "-" + o.GetName())
		o.SetLabels(map[string]string{discoveryv1.LabelServiceName: service})
	}
	return objects
}
