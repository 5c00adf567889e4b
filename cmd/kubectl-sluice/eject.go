package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/eject"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// ejection is the command eject with its flags.
type ejection struct {
	*plugin
	out                          output
	promote, revert, leavePaused bool
	all, everywhere, yes         bool
	dryRun                       string
	timeout                      time.Duration
}

func ejectCommand(p *plugin) *cobra.Command {
	x := &ejection{plugin: p}
	cmd := &cobra.Command{
		Use:   "eject (" + one[1:len(one)-1] + " | --all [-A])",
		Short: "Take workloads out of sluice, also while it is down, and leave plain ones",
		Long: "Take a workload, a namespace or everything out of sluice. It works while sluice is down: releases end,\n" +
			"what sluice made is removed, and what stays are plain workloads.\n\n" +
			"  eject deploy/web    this workload; it gets the label sluice.dev/enabled=false\n" +
			"  eject --all         all workloads of the namespace, then the namespace's label\n" +
			"  eject --all -A      all workloads of the cluster, then sluice's webhooks and policies\n\n" +
			"A release that is held has to be told how it ends:\n\n" + text(screen.Endings("  ")) + "\n" +
			"One that is being promoted or reverted goes on, natively. It needs the permission \"bypass\" on each\n" +
			"workload that has a release.",
		Example: "  kubectl sluice eject deploy/web --promote\n  kubectl sluice eject --all -n shop --revert --dry-run\n" +
			"  kubectl sluice eject --all -A --leave-paused --yes",
		ValidArgsFunction: p.completeWorkloads(false),
	}
	x.out.addFlag(cmd, asJSON, asYAML)
	flags := cmd.Flags()
	flags.BoolVar(&x.promote, "promote", false, "The new version of what is held stays in the spec and rolls out natively.")
	flags.BoolVar(&x.revert, "revert", false, "The stable version of what is held goes back into the spec.")
	flags.BoolVar(&x.leavePaused, "leave-paused", false, "The new version of what is held stays in the spec, paused, without pods.")
	flags.BoolVar(&x.all, "all", false, "Eject all workloads of the namespace; with -A, of the cluster.")
	flags.BoolVarP(&x.everywhere, "all-namespaces", "A", false, "With --all: in all namespaces, and then sluice's webhooks and policies.")
	flags.BoolVarP(&x.yes, "yes", "y", false, "Do not ask.")
	flags.StringVar(&x.dryRun, "dry-run", "none", "Say what would be done, and do nothing. One of: (none, client).")
	flags.Lookup("dry-run").NoOptDefVal = "client"
	register(cmd, "dry-run", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"none", "client"}, cobra.ShellCompDirectiveNoFileComp
	})
	flags.DurationVar(&x.timeout, "timeout", eject.DefaultTimeout, "How long to wait for pods before others that serve are taken away; 0: those go at once.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return x.run(cmd.Context(), args) }
	return cmd
}

func (x *ejection) run(ctx context.Context, args []string) error {
	if err := x.validate(args); err != nil {
		return err
	}
	c, err := x.connect()
	if err != nil {
		return err
	}
	scope, err := x.scope(c, args)
	if err != nil {
		return err
	}
	mapper, err := x.mapper()
	if err != nil {
		return fmt.Errorf("asking the API server for its kinds: %w", err)
	}
	e := eject.New(c.client, mapper)
	e.Clock, e.Timeout = x.clock, x.timeout
	plan, err := e.Plan(ctx, scope, eject.Request{Ending: x.ending()})
	if err != nil {
		return x.explain(err, scope)
	}
	if plan.Nothing() && !x.out.structured() {
		fmt.Fprintln(x.streams.ErrOut, "Nothing of sluice's is left"+where(scope)+".")
		return nil
	}
	if err := e.Permit(ctx, plan); err != nil {
		return err
	}
	if err := x.show(plan); err != nil || x.rehearses() {
		return err
	}
	if err := x.confirm(plan); err != nil {
		return err
	}
	if err := x.execute(ctx, e, plan); err != nil {
		return err
	}
	return x.conclude(plan)
}

func (x *ejection) rehearses() bool { return x.dryRun == "client" }

func (x *ejection) validate(args []string) error {
	given := 0
	for _, flag := range []bool{x.promote, x.revert, x.leavePaused} {
		if flag {
			given++
		}
	}
	switch {
	case given > 1:
		return errors.New("--promote, --revert, --leave-paused: a release ends in one way; give one of them")
	case x.all && len(args) > 0:
		return fmt.Errorf("%s and --all: name a workload, or eject all of them", strings.Join(args, " "))
	case x.everywhere && !x.all:
		return errors.New("-A ends every release of the cluster and takes sluice's webhooks out: say --all as well")
	case !x.all && len(args) == 0:
		return errors.New("which workload? Name it like deployment/web or statefulset/db, or give --all for those of the namespace")
	case x.dryRun != "none" && x.dryRun != "client":
		return fmt.Errorf("--dry-run=%s: want none or client", x.dryRun)
	case x.timeout < 0:
		return fmt.Errorf("--timeout=%s: want 0 or more", x.timeout)
	}
	return x.out.validate()
}

