package canary

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// object is a Deployment in JSON terms, for tests.
type object map[string]any

func (o object) at(path string) (object, string) {
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		next, ok := o[key].(object)
		if !ok {
			next = object{}
			o[key] = next
		}
		o = next
	}
	return o, keys[len(keys)-1]
}

func (o object) with(path string, value any) object {
	c := o.copy()
	parent, key := c.at(path)
	if value == nil {
		delete(parent, key)
	} else {
		parent[key] = value
	}
	return c
}

func (o object) annotated(key, value string) object {
	c := o.copy()
	parent, _ := c.at("metadata.annotations.x")
	parent[key] = value
	if value == "" {
		delete(parent, key)
	}
	return c
}

func (o object) labelled(key, value string) object {
	c := o.copy()
	parent, _ := c.at("metadata.labels.x")
	parent[key] = value
	if value == "" {
		delete(parent, key)
	}
	return c
}

func (o object) copy() object {
	c := maps.Clone(o)
	for key, value := range c {
		if child, ok := value.(object); ok {
			c[key] = child.copy()
		}
	}
	return c
}

func (o object) workload(t *testing.T) *Workload {
	t.Helper()
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	w, err := DecodeWorkload(raw)
	require.NoError(t, err)
	return w
}

// release returns the state that the object carries.
func (o object) release(t *testing.T) *Release {
	t.Helper()
	r, err := DecodeRelease(o.workload(t).Metadata.Annotations)
	require.NoError(t, err)
	return r
}

// changed returns the object with the state changed, as stored after a transition of sluice.
func (o object) changed(t *testing.T, change func(*Release)) object {
	t.Helper()
	r := o.release(t)
	change(r)
	return o.annotated(ReleaseAnnotation, r.Encode())
}

// admitted returns the object as stored after the decision.
func (o object) admitted(d Decision) object {
	if d.Want == nil {
		return o
	}
	c := o
	if d.Want.Paused != nil {
		c = c.with("spec.paused", *d.Want.Paused)
	}
	if d.Want.Partition != nil {
		c = c.with("spec.updateStrategy.rollingUpdate.partition", *d.Want.Partition)
	}
	if d.Want.MaxSurge != nil {
		c = c.with("spec.strategy.rollingUpdate.maxSurge", d.Want.MaxSurge)
	}
	for key, value := range d.Want.Annotations {
		c = c.annotated(key, deref(value))
	}
	for key, value := range d.Want.Labels {
		c = c.labelled(key, deref(value))
	}
	if d.Want.Digest != nil {
		c = c.copy()
		annotations, _ := c.at("spec.template.metadata.annotations.x")
		annotations["sluice.dev/config-hash"] = *d.Want.Digest
		if *d.Want.Digest == "" {
			delete(annotations, "sluice.dev/config-hash")
		}
	}
	return c
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// web is a Deployment of five pods that has been available.
func web(image string) object {
	return object{
		"metadata": object{"name": "web", "namespace": "shop", "uid": "u", "generation": 4, "resourceVersion": "10"},
		"spec": object{
			"replicas": 5,
			"selector": object{"matchLabels": object{"app": "web"}},
			"strategy": object{"type": "RollingUpdate", "rollingUpdate": object{"maxSurge": "25%", "maxUnavailable": "25%"}},
			"template": object{
				"metadata": object{"labels": object{"app": "web"}, "annotations": object{}},
				"spec":     object{"containers": []any{object{"name": "c", "image": image}}},
			},
		},
		"status": object{"observedGeneration": 4, "availableReplicas": 5},
	}
}

// file is the object as it stands in a file: without a resourceVersion and all that is sluice's.
func file(image string) object {
	return web(image).with("metadata.resourceVersion", nil)
}

func (o object) image(image string) object {
	return o.with("spec.template.spec.containers", []any{object{"name": "c", "image": image}})
}

// request is one write: from the stored object to another by a user.
type request struct {
	stored, sent object
	user         string
	sluice       bool
	manager      string
	world        World
	kind         string
}

func (q request) review(t *testing.T) Review {
	t.Helper()
	user, kind := q.user, q.kind
	if user == "" {
		user = "alice"
	}
	if kind == "" {
		kind = Deployment
	}
	r := Review{Operation: Update, Kind: kind, New: q.sent.workload(t), User: user, Sluice: q.sluice, FieldManager: q.manager}
	if q.stored == nil {
		r.Operation = Create
		return r
	}
	r.Old = q.stored.workload(t)
	return r
}

// decide admits the request twice, as reinvocation does, and requires that the second time changes
// nothing.
func (q request) decide(t *testing.T) (Decision, object) {
	t.Helper()
	d, err := Decide(q.review(t), q.world)
	require.NoError(t, err)
	if d.Verdict == Denied {
		require.NotEmpty(t, d.Message)
		return d, q.stored
	}
	stored := q.sent.admitted(d)
	again := q
	again.sent = stored
	second, err := Decide(again.review(t), q.world)
	require.NoError(t, err)
	require.NotEqual(t, Denied, second.Verdict, "the second invocation refuses: %s", second.Message)
	changes, err := second.Changes(stored.workload(t))
	require.NoError(t, err)
	require.False(t, changes, "the second invocation changes something: %+v", second.Want)
	return d, stored.with("metadata.generation", 5).with("metadata.resourceVersion", "11")
}

func may(verbs ...string) World {
	w := World{Allowed: map[string]bool{}}
	for _, v := range verbs {
		w.Allowed[v] = true
	}
	return w
}

// held is web with v2 held at step one.
func held(t *testing.T) object {
	t.Helper()
	_, stored := request{stored: web("v1"), sent: web("v1").image("v2")}.decide(t)
	return stored
}

func waitingObject(t *testing.T) object {
	return held(t).changed(t, func(r *Release) { r.Phase = Waiting })
}

func abortedObject(t *testing.T) object {
	return held(t).changed(t, func(r *Release) { r.Phase, r.Reason = Aborted, "2 of 2 pods crash" })
}

func adoptingObject(t *testing.T) object {
	return held(t).changed(t, func(r *Release) {
		r.Phase, r.Stage, r.Sequence, r.Surge = Promoting, Adopting, SequenceM, 1
		r.Held.MaxSurge = json.RawMessage(`"25%"`)
	}).with("spec.strategy.rollingUpdate.maxSurge", 1)
}

func finishingObject(t *testing.T) object {
	return held(t).changed(t, func(r *Release) {
		r.Phase, r.Stage, r.Sequence = Promoting, Finishing, SequenceM
	}).with("spec.paused", nil)
}
