// Package gitops shows what tools that know nothing of sluice read of a workload with a release: kubectl
// wait and rollout status, Flux and Helm 4 by kstatus, Argo CD by its health check.
package gitops

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2, v3, unready = "example/app:v1", "example/app:v2", "example/app:v3", "example/unready:v2"

// env is the one control plane of this package; each test has a namespace of its own.
var env *harness.Env

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}
