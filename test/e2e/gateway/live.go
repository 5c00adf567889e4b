package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// apiAddress is where Traefik tells what it does.
const apiAddress = "127.0.0.1:8001"

// CanaryWeight returns which share of the requests to the route "web" of a namespace Traefik gives to a canary now,
// in percent: what is in force, whatever is stored. 0 where it knows no canary.
func (g *Gateway) CanaryWeight(t testing.TB, namespace string) float64 {
	t.Helper()
	var services []struct {
		Name     string
		Weighted struct {
			Services []struct {
				Name   string
				Weight *int
			}
		}
	}
	client := http.Client{Timeout: patience}
	response, err := client.Get("http://" + apiAddress + "/api/http/services?per_page=10000")
	require.NoError(t, err)
	defer response.Body.Close()
	require.NoError(t, json.NewDecoder(response.Body).Decode(&services))
	canary, total := 0, 0
	for _, s := range services {
		if !strings.Contains(s.Name, namespace+"-web") {
			continue
		}
		for _, backend := range s.Weighted.Services {
			weight := 1
			if backend.Weight != nil {
				weight = *backend.Weight
			}
			total += weight
			if strings.Contains(backend.Name, "-canary") {
				canary += weight
			}
		}
	}
	if total == 0 {
		return 0
	}
	return 100 * float64(canary) / float64(total)
}

// AwaitCanaryWeight returns when Traefik gives this share to the canary of a namespace, and how long that took.
func (g *Gateway) AwaitCanaryWeight(t testing.TB, namespace string, percent float64) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		now := g.CanaryWeight(t, namespace)
		if now == percent {
			return time.Since(begun)
		}
		require.Less(t, time.Since(begun), time.Minute, fmt.Sprintf("Traefik gives %.0f %% to the canary and not %.0f", now, percent))
		select {
		case <-t.Context().Done():
			require.NoError(t, t.Context().Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
