package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

func listCommand(p *plugin) *cobra.Command {
	var out output
	var all bool
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the workloads that have a release",
		Long: "List the workloads that have a release. AGE is how long the release has been in its phase and\n" +
			"step, PODS counts the canary's pods: those that are available, and those that it is to have.",
		Example:           "  kubectl sluice list -A\n  kubectl sluice list -n shop -o wide",
		Args:              none,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out.addFlag(cmd, asJSON, asYAML, asWide)
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "List those of all namespaces.")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := out.validate(); err != nil {
			return err
		}
		c, err := p.connect()
		if err != nil {
			return err
		}
		namespace := c.namespace
		if all {
			namespace = ""
		}
		list, err := p.released(cmd.Context(), c, namespace)
		if err != nil {
			return err
		}
		if out.structured() {
			return out.write(p.streams.Out, list)
		}
		return p.showList(list, namespace, out.format == asWide)
	}
	return cmd
}

func (p *plugin) released(ctx context.Context, c *connection, namespace string) (*report.ReleaseStatusList, error) {
	reader := workload.NewReader(c.client)
	found, notes, err := reader.Released(ctx, namespace)
	if err != nil {
		return nil, err
	}
	list := &report.ReleaseStatusList{APIVersion: report.APIVersion, Kind: report.StatusListKind, Items: []report.ReleaseStatus{}, Notes: notes}
	if len(found) == 0 {
		return list, nil
	}
	canaries, err := reader.Canaries(ctx, namespace, found)
	var uncounted []string
	if apierrors.IsForbidden(err) {
		uncounted = []string{fmt.Sprintf("canary pods cannot be counted: %v", err)}
		list.Notes = append(list.Notes, uncounted...)
	} else if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *workload.Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind.Name, b.Kind.Name), cmp.Compare(a.Name, b.Name))
	})
	for _, w := range found {
		var canary *workload.Revision
		if revision, ok := canaries[w.Ref]; ok {
			canary = &revision
		}
		item := report.Listed(w, canary, p.target(w.Ref))
		item.Notes = uncounted
		list.Items = append(list.Items, item)
	}
	return list, nil
}

func (p *plugin) showList(list *report.ReleaseStatusList, namespace string, wide bool) error {
	for _, note := range list.Notes {
		fmt.Fprintln(p.streams.ErrOut, screen.Said("Note: "+note).Text)
	}
	if len(list.Items) == 0 {
		where := "."
		if namespace != "" {
			where = " in namespace " + namespace + "."
		}
		fmt.Fprintln(p.streams.ErrOut, "No releases"+where)
		return nil
	}
	lines, err := screen.List(list, p.clock.Now(), wide)
	if err != nil {
		return err
	}
	return p.terminal().Print(lines...)
}
