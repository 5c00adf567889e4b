package serve

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/test/cluster"
	"sluice.dev/sluice/test/e2e/harness"
)

// replica is one process of `sluice serve`, in the place of a pod.
type replica struct {
	webhook, health, metrics string // addresses
	log                      string // file
	cmd                      *exec.Cmd
	done                     chan struct{}
}

// shutdownDelay is shorter than the Deployment's, as the balancer is faster than a kubelet and the endpoints'
// controllers.
const shutdownDelay = 10 * time.Second

// startReplica runs what the Deployment's container runs, on ports of its own.
func startReplica(t *testing.T, d *appsv1.Deployment, kubeconfig, name string) *replica {
	t.Helper()
	addresses := freeAddresses(t, 3)
	r := &replica{
		webhook: addresses[0], health: addresses[1], metrics: addresses[2],
		log: filepath.Join(env.Dir, name+".log"), done: make(chan struct{}),
	}
	_, port, err := net.SplitHostPort(r.webhook)
	require.NoError(t, err)
	container := d.Spec.Template.Spec.Containers[0]
	args := append(append([]string{}, container.Args...),
		"--kubeconfig", kubeconfig, "--webhook-host", "127.0.0.1", "--webhook-port", port,
		"--health-address", r.health, "--metrics-address", r.metrics,
		"--certificate-hosts", host, "--shutdown-delay", shutdownDelay.String())
	r.cmd = exec.Command(filepath.Join(env.Dir, "sluice"), args...)
	for _, variable := range container.Env {
		r.cmd.Env = append(r.cmd.Env, variable.Name+"="+variable.Value)
	}
	log, err := os.Create(r.log)
	require.NoError(t, err)
	defer log.Close()
	r.cmd.Stdout, r.cmd.Stderr = log, log
	require.NoError(t, startChild(r.cmd))
	go func() {
		_ = r.cmd.Wait() // how it ended is in its ProcessState
		close(r.done)
	}()
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("the last lines of %s:\n%s", name, harness.Tail(r.log, 40))
		}
	})
	return r
}

// kill ends it with SIGKILL and returns when it is gone.
func (r *replica) kill() {
	_ = r.cmd.Process.Kill() // an error says that it has ended
	<-r.done
}

// terminate asks it to end, as a kubelet does; exited waits until it has and returns how.
func (r *replica) terminate(t *testing.T) { t.Helper(); r.signal(t, syscall.SIGTERM) }

func (r *replica) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(s))
}

func (r *replica) exited(t *testing.T) int {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		require.Fail(t, "sluice does not end", harness.Tail(r.log, 40))
	}
	return r.cmd.ProcessState.ExitCode()
}

var probing = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := probing.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", url, response.Status, content)
	}
	return string(content), err
}

// ready is nil when /readyz is 200.
func (r *replica) ready(ctx context.Context) error {
	_, err := get(ctx, "http://"+r.health+"/readyz")
	return err
}

var leads = regexp.MustCompile(`(?m)^leader_election_master_status\{name="sluice-leader"\} 1$`)

// leads tells whether it holds the Lease, as its metrics say. One that has ended does not.
func (r *replica) leads(ctx context.Context) (bool, error) {
	select {
	case <-r.done:
		return false, nil
	default:
	}
	metrics, err := get(ctx, "http://"+r.metrics+"/metrics")
	return leads.MatchString(metrics), err
}

// given are the addresses that freeAddresses returned: whoever got one may not listen on it yet.
var given = map[string]bool{}

// freeAddresses returns loopback addresses that nobody listens on or is going to.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for len(addresses) < n {
		address, err := cluster.FreeAddress()
		require.NoError(t, err)
		if !given[address] {
			given[address] = true
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// startChild starts a process that ends with this one, however this one ends. The kernel ties that to
// the thread that starts the child, so one thread does it and never ends.
func startChild(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	result := make(chan error)
	starter() <- func() { result <- cmd.Start() }
	return <-result
}

var starter = sync.OnceValue(func() chan<- func() {
	starts := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
	return starts
})
