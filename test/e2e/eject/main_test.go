// Package eject takes workloads out of sluice on a real control plane: in every phase of a release, in
// every way, with sluice dead and alive.
package eject

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

const (
	v1, v2, v3    = "example/app:v1", "example/app:v2", "example/app:v3"
	late, unready = "example/late-2s:v2", "example/unready:v2"
)

// env is the one control plane of this package; each test has a namespace of its own.
var env *harness.Env

// together is how many tests run at once: those that need a dead sluice reach their phases with a living
// one, and wait for each other.
const together = "20"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", together); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) {
		env = e
		if err := e.BuildPlugin(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) // the control plane ends with this process
		}
	}))
}

// revive starts sluice again where an earlier test killed it, which also registers its webhooks.
func revive(t *testing.T) {
	t.Helper()
	env.Sluice().Kill()
	_, err := env.StartSluice(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
}

// scenario is what one test does before and after sluice dies.
type scenario struct {
	name   string
	before func(t *testing.T) (after func())
}

// atOnce is how many scenarios share a death: sluice's client gives up on what is held for longer than the
// machine needs to bring so many to their phase.
const atOnce = 8

// whileDead runs scenarios in parallel, each up to its phase with a living sluice, which then dies for all
// of them.
func whileDead(t *testing.T, scenarios []scenario) {
	t.Helper()
	slices.SortFunc(scenarios, func(a, b scenario) int { return strings.Compare(a.name, b.name) })
	for group := range slices.Chunk(scenarios, atOnce) {
		revive(t)
		var coming sync.WaitGroup
		dead := make(chan struct{})
		t.Run("together", func(t *testing.T) {
			for _, s := range group {
				t.Run(s.name, func(t *testing.T) {
					coming.Add(1) // all of them, before the first goes on
					t.Parallel()
					here := sync.OnceFunc(coming.Done)
					defer here()
					after := s.before(t)
					here()
					<-dead
					after()
				})
			}
			go func() {
				coming.Wait()
				env.Sluice().Kill()
				close(dead)
			}()
		})
	}
}

// judge requires that the namespace's history has no violation, but for what eject does on purpose: it owns
// fields between its first write and its last, and leaves a StatefulSet behind the closed partition.
func judge(t *testing.T, n *harness.Namespace) {
	t.Helper()
	for _, v := range n.Violations(t.Context()) {
		owns := v.Rule == "ownership" && strings.Contains(v.Message, canary.EjectManager)
		closed := v.Rule == "restored" && strings.Contains(v.Message, "the partition is 2147483647 after")
		if !owns && !closed {
			t.Errorf("at revision %d: rule %q: %s", v.Revision, v.Rule, v.Message)
		}
	}
}

// requirePlain requires that nothing of sluice's is on a workload or in its status, but for its policy.
func requirePlain(t *testing.T, object metav1.Object, optedOut bool) {
	t.Helper()
	for key, value := range object.GetLabels() {
		if strings.HasPrefix(key, "sluice.dev/") && !(optedOut && key == canary.EnabledLabel && value == "false") {
			t.Errorf("%s has the label %s=%s", object.GetName(), key, value)
		}
	}
	for key, value := range object.GetAnnotations() {
		if strings.HasPrefix(key, "sluice.dev/") {
			t.Errorf("%s has the annotation %s=%s", object.GetName(), key, value)
		}
	}
	for _, entry := range object.GetManagedFields() {
		if entry.Manager == canary.EjectManager {
			t.Errorf("%s still has fields of %s: %s", object.GetName(), entry.Manager, entry.FieldsV1)
		}
	}
	for _, kind := range conditions(t, object) {
		require.False(t, canary.Condition{Type: kind}.OfOurType(), "%s has the condition %s", object.GetName(), kind)
	}
	if optedOut {
		require.Equal(t, "false", object.GetLabels()[canary.EnabledLabel])
	}
}

// conditions returns the types of those in a workload's status.
func conditions(t *testing.T, object metav1.Object) []string {
	t.Helper()
	var types []string
	switch w := object.(type) {
	case *appsv1.Deployment:
		for _, condition := range w.Status.Conditions {
			types = append(types, string(condition.Type))
		}
	case *appsv1.StatefulSet:
		for _, condition := range w.Status.Conditions {
			types = append(types, string(condition.Type))
		}
	default:
		require.Fail(t, "this is no workload", "%T", object)
	}
	return types
}

// requireNothingMarked requires that sluice left nothing that it made.
func requireNothingMarked(t *testing.T, n *harness.Namespace) {
	t.Helper()
	options := metav1.ListOptions{LabelSelector: canary.WorkloadLabel}
	sets, err := n.Admin.AppsV1().ReplicaSets(n.Name).List(t.Context(), options)
	require.NoError(t, err)
	records, err := n.Admin.AppsV1().ControllerRevisions(n.Name).List(t.Context(), options)
	require.NoError(t, err)
	for _, rs := range sets.Items {
		t.Errorf("replica set %s has labels of sluice: %v", rs.Name, rs.Labels)
	}
	for _, record := range records.Items {
		t.Errorf("controller revision %s is left", record.Name)
	}
}

// ejected runs `kubectl sluice eject` as an administrator and requires it to succeed.
func ejected(t *testing.T, n *harness.Namespace, args ...string) harness.Result {
	t.Helper()
	r := n.Plugin("admin", append([]string{"eject", "--yes", "--timeout=60s"}, args...)...)
	require.Zero(t, r.Code, r.String())
	return r
}
