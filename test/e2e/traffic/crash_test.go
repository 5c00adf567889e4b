package traffic

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
)

// killedLife is the life of a release of two steps in which sluice dies again and again.
type killedLife struct {
	kinds  []gateway.Kind // of routes; nil: each
	steps  string         // empty: of 20 and 60 %
	before func(a *app)   // what happens while sluice lives
	live   func(a *app, k *killer)
	// versions get requests by a weight, one after another.
	versions []weighed
	// deaths are where it stands, among others, when sluice dies, in this order; and how often that is at least. Of a step
	// that waits sluice makes but one write, and people go on at once: it dies there in some of the lives.
	deaths []string
	least  int
}

var killedLives = map[string]killedLife{
	"promoted": {
		versions: []weighed{{image: v2}},
		deaths:   []string{"Progressing at step 1", "Progressing at step 2", "Promoting by M, Adopting", "Promoting by M, Finishing"},
		least:    15,
		live: func(a *app, k *killer) {
			k.bothSteps(a, v2)
			k.alive(func() { a.Approve("web") })
			a.promoted(v2)
		},
	},
	"promoted beside the native rollout": {
		versions: []weighed{{image: v1}},
		kinds:    []gateway.Kind{gateway.Ingress},
		steps:    "20%",
		deaths:   []string{"Progressing at step 1", "Promoting by C, Finishing"},
		least:    8,
		before: func(a *app) { // v1 is in the history then, and not adopted in place
			a.hold(v2)
			a.Approve("web")
			a.promoted(v2)
		},
		live: func(a *app, k *killer) {
			k.alive(func() { a.SetImage("web", v1) })
			a.WaitPhase("web", canary.Waiting, 1)
			k.alive(func() { a.Approve("web") })
			a.promoted(v1)
		},
	},
	"aborted": {
		versions: []weighed{{image: v2, taken: true}},
		deaths:   []string{"Progressing at step 1", "Aborted at step 1", "Reverting at step 1"},
		least:    10,
		live: func(a *app, k *killer) {
			k.alive(func() { a.SetImage("web", v2) })
			a.WaitPhase("web", canary.Waiting, 1)
			plane.AwaitCanaryWeight(a.t, a.Name, 20)
			k.alive(func() { a.Abort("web") })
			aborted := time.Now()
			a.WaitPhase("web", canary.Aborted, 1)
			a.PodsOfEventually("web", v2, 0)
			a.back(v1)
			last, _ := a.load.LastOf(v2)
			a.t.Logf("the canary answered for the last time %s after the abort", max(0, last.Sub(aborted)).Round(time.Millisecond))
			k.alive(func() { a.SetImage("web", v1) })
			a.restored()
			a.only(v1)
		},
	},
	"superseded, then reverted": {
		kinds:    []gateway.Kind{gateway.HTTPRoute},
		versions: []weighed{{image: v2, taken: true}, {image: v3, taken: true}},
		deaths:   []string{"Progressing at step 1", "Progressing at step 2", "Progressing at step 1", "Reverting at step 1"},
		least:    15,
		live: func(a *app, k *killer) {
			k.bothSteps(a, v2)
			plane.AwaitCanaryWeight(a.t, a.Name, 60)
			k.alive(func() { a.SetImage("web", v3) })
			a.PodsOfEventually("web", v2, 0)
			a.WaitPhase("web", canary.Waiting, 1)
			plane.AwaitCanaryWeight(a.t, a.Name, 20)
			k.alive(func() { a.SetImage("web", v1) })
			a.restored()
			a.only(v1)
		},
	},
}

// TestNoRequestIsLostWhenSluiceIsKilledAfterEachOfItsWrites: so it dies in each phase, and before each thing that it
// would do next. Both kinds of routes are in the same sluice's hands, which dies for either. No request is answered by
// a version that should get none, either.
func TestNoRequestIsLostWhenSluiceIsKilledAfterEachOfItsWrites(t *testing.T) {
	waited := false
	for name, life := range killedLives {
		t.Run(name, func(t *testing.T) {
			k := &killer{ctx: context.WithoutCancel(t.Context()), admin: plane.Env.Client(t, "admin"), deaths: map[string][]string{}, stopped: map[string]bool{}}
			t.Cleanup(func() { require.NoError(t, k.fault()) })
			tests := map[string]func(*testing.T, *meeting){}
			kinds := gateway.Kinds
			if life.kinds != nil {
				kinds = life.kinds
			}
			for _, kind := range kinds {
				tests[kind.Name] = func(t *testing.T, m *meeting) { life.run(t, k, kind, m) }
			}
			together(t, tests)
			waited = waited || k.diedIn(canary.Waiting)
		})
	}
	require.True(t, waited, "sluice never died while a step waited")
}

