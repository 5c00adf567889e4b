package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

const (
	// The cluster's ration of config releases, and each object's.
	clusterRate, clusterBurst = 20, 40
	sourceRate, sourceBurst   = 10, 20
	// mostSources is how many objects' rations are kept until the full ones are dropped.
	mostSources = 1000
	// freeChanges of one workload in quick succession are released at once, later ones wait from firstWait on, doubled
	// each time. A change that comes quietWait or more after the one before begins anew.
	freeChanges = 4
	firstWait   = time.Minute
	longestWait = time.Hour
)

var (
	changes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_config_releases_total", Help: "Changes of config that were made a release of a workload.",
	}, []string{"kind"})
	postponed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_config_postponed_total", Help: "Changes of config that had to wait, by why.",
	}, []string{"reason"})
)

func init() { metrics.Registry.MustRegister(changes, postponed) }

// Why a change waits.
const (
	tooOften = "ConfigChangesTooOften"
	others   = "ConfigAtOnce"
	failure  = "ConfigFailedElsewhere"
	rateOver = "ConfigRate"
)

// rations bound what a storm of changes does. All of it may be lost.
type rations struct {
	users  users
	atOnce int

	mutex   sync.Mutex
	cluster *rate.Limiter
	sources map[string]*rate.Limiter
	// recent are writes that the cache may not show yet.
	recent map[workload]hashing.Seen
	// waiting are the workloads that wait; each has been told.
	waiting map[workload]waiter
	queued  int
	// turns are when those that wait for their ration have theirs.
	turns map[workload]turn
}

// waiter is a workload that waits for others, or for itself to calm down.
type waiter struct {
	reason string
	place  int // in the queue
}

// turn is when a workload may be written to as far as an object's ration goes, or the cluster's too.
type turn struct {
	at      time.Time
	cluster bool
}

func newRations(u users, atOnce int) *rations {
	return &rations{
		users: u, atOnce: atOnce, cluster: rate.NewLimiter(clusterRate, clusterBurst),
		sources: map[string]*rate.Limiter{}, recent: map[workload]hashing.Seen{}, waiting: map[workload]waiter{},
		turns: map[workload]turn{},
	}
}

// postpone returns how long a change has to wait, 0 where it may be written; now is given its time and its
// place in a streak. What only takes a release back need not wait.
func (r *reconciler) postpone(ctx context.Context, s *snapshot, now *hashing.Seen) (time.Duration, error) {
	at := r.now().UTC().Truncate(time.Second)
	now.At, now.Streak = &at, streak(s.before, at)
	if back, err := r.isStable(ctx, s); back || err != nil {
		return 0, err
	}
	if wait := waitFor(s.before, at); wait > 0 {
		r.hold(s, tooOften, fmt.Sprintf("config changed %d times in quick succession: the next release of it waits until %s. "+
			"Find who keeps changing %s", s.before.Streak, at.Add(wait).Format(time.RFC3339), orItsConfig(*now)))
		return wait, nil
	}
	reason, message, err := r.somewhere(ctx, s, *now)
	if err != nil {
		return 0, err
	}
	if reason != "" {
		r.hold(s, reason, message)
		return waitingLook, nil
	}
	if wait := r.rations.take(s, causes(*now, s.refs), r.now()); wait > 0 {
		postponed.WithLabelValues(rateOver).Inc()
		return wait, nil
	}
	return 0, nil
}

// somewhere returns why a workload waits for others that use what the change is about: a failure before all.
func (r *reconciler) somewhere(ctx context.Context, s *snapshot, now hashing.Seen) (reason, message string, err error) {
	for _, object := range causes(now, s.refs) {
		why, what, err := r.rations.elsewhere(ctx, s, object, now)
		if err != nil {
			return "", "", err
		}
		if why == failure || reason == "" {
			reason, message = why, what
		}
		if why == failure {
			break
		}
	}
	return reason, message, nil
}

