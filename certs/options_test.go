package certs

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"defaults are valid":          {change: func(o *Options) { o.Timing = Timing{} }},
		"an address alone is enough":  {change: func(o *Options) { o.DNSNames, o.IPs = nil, []net.IP{net.IPv4(127, 0, 0, 1)} }},
		"cert-manager's is valid":     {change: func(o *Options) { o.ServingSecret = "sluice-serving" }},
		"both Secrets are the same":   {change: func(o *Options) { o.ServingSecret = "sluice-ca" }, want: []string{`are both "sluice-ca"`}},
		"no namespace":                {change: func(o *Options) { o.Namespace = "" }, want: []string{"the namespace of the Secrets is missing"}},
		"an empty name":               {change: func(o *Options) { o.DNSNames = []string{""} }, want: []string{"an empty name"}},
		"a leaf longer than overlap":  {change: func(o *Options) { o.LeafValidity = 7 * day }, want: []string{"overlap 168h0m0s is shorter than leaf validity + 2 skew + 1m = 168h21m0s"}},
		"a CA too short for rotation": {change: func(o *Options) { o.CAValidity = 21 * day }, want: []string{"a third of CA validity 504h0m0s is shorter than overlap + propagation + skew = 174h10m0s"}},
		"a leaf too short for polls":  {change: func(o *Options) { o.Interval = 3 * day }, want: []string{"a third of leaf validity 144h0m0s is shorter than interval 72h0m0s"}},
		"every fault at once": {
			change: func(o *Options) { *o = Options{Timing: Timing{Skew: -time.Second}} },
			want: []string{"namespace", "no DNS name and no IP address", "no webhook configuration is named",
				"skew -1s is not positive"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options()
			tc.change(&opts)
			err := opts.Validate()
			if len(tc.want) == 0 {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.Len(t, strings.Split(err.Error(), "\n"), len(tc.want), "%s", err)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}
