// Package ownership shows what becomes of a write that takes fields of others.
package ownership

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/e2e/harness"
)

// env is the one control plane of this package; each test has a namespace of its own.
var env *harness.Env

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}
