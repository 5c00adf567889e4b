package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice.dev/sluice/test/cluster/tools"
	"sluice.dev/sluice/test/e2e/harness"
)

// insideEnv tells the test binary that it is inside the namespace, and where the definitions of the Gateway API are.
const insideEnv = "SLUICE_GATEWAY_DEFINITIONS"

// isolate runs this binary again in a network namespace and returns its exit code. What needs the network outside
// is done before.
func isolate(ctx context.Context) (int, error) {
	definitions, err := fetch(ctx)
	if err != nil {
		return 1, err
	}
	cmd, err := startInside(insideEnv + "=" + definitions)
	if err != nil {
		return 1, err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range interrupts {
			_ = cmd.Process.Signal(s) // it may have ended
		}
	}()
	err = cmd.Wait()
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		return 1, fmt.Errorf("waiting for the tests in the network namespace: %w", err)
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code, nil
	}
	return 1, fmt.Errorf("the tests in the network namespace ended: %s", cmd.ProcessState)
}

// startInside starts this binary in a network namespace. The thread stays: the kernel ends the child with it.
func startInside(env string) (*exec.Cmd, error) {
	runtime.LockOSThread()
	var errs []error
	for _, attributes := range waysInside() {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Args[0] = os.Args[0]
		cmd.Env = append(os.Environ(), env)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = attributes
		err := cmd.Start()
		if err == nil {
			return cmd, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("making a network namespace; be root, or allow user namespaces: %w", errors.Join(errs...))
}

// waysInside: root may make a network namespace; others may as the root of a user namespace of their own, and so
// may a root without the capability.
func waysInside() []*syscall.SysProcAttr {
	user := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		return []*syscall.SysProcAttr{user}
	}
	return []*syscall.SysProcAttr{{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}, user}
}

// fetch builds all programs, downloads what sluice is built from, and returns the folder of the definitions of the
// Gateway API, which are taken from the module that sluice is built with.
func fetch(ctx context.Context) (string, error) {
	cache, err := tools.Open()
	if err != nil {
		return "", err
	}
	if err := cache.Build(ctx, os.Stderr, traefik); err != nil {
		return "", err
	}
	if _, err := goCommand(ctx, "build", "-o", os.DevNull, "./cmd/sluice", "./cmd/kubectl-sluice"); err != nil {
		return "", err
	}
	out, err := goCommand(ctx, "mod", "download", "-json", "sigs.k8s.io/gateway-api")
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("finding the module of the Gateway API: %w", err)
	}
	return filepath.Join(module.Dir, "config", "crd", "standard"), nil
}

func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = harness.Root()
	out, err := cmd.Output()
	if exit := (&exec.ExitError{}); errors.As(err, &exit) {
		err = fmt.Errorf("%w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("running go %s: %w", args[0], err)
	}
	return out, nil
}

// pods are the addresses that pods get.
var pods = netip.MustParsePrefix("10.244.0.0/16")

// raiseLoopback switches the loopback device on and makes the pods' addresses local, as
// `ip link set lo up; ip address add 10.244.0.0/16 dev lo` does: all addresses of a loopback device's network are
// its own.
func raiseLoopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket for the loopback device: %w", err)
	}
	defer unix.Close(socket)
	address, mask := pods.Addr().As4(), [4]byte{255, 255, 0, 0}
	return errors.Join(
		configure(socket, "lo", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }),
		configure(socket, "lo:pods", unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(address[:]) }),
		configure(socket, "lo:pods", unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask[:]) }),
	)
}

func configure(socket int, device string, what uint, set func(*unix.Ifreq) error) error {
	request, err := unix.NewIfreq(device)
	if err == nil {
		err = set(request)
	}
	if err == nil {
		err = unix.IoctlIfreq(socket, what, request)
	}
	if err != nil {
		return fmt.Errorf("configuring %s (%#x): %w", device, what, err)
	}
	return nil
}
