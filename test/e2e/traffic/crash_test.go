package traffic

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
)

// TestNoRequestIsLostWhenSluiceIsKilledAfterEachOfItsWrites: so it dies in each phase, and before each thing that it
// would do next. Both kinds of routes are in the same sluice's hands, which dies for either.
func TestNoRequestIsLostWhenSluiceIsKilledAfterEachOfItsWrites(t *testing.T) {
	tests := map[string]func(a *app, k *killer){
		"promoted": func(a *app, k *killer) {
			k.alive(func() { a.SetImage("web", v2) })
			a.WaitPhase("web", canary.Waiting, 1)
			k.alive(func() { a.Approve("web") })
			a.WaitPhase("web", canary.Waiting, 2)
			k.alive(func() { a.Approve("web") })
			a.promoted(v2)
		},
		"aborted": func(a *app, k *killer) {
			k.alive(func() { a.SetImage("web", v2) })
			a.WaitPhase("web", canary.Waiting, 1)
			k.alive(func() { a.Abort("web") })
			a.WaitPhase("web", canary.Aborted, 1)
			a.PodsOfEventually("web", v2, 0)
			a.back(v1)
			k.alive(func() { a.SetImage("web", v1) })
			a.restored()
			a.only(v1)
		},
	}
	for name, life := range tests {
		t.Run(name, func(t *testing.T) {
			k := &killer{ctx: context.WithoutCancel(t.Context())}
			t.Cleanup(func() { require.NoError(t, k.fault()) })
			each(t, func(t *testing.T, kind gateway.Kind) {
				a := start(t, kind, "20%, 60%")
				stop := k.afterEachWrite(a.Name)
				defer stop()
				life(a, k)
				a.nothingLost()
				t.Logf("sluice was killed %d times", k.count())
			})
		})
	}
}

// killer ends sluice and starts it again.
type killer struct {
	ctx  context.Context
	life sync.RWMutex // held for reading while sluice has to live

	mu      sync.Mutex
	kills   int
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
		if k.stopped == nil {
			k.stopped = map[string]bool{}
		}
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
	go func() {
		defer k.life.Unlock()
		_, err := plane.Env.StartSluice(k.ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.kills++
		if err != nil {
			k.failed = err
			return
		}
		plane.Env.Proxy.CrashAfter(namespace, 1, func() { k.kill(namespace) })
	}()
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

func (k *killer) fault() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}

func (k *killer) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kills
}
