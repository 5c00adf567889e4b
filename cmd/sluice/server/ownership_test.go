package server

import (
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/webhook/ownership"
)

func TestFlagsSayWhoIsWho(t *testing.T) {
	tests := map[string]struct {
		args    []string
		want    ownership.Operator
		wantErr string
	}{
		"by default nobody is bound": {want: ownership.Operator{Aliases: map[string]string{}, Unknown: ownership.Warn, ForcedApply: ownership.Ignore}},
		"users of managers": {
			args: []string{"--manager-user=flux=system:serviceaccount:flux-system:*", "--manager-user=ci=bob", "--manager-user=flux=alice"},
			want: ownership.Operator{Aliases: map[string]string{}, Unknown: ownership.Warn, ForcedApply: ownership.Ignore, Bindings: []ownership.Binding{
				{Manager: "flux", Users: []string{"system:serviceaccount:flux-system:*", "alice"}}, {Manager: "ci", Users: []string{"bob"}},
			}}},
		"names and modes": {
			args: []string{"--manager-alias=a=b", "--ownership-unknown=enforce", "--ownership-forced-apply=warn"},
			want: ownership.Operator{Aliases: map[string]string{"a": "b"}, Unknown: ownership.Enforce, ForcedApply: ownership.Warn}},
		"not a pair":        {args: []string{"--manager-user=flux"}, wantErr: `--manager-user "flux": want MANAGER=USER`},
		"nobody":            {args: []string{"--manager-user=flux="}, wantErr: `--manager-user "flux=": want MANAGER=USER`},
		"no manager":        {args: []string{"--manager-alias==flux"}, wantErr: `--manager-alias "=flux": want NAME=MANAGER`},
		"a mode that is no": {args: []string{"--ownership-unknown=off"}, wantErr: `"off" is not one of ignore, warn, enforce`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			opts := Defaults()
			flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
			opts.AddFlags(flags)
			require.NoError(t, flags.Parse(test.args))

			err := opts.Validate()

			if test.wantErr != "" {
				require.ErrorContains(t, err, test.wantErr)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, opts.webhook().Ownership)
		})
	}
}
