package ownership

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// kind is what objects are of.
type kind struct {
	name     string
	resource schema.GroupVersionResource
	webhook  string         // the entry that judges it
	typed    map[string]any // by subresource: how strategic merge patches are made; none for custom resources
	// base is what an object needs to be valid. The field manager "base" applies it first.
	base func(manifest)
}

var (
	things      = kind{name: "Thing", resource: schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "things"}, webhook: "more.owners.sluice.dev"}
	looses      = kind{name: "Loose", resource: schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "looses"}, webhook: "more.owners.sluice.dev"}
	deployments = kind{
		name: "Deployment", resource: appsv1.SchemeGroupVersion.WithResource("deployments"), webhook: "owners.sluice.dev",
		typed: map[string]any{"": appsv1.Deployment{}, "scale": autoscalingv1.Scale{}},
		// It is paused, so that no pods come of it.
		base: both(set(true, "spec", "paused"), set("base", "spec", "selector", "matchLabels", "app"),
			set("base", "spec", "template", "metadata", "labels", "app"), set("example/base:v1", image("base")...)),
	}
)

func image(container string) []any {
	return []any{"spec", "template", "spec", "containers", key{"name", container}, "image"}
}

func (k kind) verbs() []verb {
	if k.typed == nil {
		return []verb{put, merge, jsonPatch}
	}
	return []verb{put, merge, strategic, jsonPatch}
}

// empty returns an object that has nothing but its identity.
func (k kind) empty(namespace, name string, w write) manifest {
	version := k.resource.GroupVersion().String()
	if w.version != "" {
		version = k.resource.Group + "/" + w.version
	}
	o := manifest{"apiVersion": version, "kind": k.name, "metadata": manifest{"name": name}}
	if namespace != "" {
		set(namespace, "metadata", "namespace")(o)
	}
	if w.subresource == "scale" {
		o["apiVersion"], o["kind"] = "autoscaling/v1", "Scale"
	}
	return o
}

// step is one write of an object's past.
type step struct {
	verb  verb
	write write
}

func appliedBy(manager string, edit func(manifest)) step {
	return step{apply, write{manager: manager, edit: edit}}
}

func updated(manager string, edit func(manifest)) step {
	return step{put, write{manager: manager, edit: edit}}
}

func scaled(manager string, replicas int64) step {
	return step{put, write{manager: manager, subresource: "scale", edit: set(replicas, "spec", "replicas")}}
}

// inVersion is a step in another version of the API.
func (s step) inVersion(version string) step {
	s.write.version = version
	return s
}

// claiming is a step whose body has other managedFields.
func claiming(manager string, edit func(manifest), claims func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry) step {
	return step{put, write{manager: manager, edit: edit, claims: claims}}
}

// history makes the object with these writes. The first makes it, unless the kind has a base; one by Update
// creates it with all that is needed.
func (o object) history(t *testing.T, steps ...step) {
	t.Helper()
	exists := false
	if o.kind.base != nil && (len(steps) == 0 || steps[0].write.manager != "creator") {
		steps = append([]step{appliedBy("base", o.kind.base)}, steps...)
	}
	for _, s := range steps {
		s.write.user = machine
		if !exists && s.verb == put {
			o.create(t, s.write)
		} else {
			require.NoError(t, o.send(t, s.verb, s.write).err)
		}
		exists = true
	}
}

func (o object) create(t *testing.T, w write) {
	t.Helper()
	body := o.kind.empty(o.namespace, o.name, w)
	if o.kind.base != nil {
		o.kind.base(body)
	}
	if w.edit != nil {
		w.edit(body)
	}
	_, err := o.client(t, w, rest.NoWarnings{}).Create(t.Context(), &unstructured.Unstructured{Object: body}, metav1.CreateOptions{FieldManager: w.manager})
	require.NoError(t, err)
}

// settled returns what is left of an object without what the controllers of Kubernetes write to it at any
// time: of a Thing, everything.
func (o object) settled(t *testing.T) manifest {
	t.Helper()
	live := o.live(t, write{})
	if o.kind.name != "Deployment" {
		return live.Object
	}
	delete(live.Object, "status")
	live.SetResourceVersion("")
	var entries []metav1.ManagedFieldsEntry
	for _, e := range live.GetManagedFields() {
		if e.Subresource != "status" {
			entries = append(entries, e)
		}
	}
	live.SetManagedFields(entries)
	return live.Object
}

// slug makes a name of an object from the name of a test.
func slug(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	return strings.Trim(name[:min(len(name), 50)], "-")
}
