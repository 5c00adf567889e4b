package logging

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
)

// own is how the names of sluice's functions begin, those of main included.
var own = []string{"sluice.dev/", "main."}

// modest makes everybody else's info debug.
type modest struct {
	slog.Handler
}

// Handle drops what is not wanted at the level it really has.
func (m modest) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelInfo && record.Level < slog.LevelWarn && !isOwn(record.PC) {
		record.Level = slog.LevelDebug
		if !m.Enabled(ctx, record.Level) {
			return nil
		}
	}
	return m.Handler.Handle(ctx, record)
}

// WithAttrs keeps the rule.
func (m modest) WithAttrs(attrs []slog.Attr) slog.Handler { return modest{m.Handler.WithAttrs(attrs)} }

// WithGroup keeps the rule.
func (m modest) WithGroup(name string) slog.Handler { return modest{m.Handler.WithGroup(name)} }

func isOwn(pc uintptr) bool {
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	for _, prefix := range own {
		if strings.HasPrefix(frame.Function, prefix) {
			return true
		}
	}
	return false
}
