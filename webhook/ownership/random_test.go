package ownership

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"
)

// model is a Deployment as few choices. Maps and lists that are empty are not there.
type model struct {
	Labels, Annotations, TemplateLabels, NodeSelector map[string]string
	Replicas, Grace                                   int64 // 0: absent
	Finalizers, Tolerations                           []string
	Containers                                        []containerModel
	Volumes                                           []pair // name, kind
}

type containerModel struct {
	Name, Image, WorkingDir, CPU string
	Args                         []string
	Env                          []pair
	Ports                        []string // "80/TCP"
}

type pair struct{ Name, Value string }

var (
	someNames  = []string{"a", "b", "c"}
	someValues = []string{"1", "2", "3"}
	someKeys   = []string{"app", "tier", "example.com/team"}
	noteKeys   = []string{"note", "example.com/owner", "deployment.kubernetes.io/revision"}
	somePorts  = []string{"80/TCP", "80/UDP", "443/TCP"}
	someKinds  = []string{"emptyDir", "memory", "configMap"}
)

func pick[T any](t *rapid.T, from []T) T { return from[rapid.IntRange(0, len(from)-1).Draw(t, "pick")] }
func chance(t *rapid.T, percent int) bool {
	return rapid.IntRange(0, 99).Draw(t, "chance") >= 100-percent
}

func someMap(t *rapid.T, keys []string) map[string]string {
	m := map[string]string{}
	for _, key := range keys {
		if chance(t, 40) {
			m[key] = pick(t, someValues)
		}
	}
	return m
}

func somePairs(t *rapid.T, values []string) []pair {
	var pairs []pair
	for _, name := range someNames {
		if chance(t, 35) {
			pairs = append(pairs, pair{name, pick(t, values)})
		}
	}
	return pairs
}

func subset[T any](t *rapid.T, of []T, percent int) []T {
	var some []T
	for _, v := range of {
		if chance(t, percent) {
			some = append(some, v)
		}
	}
	return some
}

func someContainer(t *rapid.T, name string) containerModel {
	return containerModel{
		Name: name, Image: pick(t, someValues), WorkingDir: pick(t, []string{"", "/", "/tmp"}), CPU: pick(t, []string{"", "1", "2"}),
		Args: subset(t, someValues, 50), Env: somePairs(t, append([]string{""}, someValues...)), Ports: subset(t, somePorts, 40),
	}
}

func someModel(t *rapid.T) model {
	m := model{
		Labels: someMap(t, someKeys), Annotations: someMap(t, noteKeys), TemplateLabels: someMap(t, someKeys), NodeSelector: someMap(t, someKeys),
		Replicas: int64(rapid.IntRange(0, 3).Draw(t, "replicas")), Grace: int64(rapid.IntRange(0, 2).Draw(t, "grace")),
		Finalizers: subset(t, someNames, 50), Tolerations: subset(t, someNames, 40), Volumes: somePairs(t, someKinds),
	}
	for _, name := range someNames[:rapid.IntRange(1, 2).Draw(t, "containers")] {
		m.Containers = append(m.Containers, someContainer(t, name))
	}
	if chance(t, 5) {
		c := &m.Containers[0]
		c.Env = append(c.Env, pair{"a", "2"}, pair{"a", "3"})
	}
	return m
}

// part returns what somebody may own of it: the same values, of fewer fields.
func (m model) part(t *rapid.T) model {
	percent := pick(t, []int{30, 60, 100})
	some := func(of map[string]string) map[string]string {
		kept := map[string]string{}
		for _, key := range slices.Sorted(maps.Keys(of)) {
			if chance(t, percent) {
				kept[key] = of[key]
			}
		}
		return kept
	}
	p := model{
		Labels: some(m.Labels), Annotations: some(m.Annotations), TemplateLabels: some(m.TemplateLabels), NodeSelector: some(m.NodeSelector),
		Finalizers: subset(t, m.Finalizers, percent), Volumes: subset(t, m.Volumes, percent),
	}
	if chance(t, percent) {
		p.Replicas, p.Tolerations = m.Replicas, m.Tolerations
	}
	if chance(t, percent) {
		p.Grace = m.Grace
	}
	for _, c := range subset(t, m.Containers, percent) {
		own := containerModel{Name: c.Name, Env: subset(t, c.Env, percent), Ports: subset(t, c.Ports, percent)}
		if chance(t, percent) {
			own.Image, own.Args = c.Image, c.Args
		}
		if chance(t, percent) {
			own.WorkingDir, own.CPU = c.WorkingDir, c.CPU
		}
		p.Containers = append(p.Containers, own)
	}
	return p
}

