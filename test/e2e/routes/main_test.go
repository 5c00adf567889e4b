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
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// definition is where a project publishes CRDs: folders or files of a module, and those that sluice needs of them.
type definition struct {
	module       string
	paths, names []string
}

var definitions = map[string]definition{
	"Gateway API": {"sigs.k8s.io/gateway-api@v1.6.3", []string{"config/crd/standard"}, []string{"httproutes." + gatewayGroup, "grpcroutes." + gatewayGroup, "backendtlspolicies." + gatewayGroup}},
	"Istio":       {"istio.io/api@v1.31.1", []string{"kubernetes/customresourcedefinitions.gen.yaml"}, []string{"virtualservices.networking.istio.io", "destinationrules.networking.istio.io"}},
	"APISIX":      {"github.com/apache/apisix-ingress-controller@v1.8.4", []string{"samples/deploy/crd/v1/ApisixRoute.yaml", "samples/deploy/crd/v1/ApisixUpstream.yaml"}, []string{"apisixroutes.apisix.apache.org", "apisixupstreams.apisix.apache.org"}},
}

// install returns once the definition is in force.
func (d definition) install(t *testing.T) {
	t.Helper()
	for _, path := range d.paths {
		kubectl(t, "apply", "--server-side", "--filename", filepath.Join(folderOf(t, d.module), path))
	}
	for _, name := range d.names {
		kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "crd/"+name)
	}
}

// controllers are those of the IngressClasses: the one whose annotations sluice knows, and another.
var controllers = map[string]string{"nginx": "k8s.io/ingress-nginx", "other": "example.com/other"}

var install sync.Once

// installed returns once all kinds of routes are in force, and a sluice that was started with them.
func installed(t *testing.T) {
	t.Helper()
	install.Do(func() {
		for _, d := range definitions {
			d.install(t)
		}
		for name, controller := range controllers {
			class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: controller}}
			_, err := env.Client(t, "admin").NetworkingV1().IngressClasses().Create(t.Context(), class, metav1.CreateOptions{})
			require.NoError(t, err)
		}
		restart(t)
	})
}

// restart kills sluice, where it lives, and starts it again.
func restart(t *testing.T) {
	t.Helper()
	env.Sluice().Kill()
	_, err := env.StartSluice(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
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
