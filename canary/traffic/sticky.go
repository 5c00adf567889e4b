package traffic

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// stickyPrefix is that of the annotations by which Traefik keeps sessions on one pod of a Service.
const stickyPrefix = "traefik.ingress.kubernetes.io/service.sticky"

// sticky notes what keeps callers of a Service that is divided on one pod. sluice's two Services have it as well (versionOf), each for
// its own pods: a route picks the version first.
func (l *look) sticky(s *service) {
	var by []string
	if s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		by = append(by, "sessionAffinity ClientIP")
	}
	if isSticky(s.Annotations) {
		by = append(by, stickyPrefix)
	}
	for _, what := range by {
		l.notes.add(fmt.Sprintf("Service %s: %s keeps callers on one pod within a version: requests that it keeps together can be of both versions, and pods share callers by their number, not requests",
			s.Name, what))
	}
}

func isSticky(annotations map[string]string) bool {
	for key, value := range annotations {
		if strings.HasPrefix(key, stickyPrefix) && value != "false" {
			return true
		}
	}
	return false
}
