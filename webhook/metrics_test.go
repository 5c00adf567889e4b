package webhook

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// value returns what a counter has counted.
func value(t testing.TB, counter prometheus.Metric) float64 {
	var m dto.Metric
	require.NoError(t, counter.Write(&m))
	return m.GetCounter().GetValue()
}

func TestVerdictsAndRefusalsAreCounted(t *testing.T) {
	s := cluster{objects: shopWithConfig("info")}.server(t)
	for _, name := range []string{"update-of-the-image", "update-of-the-image-with-config", "resume-while-progressing", "create", "delete"} {
		admit(t, s, MutatePath, contractReview(t, name))
	}
	post(s, MutatePath, []byte("{"))
	require.EqualValues(t, 2, value(t, s.metrics.verdicts.WithLabelValues("mutate", "Deployment", "Held", "")))
	require.EqualValues(t, 1, value(t, s.metrics.verdicts.WithLabelValues("mutate", "Deployment", "Denied", "NotReady")))
	require.EqualValues(t, 1, value(t, s.metrics.verdicts.WithLabelValues("mutate", "Deployment", "Native", "New")))
	require.EqualValues(t, 1, value(t, s.metrics.verdicts.WithLabelValues("mutate", "other", verdictIgnored, "")))
	require.EqualValues(t, 1, value(t, s.metrics.rejected.WithLabelValues(faultJSON)))
}
