package ownership

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// BenchmarkDecide measures what judging a write costs, for a Deployment of three containers with five
// owners (4 KB of JSON each, a half of it managedFields): most writes leave most entries as they were, the
// last one changes all five.
//
//	go test ./webhook/ownership -run '^$' -bench Decide -benchmem
func BenchmarkDecide(b *testing.B) {
	live := benchmarkDeployment()
	for _, bench := range []struct {
		name  string
		write write
		want  Verdict
	}{
		{"nothing changes", write{manager: "ci"}, Allowed},
		{"a field that nobody owns", write{manager: "ci", edit: set("batch", "metadata", "labels", "job")}, Allowed},
		{"the owner's own field", write{manager: "flux", edit: set("2", image("app")...)}, Allowed},
		{"a field of another, no field manager", write{manager: "ci", unnamed: true, edit: set("2", image("app")...)}, Denied},
		{"a field of another", write{manager: "ci", edit: set("2", image("app")...)}, Denied},
		{"a field of each of five", write{manager: "ci", edit: func(o manifest) {
			set("2", image("app")...)(o)
			set("2", image("proxy")...)(o)
			set("x", "metadata", "annotations", "example.com/owner")(o)
			set("x", "metadata", "labels", "tier")(o)
			set(int64(9), "spec", "replicas")(o)
		}}, Denied},
	} {
		review := bench.write.review(b, live)
		namespace := map[string]string{ModeAnnotation: "enforce", ProtectAnnotation: "helm"}
		run := func(b *testing.B, untraced bool) {
			b.ReportAllocs()
			before := processCPU(b)
			for b.Loop() {
				comparison, err := Compare(review, Operator{})
				require.NoError(b, err)
				contested, err := comparison.Contested()
				require.NoError(b, err)
				require.Equal(b, bench.want == Denied, contested)
				if contested {
					decision, err := comparison.Decide(namespace)
					require.NoError(b, err)
					require.Equal(b, bench.want, decision.Verdict)
					decision.Message()
				}
				if untraced {
					_, err = comparison.Untraced()
					require.NoError(b, err)
				}
			}
			b.ReportMetric(float64((processCPU(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
		}
		b.Run(bench.name, func(b *testing.B) { run(b, false) })
		b.Run(bench.name+", with Untraced", func(b *testing.B) { run(b, true) })
	}
}

// processCPU is the CPU time of this process, garbage collection included: on a busy machine time by the
// clock says little.
func processCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchmarkDeployment() manifest {
	m := model{
		Labels:         map[string]string{"app": "web", "example.com/team": "shop", "tier": "front"},
		Annotations:    map[string]string{"note": "n", "example.com/owner": "shop", "meta.helm.sh/release-name": "web"},
		TemplateLabels: map[string]string{"app": "web"}, Replicas: 3, Grace: 30,
		Volumes: []pair{{"config", "configMap"}, {"tmp", "emptyDir"}},
	}
	for _, name := range []string{"app", "proxy", "agent"} {
		c := containerModel{Name: name, Image: "registry.example/" + name + ":1.0", CPU: "1", Args: []string{"--verbose"}, Ports: []string{"80/TCP"}}
		for i := range 5 {
			c.Env = append(c.Env, pair{fmt.Sprintf("SETTING_%d", i), "a value of some length"})
		}
		m.Containers = append(m.Containers, c)
	}
	live := m.object()
	part := func(of model) *fieldpath.Set { return deployments.fieldSet(of.object()) }
	main, side := m, model{Containers: m.Containers[1:]}
	main.Containers, main.Labels, main.Annotations, main.Replicas = m.Containers[:1], map[string]string{"app": "web"}, nil, 0
	return withClaims(live, []metav1.ManagedFieldsEntry{
		claim(Owner{Manager: "flux", Operation: apply}, part(main)),
		claim(Owner{Manager: "mesh", Operation: apply}, part(side)),
		claim(Owner{Manager: "helm", Operation: update, APIVersion: "apps/v1"}, part(model{Annotations: m.Annotations, Volumes: m.Volumes})),
		claim(Owner{Manager: "kubectl-label", Operation: update, APIVersion: "apps/v1"}, part(model{Labels: map[string]string{"tier": "front", "example.com/team": "shop"}})),
		claim(Owner{Manager: controllerManager, Operation: update, APIVersion: "apps/v1", Subresource: scale}, part(model{Replicas: 3})),
	})
}

// BenchmarkDecideBySize measures how the cost of judging a write grows with the object: a ConfigMap of an applier,
// of whose n keys all, or one, get another value.
func BenchmarkDecideBySize(b *testing.B) {
	for _, keys := range []int{100, 1000, 10_000} {
		data := func(value string, changed int) func(manifest) {
			return func(o manifest) {
				for i := range changed {
					set(value, "data", fmt.Sprintf("key-%05d", i))(o)
				}
			}
		}
		live := unknowns.history(b, applied("flux", data("1", keys)))
		for name, changed := range map[string]int{"one of": 1, "all of": keys} {
			review := write{server: &unknowns, manager: "ci", edit: data("2", changed)}.review(b, live)
			b.Run(fmt.Sprintf("%s %d keys", name, keys), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					decision, err := decide(review, map[string]string{ModeAnnotation: "enforce"}, Operator{})
					require.NoError(b, err)
					require.Equal(b, Denied, decision.Verdict)
					_, err = untracedIn(review)
					require.NoError(b, err)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(keys), "ns/key")
			})
		}
	}
}
