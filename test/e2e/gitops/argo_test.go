package gitops

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/test/e2e/harness"
)

// argo returns the health that Argo CD gives an object by the shipped check, run as Argo CD does: the
// object is the global `obj`, and no library is there but Lua's basic functions and tables.
// Source: github.com/argoproj/argo-cd util/lua.
func argo(t testing.TB, object *unstructured.Unstructured) (state, message string) {
	t.Helper()
	state, message, err := health(check(t, object.GetKind()), object.Object)
	require.NoError(t, err)
	return state, message
}

func check(t testing.TB, kind string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(harness.Root(), "manifests", "argocd", "health.yaml"))
	require.NoError(t, err)
	var patch struct {
		Data map[string]string `json:"data"`
	}
	require.NoError(t, yaml.UnmarshalStrict(raw, &patch))
	script := patch.Data["resource.customizations.health.apps_"+kind]
	require.NotEmpty(t, script)
	return script
}

func health(script string, object map[string]any) (state, message string, err error) {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return "", "", err
		}
	}
	l.SetGlobal("obj", value(l, object))
	if err := l.DoString(script); err != nil {
		return "", "", err
	}
	result := l.Get(-1)
	text := func(field string) string {
		if s, ok := l.GetField(result, field).(lua.LString); ok {
			return string(s)
		}
		return ""
	}
	return text("status"), text("message"), nil
}

// value returns what decoded JSON is in Lua.
func value(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		table := l.NewTable()
		for key, field := range v {
			table.RawSetString(key, value(l, field))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, item := range v {
			table.Append(value(l, item))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case int64:
		return lua.LNumber(v)
	}
	return lua.LNil
}

// TestArgoWithoutARelease: the check replaces Argo CD's own, so it judges all that has no release, too.
func TestArgoWithoutARelease(t *testing.T) {
	type object = map[string]any
	seen := object{"generation": 3.0}
	for name, tc := range map[string]struct {
		kind         string
		spec, status object
		metadata     object
		want         string
	}{
		"a Deployment that is rolled out": {"Deployment", object{"replicas": 3.0},
			object{"observedGeneration": 3.0, "replicas": 3.0, "updatedReplicas": 3.0, "availableReplicas": 3.0}, seen, "Healthy"},
		"one that its controller has not seen": {"Deployment", object{"replicas": 3.0},
			object{"observedGeneration": 2.0, "replicas": 3.0, "updatedReplicas": 3.0, "availableReplicas": 3.0}, seen, "Progressing"},
		"one whose new pods are being made": {"Deployment", object{"replicas": 3.0},
			object{"observedGeneration": 3.0, "replicas": 4.0, "updatedReplicas": 1.0, "availableReplicas": 3.0}, seen, "Progressing"},
		"one whose old pods are going": {"Deployment", object{"replicas": 3.0},
			object{"observedGeneration": 3.0, "replicas": 4.0, "updatedReplicas": 3.0, "availableReplicas": 4.0}, seen, "Progressing"},
		"one whose pods are not available": {"Deployment", object{"replicas": 3.0},
			object{"observedGeneration": 3.0, "replicas": 3.0, "updatedReplicas": 3.0, "availableReplicas": 2.0}, seen, "Progressing"},
		"one past its deadline": {"Deployment", object{"replicas": 3.0},
			object{"observedGeneration": 3.0, "conditions": []any{object{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "late"}}}, seen, "Degraded"},
		"one that the user paused":      {"Deployment", object{"replicas": 3.0, "paused": true}, object{"observedGeneration": 3.0}, seen, "Suspended"},
		"one of which nothing is known": {"Deployment", object{}, nil, seen, "Progressing"},
		"one whose last release was aborted, long ago": {"Deployment", object{"replicas": 0.0}, object{"observedGeneration": 3.0},
			object{"generation": 3.0, "labels": object{"sluice.dev/phase": "Aborted"}}, "Healthy"},
		"a StatefulSet that is rolled out": {"StatefulSet", object{"replicas": 3.0, "updateStrategy": object{"type": "RollingUpdate", "rollingUpdate": object{"partition": 0.0}}},
			object{"observedGeneration": 3.0, "readyReplicas": 3.0, "updatedReplicas": 3.0}, seen, "Healthy"},
		"one with a partition": {"StatefulSet", object{"replicas": 3.0, "updateStrategy": object{"type": "RollingUpdate", "rollingUpdate": object{"partition": 2.0}}},
			object{"observedGeneration": 3.0, "readyReplicas": 3.0, "updatedReplicas": 1.0}, seen, "Healthy"},
		"one whose new pods are awaited": {"StatefulSet", object{"replicas": 3.0, "updateStrategy": object{"type": "RollingUpdate", "rollingUpdate": object{"partition": 0.0}}},
			object{"observedGeneration": 3.0, "readyReplicas": 3.0, "updatedReplicas": 1.0}, seen, "Progressing"},
		"one whose pods are not ready": {"StatefulSet", object{"replicas": 3.0}, object{"observedGeneration": 3.0, "readyReplicas": 2.0}, seen, "Progressing"},
		"one on delete": {"StatefulSet", object{"replicas": 3.0, "updateStrategy": object{"type": "OnDelete"}},
			object{"observedGeneration": 3.0, "readyReplicas": 3.0, "currentRevision": "a", "updateRevision": "b"}, seen, "Healthy"},
		"one that its controller has not seen yet": {"StatefulSet", object{"replicas": 3.0}, nil, seen, "Progressing"},
	} {
		t.Run(name, func(t *testing.T) {
			state, _, err := health(check(t, tc.kind), object{"metadata": tc.metadata, "spec": tc.spec, "status": any(tc.status)})
			require.NoError(t, err)
			require.Equal(t, tc.want, state)
		})
	}
}
