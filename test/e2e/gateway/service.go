package gateway

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Service returns a Service of the pods with these labels: its port 80 is their 8080.
func Service(name string, selector map[string]string) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{
			{Name: "http", Port: 80, TargetPort: intstr.FromInt32(PodPort)},
		}},
	}
}

// CreateService creates a Service of a namespace.
func (g *Gateway) CreateService(t testing.TB, namespace, name string, selector map[string]string) {
	t.Helper()
	_, err := g.client.CoreV1().Services(namespace).Create(t.Context(), Service(name, selector), metav1.CreateOptions{})
	require.NoError(t, err)
}

// Endpoints returns the ready endpoints of a Service, as "10.244.0.2:8080".
func (g *Gateway) Endpoints(t testing.TB, namespace, service string) []string {
	t.Helper()
	slices, err := g.client.DiscoveryV1().EndpointSlices(namespace).List(t.Context(), metav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=" + service,
	})
	require.NoError(t, err)
	var ready []string
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
				ready = append(ready, net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*slice.Ports[0].Port))))
			}
		}
	}
	return ready
}

// BurstInside sends so many requests as a caller inside the cluster does that uses the Service: by its ready
// endpoints, one after another.
func (g *Gateway) BurstInside(t testing.TB, namespace, service string, requests int) Answers {
	t.Helper()
	endpoints := g.Endpoints(t, namespace, service)
	require.NotEmpty(t, endpoints)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}, Timeout: patience}
	defer client.CloseIdleConnections()
	c := &sender{http: client, host: Host(namespace)}
	return burst(requests, func(i int) Answer { return c.get(fmt.Sprintf("http://%s/", endpoints[i%len(endpoints)])) })
}
