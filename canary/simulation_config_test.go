package canary

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"sluice.dev/sluice/hashing"
)

// version tells two pod templates apart, as Kubernetes does.
func (w WorkloadState) version() string { return w.TemplateHash + w.TemplateDigest }
func (rs ReplicaSet) version() string   { return rs.TemplateHash + rs.TemplateDigest }

func (s *simulation) digest() string { return s.digestIn(s.workload().Spec.Template) }

func (s *simulation) digestIn(template json.RawMessage) string {
	digest, err := TemplateDigest(template)
	require.NoError(s.t, err)
	return digest
}

// digestOf is what admission reads: the digest that stands for the content.
func (s *simulation) digestOf(r Review) string {
	known, err := KnownConfig(r)
	require.NoError(s.t, err)
	for _, k := range known {
		if s.content != "" && k.Digest == s.content {
			return k.Means
		}
	}
	return s.content
}

// config is one look of the config controller, with the rules of hashing/controller.
func (s *simulation) config() {
	r := s.release()
	if s.content == "" || (r != nil && (r.Phase == Promoting || r.Phase == Reverting || (r.Phase == Progressing && !r.Settled) || r.Rests())) {
		return
	}
	digest, hash := s.digest(), s.templateHash()
	before := hashing.DecodeSeen(s.workload().Metadata.Annotations)
	now, base := hashing.Seen{Digest: s.content, Streak: before.Streak}, digest
	if before.StandsFor(digest, hash) {
		base = before.Digest
	}
	switch {
	case base != "" && base != s.content:
		now.Streak++
	case before.StandsFor(digest, hash) && before.Digest == s.content:
		return
	case digest == "":
		now.Template = hash
	}
	s.notes++
	s.notef("the config controller notes %s", now.Encode())
	sent := s.d.annotated(ConfigSeenAnnotation, now.Encode())
	require.True(s.t, s.write(sent, "sluice", true, ""))
}

// checkConfig: while a release is held, the template has the digest that it is about.
func (s *simulation) checkConfig(r *Release) {
	if s.content == "" || r == nil || r.Phase == Reverting || s.templateHash() != r.Canary.Hash {
		return
	}
	require.Equal(s.t, r.Canary.Digest, s.digest(), "the template's digest is not that of the release")
	require.NotEqual(s.t, r.Stable, r.Canary, "a release of what is stable")
}

func newConfigSimulation(t reporter, n int, steps string) *simulation {
	s := newSimulation(t, n, "25%", 1, steps)
	s.content = "c1"
	s.config()
	require.Nil(t, s.release(), "a baseline rolls nothing")
	require.Equal(t, 1, s.notes)
	return s
}

// restWithConfig requires that everything is at rest, and that what runs or is held has the content that there is.
func (s *simulation) restWithConfig() {
	s.rest()
	writes, notes := s.writes, s.notes
	s.settleDown()
	require.Equal(s.t, writes, s.writes, "sluice writes in steady state")
	require.Equal(s.t, notes, s.notes, "the config controller writes in steady state")
	seen := hashing.DecodeSeen(s.workload().Metadata.Annotations)
	if r := s.release(); r != nil && (r.Phase == Promoting || r.Phase == Reverting || (r.Phase == Progressing && !r.Settled) || r.Rests()) {
		return
	}
	require.Equal(s.t, s.content, seen.Digest)
	require.True(s.t, seen.StandsFor(s.digest(), s.templateHash()))
	if digest := s.digest(); digest != "" {
		require.Equal(s.t, s.content, digest)
	}
}

func TestTrajectoriesWithConfig(t *testing.T) {
	t.Parallel()
	signs := map[string]string{
		"a config release is held": `"cause":"its config"`, "a config release is superseded": "sluice: Superseded",
		"a config release is reverted": "sluice: Reverted", "a release is aborted": `"phase":"Aborted"`, "a release ends": `"EndRelease":true`,
	}
	reached := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := newConfigSimulation(t, rapid.SampledFrom([]int{1, 3, 10}).Draw(t, "n"), rapid.SampledFrom([]string{"20%", "50%, 100%"}).Draw(t, "steps"))
		defer func() {
			if t.Failed() {
				t.Logf("history:\n%s", strings.Join(s.log, "\n"))
			}
		}()
		people := []string{"resume", "resume", "resume", "clock", "clock", "clock", "abort", "retry", "chart", "v1", "v2", "v3", "c1", "c2", "c3", "c1", "c2", "c3"}
		for range rapid.IntRange(40, 250).Draw(t, "length") {
			action := rapid.SampledFrom([]string{"native", "pods", "pods", "sluice", "sluice", "config"}).Draw(t, "controller")
			if rapid.IntRange(0, 14).Draw(t, "who") == 0 {
				action = rapid.SampledFrom(people).Draw(t, "action")
			}
			s.act(t, action)
		}
		s.restWithConfig()
		for what, sign := range signs {
			if strings.Contains(strings.Join(s.log, "\n"), sign) {
				reached[what]++
			}
		}
	})
	for what := range signs {
		require.NotZero(t, reached[what], "no trajectory went through %q: this test shows nothing about it", what)
	}
}

// TestConfigChangesAtEveryMoment changes the config after every single step of a release of config that is approved as
// soon as it waits.
func TestConfigChangesAtEveryMoment(t *testing.T) {
	t.Parallel()
	for _, actions := range [][]string{
		{"c1"}, {"c3"}, {"c1", "config"}, {"c3", "config"}, {"c3", "config", "c1", "config"}, {"abort", "config", "c1", "config"},
		{"abort", "c1", "config", "c3"}, {"abort", "retry", "c3", "config"}, {"v3"}, {"v3", "c1"}, {"c3", "v3"}, {"v3", "settle", "v1"}, {"v3", "c3", "settle", "v1", "c1"}, {"c1", "config", "c2", "config"},
	} {
		for moment := 0; ; moment++ {
			over := false
			name := fmt.Sprintf("%v after step %d", actions, moment)
			if !t.Run(name, func(t *testing.T) { over = configAt(t, moment, actions) }) || over {
				break
			}
		}
	}
}

func configAt(t *testing.T, moment int, actions []string) (over bool) {
	s := newConfigSimulation(t, 3, "50%, 100%")
	defer func() {
		if t.Failed() {
			t.Logf("history:\n%s", strings.Join(s.log, "\n"))
		}
	}()
	s.user("c2")
	s.config()
	require.NotNil(t, s.release())
	for i := range moment {
		switch i % 3 {
		case 0:
			s.now = s.now.Add(2 * time.Second)
			s.sluice()
		case 1:
			s.native()
		case 2:
			for _, set := range s.sets {
				s.pods(set)
			}
		}
		s.check()
		r := s.release()
		if r == nil {
			return true
		}
		if r.Phase == Waiting && r.ApprovedBy(r.Step) == "" {
			s.user("resume")
		}
	}
	for _, action := range actions {
		s.user(action)
		s.check()
	}
	s.restWithConfig()
	return false
}
