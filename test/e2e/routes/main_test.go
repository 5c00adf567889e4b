package routes

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2 = "example/app:v1", "example/app:v2"

// env is the one control plane of this package; each test has a namespace of its own.
var env *harness.Env

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}

// definitions are the folders and files of the modules in which the projects publish their CRDs.
var definitions = map[string]string{
	"sigs.k8s.io/gateway-api@v1.6.3":                     "config/crd/standard",
	"istio.io/api@v1.31.1":                               "kubernetes/customresourcedefinitions.gen.yaml",
	"github.com/apache/apisix-ingress-controller@v1.8.4": "samples/deploy/crd/v1/ApisixRoute.yaml",
}

var install sync.Once

// installed returns once all definitions are in force, and a sluice that was started with them.
func installed(t *testing.T) {
	t.Helper()
	install.Do(func() {
		for module, path := range definitions {
			kubectl(t, "apply", "--server-side", "--filename", filepath.Join(folderOf(t, module), path))
		}
		kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "crd/httproutes.gateway.networking.k8s.io",
			"crd/grpcroutes.gateway.networking.k8s.io", "crd/virtualservices.networking.istio.io", "crd/apisixroutes.apisix.apache.org")
		env.Sluice().Kill()
		_, err := env.StartSluice(t.Context())
		require.NoError(t, err)
	})
}

// folderOf returns where a module is, which is downloaded where it is not.
func folderOf(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside of sluice's module, whose go.sum is not to have it
	out, err := cmd.Output()
	require.NoError(t, err, "downloading %s: %s", module, out)
	var found struct{ Dir string }
	require.NoError(t, json.Unmarshal(out, &found))
	return found.Dir
}

func kubectl(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, env.Cluster.Tool("kubectl"), args...)
	cmd.Env = []string{"KUBECONFIG=" + env.Cluster.Kubeconfig("admin"), "HOME=" + env.Dir}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "kubectl %v: %s", args, out)
}

// routesOf returns the client of the admin for everything.
func routesOf(t *testing.T) dynamic.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", env.Cluster.Kubeconfig("admin"))
	require.NoError(t, err)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return client
}
