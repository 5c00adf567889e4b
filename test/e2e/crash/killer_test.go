package crash

import (
	"context"
	"fmt"
	"sync"
)

// killer ends the one sluice that all runs share, and starts it again: each run sees the crashes of the
// others too, at any moment, which must not make a difference either.
type killer struct {
	life  sync.RWMutex // held for reading while sluice has to live
	mu    sync.Mutex
	fault error
}

var kills killer

// kill ends sluice and returns; the next one starts meanwhile.
func (k *killer) kill(ctx context.Context) {
	k.life.Lock()
	env.Sluice().Kill()
	go func() {
		defer k.life.Unlock()
		if _, err := env.StartSluice(ctx); err != nil {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.fault = fmt.Errorf("starting sluice after a crash: %w", err)
		}
	}()
}

// alive does something during which sluice is not killed.
func (k *killer) alive(do func()) error {
	k.life.RLock()
	defer k.life.RUnlock()
	k.mu.Lock()
	fault := k.fault
	k.mu.Unlock()
	if fault == nil {
		do()
	}
	return fault
}
