package cluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

//go:embed manifests.yaml
var manifests []byte

// boot starts the components and sets the cluster up. When another process
// took a port in the moment after it was found free, everything starts anew.
func (c *Cluster) boot(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := c.attempt(ctx)
		if err == nil || !portTaken(err) || attempt == 3 {
			return err
		}
		if err := c.reset(); err != nil {
			return err
		}
	}
}

// reset removes what a failed attempt left.
func (c *Cluster) reset() error {
	if err := c.kill(); err != nil {
		return err
	}
	if err := os.RemoveAll(c.path("etcd")); err != nil {
		return fmt.Errorf("removing the data of a failed start: %w", err)
	}
	return nil
}

func (c *Cluster) attempt(ctx context.Context) error {
	ports, err := c.ports(append([]string{etcdPeer}, components...)...)
	if err != nil {
		return err
	}
	c.state.Ports, c.state.Processes = ports, map[string]running{}
	if err := c.connect(); err != nil {
		return err
	}
	if err := errors.Join(c.writeUsers(), c.state.write(c.dir)); err != nil {
		return err
	}
	// The API server gives up without etcd, and the others without it; they
	// then wait for nobody.
	for _, name := range []string{etcd, apiserver} {
		if err := c.start(ctx, name); err != nil {
			return err
		}
	}
	if err := c.start(ctx, controllerManager, scheduler, kwok); err != nil {
		return err
	}
	return c.setUp(ctx)
}

// connect makes the client and the processes, which may run already.
func (c *Cluster) connect() error {
	var err error
	if c.client, err = newClient(c.CAFile(), c.Token("admin")); err != nil {
		return err
	}
	c.processes = map[string]*Process{}
	for _, name := range components {
		c.processes[name] = &Process{
			name: name, log: c.path("logs", name+".log"), detached: c.detached,
			command: func(restarts int) []string { return c.command(name, restarts) },
			serves:  func(ctx context.Context) error { return c.serves(ctx, name) },
			record:  c.record,
			now:     c.state.Processes[name],
		}
	}
	return nil
}

// record keeps what was started, for another process that ends it.
func (c *Cluster) record(name string, now running) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Processes[name] = now
	return c.state.write(c.dir)
}

// start starts components side by side and returns when all of them serve.
func (c *Cluster) start(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := c.processes[name].begin(); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := c.processes[name].wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// setUp creates the nodes and the users' rights and waits until both are in effect.
func (c *Cluster) setUp(ctx context.Context) error {
	for i := range nodes {
		if err := c.createNode(ctx, fmt.Sprintf("node-%d", i)); err != nil {
			return err
		}
	}
	file := c.path("manifests.yaml")
	if err := os.WriteFile(file, manifests, 0o600); err != nil {
		return fmt.Errorf("writing the users' rights: %w", err)
	}
	create := exec.CommandContext(ctx, c.Tool("kubectl"), "create", "--kubeconfig", c.Kubeconfig("admin"), "-f", file)
	create.Env = []string{"HOME=" + c.dir}
	if output, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("creating the users' rights: %w\n%s", err, output)
	}
	return c.waitUntilUsable(ctx)
}