func (x *ejection) scope(c *connection, args []string) (eject.Scope, error) {
	switch {
	case x.everywhere:
		return eject.Scope{}, nil
	case x.all:
		return eject.Scope{Namespace: c.namespace}, nil
	}
	ref, err := workload.Parse(args, c.namespace)
	return eject.Scope{Workload: &ref, Namespace: c.namespace}, err
}

func where(scope eject.Scope) string {
	if scope.Everything() {
		return ""
	}
	return " in namespace " + scope.Namespace
}

// whatOf names what is ejected.
func whatOf(scope eject.Scope) string {
	switch {
	case scope.Workload != nil:
		return scope.Workload.String() + where(scope)
	case scope.Everything():
		return "everything"
	}
	return "all workloads" + where(scope)
}

func (x *ejection) ending() canary.Ending {
	switch {
	case x.promote:
		return canary.EndPromoted
	case x.revert:
		return canary.EndReverted
	case x.leavePaused:
		return canary.EndPaused
	}
	return ""
}

// show prints the plan and what it costs.
func (x *ejection) show(plan *eject.Plan) error {
	if x.out.structured() {
		return x.out.write(x.streams.Out, reported(plan))
	}
	lines, err := screen.Ejections(reported(plan).Items)
	if err != nil {
		return err
	}
	if len(plan.Items) == 0 {
		lines = nil
	}
	if slices.ContainsFunc(plan.Items, func(i *eject.Item) bool { return i.Ending == canary.EndReverted && i.Release.Phase != canary.Reverting }) {
		lines = append(lines, said(
			"",
			"A spec that is reverted is not what was applied last: Git and Helm show a drift, and the next apply of a",
			"client that diffs against what it applied last keeps for good what the new version had dropped. Where it",
			"is possible, apply the old version from its source instead; where it is not, apply it as soon as it is.",
		)...)
	}
	if plan.OptsOut {
		lines = append(lines, said("", fmt.Sprintf("Then namespace/%s loses the label %s.", plan.Scope.Namespace, canary.EnabledLabel))...)
	}
	if len(plan.Installed) > 0 {
		lines = append(lines, said("", "Then these are deleted:")...)
		for _, name := range reported(plan).Deletes {
			lines = append(lines, screen.Said("  "+name))
		}
	}
	if len(lines) > 0 && !x.rehearses() {
		lines = append(lines, screen.Said("")) // what is done comes below
	}
	return x.terminal().Print(lines...)
}

func said(texts ...string) []screen.Line {
	lines := make([]screen.Line, len(texts))
	for i, text := range texts {
		lines[i] = screen.Said(text)
	}
	return lines
}

func reported(plan *eject.Plan) *report.EjectPlan {
	r := &report.EjectPlan{APIVersion: report.APIVersion, Kind: report.EjectPlanKind, Items: []report.Ejection{}}
	for _, item := range plan.Items {
		e := ejectionOf(item.Subject, string(item.Ending), item.Afterwards())
		e.Routes, e.Services = item.Routes, item.Services
		r.Items = append(r.Items, e)
	}
	if plan.OptsOut {
		r.OptsOut = plan.Scope.Namespace
	}
	for _, i := range plan.Installed {
		r.Deletes = append(r.Deletes, i.String())
	}
	return r
}

func ejectionOf(s *eject.Subject, ending, afterwards string) report.Ejection {
	e := report.Ejection{Namespace: s.Namespace, Kind: s.Kind.Name, Name: s.Name, Ending: ending, Afterwards: afterwards}
	if s.Release != nil {
		e.Release, e.Phase = s.Release.ID, string(s.Release.Phase)
	}
	return e
}

// confirm asks on a terminal.
func (x *ejection) confirm(plan *eject.Plan) error {
	switch {
	case x.yes:
		return nil
	case !x.asks(x.streams.In):
		return errors.New("this is no terminal, so nobody can be asked, and nothing was done: look at it with --dry-run, do it with --yes")
	}
	fmt.Fprintf(x.streams.ErrOut, "Eject %s? (y/N): ", whatOf(plan.Scope))
	answer, err := bufio.NewReader(x.streams.In).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || (answer != "y" && answer != "yes") {
		return errors.New("nothing was done")
	}
	return nil
}

func (x *ejection) execute(ctx context.Context, e *eject.Ejector, plan *eject.Plan) error {
	tell := func(text string) {
		if !x.out.structured() {
			fmt.Fprintln(x.streams.Out, screen.Said(text).Text)
		}
	}
	e.Say = func(ref workload.Ref, what string) {
		name := ref.Resource()
		if plan.Scope.Everything() {
			name += " in namespace " + ref.Namespace
		}
		tell(name + ": " + what)
	}
	return e.Execute(ctx, plan, tell)
}

// conclude says what is left to a person.
func (x *ejection) conclude(plan *eject.Plan) error {
	if x.out.structured() {
		return nil
	}
	var lines []screen.Line
	for _, item := range plan.Items {
		if item.Release == nil || item.Ending != canary.EndPaused {
			continue
		}
		lines = append(lines, screen.Said(fmt.Sprintf("%s: roll the new version out with: %s", item.Ref.Resource(), x.target(item.Ref).Resume(item.Kind.Name))))
	}
	if plan.Scope.Everything() {
		lines = append(lines, screen.Said("What is left of sluice holds nothing. Remove it with: kubectl delete -f install.yaml"))
	}
	return x.terminal().Print(lines...)
}
