package traffic

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

func TestWhatKeepsCallersOnOnePodIsNamed(t *testing.T) {
	const keeps = " keeps callers on one pod within a version: requests that it keeps together can be of both versions, and pods share callers by their number, not requests"
	byClientIP := func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }
	byTraefik := func(value string) func(*corev1.Service) {
		return func(s *corev1.Service) {
			s.Annotations = map[string]string{"traefik.ingress.kubernetes.io/service.sticky.cookie": value}
		}
	}
	tests := map[string]struct {
		change func(*corev1.Service)
		want   []string
	}{
		"nothing":                   {func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityNone }, nil},
		"the Service by the client": {byClientIP, []string{"Service web: sessionAffinity ClientIP" + keeps}},
		"Traefik by a cookie":       {byTraefik("true"), []string{"Service web: traefik.ingress.kubernetes.io/service.sticky" + keeps}},
		"Traefik, and it is off":    {byTraefik("false"), nil},
		"another annotation of Traefik": {func(s *corev1.Service) {
			s.Annotations = map[string]string{"traefik.ingress.kubernetes.io/service.passhostheader": "true"}
		}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			service := serviceOf("web")
			test.change(service)
			for _, routes := range [][]client.Object{nil, {httpRoute("a", "web")}} {
				found := makeWorld(t, append(routes, service.DeepCopy())...).look().State.Found
				if routes == nil { // callers of the Service itself keep to one pod
					require.Nil(t, found)
					continue
				}
				require.Equal(t, &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/a"}, Notes: test.want}, found)
			}
		})
	}
}
