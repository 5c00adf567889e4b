package cluster

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// A stage is a step in a pod's life, played by kwok as soon as the pod matches
// it and its delay has passed.
type stage struct {
	name   string
	images string // what imageKind says of the pods that it is for
	match  []match
	delay  string // jq: the duration, or the time to wait for
	status string // template of the status patch; empty deletes the pod
}

type match struct {
	Key      string   `json:"key"` // jq
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// imageKind sorts pods by the names of their images. The first word that any of
// them contains decides; late must stand alone, or nginx:latest would be late.
const imageKind = `[.spec.containers[].image] | join(" ") |
	if test("pull") then "pull" elif test("crash") then "crash" elif test("unready") then "unready"
	elif test("\\blate\\b") then "late" else "ready" end`

// lateUntil is when a late pod becomes ready: the number of seconds in its
// image's name after it started, or 5. Start times are cut to the second;
// hence one more, so that it is never earlier.
const lateUntil = `([.spec.containers[].image | capture("late-(?<s>[0-9]+)s").s | tonumber] | max // 5) as $wait
	| .status.startTime | fromdateiso8601 + $wait + 1 | todateiso8601`

const soon = `"300ms"`

var (
	alive   = match{".metadata.deletionTimestamp", "DoesNotExist", nil}
	deleted = match{".metadata.deletionTimestamp", "Exists", nil}
	// Every first stage writes the container statuses, so no stage applies to
	// the same pod twice, and a test may write conditions as it likes.
	fresh    = match{".status.containerStatuses", "DoesNotExist", nil}
	starting = match{".status.containerStatuses[0].started", "In", []string{"false"}}
	started  = match{".status.containerStatuses[0].started", "In", []string{"true"}}
	ofJob    = match{".metadata.ownerReferences[].kind", "In", []string{"Job"}}
	runs     = match{".status.phase", "In", []string{"Running"}}
)

//go:embed pod-status.yaml.tmpl
var podStatus string

var stages = []stage{
	{name: "ready", images: "ready", match: []match{alive, fresh}, delay: soon, status: status("ready")},
	{name: "unready", images: "unready", match: []match{alive, fresh}, delay: soon, status: status("unready")},
	{name: "crash", images: "crash", match: []match{alive, fresh}, delay: soon, status: status("crash")},
	{name: "pull", images: "pull", match: []match{alive, fresh}, delay: soon, status: status("pull")},
	{name: "late", images: "late", match: []match{alive, fresh}, delay: soon, status: status("late")},
	{name: "late-ready", images: "late", match: []match{alive, starting}, delay: lateUntil, status: status("ready")},
	{name: "complete", match: []match{alive, runs, started, ofJob}, delay: soon, status: status("complete")},
	{name: "delete", match: []match{deleted}},
}

// status returns the status template with its variable set.
func status(behaviour string) string {
	return fmt.Sprintf("{{ $is := %q }}\n%s", behaviour, podStatus)
}

// writeStages writes kwok's configuration. JSON is YAML, and one object a line
// is a stream of documents.
func (c *Cluster) writeStages(grace time.Duration) error {
	file, err := os.OpenFile(c.path("kwok.json"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing kwok's stages: %w", err)
	}
	defer file.Close()
	for _, document := range documents(grace) {
		if _, err := file.WriteString("---\n"); err != nil {
			return fmt.Errorf("writing kwok's stages: %w", err)
		}
		if err := json.NewEncoder(file).Encode(document); err != nil {
			return fmt.Errorf("writing kwok's stages: %w", err)
		}
	}
	return file.Close()
}

type object = map[string]any

// documents returns all stages. The last one is for nodes and matches none:
// kwok plays pods only on nodes that it manages, and manages nodes only if there
// is a stage for them.
func documents(grace time.Duration) []object {
	var all []object
	for _, s := range stages {
		all = append(all, s.document(grace))
	}
	return append(all, object{
		"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage",
		"metadata": object{"name": "node"},
		"spec": object{
			"resourceRef": object{"apiGroup": "v1", "kind": "Node"},
			"selector":    object{"matchLabels": object{"sluice.dev/none": "none"}},
			"steps":       []object{},
		},
	})
}

// document returns kwok's object of a stage. Grace delays the one that deletes.
func (s stage) document(grace time.Duration) object {
	matches := s.match
	if s.images != "" {
		matches = append([]match{{imageKind, "In", []string{s.images}}}, matches...)
	}
	expressions := make([]object, len(matches))
	for i, m := range matches {
		expressions[i] = object{"jq": m}
	}
	spec := object{
		"resourceRef": object{"apiGroup": "v1", "kind": "Pod"},
		"selector":    object{"matchExpressions": expressions},
		"steps":       []object{{"delete": true}},
		"delay":       object{"durationMilliseconds": grace.Milliseconds()},
	}
	if s.status != "" {
		spec["steps"] = []object{{"patch": object{"subresource": "status", "root": "status", "template": s.status}}}
		spec["delay"] = object{"durationFrom": object{"jq": object{"expression": s.delay}}}
	}
	return object{
		"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage",
		"metadata": object{"name": "pod-" + s.name}, "spec": spec,
	}
}
