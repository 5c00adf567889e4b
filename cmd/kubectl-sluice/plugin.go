package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// plugin is what all commands share.
type plugin struct {
	flags   *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	clock   clock.WithTicker
	// dial makes the client; tests have one of their own.
	dial func(*rest.Config) (dynamic.Interface, error)
	// mapper knows the kinds of the API server; tests have one of their own.
	mapper func() (meta.RESTMapper, error)
	// asks tells whether somebody can be asked; tests say so themselves.
	asks func(io.Reader) bool
}

func newPlugin(streams genericiooptions.IOStreams, clock clock.WithTicker) *plugin {
	flags := genericclioptions.NewConfigFlags(true)
	return &plugin{
		flags: flags, streams: streams, clock: clock,
		dial:   func(config *rest.Config) (dynamic.Interface, error) { return dynamic.NewForConfig(config) },
		mapper: flags.ToRESTMapper,
		asks:   screen.IsTerminal,
	}
}

// connection is a client and the namespace that the kubeconfig and the flags name.
type connection struct {
	client    dynamic.Interface
	namespace string
}

// qps and burst are kubectl's: a command makes few requests, and should not wait for itself.
const (
	qps   = 50
	burst = 300
)

// connect does not reach out yet. Warnings of the API server, and so of sluice, go to stderr as kubectl
// shows them.
func (p *plugin) connect() (*connection, error) {
	config, err := p.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	namespace, _, err := p.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the namespace of the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = qps, burst
	config.UserAgent = "kubectl-sluice/" + version
	config.WarningHandler = rest.NewWarningWriter(p.streams.ErrOut, rest.WarningWriterOptions{
		Deduplicate: true, Color: printers.AllowsColorOutput(p.streams.ErrOut),
	})
	client, err := p.dial(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return &connection{client, namespace}, nil
}

// workload reads the arguments and connects.
func (p *plugin) workload(args []string) (*connection, workload.Ref, error) {
	c, err := p.connect()
	if err != nil {
		return nil, workload.Ref{}, err
	}
	ref, err := workload.Parse(args, c.namespace)
	return c, ref, err
}

// target names a workload in commands that reach the same cluster when they are pasted.
func (p *plugin) target(ref workload.Ref) report.Target {
	t := report.Target{Workload: ref.String(), Namespace: ref.Namespace}
	for _, flag := range []struct {
		name  string
		value *string
	}{
		{"kubeconfig", p.flags.KubeConfig}, {"context", p.flags.Context}, {"cluster", p.flags.ClusterName}, {"user", p.flags.AuthInfoName},
	} {
		if flag.value != nil && *flag.value != "" {
			t.Flags = append(t.Flags, fmt.Sprintf("--%s=%s", flag.name, quote(*flag.value)))
		}
	}
	return t
}

// quote makes one word of a value for a shell.
func quote(value string) string {
	if strings.ContainsAny(value, " '\"$`\\&|;<>(){}[]*?!#~\t\n") {
		return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	return value
}

func (p *plugin) terminal() *screen.Terminal { return screen.NewTerminal(p.streams.Out) }

// say tells on stdout what was done to a workload.
func (p *plugin) say(ref workload.Ref, what string) error {
	return p.terminal().Print(screen.Said(ref.Resource() + ": " + what))
}

// one is the usage of commands on one workload.
const one = "(KIND/NAME | KIND NAME)"

// workloadCommand returns a command on one workload, which completes its name; released: of those that
// have a release.
func (p *plugin) workloadCommand(use, short string, released bool) *cobra.Command {
	return &cobra.Command{Use: use + " " + one, Short: short, ValidArgsFunction: p.completeWorkloads(released)}
}
