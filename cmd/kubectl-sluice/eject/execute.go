package eject

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sluice.dev/sluice/canary"
)

// rounds bounds how often it is looked again for what came meanwhile.
const rounds = 5

// Execute does what a plan says, then looks again until nothing is left. A release that came after the plan
// was shown to nobody: it is left alone, and so are the webhooks and the label of the Namespace where it came
// before they went. Said is told what was done to no workload of its own.
func (e *Ejector) Execute(ctx context.Context, p *Plan, said func(string)) error {
	first := p
	for range rounds {
		if err := e.round(ctx, first, p, said); err != nil {
			return err
		}
		if p.Request.Named {
			return nil
		}
		next, err := e.again(ctx, first)
		if err != nil {
			return err
		}
		if next.Nothing() || next.repeats(p) {
			return nil
		}
		p = next
	}
	return errors.New("things keep changing; run it again")
}

// repeats tells whether the plan is about nothing but what the one before left on purpose.
func (p *Plan) repeats(before *Plan) bool {
	return !p.OptsOut && len(p.Installed) == 0 && slices.EqualFunc(p.Items, before.Items, func(a, b *Item) bool {
		return a.Ref == b.Ref && a.Release == nil && b.Release == nil
	})
}

// round turns requests away from what is about to go, ends every release, clears up, and then takes sluice out of the way. What fails keeps the last
// part from being done.
func (e *Ejector) round(ctx context.Context, first, p *Plan, said func(string)) error {
	var failures []error
	var now, late []*Item
	for _, item := range p.Items {
		if item.Late && !p.Request.Named {
			late = append(late, item)
			continue
		}
		now = append(now, item)
	}
	ending, err := e.work(ctx, now, e.divert)
	failures, now = append(failures, err), nil
	for _, item := range ending {
		if !item.Gone {
			if err := e.end(ctx, p.Request, item); err != nil {
				failures = append(failures, err)
				continue
			}
		}
		now = append(now, item)
	}
	failures = append(failures, e.clean(ctx, now))
	if err := errors.Join(failures...); err != nil {
		return err
	}
	if p.OptsOut || len(p.Installed) > 0 {
		if _, err := e.again(ctx, first); err != nil {
			return err
		}
	}
	if p.OptsOut {
		if err := e.optOut(ctx, p.Scope.Namespace); err != nil {
			return err
		}
		said(fmt.Sprintf("namespace/%s: label %s removed", p.Scope.Namespace, canary.EnabledLabel))
	}
	if err := e.uninstall(ctx, p.Installed, said); err != nil {
		return err
	}
	return e.clean(ctx, late)
}

// done says what ending an item did.
func (i *Item) done() string {
	if i.Release == nil {
		if i.Unreadable != "" {
			return "its unreadable state removed; the spec is as it was"
		}
		return "opted out"
	}
	return fmt.Sprintf("release %d ended: %s", i.Release.ID, i.Afterwards())
}

// Afterwards says what the workload does once its release has ended.
func (i *Item) Afterwards() string {
	switch {
	case i.Release == nil && i.Unreadable != "":
		return "as it is: its state cannot be read"
	case i.Release == nil && i.Gone:
		return "does not exist: what sluice made is removed"
	case i.Release == nil && i.OptsOut:
		return "opts out"
	case i.Release == nil:
		return "what sluice left is removed"
	case i.Ending == canary.EndReverted:
		return "the stable version is in the spec"
	case i.Ending == canary.EndPaused && i.Release.Held.Partition > 0:
		return fmt.Sprintf("the new version stays in the spec, paused; its owner's partition was %d", i.Release.Held.Partition)
	case i.Ending == canary.EndPaused:
		return "the new version stays in the spec, paused"
	case i.byUser():
		return "the new version stays in the spec, behind its owner's own pause"
	}
	return "the new version rolls out natively"
}

// byUser: a pause of the user's own keeps the new version back also without sluice.
func (i *Item) byUser() bool {
	held := i.Release.Held
	if i.Kind.Name == canary.StatefulSet {
		return held.Partition > 0 && held.Partition >= i.Replicas
	}
	return held.Paused && i.Release.Holds()
}
