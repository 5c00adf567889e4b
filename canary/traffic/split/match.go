package split

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const matchGrammar = "header:NAME=VALUE or cookie:NAME=VALUE, for example \"header:x-canary=yes\" or \"cookie:canary=always\""

// Match describes the requests that go to the canary whatever the weight: those with this header, or with this
// cookie. The empty Match describes none.
type Match struct {
	// Header or Cookie is a name; the other one is empty.
	Header, Cookie string
	Value          string
}

// String returns what ParseMatch reads, and "" of the empty Match.
func (m Match) String() string {
	switch {
	case m.Header != "":
		return "header:" + m.Header + "=" + m.Value
	case m.Cookie != "":
		return "cookie:" + m.Cookie + "=" + m.Value
	default:
		return ""
	}
}

// The characters of RFC 9110 (a token) and RFC 6265 (the value of a cookie). A header's value has no space at
// its ends.
var (
	token       = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$")
	headerValue = regexp.MustCompile(`^[!-~]+([ ]+[!-~]+)*$`)
	cookieValue = regexp.MustCompile(`^[!#-+\--:<-\[\]-~]+$`)
)

const longestValue = 1024

// ParseMatch parses the value of sluice.dev/match: "header:NAME=VALUE" or "cookie:NAME=VALUE". The error names the value and the grammar.
func ParseMatch(value string) (Match, error) {
	match, err := parseMatch(strings.TrimSpace(value))
	if err != nil {
		return Match{}, fmt.Errorf("%q: %w; want %s", value, err, matchGrammar)
	}
	return match, nil
}

func parseMatch(text string) (Match, error) {
	of, rest, ok := strings.Cut(text, ":")
	if !ok || of != "header" && of != "cookie" {
		return Match{}, errors.New("it begins with neither \"header:\" nor \"cookie:\"")
	}
	name, value, ok := strings.Cut(rest, "=")
	if !ok {
		return Match{}, errors.New("there is no \"=\" between name and value")
	}
	if !token.MatchString(name) {
		return Match{}, fmt.Errorf("%q is not the name of a %s", name, of)
	}
	if of == "cookie" {
		if len(value) > longestValue || !cookieValue.MatchString(value) {
			return Match{}, fmt.Errorf("%q cannot be the value of a cookie", value)
		}
		return Match{Cookie: name, Value: value}, nil
	}
	if len(value) > longestValue || !headerValue.MatchString(value) {
		return Match{}, fmt.Errorf("%q cannot be the value of a header", value)
	}
	return Match{Header: strings.ToLower(name), Value: value}, nil
}

// cookiePattern is the regular expression of a Cookie header that has this cookie among others. It is anchored,
// and means the same in RE2, PCRE and POSIX: some gateways look for a match of the whole value, others of a part.
func (m Match) cookiePattern() string {
	return "^(.*;[ ]*)?" + regexp.QuoteMeta(m.Cookie+"="+m.Value) + "([ ]*;.*)?$"
}
