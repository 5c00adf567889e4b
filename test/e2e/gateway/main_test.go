package gateway

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2 = "example/app:v1", "example/app:v2"

// gateway is the one data plane of this package.
var gateway *Gateway

func TestMain(m *testing.M) {
	os.Exit(Run(m.Run, harness.SluiceOptions{}, func(g *Gateway) { gateway = g }))
}
