package traffic

import (
	"sync"
	"testing"
)

// together runs subtests at once, however many may run in parallel: they wait for each other where they meet.
func together(t *testing.T, tests map[string]func(t *testing.T, m *meeting)) {
	t.Helper()
	m := &meeting{missing: len(tests)}
	m.over = sync.NewCond(&m.mu)
	var running sync.WaitGroup
	for name, test := range tests {
		running.Go(func() {
			leave := sync.OnceFunc(m.leave)
			defer leave() // where -run has left it out
			t.Run(name, func(t *testing.T) {
				defer leave()
				test(t, m)
			})
		})
	}
	running.Wait()
}

// meeting is where subtests meet, again and again. One that has ended, or failed, is not waited for.
type meeting struct {
	mu            sync.Mutex
	here, missing int
	do            func()
	held          int // meetings that are over
	over          *sync.Cond
}

// attend returns once everybody is here and one of them has done what there is to do, if anything.
func (m *meeting) attend(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.here, m.missing, m.do = m.here+1, m.missing-1, do
	this := m.held
	for m.hold(); this == m.held; {
		m.over.Wait()
	}
}

func (m *meeting) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missing--
	m.hold()
}

// hold holds the meeting, if everybody is here.
func (m *meeting) hold() {
	if m.missing > 0 || m.here == 0 {
		return
	}
	if m.do != nil {
		m.do()
	}
	m.here, m.missing = 0, m.here
	m.held++
	m.over.Broadcast()
}
