package certs

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type planner = func(Stored, Observed, time.Time, Timing) Step

// trajectory is three replicas over a year and more: staggered looks at the cluster,
// clocks that differ, replicas cut off for days, crashes before and after any
// write, and now and then someone who deletes the Secret.
type trajectory struct {
	t        *testing.T
	cluster  *cluster
	plan     planner
	random   *rand.Rand
	replicas []*member
	history  []trusted
	acting   int  // the replica whose round it is
	crash    bool // it has crashed
	nested   bool // another one's round goes on inside its own

	writes, checks, crashes int
	verified                map[string]bool
	violations              []string
}

type member struct {
	*Authority
	skew time.Duration
	next time.Time
}

// trusted is what the configurations held from an instant on.
type trusted struct {
	from  time.Time
	hooks Observed
}

func newTrajectory(t *testing.T, seed uint64, plan planner) *trajectory {
	w := &trajectory{
		t: t, cluster: newCluster(mutating(nil, nil), validating(nil)), plan: plan,
		random: rand.New(rand.NewPCG(seed, 1)), verified: map[string]bool{},
	}
	w.cluster.write = w.write
	for i := range 3 {
		m := &member{skew: time.Duration(i-1) * 5 * time.Minute, next: start.Add(time.Duration(i) * time.Minute)}
		w.restart(m)
		w.replicas = append(w.replicas, m)
	}
	return w
}

func (w *trajectory) restart(m *member) {
	m.Authority = w.cluster.replica(options(), m.skew)
	m.plan = w.plan
}

// write is how a planned write ends: late, after another replica's whole round,
// with a crash before or after it, or well.
func (w *trajectory) write(_ int, _ string, apply func() error) error {
	if w.crash { // a crashed process writes nothing more
		return errRefused
	}
	if !w.nested && w.random.IntN(3) == 0 {
		w.nested = true
		w.cluster.clock.advance(time.Duration(w.random.IntN(int(roundTimeout))))
		_, err := w.replicas[(w.acting+1+w.random.IntN(2))%3].round(context.Background())
		require.NoError(w.t, err)
		w.nested = false
	}
	if w.nested || w.random.IntN(8) > 0 {
		return apply()
	}
	if w.random.IntN(2) == 0 {
		_ = apply()
	}
	w.crash = true
	return errRefused
}

// run lets the replica act that is due, until the end, and checks after each act.
func (w *trajectory) run(length time.Duration) {
	for end := start.Add(length); w.cluster.clock.now().Before(end) && len(w.violations) == 0; {
		w.acting = 0
		for i, m := range w.replicas {
			if m.next.Before(w.replicas[w.acting].next) {
				w.acting = i
			}
		}
		due := w.replicas[w.acting]
		if at := w.cluster.clock.now(); due.next.After(at) {
			w.cluster.clock.advance(due.next.Sub(at))
		}
		w.act(due)
		w.check()
	}
}

func (w *trajectory) act(m *member) {
	w.crash = false
	wait, err := m.round(context.Background())
	m.next = w.cluster.clock.now().Add(max(wait, 20*time.Minute) + time.Duration(w.random.IntN(600))*time.Second)
	switch {
	case w.crash:
		w.crashes++
		w.restart(m)
		return
	case err != nil:
		require.NoError(w.t, err)
	case w.random.IntN(15) == 0: // cut off from the API server, longer than a leaf lives
		m.next = m.next.Add(time.Duration(w.random.IntN(10)) * day)
	case w.random.IntN(1500) == 0:
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: DefaultSecretName}}
		require.NoError(w.t, w.cluster.Delete(context.Background(), secret))
	}
}

// check holds every leaf that is served against all that any API server may
// still believe: what the configurations held within the propagation time.
func (w *trajectory) check() {
	now := w.cluster.clock.now()
	if len(w.history) == 0 && !w.anyoneReady() {
		return // still installing: no webhook was ever trusted
	}
	if len(w.history) == 0 || w.writes != len(w.cluster.writes) {
		w.writes = len(w.cluster.writes)
		w.history = append(w.history, trusted{now, w.cluster.bundles(w.t)})
	}
	for len(w.history) > 1 && !w.history[1].from.After(now.Add(-quick.Propagation)) {
		w.history = w.history[1:]
	}
	for i, m := range w.replicas {
		leaf := m.leaf.Load()
		if leaf == nil || expired(leaf.Leaf, now.Add(m.skew+quick.Skew)) {
			continue // its Ready says so
		}
		for _, past := range w.history {
			w.verify(fmt.Sprintf("replica %d at %s, bundle since %s", i, now, past.from), leaf.Leaf, past)
		}
	}
}

// verify checks a pair once: a leaf ends no later than its CA, so that time
// alone changes no verdict.
func (w *trajectory) verify(who string, leaf *x509.Certificate, past trusted) {
	pair := leaf.SerialNumber.String() + past.from.String()
	w.checks++
	if w.verified[pair] {
		return
	}
	w.verified[pair] = true
	for _, bundle := range past.hooks {
		if err := bundle.verify(leaf, nil, w.cluster.clock.now()); err != nil {
			w.violations = append(w.violations, who+": "+err.Error())
		}
	}
}

func (w *trajectory) anyoneReady() bool {
	for _, m := range w.replicas {
		if m.Ready() == nil {
			return true
		}
	}
	return false
}

func TestEveryLeafIsTrustedAtEveryInstant(t *testing.T) {
	for seed := range uint64(2) {
		signers := map[string]bool{}
		w := newTrajectory(t, seed, func(s Stored, o Observed, now time.Time, timing Timing) Step {
			if s.Signing != nil {
				signers[s.Signing.Certificate.SerialNumber.String()] = true
			}
			return Plan(s, o, now, timing)
		})
		w.run(400 * day)
		require.Empty(t, w.violations)
		t.Logf("seed %d: %d leaf and bundle pairs, %d CAs, %d crashes, %d writes", seed, w.checks, len(signers), w.crashes, len(w.cluster.writes))
		require.Greater(t, len(signers), 5, "CAs that signed")
		require.GreaterOrEqual(t, w.crashes, 3)
	}
}

// The trajectory is worth something only if it notices a broken order.
func TestBrokenOrderIsNoticed(t *testing.T) {
	for name, plan := range map[string]planner{
		"the next CA signs as soon as its bundle is written": func(s Stored, o Observed, now time.Time, timing Timing) Step {
			timing.Propagation = 0
			return Plan(s, o, now, timing)
		},
		"the retired CA is dropped as soon as it stops signing": func(s Stored, o Observed, now time.Time, timing Timing) Step {
			timing.Overlap = 0
			return Plan(s, o, now, timing)
		},
		"the overlap forgets the replica that is cut off": func(s Stored, o Observed, now time.Time, timing Timing) Step {
			timing.Overlap = timing.LeafValidity / 3
			return Plan(s, o, now, timing)
		},
		"the bundle holds the newest CA only": func(s Stored, o Observed, now time.Time, timing Timing) Step {
			step := Plan(s, o, now, timing)
			if all := step.Store.certificates(); step.Action == Keep && len(all) > 0 {
				step.Bundle = all[len(all)-1:]
			}
			return step
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTrajectory(t, 1, plan)
			w.run(400 * day)
			require.NotEmpty(t, w.violations)
		})
	}
}
