package logging

import (
	"io"
	"log/slog"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// New returns the log that valid Options describe.
func New(o Options, out io.Writer) logr.Logger {
	handling := &slog.HandlerOptions{Level: levels[strings.ToLower(o.Level)], ReplaceAttr: plainLevel}
	var lines slog.Handler = slog.NewJSONHandler(out, handling)
	if o.Format == Text {
		lines = slog.NewTextHandler(out, handling)
	}
	return logr.FromSlogHandler(modest{lines})
}

// Install makes it the log of controller-runtime and of klog, through which
// client-go speaks.
func Install(log logr.Logger) {
	ctrl.SetLogger(log)
	klog.SetLoggerWithOptions(log, klog.ContextualLogger(true))
}

// plainLevel writes the names of --log-level: logr's V(1) would read "DEBUG+3".
func plainLevel(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 || attr.Key != slog.LevelKey {
		return attr
	}
	level, _ := attr.Value.Any().(slog.Level)
	switch {
	case level >= slog.LevelError:
		return slog.String(slog.LevelKey, "error")
	case level >= slog.LevelInfo:
		return slog.String(slog.LevelKey, "info")
	case level >= slog.LevelDebug:
		return slog.String(slog.LevelKey, "debug")
	default:
		return slog.String(slog.LevelKey, "trace")
	}
}
