package screen

import (
	"fmt"
	"strings"
	"unicode"
)

// Style is how a line looks on a terminal that has colours.
type Style string

// The styles, as codes of ANSI terminals.
const (
	Plain  Style = ""
	Strong Style = "1"
	Good   Style = "32"
	Warn   Style = "33"
	Bad    Style = "31"
	Faint  Style = "2"
)

// Line is one line of text, without its end.
type Line struct {
	Text  string
	Style Style
}

// Said returns a line of text in no colour.
func Said(text string) Line { return plain(text) }

// plain returns a line that is safe for a terminal, whatever the cluster's objects say.
func plain(text string) Line { return styled(text, Plain) }

func styled(text string, style Style) Line {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\f' || r == '\v' }), " ")
	return Line{strings.TrimRight(Escape(text), " "), style}
}

// Escape makes control characters visible, but for the ends of lines: what the cluster's objects say
// does not move the cursor, ring or change the title.
func Escape(text string) string {
	var safe strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || !unicode.IsControl(r):
			safe.WriteRune(r)
		case r < 0x20:
			safe.WriteString("^" + string(r+'@'))
		default:
			fmt.Fprintf(&safe, "\\u%04x", r)
		}
	}
	return safe.String()
}

// render returns the line with its colour, if colours are wanted.
func (l Line) render(colour bool) string {
	if !colour || l.Style == Plain || l.Text == "" {
		return l.Text
	}
	return "\x1b[" + string(l.Style) + "m" + l.Text + "\x1b[0m"
}

// cut shortens the line to a width in characters; 0: as it is.
func (l Line) cut(width int) Line {
	runes := []rune(l.Text)
	if width > 0 && len(runes) > width {
		l.Text = string(runes[:width-1]) + "…"
	}
	return l
}

// shorten cuts a text in the middle of a line.
func shorten(text string, width int) string { return Line{Text: text}.cut(width).Text }
