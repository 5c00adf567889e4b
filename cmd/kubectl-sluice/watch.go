package main

import (
	"bytes"
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/follow"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

const (
	// gather is how long changes that come together are awaited before the next look.
	gather = 200 * time.Millisecond
	// tick is how often a terminal shows the time that passes, and when what could not be read is read again.
	tick = time.Second
	// patience is how often that is tried.
	patience = 30
)

// watcher shows a status as it changes.
type watcher struct {
	*plugin
	out  *output
	look func(context.Context) (*report.ReleaseStatus, error)

	terminal *screen.Terminal
	last     []byte // what was shown last, where it cannot be drawn over
}

// run shows the status until the context ends. While it cannot be read, because the API server is away,
// it stays as it was.
func (w *watcher) run(ctx context.Context, c *connection, ref workload.Ref) error {
	w.terminal = w.plugin.terminal()
	first, err := workload.NewReader(c.client).Get(ctx, ref)
	if err != nil {
		return err
	}
	changed := follow.Changes(ctx, w.clock, sources(c, first)...)
	ticks := w.clock.NewTicker(tick)
	defer ticks.Stop()
	status, err := w.look(ctx)
	if err != nil {
		return err
	}
	for failures := 0; ; {
		if err := w.show(status); err != nil {
			return err
		}
		due, err := w.due(ctx, changed, ticks.C())
		if err != nil {
			return err
		}
		if !due && failures == 0 {
			continue
		}
		next, err := w.look(ctx)
		switch failures++; {
		case err == nil:
			status, failures = next, 0
		case apierrors.IsNotFound(err), failures == patience:
			return err
		}
	}
}

// due waits for a change or for the next tick, and tells whether it was a change.
func (w *watcher) due(ctx context.Context, changed <-chan struct{}, ticks <-chan time.Time) (bool, error) {
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-ticks:
		return false, nil
	case <-changed:
	}
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-w.clock.After(gather):
		return true, nil
	}
}

// sources are what a status is made of.
func sources(c *connection, w *workload.Workload) []follow.Source {
	sets := c.client.Resource(appsv1.SchemeGroupVersion.WithResource("replicasets")).Namespace(w.Namespace)
	return []follow.Source{
		follow.Workload(c.client, w.Ref),
		{Resource: c.client.Resource(podResource).Namespace(w.Namespace), Labels: w.Selector().String()},
		{Resource: sets, Labels: canary.WorkloadLabel + "=" + canary.WorkloadLabelValue(w.Name)},
	}
}

func (w *watcher) show(status *report.ReleaseStatus) error {
	now := w.clock.Now()
	if !w.out.structured() && w.terminal.Redraw {
		return w.terminal.Draw(func(height int) ([]screen.Line, error) {
			return screen.Fit(func(d screen.Detail) ([]screen.Line, error) { return screen.Status(status, now, d) }, height)
		})
	}
	line := screen.Event(status)
	shown, separator := []byte(line.Text), ""
	if w.out.structured() {
		var err error
		if shown, err = w.out.encode(status); err != nil {
			return err
		}
		if w.out.format == asYAML && w.last != nil {
			separator = "---\n"
		}
	}
	if bytes.Equal(shown, w.last) {
		return nil
	}
	w.last = shown
	if !w.out.structured() {
		return w.terminal.Print(line)
	}
	_, err := w.streams.Out.Write(append([]byte(separator), shown...))
	return err
}