func orItsConfig(seen hashing.Seen) string {
	if len(seen.Changed) == 0 {
		return "its config"
	}
	return strings.Join(slices.Sorted(maps.Keys(seen.Changed)), ", ")
}

// hold tells once why a workload waits. What ends by itself soon is no condition.
func (r *reconciler) hold(s *snapshot, reason, message string) {
	if reason != others {
		s.postponed = postponement{reason, message}
	}
	if r.rations.wait(s.workload, reason) {
		postponed.WithLabelValues(reason).Inc()
		r.tell(s, corev1.EventTypeWarning, reason, "%s", message)
	}
}

// causes returns the objects that a change is about; where nobody knows, all that are used.
func causes(now hashing.Seen, refs []hashing.Reference) []string {
	if len(now.Changed) > 0 {
		return slices.Sorted(maps.Keys(now.Changed))
	}
	names := make([]string, 0, len(refs))
	for _, ref := range refs {
		names = append(names, hashing.ObjectName(ref.Kind, ref.Name))
	}
	return names
}

// streak counts the changes in quick succession, this one included.
func streak(before hashing.Seen, at time.Time) int {
	if !counts(before, at) || at.Sub(*before.At) >= 2*pauseAfter(before.Streak) {
		return 1
	}
	return before.Streak + 1
}

// counts: there was a change before. A time that is yet to come was written by a clock that went wrong, but for the
// little by which clocks differ: nobody waits for it.
func counts(before hashing.Seen, at time.Time) bool {
	return before.At != nil && before.At.Sub(at) <= firstWait
}

// waitFor is how long the next change has to wait.
func waitFor(before hashing.Seen, at time.Time) time.Duration {
	if !counts(before, at) || before.Streak < freeChanges {
		return 0
	}
	return before.At.Add(pauseAfter(before.Streak)).Sub(at)
}

// pauseAfter is the shortest time between a change and the next one.
func pauseAfter(streak int) time.Duration {
	wait := firstWait
	for range streak - freeChanges {
		if wait *= 2; wait >= longestWait {
			return longestWait
		}
	}
	return wait
}

