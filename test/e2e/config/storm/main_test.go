// Package storm shows what many changes, and many users of one object, do; and sluice that is killed in the middle.
package storm

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/e2e/harness"
)

// env is the one control plane of this package. Its tests kill sluice, and so run one after the other.
var env *harness.Env

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}
