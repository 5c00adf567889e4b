package screen

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// drawn returns what Draw writes for each of these numbers of lines, on a terminal of these sizes.
func drawn(t *testing.T, colour bool, counts []int, sizes ...Size) []string {
	t.Helper()
	var out bytes.Buffer
	terminal := &Terminal{Out: &out, Colour: colour, Redraw: true}
	var shots []string
	for i, count := range counts {
		terminal.Size = func() Size { return sizes[min(i, len(sizes)-1)] }
		out.Reset()
		require.NoError(t, terminal.Draw(func(int) ([]Line, error) { return numbered(count), nil }))
		shots = append(shots, out.String())
	}
	return shots
}

func numbered(count int) []Line {
	var lines []Line
	for i := range count {
		lines = append(lines, styled(fmt.Sprintf("line %d", i+1), Good))
	}
	return lines
}

func TestTheNextDrawingCoversTheLast(t *testing.T) {
	got := drawn(t, false, []int{2, 3, 1}, Size{80, 24})
	require.Equal(t, []string{
		"line 1\x1b[K\nline 2\x1b[K\n\x1b[J",
		"\x1b[2A\rline 1\x1b[K\nline 2\x1b[K\nline 3\x1b[K\n\x1b[J",
		"\x1b[3A\rline 1\x1b[K\n\x1b[J",
	}, got)
}

func TestNothingIsDrawnThatScrollsAwayOrWraps(t *testing.T) {
	got := drawn(t, true, []int{9}, Size{4, 4})
	require.Equal(t, []string{"\x1b[32mlin…\x1b[0m\x1b[K\n\x1b[32mlin…\x1b[0m\x1b[K\n\x1b[2m...…\x1b[0m\x1b[K\n\x1b[J"}, got)
}

func TestAResizedTerminalIsClearedFirst(t *testing.T) {
	got := drawn(t, false, []int{1, 1, 1}, Size{80, 24}, Size{40, 24}, Size{40, 24})
	require.Equal(t, []string{"line 1\x1b[K\n\x1b[J", "\x1b[H\x1b[2Jline 1\x1b[K\n\x1b[J", "\x1b[1A\rline 1\x1b[K\n\x1b[J"}, got)
}

func TestDetailGivesWayToHeight(t *testing.T) {
	status := func(d Detail) ([]Line, error) {
		lines := 10 + d.Pods + d.Changes
		if d.Bare {
			lines -= 5
		}
		return numbered(lines), nil
	}
	for height, want := range map[int]int{0: 50, 60: 50, 49: 25, 20: 18, 13: 13, 12: 10, 9: 5, 3: 5} {
		lines, err := Fit(status, height)
		require.NoError(t, err)
		require.Len(t, lines, want, "height %d", height)
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	terminal := NewTerminal(file)
	require.False(t, terminal.Colour)
	require.False(t, terminal.Redraw)
	require.Equal(t, Size{}, terminal.Size())
	require.NoError(t, terminal.Print(styled("held", Bad)))
	content, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.Equal(t, "held\n", string(content))
}

func TestNothingMovesTheCursorButUs(t *testing.T) {
	for text, want := range map[string]string{
		"plain – ü":            "plain – ü",
		"\x1b[31mred":          "^[[31mred",
		"bell\a tab\t":         "bell^G tab^I",
		"C1 \u009b31m, \x7f":   `C1 \u009b31m, \u007f`,
		"two\nlines\r\nor\vso": "two lines or so",
	} {
		require.Equal(t, want, styled(text, Plain).Text)
	}
	require.Equal(t, "two\nlines", Escape("two\nlines"), "an error may have several")
}
