package crash

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2, v3 = "example/app:v1", "example/app:v2", "example/app:v3"

// env is the one control plane of this package; its tests do not run in parallel.
var env *harness.Env

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}

// web is a Deployment of four pods of v1.
func web() *builders.DeploymentBuilder {
	return builders.MakeDeployment("web").Replicas(4).RollingUpdate("1", "0")
}

// db is a StatefulSet of three pods of v1, made in order.
func db() *builders.StatefulSetBuilder { return builders.MakeStatefulSet("db").Replicas(3) }
