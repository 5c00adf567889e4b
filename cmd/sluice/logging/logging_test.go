package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"k8s.io/klog/v2"

	"sluice.dev/sluice/cmd/sluice/logging"
)

func TestOptions(t *testing.T) {
	tests := map[string]struct {
		args       []string
		wantFaults []string
	}{
		"the defaults are valid":           {},
		"every format and level is valid":  {args: []string{"--log-format=text", "--log-level=trace"}},
		"a level may be written as in Go":  {args: []string{"--log-level=DEBUG"}},
		"all faults are reported at once":  {args: []string{"--log-format=xml", "--log-level=loud"}, wantFaults: []string{`--log-format "xml": want json or text`, `--log-level "loud": want one of error, info, debug, trace`}},
		"an empty value is no known value": {args: []string{"--log-level="}, wantFaults: []string{`--log-level "": want one of error, info, debug, trace`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			opts := logging.Defaults()
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			opts.AddFlags(flags)
			require.NoError(t, flags.Parse(tt.args))

			err := opts.Validate()

			if len(tt.wantFaults) == 0 {
				require.NoError(t, err)
			}
			for _, fault := range tt.wantFaults {
				require.ErrorContains(t, err, fault)
			}
		})
	}
}

func TestLines(t *testing.T) {
	tests := map[string]struct {
		level      string
		wantLevels []string
	}{
		"error hides what was done": {level: "error", wantLevels: []string{"error"}},
		"info says what was done":   {level: "info", wantLevels: []string{"error", "info"}},
		"debug says everything":     {level: "debug", wantLevels: []string{"error", "info", "debug"}},
		"trace says more than that": {level: "trace", wantLevels: []string{"error", "info", "debug", "trace"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log := logging.New(logging.Options{Format: logging.JSON, Level: tt.level}, &out)

			log.Error(errors.New("no"), "refused")
			log.Info("held")
			log.V(1).Info("looked")
			log.V(6).Info("asked")

			var got []string
			for _, line := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
				var parsed struct{ Level, Msg string }
				require.NoError(t, json.Unmarshal(line, &parsed))
				got = append(got, parsed.Level)
			}
			require.Equal(t, tt.wantLevels, got)
		})
	}
}

func TestTheLibrariesUseTheSameLog(t *testing.T) {
	tests := map[string]struct {
		level string
		want  string
	}{
		"their info is not said at info": {level: "info", want: "refused,held"},
		"it is at debug":                 {level: "debug", want: "refused,started,held"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			logging.Install(logging.New(logging.Options{Format: logging.JSON, Level: tt.level}, &out))

			// The frame above this function is the testing library's.
			klog.Background().WithCallDepth(1).Error(errors.New("no"), "refused")
			klog.Background().WithCallDepth(1).Info("started")
			klog.Background().Info("held")

			var got []string
			for _, line := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
				var parsed struct{ Msg string }
				require.NoError(t, json.Unmarshal(line, &parsed))
				got = append(got, parsed.Msg)
			}
			require.Equal(t, tt.want, strings.Join(got, ","))
		})
	}
}
