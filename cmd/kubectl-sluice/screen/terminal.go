package screen

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/printers"
)

// Size of a terminal in characters; zero where it is not known.
type Size struct{ Width, Height int }

// Terminal is where lines go. The zero value with Out is a file or a pipe: no colour, no redraw.
type Terminal struct {
	Out io.Writer
	// Colour and Redraw tell what the terminal can.
	Colour, Redraw bool
	// Size is asked before each redraw.
	Size func() Size

	drawn int // lines that the cursor stands below
	last  Size
}

// NewTerminal finds out what a writer is. The environment variables NO_COLOR and TERM=dumb are heeded.
func NewTerminal(out io.Writer) *Terminal {
	t := &Terminal{Out: out, Colour: printers.AllowsColorOutput(out)}
	file, ok := out.(*os.File)
	t.Redraw = ok && printers.IsTerminal(out) && os.Getenv("TERM") != "dumb" &&
		(runtime.GOOS != "windows" || os.Getenv("WT_SESSION") != "") // older consoles know no escape codes
	t.Size = func() Size {
		if !ok {
			return Size{}
		}
		width, height, err := term.GetSize(int(file.Fd())) // a file descriptor is a small number
		if err != nil {
			return Size{}
		}
		return Size{width, height}
	}
	return t
}

// IsTerminal tells whether a person is at the other end.
func IsTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) // a file descriptor is a small number
}

// Print writes the lines below what was written before.
func (t *Terminal) Print(lines ...Line) error {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line.render(t.Colour) + "\n")
	}
	_, err := io.WriteString(t.Out, text.String())
	return err
}

// Draw writes what fits the terminal's size over what was drawn before. Fit returns the lines for a
// height, 0: any; what is still too high is cut, since nothing can be drawn over once it scrolled away.
func (t *Terminal) Draw(fit func(height int) ([]Line, error)) error {
	size := t.Size()
	height := max(size.Height-1, 0) // the cursor stands below
	lines, err := fit(height)
	if err != nil {
		return err
	}
	if height > 0 && len(lines) > height {
		lines = append(lines[:height-1:height-1], styled("... the terminal is too small for the rest", Faint))
	}
	var text strings.Builder
	switch {
	case t.drawn > 0 && size != t.last:
		text.WriteString("\x1b[H\x1b[2J") // lines may have wrapped, so nobody knows where they are
	case t.drawn > 0:
		fmt.Fprintf(&text, "\x1b[%dA\r", t.drawn)
	}
	for _, line := range lines {
		text.WriteString(line.cut(size.Width).render(t.Colour) + "\x1b[K\n")
	}
	text.WriteString("\x1b[J")
	t.drawn, t.last = len(lines), size
	_, err = io.WriteString(t.Out, text.String())
	return err
}

// details are tried in turn until a status fits.
var details = []Detail{Full, {Pods: 5, Changes: 10}, {Pods: 3, Changes: 5}, {Pods: 1, Changes: 3}, {Changes: 3}, {}, {Bare: true}}

// Fit returns a status with as much detail as fits a height; 0: all.
func Fit(status func(Detail) ([]Line, error), height int) (lines []Line, err error) {
	for _, detail := range details {
		lines, err = status(detail)
		if err != nil || height == 0 || len(lines) <= height {
			return lines, err
		}
	}
	return lines, nil
}
