package split

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseMatch(t *testing.T) {
	tests := map[string]struct {
		value   string
		want    Match
		wantErr string
	}{
		"a header, whose name has no case":        {"header:X-Canary=yes", Match{Header: "x-canary", Value: "yes"}, ""},
		"a cookie, whose name has":                {" cookie:Canary=always ", Match{Cookie: "Canary", Value: "always"}, ""},
		"only the first = divides":                {"header:a=b=c", Match{Header: "a", Value: "b=c"}, ""},
		"a header's value may have spaces inside": {"header:user-agent=Mozilla 5", Match{Header: "user-agent", Value: "Mozilla 5"}, ""},
		"nothing":                              {"", Match{}, `"": it begins with neither "header:" nor "cookie:"`},
		"something else":                       {"query:a=b", Match{}, `it begins with neither`},
		"no value":                             {"header:a", Match{}, `there is no "=" between name and value`},
		"an empty value":                       {"header:a=", Match{}, `"" cannot be the value of a header`},
		"an empty name":                        {"cookie:=a", Match{}, `"" is not the name of a cookie`},
		"a name that is none":                  {"header:a b=c", Match{}, `"a b" is not the name of a header`},
		"a cookie's value ends at a semicolon": {"cookie:a=b;c", Match{}, `"b;c" cannot be the value of a cookie`},
		"a line break":                         {"header:a=b\nc: d", Match{}, "cannot be the value"},
		"too long":                             {"header:a=" + strings.Repeat("b", 1025), Match{}, "cannot be the value"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseMatch(test.value)
			if test.wantErr != "" {
				require.ErrorContains(t, err, test.wantErr)
				require.ErrorContains(t, err, "; want "+matchGrammar)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			again, err := ParseMatch(got.String())
			require.NoError(t, err)
			require.Equal(t, got, again)
		})
	}
}

func TestTheCookieIsFoundAmongOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.StringMatching("[A-Za-z0-9.+*$^|]{1,4}")
		m, err := ParseMatch("cookie:" + names.Draw(t, "name") + "=" + rapid.StringMatching(`[a-z.*+()$\[\]|]{1,4}`).Draw(t, "value"))
		require.NoError(t, err)
		pattern := regexp.MustCompile(m.cookiePattern())
		cookie := m.Cookie + "=" + m.Value
		for _, header := range []string{cookie, "a=b; " + cookie, cookie + "; a=b", "a=b;" + cookie + "; c=d"} {
			require.Regexp(t, pattern, header)
		}
		for _, header := range []string{"", "x" + cookie, cookie + "x", "a=b; x" + cookie, "a=" + cookie, cookie + "x; a=b"} {
			require.NotRegexp(t, pattern, header)
		}
	})
}