// take returns 0 where a workload may be released now, or how long until its turn: first as far as the
// objects' rations go, then as the cluster's does, so that a storm of one object books nothing of the
// others' share.
func (r *rations) take(s *snapshot, objects []string, now time.Time) time.Duration {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	t, booked := r.turns[s.workload]
	if !booked {
		t = turn{at: now}
		if len(r.sources) >= mostSources { // those that are full again have nothing to remember
			maps.DeleteFunc(r.sources, func(_ string, l *rate.Limiter) bool { return l.TokensAt(now) >= sourceBurst })
		}
		for _, object := range objects {
			key := s.Namespace + "/" + object
			if r.sources[key] == nil {
				r.sources[key] = rate.NewLimiter(sourceRate, sourceBurst)
			}
			t.at = latest(t.at, now.Add(r.sources[key].ReserveN(now, 1).DelayFrom(now)))
		}
	}
	if !t.cluster && !t.at.After(now) {
		t = turn{at: now.Add(r.cluster.ReserveN(now, 1).DelayFrom(now)), cluster: true}
	}
	if wait := t.at.Sub(now); wait > 0 {
		r.turns[s.workload] = t
		return wait
	}
	delete(r.turns, s.workload)
	return 0
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// elsewhere returns why the others that use an object let this one wait, empty where they do not.
func (r *rations) elsewhere(ctx context.Context, s *snapshot, object string, now hashing.Seen) (reason, message string, err error) {
	all, err := r.users.of(ctx, s.Namespace, object)
	if err != nil {
		return "", "", err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var onTheWay []string
	for _, u := range all {
		if u.workload == s.workload || u.GetLabels()[canary.EnabledLabel] == "false" || u.GetAnnotations()[canary.ConfigAnnotation] == hashing.ConfigIgnore {
			continue
		}
		seen := hashing.DecodeSeen(u.GetAnnotations())
		if recent, ok := r.recent[u.workload]; ok && recent.Digest != seen.Digest {
			onTheWay = append(onTheWay, u.String())
			continue
		}
		delete(r.recent, u.workload) // also where the cache showed it before it was noted here
		if _, changed := seen.Changed[object]; !changed || seen.Objects[object][""] != now.Objects[object][""] {
			continue // on the way to, or failed with, what is not the question here
		}
		switch state(u.Object) {
		case failed:
			return failure, fmt.Sprintf("%s failed with this content of %s, so it is not released here: give %s other content, "+
				"or retry what failed, or set %s=%s on it", u, object, object, hashing.AnnotationConfig, hashing.ConfigIgnore), nil
		case rolling:
			onTheWay = append(onTheWay, u.String())
		}
	}
	if most := s.atOnce(object, r.atOnce); len(onTheWay) >= most {
		slices.Sort(onTheWay)
		return others, fmt.Sprintf("waits until fewer than %d of the workloads that use %s are on the way to its new content: %s",
			most, object, strings.Join(shortened(onTheWay), ", ")), nil
	}
	return "", "", nil
}

func shortened(names []string) []string {
	const most = 3
	if len(names) <= most {
		return names
	}
	return append(slices.Clone(names[:most]), fmt.Sprintf("%d more", len(names)-most))
}

// atOnce returns how many workloads may be on the way to an object's new content.
func (s *snapshot) atOnce(object string, otherwise int) int {
	for _, o := range s.objects {
		if hashing.ObjectName(o.Kind, o.Name) == object && o.AtOnce > 0 {
			return o.AtOnce
		}
	}
	return otherwise
}

// state is rolling, failed or empty: healthy, which a canary that waits for approval is.
func state(u metav1.Object) string {
	rollout := u.GetAnnotations()[rolloutAnnotation]
	switch {
	case u.GetLabels()[canary.ActiveLabel] != "true":
		return rollout
	case rollout == idle:
		return ""
	}
	switch canary.Phase(u.GetLabels()[canary.PhaseLabel]) {
	case canary.Aborted:
		return failed
	case canary.Waiting:
		return ""
	case canary.Progressing, canary.Promoting, canary.Reverting:
	}
	return rolling
}

// wait notes that a workload waits, and returns whether that is news.
func (r *rations) wait(w workload, reason string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	waits, ok := r.waiting[w]
	if !ok {
		r.queued++
		waits.place = r.queued
	}
	news := waits.reason != reason
	r.waiting[w] = waiter{reason, waits.place}
	return news
}

// wrote notes a write that the cache does not show yet.
func (r *rations) wrote(w workload, seen hashing.Seen) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.waiting, w)
	r.recent[w] = seen
}

// shown: the cache shows a workload with what was seen of its config.
func (r *rations) shown(w workload, seen hashing.Seen) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.recent[w].Digest == seen.Digest {
		delete(r.recent, w)
	}
}

// calm: the workload has no change to release.
func (r *rations) calm(w workload) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.waiting, w)
	delete(r.turns, w)
}

// forget: the workload is gone.
func (r *rations) forget(w workload) {
	r.calm(w)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.recent, w)
}

// next returns those of a namespace that have waited for others the longest, at most n. They have had their turn.
func (r *rations) next(namespace string, n int) []workload {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var found []workload
	for w, waits := range r.waiting {
		if w.Namespace == namespace && (waits.reason == others || waits.reason == failure) {
			found = append(found, w)
		}
	}
	slices.SortFunc(found, func(a, b workload) int { return cmp.Compare(r.waiting[a].place, r.waiting[b].place) })
	found = found[:min(n, len(found))]
	for _, w := range found {
		r.queued++
		r.waiting[w] = waiter{r.waiting[w].reason, r.queued}
	}
	return found
}
