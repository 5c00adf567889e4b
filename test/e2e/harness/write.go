package harness

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Write is one write of sluice's that the API server stored.
type Write struct {
	At        time.Time
	Method    string
	Path      string
	Namespace string
	Resource  string
	Body      string
}

func (w Write) String() string {
	body := w.Body
	if len(body) > 300 {
		body = body[:300] + "..."
	}
	return fmt.Sprintf("%s %s %s %s", w.At.Format("15:04:05.000"), w.Method, w.Path, body)
}

func writeOf(r *http.Request) Write {
	w := Write{At: time.Now(), Method: r.Method, Path: r.URL.Path, Body: bodyOf(r.Context())}
	w.Namespace, w.Resource = parsePath(w.Path)
	return w
}

// Trespasses returns what sluice itself wrote to the workloads of a namespace beyond the annotation of its
// state, or of the config that it saw: everything else is the user's, or admission's to derive within the same request.
// Pods it only deletes.
func (p *Proxy) Trespasses(namespace string) []string {
	var found []string
	for _, w := range p.Writes(namespace) {
		switch w.Resource {
		case "deployments", "statefulsets", "daemonsets":
			if !onlyState(w) {
				found = append(found, "sluice wrote more than its state: "+w.String())
			}
		case "pods":
			if w.Method != http.MethodDelete {
				found = append(found, "sluice changed a pod: "+w.String())
			}
		}
	}
	return found
}

func onlyState(w Write) bool {
	var patch struct {
		Metadata struct {
			ResourceVersion string             `json:"resourceVersion"`
			Annotations     map[string]*string `json:"annotations"`
		} `json:"metadata"`
	}
	decoder := json.NewDecoder(strings.NewReader(w.Body))
	decoder.DisallowUnknownFields()
	if w.Method != http.MethodPatch || decoder.Decode(&patch) != nil || patch.Metadata.ResourceVersion == "" {
		return false
	}
	_, state := patch.Metadata.Annotations["sluice.dev/release"]
	_, seen := patch.Metadata.Annotations["sluice.dev/config-seen"]
	return (state || seen) && len(patch.Metadata.Annotations) == 1
}

// parsePath returns the namespace and the resource (or subresource) of a path of the API:
// /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/SUBRESOURCE, or without a namespace.
func parsePath(urlPath string) (namespace, resource string) {
	parts := strings.Split(strings.Trim(urlPath, "/"), "/")
	parts = parts[min(len(parts), map[bool]int{true: 2, false: 3}[parts[0] == "api"]):]
	if len(parts) > 2 && parts[0] == "namespaces" {
		namespace, parts = parts[1], parts[2:]
	}
	switch {
	case len(parts) == 2 && parts[0] == "namespaces":
		resource, namespace = parts[0], ""
	case len(parts) > 2:
		resource = parts[2]
	case len(parts) > 0:
		resource = parts[0]
	}
	return namespace, resource
}
