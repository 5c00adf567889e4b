package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice.dev/sluice/cmd/kubectl-sluice/eject"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
)

// explain lists the releases that have to be told how they end, and the ways.
func (x *ejection) explain(err error, scope eject.Scope) error {
	var undecided eject.Undecided
	if !errors.As(err, &undecided) {
		return err
	}
	var items []report.Ejection
	for _, s := range undecided.Subjects {
		items = append(items, ejectionOf(s, "", ""))
	}
	lines, failure := screen.Undecided(items)
	if failure != nil {
		return failure
	}
	command := "kubectl sluice eject --all -n " + scope.Namespace
	if scope.Everything() {
		command = "kubectl sluice eject --all -A"
	} else if scope.Workload != nil {
		command = x.target(*scope.Workload).Plugin("eject")
	}
	answer := fmt.Sprintf("say how what is held ends; nothing was done\n\n%s\n%s", text(lines), strings.TrimRight(text(screen.Endings(command+" ")), "\n"))
	if rest := besides(err); rest != nil {
		return fmt.Errorf("%s\n\nbesides:\n%w", answer, rest)
	}
	return errors.New(answer)
}

// besides returns the other refusals that were joined with undecided releases, nil where there are none.
func besides(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	return errors.Join(slices.DeleteFunc(slices.Clone(joined.Unwrap()), func(one error) bool {
		return errors.As(one, &eject.Undecided{})
	})...)
}

func text(lines []screen.Line) string {
	var all strings.Builder
	for _, line := range lines {
		all.WriteString(line.Text + "\n")
	}
	return all.String()
}
