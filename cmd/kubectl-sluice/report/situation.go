package report

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"sluice.dev/sluice/canary"
)

// Target is how the workload is named in commands, so that they reach the same one when they are pasted.
type Target struct {
	// Workload like deployment/web, Namespace its own.
	Workload, Namespace string
	// Flags that led to the cluster, like "--context=staging".
	Flags []string
}

// Plugin returns a command of this plugin.
func (t Target) Plugin(args ...string) string { return t.command("kubectl sluice "+args[0], args[1:]) }

// Kubectl returns a command of kubectl itself, like "rollout resume".
func (t Target) Kubectl(verb string, args ...string) string { return t.command("kubectl "+verb, args) }

// Resume returns the command that takes back the user's own pause.
func (t Target) Resume(kind string) string {
	if kind == canary.StatefulSet { // kubectl resumes Deployments only
		return t.Kubectl("patch", `-p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'`)
	}
	return t.Kubectl("rollout resume")
}

func (t Target) command(verb string, args []string) string {
	words := append([]string{verb, t.Workload, "-n", t.Namespace}, t.Flags...)
	return strings.Join(append(words, args...), " ")
}

// What a command does, in Command.Does.
const (
	DoesPromote = "promote"
	DoesFinish  = "promote fully"
	DoesAbort   = "abort"
	DoesRetry   = "retry"
	DoesResume  = "resume"
	DoesFollow  = "follow"
)

// situation says why the release waits and what goes on:
//
//	phase                        reason                                   commands
//	no release                   what runs                                -, or follow the rollout
//	Progressing, step 0          the user's own pause                     resume
//	Progressing                  how many pods are missing, what ails one follow, abort
//	Waiting for approval         who may approve                          promote, promote fully, abort
//	Waiting for a duration       until when                               promote, promote fully, abort
//	Waiting, approved            by whom                                  follow
//	Promoting                    how far the rollout is                   follow
//	Aborted                      why                                      retry
//	Reverting                    the stable version comes back            follow
func (s *ReleaseStatus) situation(t Target) {
	if s.Release == nil {
		s.native(t)
		return
	}
	switch r := s.Release; canary.Phase(r.Phase) {
	case canary.Progressing:
		s.progressing(t)
	case canary.Waiting:
		s.waiting(t)
	case canary.Promoting:
		s.Reason = fmt.Sprintf("every step is over: %d of %d pods run the new version", s.promoted(), s.Workload.Replicas)
		s.next(DoesFollow, t.Plugin("status", "--watch"))
	case canary.Aborted:
		s.Reason = "aborted: " + strings.TrimPrefix(r.Message, "aborted ") + "; the new version stays in the spec, held, without pods"
		s.next(DoesRetry, t.Plugin("retry"))
	case canary.Reverting:
		s.Reason = r.Message + ": the canary goes away"
		s.next(DoesFollow, t.Plugin("status", "--watch"))
	default:
		s.Reason = fmt.Sprintf("%q is a phase of a newer sluice than this plugin", r.Phase)
	}
}

func (s *ReleaseStatus) next(does, run string) {
	s.Next = append(s.Next, Command{does, run})
}

func (s *ReleaseStatus) native(t Target) {
	w := s.Workload
	if w.RolledOut {
		s.Reason = "there is no release: the version that runs is the stable one"
		return
	}
	s.Reason = fmt.Sprintf("there is no release: %d of %d pods run the version in the spec, %d are available", w.UpdatedReplicas, w.Replicas, w.AvailableReplicas)
	s.next(DoesFollow, t.Kubectl("rollout status"))
}

func (s *ReleaseStatus) progressing(t Target) {
	r := s.Release
	if r.Step == 0 {
		s.Reason = "it was paused before the release: step 1 starts when it is resumed"
		s.next(DoesResume, t.Resume(s.Workload.Kind))
		return
	}
	canary, wanted := s.Canary(), int32(0)
	if step := r.Current(); step != nil {
		wanted = step.Pods
	}
	available := int32(0)
	if canary != nil {
		available = canary.Available
	}
	s.Reason = fmt.Sprintf("step %d of %d: %d of %d canary pods are available", r.Step, len(r.Steps), available, wanted)
	if what := canary.trouble(); what != "" {
		s.Reason += "; " + what
		if hinders := hindrance(r.Message); hinders != "" {
			s.Reason += "; " + hinders
		}
	} else if r.Message != "" {
		s.Reason += "; " + r.Message
	}
	s.next(DoesFollow, t.Plugin("status", "--watch"))
	s.next(DoesAbort, t.Plugin("abort"))
}

func (s *ReleaseStatus) waiting(t Target) {
	r, step := s.Release, s.Release.Current()
	at := fmt.Sprintf("step %d of %d", r.Step, len(r.Steps))
	switch {
	case step == nil:
		s.Reason = at
	case step.ApprovedBy != "":
		s.Reason = fmt.Sprintf("%s is approved by %q and goes on", at, step.ApprovedBy)
		s.next(DoesFollow, t.Plugin("status", "--watch"))
		return
	case step.Wait != waitsForApproval:
		s.Reason = fmt.Sprintf("%s goes on by itself after %s", at, Short(step.Wait))
	case r.FourEyes:
		s.Reason = fmt.Sprintf("%s waits for approval by somebody other than %q", at, r.Author)
	default:
		s.Reason = at + " waits for approval"
	}
	if r.Message != "" { // else it has nothing to say while it waits
		s.Reason += "; " + r.Message
	}
	s.next(DoesPromote, t.Plugin("promote"))
	if r.Step < len(r.Steps) {
		s.next(DoesFinish, t.Plugin("promote", "--full"))
	}
	s.next(DoesAbort, t.Plugin("abort"))
}

// promoted counts the pods of the new version, which are the canary's, the native controller's, or both.
func (s *ReleaseStatus) promoted() int32 {
	var available int32
	for _, r := range s.Revisions {
		if r.Role == RoleCanary {
			available += r.Available
		}
	}
	return min(max(available, s.Workload.UpdatedReplicas), s.Workload.Replicas)
}

// Canary returns the canary's revision, nil where there is none.
func (s *ReleaseStatus) Canary() *Revision {
	for i := range s.Revisions {
		if s.Revisions[i].Role == RoleCanary {
			return &s.Revisions[i]
		}
	}
	return nil
}

// trouble says what keeps the revision's pods from being available, empty where nobody knows.
func (r *Revision) trouble() string {
	if r == nil {
		return ""
	}
	if r.Failure != "" {
		return sentence(r.Name, r.Failure)
	}
	for _, p := range r.Pods {
		if p.Trouble != "" {
			return sentence("pod "+p.Name, p.Trouble)
		}
	}
	return ""
}

// Short writes a duration as tables do: "10m" for "10m0s". What is no duration stays as it is.
func Short(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil {
		return text
	}
	return duration.HumanDuration(d)
}
