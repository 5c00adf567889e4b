package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Answer is what became of one request.
type Answer struct {
	At     time.Time // when it was sent
	Took   time.Duration
	Status int    // 0 where there was no answer
	Image  string // of the pod that answered
	Pod    string
	Hash   string // the pod's pod-template-hash
	Reason string // why it is lost
}

// Lost tells whether the request did not get its answer from a pod.
func (a Answer) Lost() bool { return a.Status != http.StatusOK || a.Image == "" }

// Done returns when it was answered.
func (a Answer) Done() time.Time { return a.At.Add(a.Took) }

func (a Answer) String() string {
	if a.Lost() {
		return fmt.Sprintf("%s lost after %s: status %d, %s", a.At.Format("15:04:05.000"), a.Took.Round(time.Millisecond), a.Status, a.Reason)
	}
	return fmt.Sprintf("%s %s from %s", a.At.Format("15:04:05.000"), a.Image, a.Pod)
}

// Answers are those of many requests, in the order in which these were sent.
type Answers []Answer

// Lost returns the requests that were lost.
func (a Answers) Lost() Answers {
	return slices.DeleteFunc(slices.Clone(a), func(a Answer) bool { return !a.Lost() })
}

// Between returns the requests that were sent at or after from and before to.
func (a Answers) Between(from, to time.Time) Answers {
	return slices.DeleteFunc(slices.Clone(a), func(a Answer) bool { return a.At.Before(from) || !a.At.Before(to) })
}

// Of returns the requests that pods of an image answered.
func (a Answers) Of(image string) Answers {
	return slices.DeleteFunc(slices.Clone(a), func(a Answer) bool { return a.Lost() || a.Image != image })
}

// Shares returns which share of the answers came from which image, in percent.
func (a Answers) Shares() map[string]float64 {
	shares := map[string]float64{}
	answered := float64(len(a) - len(a.Lost()))
	for _, answer := range a {
		if !answer.Lost() {
			shares[answer.Image] += 100 / answered
		}
	}
	return shares
}

// LastOf returns when an image gave its last answer, and whether it gave any.
func (a Answers) LastOf(image string) (time.Time, bool) {
	var last time.Time
	for _, answer := range a.Of(image) {
		if answer.Done().After(last) {
			last = answer.Done()
		}
	}
	return last, !last.IsZero()
}

// FirstOf returns when the first request was sent that an image answered, and whether there was any.
func (a Answers) FirstOf(image string) (time.Time, bool) {
	of := a.Of(image)
	if len(of) == 0 {
		return time.Time{}, false
	}
	return of[0].At, true
}

// Rate returns how many requests a second were sent, from the first one until then.
func (a Answers) Rate(until time.Time) float64 {
	if len(a) == 0 {
		return 0
	}
	return float64(len(a)) / until.Sub(a[0].At).Seconds()
}

// String lists the answers, at most twenty, and how many there are.
func (a Answers) String() string {
	var lines strings.Builder
	fmt.Fprintf(&lines, "%d requests", len(a))
	for _, answer := range a[:min(len(a), 20)] {
		fmt.Fprintf(&lines, "\n%s", answer)
	}
	return lines.String()
}
