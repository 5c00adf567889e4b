// Package ownership shows on the real API server who may take which field from whom: by each verb, for
// workloads and for what an operator lists beside them.
package ownership

import (
	"os"
	"testing"

	"sluice.dev/sluice/test/e2e/harness"
)

// env is the one control plane of this package; each test has a namespace of its own.
var env *harness.Env

// flags: flux is bound to its users, and Argo CD has a second name. What comes of unknown requesters and of
// forced applies stays at its default; the other values of those two are in the tests of webhook/ownership.
var flags = []string{
	"--manager-user=flux=system:serviceaccount:flux-system:*",
	"--manager-alias=argocd-application-controller=argocd-controller",
}

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{Flags: flags}, func(e *harness.Env) { env = e }))
}
