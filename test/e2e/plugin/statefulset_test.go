package plugin

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestAReleaseOfAStatefulSetIsShownAndDriven(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("34%, 100%"))
	_, err := env.Client(t, "alice").AppsV1().StatefulSets(n.Name).Create(t.Context(), builders.MakeStatefulSet("db").Replicas(3).Obj(), metav1.CreateOptions{})
	require.NoError(t, err)
	must(t, n, "wait", "sts/db", "--for=promoted", "--timeout=60s")
	golden(t, n, "statefulset-status-before", must(t, n, "status", "sts/db"))

	n.Kubectl("set", "image", "statefulset/db", "app="+v2)
	must(t, n, "wait", "statefulset/db", "--for=held", "--timeout=60s")
	golden(t, n, "statefulset-status-held", must(t, n, "status", "sts/db"))
	golden(t, n, "statefulset-list-held", must(t, n, "list"))
	golden(t, n, "statefulset-history-held", must(t, n, "history", "sts/db"))

	golden(t, n, "statefulset-abort", must(t, n, "abort", "sts/db"))
	must(t, n, "wait", "sts/db", "--for=aborted", "--timeout=60s")
	n.Mark("db", watch.Retried)
	golden(t, n, "statefulset-retry", must(t, n, "retry", "sts/db"))
	must(t, n, "wait", "sts/db", "--for=held", "--timeout=60s")
	n.Mark("db", watch.ApprovedFull)
	golden(t, n, "statefulset-promote-full", must(t, n, "promote", "sts/db", "--full"))
	must(t, n, "wait", "sts/db", "--for=promoted", "--timeout=60s")
	golden(t, n, "statefulset-status-after", must(t, n, "status", "sts/db"))
}
