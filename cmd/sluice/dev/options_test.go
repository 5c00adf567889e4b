package dev

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptions(t *testing.T) {
	tests := map[string]struct {
		opts       Options
		wantFaults []string
		wantHost   string
		wantPort   int
		wantBase   string // with port 7 where any is free
		wantHosts  []string
	}{
		"by default the loopback address and any port": {
			wantHost: "127.0.0.1", wantBase: "https://127.0.0.1:7", wantHosts: []string{"localhost", "127.0.0.1", "::1"}},
		"a URL of this machine decides the port": {
			opts: Options{URL: "https://127.0.0.1:9443"}, wantHost: "127.0.0.1", wantPort: 9443, wantBase: "https://127.0.0.1:9443"},
		"a URL without a port has https's": {
			opts: Options{URL: "https://laptop"}, wantHost: "127.0.0.1", wantPort: 443, wantBase: "https://laptop", wantHosts: []string{"laptop"}},
		"a tunnel ends at another port": {
			opts: Options{URL: "https://tunnel.example/sluice", Listen: "127.0.0.1:9443"}, wantHost: "127.0.0.1", wantPort: 9443,
			wantBase: "https://tunnel.example/sluice", wantHosts: []string{"tunnel.example"}},
		"an address of this machine": {
			opts: Options{Listen: "10.0.0.7:0"}, wantHost: "10.0.0.7", wantBase: "https://10.0.0.7:7", wantHosts: []string{"10.0.0.7"}},
		"all addresses are called by the loopback one": {
			opts: Options{Listen: ":9443"}, wantPort: 9443, wantBase: "https://127.0.0.1:9443"},
		"all faults are reported at once": {
			opts: Options{URL: "http://laptop", Listen: "9443"}, wantFaults: []string{`--url "http://laptop": want https://HOST:PORT`, `--listen "9443": want HOST:PORT`}},
		"a URL that an API server refuses":     {opts: Options{URL: "https://me@laptop"}, wantFaults: []string{"no user, query or fragment"}},
		"a URL with no host name":              {opts: Options{URL: "https://lap_top"}, wantFaults: []string{`"lap_top" is neither`}},
		"a port that is none":                  {opts: Options{Listen: "127.0.0.1:70000"}, wantFaults: []string{"--listen"}},
		"a tunnel cannot end at any free port": {opts: Options{URL: "https://tunnel.example", Listen: "127.0.0.1:0"}, wantFaults: []string{"--listen"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.opts.Validate()
			for _, fault := range tt.wantFaults {
				require.ErrorContains(t, err, fault)
			}
			if len(tt.wantFaults) > 0 {
				return
			}
			require.NoError(t, err)

			host, port := tt.opts.listenAddress()
			require.Equal(t, tt.wantHost, host)
			require.Equal(t, tt.wantPort, port)
			if port == 0 {
				port = 7
			}
			require.Equal(t, tt.wantBase, tt.opts.base(host, port))
			require.Subset(t, tt.opts.hosts(), tt.wantHosts)
		})
	}
}