// edited returns it with one change.
func (m model) edited(t *rapid.T) model {
	m = m.copied()
	toggle := func(in map[string]string, keys []string) {
		key := pick(t, keys)
		if value := pick(t, append([]string{""}, someValues...)); value != "" {
			in[key] = value
		} else {
			delete(in, key)
		}
	}
	c := &m.Containers[rapid.IntRange(0, len(m.Containers)-1).Draw(t, "container")]
	edits := []func(){
		func() { toggle(m.Labels, someKeys) },
		func() { toggle(m.Annotations, noteKeys) },
		func() { toggle(m.TemplateLabels, someKeys) },
		func() { toggle(m.NodeSelector, someKeys) },
		func() { m.Replicas = int64(rapid.IntRange(0, 3).Draw(t, "replicas")) },
		func() { m.Grace = int64(rapid.IntRange(0, 2).Draw(t, "grace")) },
		func() { m.Tolerations = subset(t, someNames, 50) },
		func() { m.Finalizers = subset(t, someNames, 50) },
		func() { m.Annotations["deployment.kubernetes.io/revision"] = pick(t, someValues) },
		func() { m.Volumes = somePairs(t, someKinds) },
		func() { slices.Reverse(m.Volumes); slices.Reverse(m.Containers); slices.Reverse(c.Env) },
		func() { c.Image = pick(t, someValues) },
		func() { c.WorkingDir, c.CPU = pick(t, []string{"", "/", "/tmp"}), pick(t, []string{"", "1", "2"}) },
		func() { c.Args = subset(t, someValues, 50) },
		func() { c.Env = somePairs(t, append([]string{""}, someValues...)) },
		func() { c.Ports = subset(t, somePorts, 50) },
		func() { c.Name = pick(t, []string{"d", "e"}) },
		func() { m.Containers = append(m.Containers, someContainer(t, "f")) },
		func() {
			if len(m.Containers) > 1 {
				m.Containers = m.Containers[1:]
			}
		},
		func() {
			if len(c.Env) > 0 && chance(t, 30) {
				c.Env = append(c.Env, pair{c.Env[0].Name, "2"})
			}
		},
	}
	pick(t, edits)()
	return m
}

func (m model) copied() model {
	m.Labels, m.Annotations, m.TemplateLabels, m.NodeSelector = maps.Clone(m.Labels), maps.Clone(m.Annotations), maps.Clone(m.TemplateLabels), maps.Clone(m.NodeSelector)
	m.Volumes, m.Containers = slices.Clone(m.Volumes), slices.Clone(m.Containers)
	for i := range m.Containers {
		m.Containers[i].Env = slices.Clone(m.Containers[i].Env)
	}
	return m
}

// object renders it; a part leaves out what every Deployment has.
func (m model) object() manifest {
	metadata := manifest{"name": "web", "namespace": "shop", "resourceVersion": "1207", "uid": "6f1ad30c-98ba-4ef4-8a8d-1a2f6f9d5a10"}
	setMap(metadata, "labels", m.Labels)
	setMap(metadata, "annotations", m.Annotations)
	setList(metadata, "finalizers", m.Finalizers, func(s string) any { return s })
	templateMeta, pod, template, spec := manifest{}, manifest{}, manifest{}, manifest{}
	setMap(templateMeta, "labels", m.TemplateLabels)
	setMap(pod, "nodeSelector", m.NodeSelector)
	setList(pod, "tolerations", m.Tolerations, func(s string) any { return manifest{"key": s} })
	setList(pod, "volumes", m.Volumes, volume)
	setList(pod, "containers", m.Containers, containerModel.object)
	if m.Grace > 0 {
		pod["terminationGracePeriodSeconds"] = m.Grace
	}
	if m.Replicas > 0 {
		spec["replicas"] = m.Replicas
	}
	setObject(template, "metadata", templateMeta)
	setObject(template, "spec", pod)
	setObject(spec, "template", template)
	o := manifest{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
	setObject(o, "spec", spec)
	return o
}

func volume(v pair) any {
	switch v.Value {
	case "emptyDir":
		return manifest{"name": v.Name, "emptyDir": manifest{}}
	case "memory":
		return manifest{"name": v.Name, "emptyDir": manifest{"medium": "Memory"}}
	default:
		return manifest{"name": v.Name, "configMap": manifest{"name": "web"}}
	}
}

func (c containerModel) object() any {
	o := manifest{"name": c.Name}
	for key, value := range map[string]string{"image": c.Image, "workingDir": c.WorkingDir} {
		if value != "" {
			o[key] = value
		}
	}
	if c.CPU != "" {
		o["resources"] = manifest{"limits": manifest{"cpu": c.CPU}}
	}
	setList(o, "args", c.Args, func(s string) any { return s })
	setList(o, "env", c.Env, func(p pair) any {
		if p.Value == "" {
			return manifest{"name": p.Name}
		}
		return manifest{"name": p.Name, "value": p.Value}
	})
	setList(o, "ports", c.Ports, func(s string) any {
		var number int64
		var protocol string
		_, _ = fmt.Sscanf(s, "%d/%s", &number, &protocol)
		return manifest{"containerPort": number, "protocol": protocol}
	})
	return o
}

func setMap(in manifest, key string, values map[string]string) {
	o := manifest{}
	for k, v := range values {
		o[k] = v
	}
	setObject(in, key, o)
}

func setObject(in manifest, key string, o manifest) {
	if len(o) > 0 {
		in[key] = o
	}
}

func setList[T any](in manifest, key string, values []T, item func(T) any) {
	var items []any
	for _, v := range values {
		items = append(items, item(v))
	}
	if len(items) > 0 {
		in[key] = items
	}
}
