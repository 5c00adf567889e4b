package screen

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
)

// table collects rows and prints them as kubectl prints its tables.
type table struct {
	metav1.Table
	styles []Style
}

func newTable(columns ...string) *table {
	t := &table{}
	for _, column := range columns {
		t.ColumnDefinitions = append(t.ColumnDefinitions, metav1.TableColumnDefinition{Name: column, Type: "string"})
	}
	return t
}

func (t *table) add(style Style, cells ...any) {
	t.Rows = append(t.Rows, metav1.TableRow{Cells: cells})
	t.styles = append(t.styles, style)
}

// lines returns the table with its header.
func (t *table) lines() ([]Line, error) {
	var text bytes.Buffer
	if err := printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(&t.Table, &text); err != nil {
		return nil, fmt.Errorf("printing a table: %w", err)
	}
	var lines []Line
	for i, row := range strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n") {
		style := Plain
		if i > 0 && i <= len(t.styles) {
			style = t.styles[i-1]
		}
		lines = append(lines, styled(row, style))
	}
	return lines, nil
}

// age is the column AGE.
func age(since *time.Time, now time.Time) string {
	if since == nil || since.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(max(now.Sub(*since), 0))
}
