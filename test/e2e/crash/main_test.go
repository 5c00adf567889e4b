package crash

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2, v3 = "example/app:v1", "example/app:v2", "example/app:v3"

// env is the one control plane of this package. Its tests do not run in parallel, but the runs of a sweep.
var env *harness.Env

// parallel runs are ended by each other's crashes too: with more of them sluice would hardly ever live.
const parallel = 4

func TestMain(m *testing.M) {
	harness.Parallel(parallel)
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}

// web is a Deployment of four pods of v1.
func web() *builders.DeploymentBuilder {
	return builders.MakeDeployment("web").Replicas(4).RollingUpdate("1", "0")
}

// db is a StatefulSet of three pods of v1, made in order.
func db() *builders.StatefulSetBuilder { return builders.MakeStatefulSet("db").Replicas(3) }
