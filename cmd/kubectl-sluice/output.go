package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// Values of --output.
const (
	asJSON = "json"
	asYAML = "yaml"
	asWide = "wide"
)

// output is the flag --output.
type output struct {
	format  string
	formats []string
}

func (o *output) addFlag(cmd *cobra.Command, formats ...string) {
	o.formats = formats
	cmd.Flags().StringVarP(&o.format, "output", "o", "", "Output format. One of: ("+strings.Join(formats, ", ")+").")
	register(cmd, "output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return formats, cobra.ShellCompDirectiveNoFileComp
	})
}

func (o *output) validate() error {
	if o.format == "" || slices.Contains(o.formats, o.format) {
		return nil
	}
	return fmt.Errorf("--output=%s: want one of %s", o.format, strings.Join(o.formats, ", "))
}

// structured tells whether the output is for programs.
func (o *output) structured() bool { return o.format == asJSON || o.format == asYAML }

// encode returns a report as a document.
func (o *output) encode(value any) ([]byte, error) {
	if o.format == asYAML {
		text, err := yaml.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("encoding YAML: %w", err)
		}
		return text, nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "    ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encoding JSON: %w", err)
	}
	return text.Bytes(), nil
}

func (o *output) write(out io.Writer, value any) error {
	text, err := o.encode(value)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
