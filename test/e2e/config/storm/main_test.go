// Package storm shows what many changes, and many users of one object, do; and sluice that is killed in the middle.
package storm

import (
	"fmt"
	"net"
	"os"
	"testing"

	"sluice.dev/sluice/test/e2e/harness"
)

// env is the one control plane of this package. Its tests kill sluice, and so run one after the other.
var env *harness.Env

// metricsAddress is where sluice tells its metrics.
var metricsAddress string

func TestMain(m *testing.M) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	metricsAddress = listener.Addr().String()
	_ = listener.Close()
	flags := harness.SluiceOptions{Flags: []string{"--log-level=debug", "--metrics-address=" + metricsAddress}}
	os.Exit(harness.Run(m.Run, flags, func(e *harness.Env) { env = e }))
}
