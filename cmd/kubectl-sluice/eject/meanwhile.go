package eject

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// unreadable stands for the id of a release whose state cannot be read.
const unreadable = -1

// shown is a release that was in the first plan.
type shown struct {
	uid     types.UID
	release int64
}

// shows returns the release of a workload; false: it has none.
func shows(s *Subject) (shown, bool) {
	switch {
	case s.Release != nil:
		return shown{s.UID, s.Release.ID}, true
	case s.Unreadable != "":
		return shown{s.UID, unreadable}, true
	}
	return shown{}, false
}

// Newcomers are workloads with a release that nobody was asked about.
type Newcomers struct{ Subjects []*Subject }

func (e Newcomers) Error() string {
	names := make([]string, len(e.Subjects))
	for i, s := range e.Subjects {
		names[i] = s.Ref.String() + " in namespace " + s.Namespace
		if s.Release != nil {
			names[i] = fmt.Sprintf("release %d of %s", s.Release.ID, names[i])
		}
	}
	return "these came after the plan was made, and nothing was done to them: " + strings.Join(names, "; ") + ". Run it again"
}

// again plans what is left, or came meanwhile without a release. A release that was not in the first plan is
// an error.
func (e *Ejector) again(ctx context.Context, first *Plan) (*Plan, error) {
	next := &Plan{Scope: first.Scope, Request: first.Request, first: map[shown]bool{}}
	for _, item := range first.Items {
		if key, ok := shows(item.Subject); ok {
			next.first[key] = true
		}
	}
	err := e.read(ctx, next)
	if errors.As(err, &Newcomers{}) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("looking for what came meanwhile: %w", err)
	}
	return next, nil
}

// newcomers returns the workloads with a release that was not in the first plan.
func (p *Plan) newcomers(subjects []read) error {
	if p.first == nil {
		return nil
	}
	var found []*Subject
	for _, s := range subjects {
		if key, ok := shows(s.Subject); ok && !p.first[key] && s.object.GetDeletionTimestamp() == nil {
			found = append(found, s.Subject)
		}
	}
	if len(found) > 0 {
		return Newcomers{found}
	}
	return nil
}
