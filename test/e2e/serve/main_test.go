package serve

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2 = "example/app:v1", "example/app:v2"

// env is the one control plane of this package, in which sluice was never installed.
var env *harness.Env

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // a cold build takes its time
	defer cancel()
	var err error
	if env, err = harness.StartWithout(ctx, os.Stderr, harness.SluiceOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := env.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
