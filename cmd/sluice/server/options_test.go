package server

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sluice.dev/sluice/manifests"
)

func TestOptions(t *testing.T) {
	tests := map[string]struct {
		args       []string
		wantFaults []string
	}{
		"the defaults are valid": {},
		"everything may be set": {args: []string{"--webhook-port=1", "--webhook-host=::1", "--shutdown-delay=0s", "--max-requests=1",
			"--certificate-hosts=sluice.example,10.0.0.1", "--serving-secret=sluice-serving-cert", "--settle-time=1s", "--workers=1",
			"--leader-elect=false", "--health-address=0", "--metrics-address=127.0.0.1:0"}},
		"all faults are reported at once": {
			args: []string{"--webhook-port=-1", "--webhook-host=a b", "--max-requests=0", "--certificate-hosts=a b", "--serving-secret=A",
				"--workers=99", "--health-address=x", "--metrics-address=:http-no"},
			wantFaults: []string{"port -1", `host "a b"`, "0 requests", `--certificate-hosts "a b"`, `--serving-secret "A"`,
				"workers 99", `--health-address "x"`, `--metrics-address ":http-no"`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			opts := Defaults()
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			opts.AddFlags(flags)
			require.NoError(t, flags.Parse(tt.args))

			err := opts.Validate()

			if len(tt.wantFaults) == 0 {
				require.NoError(t, err)
			}
			for _, fault := range tt.wantFaults {
				require.ErrorContains(t, err, fault)
			}
		})
	}
}

// deployment is the one that is shipped.
func deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	objs, err := manifests.Objects()
	require.NoError(t, err)
	for _, obj := range objs {
		if obj.GetKind() == "Deployment" {
			shipped := &appsv1.Deployment{}
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, shipped))
			return shipped
		}
	}
	t.Fatal("there is no Deployment")
	return nil
}

func TestTheShippedDeploymentFitsTheDefaults(t *testing.T) {
	opts, pod := Defaults(), deployment(t).Spec.Template.Spec
	ports := map[string]int{}
	for _, port := range pod.Containers[0].Ports {
		ports[port.Name] = int(port.ContainerPort)
	}
	_, health, err := net.SplitHostPort(opts.Probes.Health)
	require.NoError(t, err)
	_, metrics, err := net.SplitHostPort(opts.Probes.Metrics)
	require.NoError(t, err)

	require.Equal(t, []string{"serve"}, pod.Containers[0].Args)
	require.Equal(t, opts.Webhook.Port, ports["webhook"])
	require.Equal(t, health, portText(ports["health"]))
	require.Equal(t, metrics, portText(ports["metrics"]))
	// The controllers end, then the webhook serves on, then what has begun is
	// answered.
	const answered = 15 * time.Second
	grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	require.Greater(t, grace, controllerShutdown+opts.Webhook.ShutdownDelay+answered)
	require.Equal(t, "system:serviceaccount:"+manifests.Namespace+":"+pod.ServiceAccountName, opts.webhook().User)
}

func portText(port int) string { return (&net.TCPAddr{Port: port}).String()[1:] }

func TestTheLeaseIsTheOneThatTheRoleNames(t *testing.T) {
	install, err := os.ReadFile("../../../manifests/rbac.yaml")
	require.NoError(t, err)

	require.Contains(t, string(install), "resourceNames: ["+LeaseName+"]")
}

func TestTheCertificateNamesWhatIsCalled(t *testing.T) {
	opts := Defaults()
	opts.Certificates.Hosts = []string{"localhost", "127.0.0.1"}

	got := opts.certificates()

	require.NoError(t, got.Validate())
	require.Equal(t, []string{"sluice.sluice-system.svc", "sluice.sluice-system.svc.cluster.local", "localhost"}, got.DNSNames)
	require.Len(t, got.IPs, 1)
	require.True(t, got.IPs[0].Equal(net.IPv4(127, 0, 0, 1)))
}
