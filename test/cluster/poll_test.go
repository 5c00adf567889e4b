package cluster

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPollSaysWhatWasMissing(t *testing.T) {
	missing := errors.New("no node is ready")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx       context.Context
		tries     []error
		wantTries int
		wantErr   string
	}{
		"success ends it":                  {ctx: t.Context(), tries: []error{missing, nil}, wantTries: 2},
		"a final error ends it":            {ctx: t.Context(), tries: []error{missing, final{errors.New("it died")}}, wantTries: 2, wantErr: "it died"},
		"an ended context ends it":         {ctx: ended, tries: []error{missing}, wantTries: 1, wantErr: "context canceled, at last: no node is ready"},
		"success counts, however late":     {ctx: ended, tries: []error{nil}, wantTries: 1},
		"a final error counts, even later": {ctx: ended, tries: []error{final{missing}}, wantTries: 1, wantErr: "no node is ready"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tries := 0
			err := poll(test.ctx, func() error {
				tries++
				return test.tries[tries-1]
			})
			require.Equal(t, test.wantTries, tries)
			if test.wantErr == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.wantErr)
		})
	}
}
