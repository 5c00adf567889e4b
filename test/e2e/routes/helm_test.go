package routes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestHelm4HasNoConflict: its server-side apply owns the whole route, in mid-release too, and also where it changes it.
func TestHelm4HasNoConflict(t *testing.T) {
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			installed(t)
			a := &app{Namespace: env.Namespace(t, harness.Steps("20%")), t: t, kind: k, before: map[string]string{}}
			a.client = routesOf(t).Resource(k.resource).Namespace(a.Name)
			chart := a.chart()
			helm := func(command, image, port string) {
				t.Helper()
				r := a.Command("admin", "helm4", command, "shop", chart, "--set", "image="+image+",port="+port)
				require.Zero(t, r.Code, r)
			}
			helm("install", v1, "80")
			a.WaitStable("web")
			a.playGateway()

			helm("upgrade", v2, "80")
			a.waits(canary.Waiting, 1)
			a.shared(20)
			helm("upgrade", v2, "80")
			a.shared(20)
			helm("upgrade", v2, "81") // of the route and of the Service
			a.shared(20)
			a.waits(canary.Waiting, 1)
			a.Approve("web")
			a.WaitStable("web")
			a.gone()
			for _, route := range a.routes() {
				require.Contains(t, strings.Join(a.shares(route), " "), "shop=")
				require.NotContains(t, content(t, route), "sluice.dev")
				require.Contains(t, content(t, route), "81")
			}
			helm("upgrade", v2, "80")
		})
	}
}

// chart writes a chart of the Deployment, the Service and the routes.
func (a *app) chart() string {
	a.t.Helper()
	dir := filepath.Join(filepath.Dir(a.File("marker", nil)), "chart")
	require.NoError(a.t, os.MkdirAll(filepath.Join(dir, "templates"), 0o700))
	write := func(name, text string) {
		a.t.Helper()
		require.NoError(a.t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n")
	for i, object := range []any{builders.MakeDeployment("web").Replicas(4).Image("IMAGE").Obj(), a.service()} {
		text, err := yaml.Marshal(object)
		require.NoError(a.t, err)
		manifest, _, _ := strings.Cut(string(text), "\nstatus:")
		manifest = strings.NewReplacer("IMAGE", "{{ .Values.image }}", "port: 80", "port: {{ .Values.port }}").Replace(manifest)
		write(fmt.Sprintf("templates/%d.yaml", i), manifest)
	}
	for i, route := range a.kind.routes {
		text := strings.NewReplacer("port: 80", "port: {{ .Values.port }}", "number: 80", "number: {{ .Values.port }}",
			"servicePort: 80", "servicePort: {{ .Values.port }}").Replace(route)
		write(fmt.Sprintf("templates/route-%d.yaml", i), text)
	}
	return dir
}
