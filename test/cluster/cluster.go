package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sluice.dev/sluice/test/cluster/tools"
)

// Cluster is a running control plane.
type Cluster struct {
	dir       string
	tools     *tools.Cache
	detached  bool
	client    *client
	processes map[string]*Process
	reaper    *reaper // nil if the folder stays
	ports     func(names ...string) (map[string]int, error)

	mu    sync.Mutex // guards what follows
	state state
}

// Start builds what is missing, starts a control plane and returns when it is
// ready for use: a pod created now is scheduled and becomes ready. Ctx limits
// the starting, not the life of the cluster. On an error no
// process and no temporary folder is left.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	cache, err := tools.Open()
	if err != nil {
		return nil, err
	}
	c, err := prepare(opts, cache)
	if err != nil {
		return nil, err
	}
	if err := cache.Build(ctx, opts.log(), opts.Tools...); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	begun := time.Now()
	if err := c.boot(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the cluster: %w", err), c.Stop())
	}
	fmt.Fprintf(opts.log(), "cluster: ready in %s at %s\n", time.Since(begun).Round(100*time.Millisecond), c.URL())
	return c, nil
}

// prepare creates the cluster's folder with everything that does not depend on ports.
func prepare(opts Options, cache *tools.Cache) (*Cluster, error) {
	if opts.Detached && opts.Dir == "" {
		return nil, errors.New("starting the cluster: a detached one needs a folder")
	}
	c := &Cluster{tools: cache, detached: opts.Detached, ports: freePorts, state: state{
		Users: accounts(append(append([]User{}, builtin...), opts.Users...)),
		Flags: opts.Flags,
	}}
	if err := c.chooseDir(opts.Dir); err != nil {
		return nil, err
	}
	if err := c.writeFiles(opts); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) chooseDir(dir string) error {
	if dir != "" {
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("finding the cluster's folder: %w", err)
		}
		c.dir = absolute
		return claim(absolute)
	}
	temp, err := os.MkdirTemp("", "sluice-cluster-")
	if err != nil {
		return fmt.Errorf("creating the cluster's folder: %w", err)
	}
	c.dir = temp
	if c.reaper, err = startReaper(temp); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

// writeFiles writes what stays the same through all attempts to start. The
// state comes first: it is what tells a cluster's folder from any other.
func (c *Cluster) writeFiles(opts Options) error {
	if err := c.state.write(c.dir); err != nil {
		return err
	}
	for _, folder := range []string{"pki", "logs", "kubeconfig"} {
		if err := os.Mkdir(c.path(folder), 0o700); err != nil {
			return fmt.Errorf("creating the cluster's folder: %w", err)
		}
	}
	if err := c.writePKI(time.Now()); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("audit-policy.yaml"), auditPolicy, 0o600); err != nil {
		return fmt.Errorf("writing the audit policy: %w", err)
	}
	return c.writeStages(opts.Grace)
}

// Stop ends all processes and, for a temporary folder, removes it. Stopping
// again is no error.
func (c *Cluster) Stop() error {
	err := c.kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaper != nil {
		err = errors.Join(err, c.reaper.finish())
		c.reaper = nil
	}
	return err
}

// kill ends all processes, clients first, so that none complains of its server.
func (c *Cluster) kill() error {
	var errs []error
	for i := len(components) - 1; i >= 0; i-- {
		if p, found := c.processes[components[i]]; found {
			errs = append(errs, p.Kill())
		}
	}
	return errors.Join(errs...)
}

// Dir returns the cluster's folder.
func (c *Cluster) Dir() string { return c.dir }

// URL returns the address of the API server.
func (c *Cluster) URL() string { return "https://" + c.address(apiserver) }

// CAFile returns the path of the certificate that the API server's is signed with.
func (c *Cluster) CAFile() string { return c.path("pki", "ca.crt") }

// Kubeconfig returns the path of a user's kubeconfig. The users are in the
// package comment and in Options.
func (c *Cluster) Kubeconfig(user string) string { return c.path("kubeconfig", user) }

// Token returns a user's token. A user that does not exist is a panic.
func (c *Cluster) Token(user string) string { return c.account(user).Token }

// Tool returns the absolute path of a program: kubectl, helm3, helm4 or one of
// the components.
func (c *Cluster) Tool(name string) string { return c.tools.Path(name) }

// ToolFolder returns the folder of all programs, for PATH.
func (c *Cluster) ToolFolder() string { return c.tools.Bin() }

// Process returns a component: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler or kwok. Another name is a panic.
func (c *Cluster) Process(name string) *Process {
	p, found := c.processes[name]
	if !found {
		panic(fmt.Sprintf("the cluster has no process %q; it has %v", name, components))
	}
	return p
}
