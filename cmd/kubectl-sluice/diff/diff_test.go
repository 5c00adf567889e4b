package diff_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/cmd/kubectl-sluice/diff"
)

// lines shows changes as "path: before -> after".
func lines(t *testing.T, before, after string) []string {
	t.Helper()
	changes, err := diff.Templates(json.RawMessage(before), json.RawMessage(after))
	require.NoError(t, err)
	var shown []string
	for _, c := range changes {
		shown = append(shown, fmt.Sprintf("%s: %s -> %s", c.Path, value(c.Before), value(c.After)))
	}
	return shown
}

func value(text *string) string {
	if text == nil {
		return "<none>"
	}
	return *text
}

func TestWhatDiffersIsOneLine(t *testing.T) {
	tests := map[string]struct {
		before, after string
		want          []string
	}{
		"nothing": {`{"spec": {"a": 1}}`, `{"spec": {"a": 1}}`, nil},
		"a field": {`{"spec": {"a": 1}}`, `{"spec": {"a": 2}}`, []string{"spec.a: 1 -> 2"}},
		"a field of another type": {`{"a": "80", "b": {"x": 1}}`, `{"a": 80, "b": [1]}`, []string{
			`a: "80" -> 80`, `b: {"x":1} -> [1]`,
		}},
		"a field that is gone, however deep": {`{"spec": {"affinity": {"node": {"x": [1]}}}}`, `{"spec": {}}`, []string{
			`spec.affinity: {"node":{"x":[1]}} -> <none>`,
		}},
		"a field that is null": {`{"a": null}`, `{}`, []string{"a: null -> <none>"}},
		"a big number":         {`{"a": 9007199254740993}`, `{"a": 9007199254740992}`, []string{"a: 9007199254740993 -> 9007199254740992"}},
		"what a browser would escape": {`{"a": {"x": "<&>"}}`, `{}`, []string{
			`a: {"x":"<&>"} -> <none>`,
		}},
		"a container put before another": {
			`{"containers": [{"name": "web", "image": "v1"}]}`,
			`{"containers": [{"name": "proxy", "image": "p"}, {"name": "web", "image": "v2"}]}`,
			[]string{`containers[proxy]: <none> -> {"image":"p","name":"proxy"}`, "containers[web].image: v1 -> v2"},
		},
		"containers in another order": {
			`{"containers": [{"name": "a"}, {"name": "b"}]}`, `{"containers": [{"name": "b"}, {"name": "a"}]}`, nil,
		},
		"the last container": {
			`{"containers": [{"name": "a"}]}`, `{"containers": []}`, []string{`containers[a]: {"name":"a"} -> <none>`},
		},
		"ports by their number": {
			`{"ports": [{"containerPort": 80, "protocol": "TCP"}]}`, `{"ports": [{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 81}]}`,
			[]string{"ports[80].protocol: TCP -> UDP", `ports[81]: <none> -> {"containerPort":81}`},
		},
		"elements without a key of their own, by position": {
			`{"tolerations": [{"key": "a"}, {"key": "a"}]}`, `{"tolerations": [{"key": "a"}, {"key": "b"}, {"key": "c"}]}`,
			[]string{"tolerations[1].key: a -> b", `tolerations[2]: <none> -> {"key":"c"}`},
		},
		"names that are not unique, by position": {
			`{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}`, `{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "3"}]}`,
			[]string{"env[1].value: 2 -> 3"},
		},
		"a command line, as a whole": {
			`{"args": ["--port", "80"]}`, `{"args": ["--port", "81", "-v"]}`, []string{`args: ["--port","80"] -> ["--port","81","-v"]`},
		},
		"keys with dots": {
			`{"annotations": {"example.com/a": "1"}}`, `{"annotations": {"example.com/a": "2", "b": "3"}}`,
			[]string{"annotations.b: <none> -> 3", "annotations[example.com/a]: 1 -> 2"},
		},
		"config": {
			`{"metadata": {"annotations": {"sluice.dev/config-hash": "v1:key:00112233445566778899"}}}`,
			`{"metadata": {"annotations": {"sluice.dev/config-hash": "v1:key:ffeeddccbbaa99887766"}}}`,
			[]string{"config: 66778899 -> 99887766"},
		},
		"config that is not used any more": {
			`{"metadata": {"annotations": {"sluice.dev/config-hash": "v1:key:00112233445566778899"}}}`, `{"metadata": {}}`,
			[]string{"config: 66778899 -> <none>"},
		},
		"what Kubernetes adds": {
			`{"metadata": {"creationTimestamp": null, "labels": {"app": "web", "pod-template-hash": "x"}}}`, `{"metadata": {"labels": {"app": "web"}}}`, nil,
		},
		"a secret's name and nothing of it": {
			`{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}`, `{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "t", "key": "k"}}}]}`,
			[]string{"env[A].valueFrom.secretKeyRef.name: s -> t"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, lines(t, test.before, test.after))
		})
	}
}

func TestThePathsAreSorted(t *testing.T) {
	got := lines(t, `{"b": 1, "a": {"d": 1, "c": 1}}`, `{"b": 2, "a": {"d": 2, "c": 2}}`)
	require.Equal(t, []string{"a.c: 1 -> 2", "a.d: 1 -> 2", "b: 1 -> 2"}, got)
}

func TestWhatIsNoTemplateIsAnError(t *testing.T) {
	for _, broken := range []string{``, `[]`, `{`, strings.Repeat("x", 10)} {
		_, err := diff.Templates(json.RawMessage(`{}`), json.RawMessage(broken))
		require.ErrorContains(t, err, "decoding a pod template", broken)
		_, err = diff.Templates(json.RawMessage(broken), json.RawMessage(`{}`))
		require.ErrorContains(t, err, "decoding a pod template", broken)
	}
}