func (l killedLife) run(t *testing.T, k *killer, kind gateway.Kind, m *meeting) {
	a := start(t, kind, cmp.Or(l.steps, "20%, 60%"))
	a.Patient(5 * time.Minute) // each write takes a start of sluice
	if l.before != nil {
		l.before(a)
	}
	m.attend(nil) // before sluice dies for the first time
	begun := time.Now()
	stop := sync.OnceFunc(k.afterEachWrite(a.Name))
	defer stop()
	l.live(a, k)
	stop()
	all := a.nothingLost()
	a.routed(all, begun, l.versions)
	deaths := k.deathsOf(a.Name)
	t.Logf("sluice died %d times: %v", len(deaths), slices.Compact(slices.Clone(deaths)))
	require.GreaterOrEqual(t, len(deaths), l.least)
	require.Empty(t, missing(l.deaths, deaths), "sluice never died there, in this order: %v", deaths)
}

// missing returns what is left of some things once each was found among others, in their order.
func missing(wanted, others []string) []string {
	for _, other := range others {
		if len(wanted) > 0 && other == wanted[0] {
			wanted = wanted[1:]
		}
	}
	return wanted
}

// standing says where a release stands by what is stored: an answer that sluice never got may be lost to the proxy, too.
func (k *killer) standing(namespace string) string {
	web, err := k.admin.AppsV1().Deployments(namespace).Get(k.ctx, "web", metav1.GetOptions{})
	if err != nil {
		return err.Error()
	}
	r, err := canary.DecodeRelease(web.Annotations)
	switch {
	case err != nil:
		return err.Error()
	case r == nil:
		return "no release"
	case r.Phase == canary.Promoting:
		return fmt.Sprintf("%s by %s, %s", r.Phase, r.Sequence, r.Stage)
	}
	return fmt.Sprintf("%s at step %d", r.Phase, r.Step)
}

// killer ends sluice and starts it again.
type killer struct {
	ctx   context.Context
	admin kubernetes.Interface
	life  sync.RWMutex // held for reading while sluice has to live

	mu      sync.Mutex
	deaths  map[string][]string // by the namespace: where its release stood
	failed  error
	stopped map[string]bool
}

// afterEachWrite ends sluice right after each of its writes to a namespace, until stop.
func (k *killer) afterEachWrite(namespace string) (stop func()) {
	plane.Env.Proxy.CrashAfter(namespace, 1, func() { k.kill(namespace) })
	return func() {
		k.life.RLock() // the sluice that may be starting serves
		defer k.life.RUnlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		k.stopped[namespace] = true
		plane.Env.Proxy.CrashPending(namespace)
	}
}

// kill ends sluice and returns; the next one starts meanwhile, and its first write is its last. A kill that waited for
// another one may come after the stop: sluice then only gets no answer to its write.
func (k *killer) kill(namespace string) {
	k.life.Lock()
	if k.over(namespace) {
		k.life.Unlock()
		return
	}
	plane.Env.Sluice().Kill()
	k.note(namespace)
	go func() {
		defer k.life.Unlock()
		_, err := plane.Env.StartSluice(k.ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		if err != nil {
			k.failed = err
			return
		}
		plane.Env.Proxy.CrashAfter(namespace, 1, func() { k.kill(namespace) })
	}()
}

func (k *killer) note(namespace string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deaths[namespace] = append(k.deaths[namespace], k.standing(namespace))
}

func (k *killer) over(namespace string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stopped[namespace]
}

// alive does something during which sluice is not killed.
func (k *killer) alive(do func()) {
	k.life.RLock()
	defer k.life.RUnlock()
	do()
}

// bothSteps releases a version until it waits at step two, and Traefik gives it the requests of step one on the way.
func (k *killer) bothSteps(a *app, image string) {
	a.t.Helper()
	k.alive(func() { a.SetImage("web", image) })
	a.WaitPhase("web", canary.Waiting, 1)
	plane.AwaitCanaryWeight(a.t, a.Name, 20)
	k.alive(func() { a.Approve("web") })
	a.WaitPhase("web", canary.Waiting, 2)
}

func (k *killer) fault() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}

func (k *killer) deathsOf(namespace string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.deaths[namespace])
}

// diedIn tells whether sluice ever died in a phase, of whatever step.
func (k *killer) diedIn(phase canary.Phase) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, deaths := range k.deaths {
		if slices.ContainsFunc(deaths, func(death string) bool { return strings.HasPrefix(death, string(phase)) }) {
			return true
		}
	}
	return false
}
