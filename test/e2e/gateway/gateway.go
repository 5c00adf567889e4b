package gateway

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"sluice.dev/sluice/test/cluster"
	"sluice.dev/sluice/test/e2e/harness"
)

// Grace is how long a deleted pod goes on serving, as one does that ends in its own time. It is what a gateway has to
// learn of it, which on a busy machine took up to 1.7 s. It hides nothing that is in the wrong order: a terminating
// pod is not ready, so that a share that is still its own is lost at once.
const Grace = 3 * time.Second

// Gateway is the data plane of one control plane.
type Gateway struct {
	Env     *harness.Env
	Dynamic dynamic.Interface

	client  kubernetes.Interface
	backend *backend
	stop    context.CancelFunc
}

// Run is TestMain: it starts the tests again in a network namespace, and there a control plane, the Gateway API,
// sluice and Traefik; hands them to use, runs the tests and returns the exit code.
func Run(run func() int, opts harness.SluiceOptions, use func(*Gateway)) int {
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // a cold build takes its time
	defer cancel()
	definitions := os.Getenv(insideEnv)
	if definitions == "" {
		code, err := isolate(ctx)
		return report(code, err)
	}
	g, err := start(ctx, definitions, opts)
	if err != nil {
		return report(1, err)
	}
	use(g)
	code := run()
	if err := g.shutDown(); err != nil {
		return report(1, err)
	}
	return code
}

func report(code int, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

func start(ctx context.Context, definitions string, opts harness.SluiceOptions) (*Gateway, error) {
	if err := raiseLoopback(); err != nil {
		return nil, err
	}
	opts.Cluster.Grace = Grace
	opts.Cluster.Tools = []string{traefik}
	opts.Cluster.Users = append(opts.Cluster.Users, cluster.User{Name: traefik, Groups: []string{"system:masters"}})
	env, err := harness.StartWithout(ctx, os.Stderr, opts)
	if err != nil {
		return nil, err
	}
	g := &Gateway{Env: env}
	if err := g.fill(ctx, definitions); err != nil {
		return nil, errors.Join(err, g.shutDown())
	}
	return g, nil
}

// fill starts everything in a control plane that has nothing. The definitions come before sluice, which looks for
// the kinds that there are.
func (g *Gateway) fill(ctx context.Context, definitions string) error {
	if err := g.connect(); err != nil {
		return err
	}
	if err := g.apply(ctx, definitions); err != nil {
		return err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.stop = stop
	var err error
	if g.backend, err = startBackend(life, g.client); err != nil {
		return err
	}
	if _, err := g.Env.StartSluice(ctx); err != nil {
		return err
	}
	if err := g.startTraefik(); err != nil {
		return err
	}
	return g.applyClasses(ctx)
}

func (g *Gateway) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", g.Env.Cluster.Kubeconfig("admin"))
	if err != nil {
		return fmt.Errorf("reading the admin's kubeconfig: %w", err)
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	if g.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if g.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// apply applies a file, or all files of a folder, as the admin.
func (g *Gateway) apply(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, g.Env.Cluster.Tool("kubectl"), "apply", "--server-side", "--filename", path)
	cmd.Env = []string{"HOME=" + filepath.Join(g.Env.Dir, "home"), "KUBECONFIG=" + g.Env.Cluster.Kubeconfig("admin")}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("applying %s: %w\n%s", path, err, out)
	}
	return nil
}

func (g *Gateway) shutDown() error {
	if g.stop != nil {
		g.stop()
	}
	return g.Env.Stop()
}
