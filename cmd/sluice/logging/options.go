package logging

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"
)

// The formats of a line.
const (
	JSON = "json"
	Text = "text"
)

// levels are the names of --log-level. sluice says with info what it changed or
// refused and with debug everything else.
var levels = map[string]slog.Level{
	"error": slog.LevelError,
	"info":  slog.LevelInfo,
	"debug": slog.LevelDebug,
	"trace": -10, // logr's V(10): the Kubernetes libraries tell every request
}

const levelNames = "error, info, debug, trace"

// Options say how sluice logs.
type Options struct {
	Format string // JSON or Text
	Level  string // one of levels
}

// Defaults logs what was changed, as JSON.
func Defaults() Options {
	return Options{Format: JSON, Level: "info"}
}

// AddFlags registers the flags; what the Options hold is their default.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Format, "log-format", o.Format, "how a log line is written: json or text")
	flags.StringVar(&o.Level, "log-level", o.Level, "how much is logged: "+levelNames)
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	var faults []error
	if o.Format != JSON && o.Format != Text {
		faults = append(faults, fmt.Errorf("--log-format %q: want json or text", o.Format))
	}
	if _, known := levels[strings.ToLower(o.Level)]; !known {
		faults = append(faults, fmt.Errorf("--log-level %q: want one of %s", o.Level, levelNames))
	}
	return errors.Join(faults...)
}
