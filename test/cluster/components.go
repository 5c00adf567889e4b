package cluster

import (
	"context"
	"fmt"
	"path/filepath"
)

// The components, in the order in which they start.
const (
	etcd              = "etcd"
	apiserver         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
)

var components = []string{etcd, apiserver, controllerManager, scheduler, kwok}

const etcdPeer = "etcd-peer" // etcd's second port

// command returns the command line of a component's start number restarts.
func (c *Cluster) command(name string, restarts int) []string {
	flags := map[string]func() []string{
		etcd:              c.etcdFlags,
		apiserver:         c.apiserverFlags,
		controllerManager: c.controllerManagerFlags,
		scheduler:         c.schedulerFlags,
		kwok:              func() []string { return c.kwokFlags(restarts) },
	}[name]()
	return append(append([]string{c.Tool(name)}, flags...), c.state.Flags[name]...)
}

func (c *Cluster) etcdFlags() []string {
	client, peer := c.address(etcd), c.address(etcdPeer)
	return []string{
		"--name=default",
		"--data-dir=" + c.path("etcd"),
		"--unsafe-no-fsync", // the data need not survive the host
		"--listen-client-urls=http://" + client,
		"--advertise-client-urls=http://" + client,
		"--listen-peer-urls=http://" + peer,
		"--initial-advertise-peer-urls=http://" + peer,
		"--initial-cluster=default=http://" + peer,
		"--log-level=warn",
	}
}

func (c *Cluster) apiserverFlags() []string {
	return []string{
		"--etcd-servers=http://" + c.address(etcd),
		"--bind-address=127.0.0.1",
		// Any address that is not a loopback one will do, and without the flag
		// a host or network namespace without a default route has none.
		"--advertise-address=10.244.255.254",
		fmt.Sprintf("--secure-port=%d", c.state.Ports[apiserver]),
		"--cert-dir=" + c.path("pki"),
		"--tls-cert-file=" + c.path("pki", "serving.crt"),
		"--tls-private-key-file=" + c.path("pki", "serving.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path("pki", "service-account.key"),
		"--service-account-signing-key-file=" + c.path("pki", "service-account.key"),
		"--token-auth-file=" + c.path("tokens.csv"),
		"--authorization-mode=RBAC",
		// It would add a token volume to every pod, which no kubelet mounts.
		"--disable-admission-plugins=ServiceAccount",
		"--allow-privileged",
		"--audit-policy-file=" + c.path("audit-policy.yaml"),
		"--audit-log-path=" + c.AuditLog(),
		"--audit-log-maxsize=10000", // MB: whoever reads it reads one file
	}
}

func (c *Cluster) controllerManagerFlags() []string {
	return append(c.clientFlags(controllerManager),
		"--use-service-account-credentials", // so that the audit log names the controller
		"--service-account-private-key-file="+c.path("pki", "service-account.key"),
		"--root-ca-file="+c.CAFile(),
		// Endpoints, which EndpointSlices replace, would be a write for each of theirs, and nobody reads them.
		"--controllers=*,-endpoints-controller",
		// Nothing reports a node's health after its creation, so a node never
		// becomes unhealthy either, not even while kwok is paused.
		"--node-monitor-grace-period=24h",
		// An autoscaler looks at its metrics every 15 seconds otherwise.
		"--horizontal-pod-autoscaler-sync-period=1s",
	)
}

func (c *Cluster) schedulerFlags() []string { return c.clientFlags(scheduler) }

// clientFlags are those that the controller manager and the scheduler share.
// One instance needs no leader election, which would delay a restart by the
// lease of the killed one. The limits of 20 requests a second would only make
// tests with hundreds of pods slow.
func (c *Cluster) clientFlags(name string) []string {
	return []string{
		"--kubeconfig=" + c.Kubeconfig(name),
		"--leader-elect=false",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.state.Ports[name]),
		"--tls-cert-file=" + c.path("pki", "serving.crt"),
		"--tls-private-key-file=" + c.path("pki", "serving.key"),
	}
}

// kwokFlags gives each start another quarter of the pod network, because kwok
// starts counting again and would hand out the addresses of living pods. The
// fifth start is the first to do so.
func (c *Cluster) kwokFlags(restarts int) []string {
	return []string{
		"--kubeconfig=" + c.Kubeconfig(kwok),
		"--config=" + c.path("kwok.json"),
		"--manage-all-nodes",
		"--node-lease-duration-seconds=0",
		fmt.Sprintf("--cidr=10.244.%d.0/18", restarts%4*64),
		"--server-address=" + c.address(kwok),
	}
}

// serves asks a component whether it serves.
func (c *Cluster) serves(ctx context.Context, name string) error {
	path := map[string]string{
		etcd:              "http://" + c.address(etcd) + "/readyz",
		apiserver:         c.URL() + "/readyz",
		controllerManager: "https://" + c.address(controllerManager) + "/healthz",
		scheduler:         "https://" + c.address(scheduler) + "/healthz",
		kwok:              "http://" + c.address(kwok) + "/healthz",
	}[name]
	_, err := c.client.get(ctx, path)
	return err
}

func (c *Cluster) address(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", c.state.Ports[name])
}

// path returns the path of a file in the cluster's folder.
func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}
