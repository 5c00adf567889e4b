package server

import (
	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// quietAboutRivals returns a log in which it is no error that another replica was
// faster to take the Lease.
func quietAboutRivals(logger logr.Logger) logr.Logger {
	if logger.IsZero() {
		return logger // it says nothing
	}
	return logger.WithSink(rivalrySink{logger.GetSink()})
}

type rivalrySink struct{ logr.LogSink }

func (s rivalrySink) Error(err error, message string, keysAndValues ...any) {
	switch rival := apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err); {
	case !rival:
		s.LogSink.Error(err, message, keysAndValues...)
	case s.Enabled(1):
		s.Info(1, "another replica was faster to take the lease", append(keysAndValues, "cause", err.Error())...)
	}
}

// WithValues keeps the rule.
func (s rivalrySink) WithValues(keysAndValues ...any) logr.LogSink {
	return rivalrySink{s.LogSink.WithValues(keysAndValues...)}
}

// WithName keeps the rule.
func (s rivalrySink) WithName(name string) logr.LogSink {
	return rivalrySink{s.LogSink.WithName(name)}
}
