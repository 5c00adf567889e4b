package gateway

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnswersSayWhatWasLostAndWhoAnswered(t *testing.T) {
	start := time.Unix(1000, 0)
	answer := func(second int, image string) Answer {
		return Answer{At: start.Add(time.Duration(second) * time.Second), Took: time.Second, Status: http.StatusOK, Image: image}
	}
	failed := Answer{At: start.Add(2 * time.Second), Status: http.StatusBadGateway, Reason: "Bad Gateway"}
	answers := Answers{answer(0, v1), answer(1, v2), failed, answer(3, v1), answer(4, v1)}

	require.Equal(t, Answers{failed}, answers.Lost())
	require.Equal(t, map[string]float64{v1: 75, v2: 25}, answers.Shares(), "of what was answered")
	require.Equal(t, answers[1:3], answers.Between(start.Add(time.Second), start.Add(3*time.Second)))
	last, ok := answers.LastOf(v2)
	require.True(t, ok)
	require.Equal(t, start.Add(2*time.Second), last)
	first, ok := answers.FirstOf(v1)
	require.True(t, ok)
	require.Equal(t, start, first)
	_, ok = answers.LastOf("example/app:v3")
	require.False(t, ok)
	require.Empty(t, Answers{failed}.Shares())
	require.InDelta(t, 1, answers.Rate(start.Add(5*time.Second)), 1e-9)
	require.InDelta(t, 0.5, answers.Rate(start.Add(10*time.Second)), 1e-9, "since none was sent in the end")
	require.Zero(t, Answers{}.Rate(start))
	require.True(t, Answer{Status: http.StatusOK}.Lost(), "an answer of the gateway itself is no pod's")
	require.Contains(t, failed.String(), "status 502, Bad Gateway")
}
