package gateway

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"sluice.dev/sluice/test/e2e/harness"
)

const traefik = "traefik"

// Address is where Traefik listens. The port is that of the listener in classes.yaml.
const Address = "127.0.0.1:8000"

//go:embed classes.yaml
var classes []byte

// throttle is how long Traefik collects changes before it acts on them. Both its providers and what they feed do.
const throttle = "50ms"

// startTraefik starts it; it lives as long as this process. It watches at once and serves what there is.
func (g *Gateway) startTraefik() error {
	log, err := os.Create(g.TraefikLog())
	if err != nil {
		return fmt.Errorf("creating Traefik's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(g.Env.Cluster.Tool(traefik),
		"--global.checknewversion=false", "--global.sendanonymoususage=false",
		"--log.level=INFO",
		"--entrypoints.web.address="+Address,
		"--entrypoints.traefik.address="+apiAddress, "--api.insecure=true",
		"--providers.providersthrottleduration="+throttle,
		"--providers.kubernetesgateway=true",
		"--providers.kubernetesgateway.throttleduration="+throttle,
		"--providers.kubernetesgateway.qps=-1",
		"--providers.kubernetesingressnginx=true",
		"--providers.kubernetesingressnginx.throttleduration="+throttle,
		"--providers.kubernetesingressnginx.proxynextupstream=off", // a request that fails is to be seen
	)
	cmd.Env = []string{"KUBECONFIG=" + g.Env.Cluster.Kubeconfig(traefik), "HOME=" + g.Env.Dir}
	cmd.Stdout, cmd.Stderr = log, log
	if err := harness.StartChild(cmd); err != nil {
		return fmt.Errorf("starting Traefik: %w", err)
	}
	go func() { _ = cmd.Wait() }() // how it ended is in its log
	return nil
}

// TraefikLog returns the path of Traefik's log.
func (g *Gateway) TraefikLog() string { return filepath.Join(g.Env.Dir, "traefik.log") }

// applyClasses makes Traefik the one that serves Gateways and Ingresses.
func (g *Gateway) applyClasses(ctx context.Context) error {
	file := filepath.Join(g.Env.Dir, "classes.yaml")
	if err := os.WriteFile(file, classes, 0o600); err != nil {
		return fmt.Errorf("writing the gateway's classes: %w", err)
	}
	return g.apply(ctx, file)
}
