package traffic

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2, v3 = "example/app:v1", "example/app:v2", "example/app:v3"

// plane is the one data plane of this package.
var plane *gateway.Gateway

func TestMain(m *testing.M) {
	harness.Parallel(3) // apps with two hundred requests a second each
	os.Exit(gateway.Run(m.Run, harness.SluiceOptions{}, func(g *gateway.Gateway) { plane = g }))
}
