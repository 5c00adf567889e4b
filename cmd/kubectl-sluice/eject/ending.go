package eject

import (
	"fmt"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// Request is what somebody asks for.
type Request struct {
	// Ending of what is held; empty where they did not say.
	Ending canary.Ending
	// Named: it is about one workload, by its name.
	Named bool
}

// Subject is a workload as it was read, and what its ending depends on.
type Subject struct {
	*workload.Workload
	// Stable is the stable template, nil where nobody knows it any more.
	Stable []byte
	// Whole: the stable version runs all of its pods, and no canary is being handed over.
	Whole bool
	// Unreadable says why the state cannot be read, empty where it can.
	Unreadable string
}

// Held says that nobody decided how a release ends.
type Held struct{ Subject *Subject }

func (e Held) Error() string {
	return fmt.Sprintf("%s has release %d, which is %s: say how it ends", e.Subject.Ref, e.Subject.Release.ID, e.Subject.Release.Phase)
}

// Ending returns how the release of a workload ends, or why it cannot end as it was asked for.
func (r Request) ending(s *Subject) (canary.Ending, error) {
	release := s.Release
	if !release.Known() {
		return "", fmt.Errorf("release %d of %s is in the phase %q of a newer sluice: use the plugin of that version", release.ID, s.Ref, release.Phase)
	}
	ending := r.Ending
	if decided := release.Ending(s.TemplateHash); decided != "" {
		over, err := r.overrule(s, decided)
		if err != nil {
			return "", err
		}
		ending = over
	}
	switch {
	case ending == "":
		return "", Held{s}
	case ending == canary.EndPromoted && release.Phase == canary.Aborted && !r.Named:
		return "", fmt.Errorf("release %d of %s is aborted, and promoted only by its name: kubectl sluice eject %s -n %s --promote", release.ID, s.Ref, s.Ref, s.Namespace)
	case ending == canary.EndReverted && s.Stable == nil && !s.runsStable():
		return "", fmt.Errorf("the stable version of %s cannot be brought back, since no record of it exists any more: "+
			"apply the old version from its source, or end the release with --promote or --leave-paused", s.Ref)
	case ending == canary.EndPaused && !s.Whole:
		return "", fmt.Errorf("%s cannot be left paused, since its stable version does not run all of its pods by itself: use --promote or --revert", s.Ref)
	}
	return ending, nil
}

// overrule returns the ending of a release about which something was decided.
func (r Request) overrule(s *Subject, decided canary.Ending) (canary.Ending, error) {
	switch {
	case r.Ending == "" || r.Ending == decided || !r.Named:
		return decided, nil
	case decided == canary.EndPromoted && r.Ending == canary.EndReverted:
		return r.Ending, nil
	case decided == canary.EndPromoted:
		return "", fmt.Errorf("release %d of %s was approved and is being promoted: leave the flag away, or go back with --revert", s.Release.ID, s.Ref)
	}
	return "", fmt.Errorf("release %d of %s is being reverted, and its spec has the stable version already: leave the flag away", s.Release.ID, s.Ref)
}

// runsStable: the stable version is in the spec already.
func (s *Subject) runsStable() bool {
	return s.TemplateHash == s.Release.Stable.Hash
}
