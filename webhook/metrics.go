package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics have bounded labels only: nothing that a request says becomes one.
type metrics struct {
	verdicts *prometheus.CounterVec
	// conflicts have a manager that is one of a few.
	conflicts *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	rejected  *prometheus.CounterVec
	failures  *prometheus.CounterVec
	shed      *prometheus.CounterVec
	panics    prometheus.Counter
}

// Verdicts beside canary's own.
const (
	verdictIgnored = "Ignored" // not ours to decide
	verdictChanged = "Changed" // /validate: another webhook changed what sluice had set
	verdictWarned  = "Warned"  // /warn-config: somebody uses what changes

	verdictSplit    = "Split"    // /mutate-routes: the route is split by this patch
	verdictRestored = "Restored" // /mutate-routes: this patch takes away what a route was split into
)

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		verdicts: counter("sluice_admission_verdicts_total", "Reviews that were answered.", "webhook", "kind", "verdict", "reason"),
		conflicts: counter("sluice_ownership_conflicts_total",
			"Writes by which another manager lost a claim or policy changed, by the mode that holds and the manager that asks.", "mode", "manager", "verdict"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_admission_duration_seconds",
			Help:    "Time from the arrival of a review to its answer, refused ones left out.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"webhook"}),
		rejected: counter("sluice_admission_rejected_bodies_total", "Requests that were not a review that can be decided.", "reason"),
		failures: counter("sluice_admission_failures_total", "Reviews that sluice could not decide, by webhook.", "webhook"),
		shed:     counter("sluice_admission_shed_total", "Reviews that were sent back since too many were being handled.", "webhook"),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_admission_panics_total", Help: "Panics while handling a review."}),
	}
	for _, reason := range []string{faultBody, faultTooLarge, faultTransport, faultJSON, faultReview} {
		m.rejected.WithLabelValues(reason)
	}
	for _, collector := range []prometheus.Collector{m.verdicts, m.conflicts, m.duration, m.rejected, m.failures, m.shed, m.panics} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}
