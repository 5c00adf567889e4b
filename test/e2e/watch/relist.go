package watch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// relist goes on from what is stored now, where an API server that was restarted does not remember the
// revision that was received last. What was stored in between is lost.
func (r *Recorder) relist(ctx context.Context, s *source, from string) string {
	list, err := s.list(ctx)
	if err != nil {
		return from
	}
	version, err := meta.NewAccessor().ResourceVersion(list)
	if err != nil {
		return from
	}
	r.lose(fmt.Errorf("watching %s: versions between %s and %s are not known", s.name, from, version))
	found := map[string]bool{}
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		if err != nil {
			return err
		}
		found[string(m.GetUID())] = true
		if r.last(s, string(m.GetUID())) != m.GetResourceVersion() {
			r.receive(s, apiwatch.Event{Type: apiwatch.Modified, Object: o})
		}
		return nil
	})
	for _, gone := range r.missing(s, found) {
		gone.Revision, _ = strconv.ParseInt(version, 10, 64)
		gone.At, gone.Deleted = time.Now(), true
		r.append(s, gone)
	}
	return version
}

func (r *Recorder) last(s *source, uid string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.stored[uid]
}

// missing returns the last event of each object that existed and was not found.
func (r *Recorder) missing(s *source, found map[string]bool) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := map[string]Event{}
	for _, e := range r.events {
		if e.Mark != nil {
			continue
		}
		uid := string(e.object().GetUID())
		if _, ours := s.stored[uid]; ours && !found[uid] {
			last[uid] = e
		}
	}
	return slices.Collect(maps.Values(last))
}
