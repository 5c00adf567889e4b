package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// pairsOfAChart is how often config and Deployment change together in one test.
const pairsOfAChart = 20

// pairsTemplate makes ConfigMaps and Deployments that use them. Helm applies ConfigMaps first, but for
// those that are a hook of what comes after.
const pairsTemplate = `{{- range $i := until 20 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: web-{{ $i }}
  {{- if $.Values.last }}
  annotations: {"helm.sh/hook": "post-install,post-upgrade"}
  {{- end }}
data: {GREETING: {{ $.Values.greeting | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-{{ $i }}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web-{{ $i }}}}
  template:
    metadata: {labels: {app: web-{{ $i }}}}
    spec:
      containers:
      - name: app
        image: {{ $.Values.image }}
        envFrom: [{configMapRef: {name: web-{{ $i }}}}]
{{- end }}
`

func pairsChart(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pairs")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "templates"), 0o700))
	for name, content := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: pairs\nversion: 1.0.0\n", "templates/pairs.yaml": pairsTemplate,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// TestHelmChangesConfigAndDeploymentTogether: each upgrade is exactly one new ReplicaSet.
func TestHelmChangesConfigAndDeploymentTogether(t *testing.T) {
	for _, tool := range []string{"helm3", "helm4"} {
		for name, last := range map[string]bool{"the ConfigMap first": false, "the Deployment first": true} {
			t.Run(tool+", "+name, func(t *testing.T) {
				// Helm takes its time on a busy machine, and twenty pairs of each are enough at once.
				s := space{env.Namespace(t, harness.Annotation(canary.SettleAnnotation, "15s")), t}
				chart := pairsChart(t)
				values := func(image, greeting string) string {
					return fmt.Sprintf("image=%s,greeting=%s,last=%t", image, greeting, last)
				}
				s.Run(tool, "install", "pairs", chart, "--set", values(v1, "hello"))
				s.Kubectl("wait", "deployments", "--all", "--for=condition=Available", "--timeout=60s")
				for i := range pairsOfAChart {
					s.WaitConfigSeen(pair(i))
				}

				s.Run(tool, "upgrade", "pairs", chart, "--set", values(v2, "bye"))
				for i := range pairsOfAChart {
					s.held(pair(i))
					s.Mark(pair(i), watch.Approved)
					s.Kubectl("rollout", "resume", "deployment/"+pair(i))
				}
				for i := range pairsOfAChart {
					s.WaitStable(pair(i))
				}
				s.looked()
				counts := map[string]map[types.UID]bool{}
				for _, e := range s.Recorded() {
					if e.ReplicaSet == nil || len(e.ReplicaSet.OwnerReferences) == 0 {
						continue
					}
					owner := e.ReplicaSet.OwnerReferences[0].Name
					if counts[owner] == nil {
						counts[owner] = map[types.UID]bool{}
					}
					counts[owner][e.ReplicaSet.UID] = true
				}
				for i := range pairsOfAChart {
					require.Len(t, counts[pair(i)], 2, "one at the install, one at the upgrade: %s", pair(i))
				}
			})
		}
	}
}

func pair(i int) string { return fmt.Sprintf("web-%d", i) }
