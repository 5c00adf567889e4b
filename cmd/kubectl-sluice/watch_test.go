package main

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
)

// screenshot is an output that a test looks at while it is written.
type screenshot struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screenshot) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screenshot) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// watchRelease runs `status --watch` until the test has seen what it wants of each version, then presses Ctrl-C.
func watchRelease(t *testing.T, w *world, versions story, wants []string, args ...string) string {
	t.Helper()
	s, shot := newSession(w.objects()...), &screenshot{}
	ctx, interrupt := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, s.plugin(shot), append([]string{"kubectl-sluice", "--server=https://cluster.example", "-n", namespace, "status", "deploy/web", "--watch"}, args...))
	}()
	for i, want := range wants {
		require.Eventually(t, func() bool {
			s.clock.Step(gather) // time passes
			return strings.Count(shot.String(), want) > 0
		}, 20*time.Second, time.Millisecond, "%s in:\n%s", want, shot)
		if i < len(versions) {
			s.tell(t, w, versions[i:i+1])
		}
	}
	interrupt()
	require.Equal(t, interrupted, <-code)
	require.Empty(t, s.err.String())
	return shot.String()
}

var (
	release = story{waiting, promoting, promoted}
	says    = []string{"release 5 Progressing", "release 5 Waiting", "release 5 Promoting", "there is no release"}
)

func TestWithoutATerminalEachChangeIsALine(t *testing.T) {
	w := newWorld()
	progressing(w)
	got := watchRelease(t, w, release, says)
	require.Equal(t, `deployment/web: release 5 Progressing, step 1/3, pods 1/1: step 1 of 3: 1 of 1 canary pods are available
deployment/web: release 5 Waiting, step 1/3, pods 1/1: step 1 of 3 waits for approval
deployment/web: release 5 Promoting, step 3/3, pods 1/1: every step is over: 1 of 5 pods run the new version
deployment/web: there is no release: the version that runs is the stable one
`, got)
}

func TestAProgramThatWatchesGetsDocuments(t *testing.T) {
	w := newWorld()
	progressing(w)
	yaml := watchRelease(t, w, story{waiting}, []string{"phase: Progressing", "phase: Waiting"}, "-o", "yaml")
	require.Equal(t, 1, strings.Count(yaml, "\n---\n"))
	require.Equal(t, 2, strings.Count(yaml, "kind: ReleaseStatus\n"))
	golden(t, "watched.yaml", yaml)

	w = newWorld()
	progressing(w)
	json := watchRelease(t, w, story{waiting}, []string{`"phase": "Progressing"`, `"phase": "Waiting"`}, "-o", "json")
	require.Equal(t, 2, strings.Count(json, `"kind": "ReleaseStatus"`))
	require.Contains(t, json, "}\n{\n")
}

func TestAWatchEndsWithItsWorkload(t *testing.T) {
	s, shot := newSession(newWorld().objects()...), &screenshot{}
	code := make(chan int, 1)
	go func() {
		code <- run(t.Context(), s.plugin(shot), []string{"kubectl-sluice", "--server=https://cluster.example", "-n", namespace, "status", "deploy/web", "--watch"})
	}()
	require.True(t, s.watched(t.Context()))
	require.NoError(t, s.client.Tracker().Delete(appsv1.SchemeGroupVersion.WithResource("deployments"), namespace, "web"))
	require.Eventually(t, func() bool {
		s.clock.Step(again)
		return len(code) > 0
	}, 20*time.Second, time.Millisecond)
	require.Equal(t, 1, <-code)
	require.Equal(t, "error: deployment/web does not exist in namespace shop; look with: kubectl get deployments -n shop\n", s.err.String())
}

// again is longer than anything that a watch waits for.
const again = 2 * time.Second
