package webhook

import "sync"

// limits bounds what is handled at once. Whatever is beyond is sent back before its body is read.
type limits struct {
	mu       sync.Mutex
	requests int
	bytes    int64
}

// take reserves room for one request with a body of so many bytes.
func (l *limits) take(bytes int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.requests < 1 || l.bytes < bytes {
		return false
	}
	l.requests--
	l.bytes -= bytes
	return true
}

func (l *limits) give(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	l.bytes += bytes
}
