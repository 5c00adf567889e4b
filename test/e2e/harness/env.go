package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"sluice.dev/sluice/test/cluster"
)

// Env is one control plane with a proxy in front of it for sluice.
type Env struct {
	Cluster *cluster.Cluster
	Proxy   *Proxy
	// Dir is a folder for whatever belongs to this Env. It is below the cluster's, which goes when this
	// process ends, however it ends.
	Dir    string
	binary string
	opts   SluiceOptions

	sluice atomic.Pointer[Sluice] // the one that serves
	count  atomic.Int64           // of namespaces, for their names
}

// Start builds sluice, starts a control plane and sluice in it. What it started ends with Stop, and with
// this process if that dies.
func Start(ctx context.Context, log io.Writer, opts SluiceOptions) (*Env, error) {
	e, err := StartWithout(ctx, log, opts)
	if err != nil {
		return nil, err
	}
	if _, err := e.StartSluice(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// StartWithout starts a control plane as Start does, in which sluice was never installed.
func StartWithout(ctx context.Context, log io.Writer, opts SluiceOptions) (*Env, error) {
	options := opts.Cluster
	options.Log = log
	c, err := cluster.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	e := &Env{Cluster: c, Dir: filepath.Join(c.Dir(), "e2e"), opts: opts}
	if err := os.Mkdir(e.Dir, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("creating the folder of the tests: %w", err), e.Stop())
	}
	if e.binary, err = build(ctx, e.Dir); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	if e.Proxy, err = startProxy(e.Cluster); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	if err := e.Proxy.writeKubeconfig(filepath.Join(e.Dir, "sluice.kubeconfig")); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// Stop ends everything and removes what it left on disk.
func (e *Env) Stop() error {
	if s := e.sluice.Load(); s != nil {
		s.Kill()
	}
	if e.Proxy != nil {
		e.Proxy.close()
	}
	return e.Cluster.Stop()
}

// parallel is how many tests run at once unless -parallel says otherwise: most of a test is waiting for
// the controllers.
const parallel = 6

// Parallel sets how many tests run at once, unless -parallel was given or Parallel was called before.
func Parallel(tests int) {
	if !flag.Parsed() { // a second time would undo what was set
		flag.Parse()
	}
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if set {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(tests)); err != nil {
		panic("this is a bug: " + err.Error())
	}
}

// Run is TestMain: it starts an Env, hands it to use, runs the tests and returns the exit code.
func Run(run func() int, opts SluiceOptions, use func(*Env)) int {
	Parallel(parallel)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // a cold build takes its time
	defer cancel()
	env, err := Start(ctx, os.Stderr, opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(env)
	code := run()
	if err := env.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Root returns the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Chart returns the folder of the sample chart.
func Chart() string { return filepath.Join(Root(), "test", "charts", "web") }

func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "sluice")
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", binary, "./cmd/sluice")
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building sluice: %w\n%s", err, out)
	}
	return binary, nil
}
