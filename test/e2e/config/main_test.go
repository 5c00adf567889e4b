// Package config shows what a change of a ConfigMap or Secret does to the workloads that use it.
package config

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2 = "example/app:v1", "example/app:v2"

// env is the one control plane of this package; each test has a namespace of its own.
var env *harness.Env

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}
