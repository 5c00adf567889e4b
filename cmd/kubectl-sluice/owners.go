package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"sluice.dev/sluice/cmd/kubectl-sluice/owners"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
)

// inspection is the command owners with its flags.
type inspection struct {
	*plugin
	out       output
	all       bool
	files     []string
	recursive bool
	manager   string
}

func ownersCommand(p *plugin) *cobra.Command {
	x := &inspection{plugin: p}
	cmd := &cobra.Command{
		Use:   "owners (" + one[1:len(one)-1] + " | -f FILE)",
		Short: "Show who owns which field of an object, and what a file would conflict with",
		Long: "Show who owns which field of an object of any kind, as a tree, and what another's plain write to it\n" +
			"meets. A plain write is any but a server-side apply: an edit, a patch, a client-side apply.\n\n" +
			"  refused    sluice refuses it\n" +
			"  warned     it goes through with a warning; (protected): sluice.dev/ownership=enforce would refuse it\n" +
			"  ignored    it goes through: anyone may take the field, or sluice.dev/ownership is ignore\n" +
			"  own        it goes through: the owner is who writes, like kubectl-edit and kubectl\n" +
			"  unchecked  it goes through: sluice does not look at writes to the object\n" +
			"  unknown    you may not read the Namespace or sluice's webhooks, or the field changed hands meanwhile\n\n" +
			"A write of which nothing tells who makes it, like kubectl scale, meets a warning where others are\n" +
			"refused, unless the owner is bound to other users, as the autoscaler is. That, and which users may be\n" +
			"which manager, are settings of sluice; the defaults are shown.\n\n" +
			"What the same owners hold is one row; --all shows every field. AGE is when the owner wrote last,\n" +
			"whatever it was; the API server does not date the first scale.\n\n" +
			"With -f, nothing is written: the API server is asked, by a dry run, what a server-side apply of each\n" +
			"object of the file would conflict with. The exit code is 1 where sluice would refuse a plain write\n" +
			"of one of these fields. That a write removes fields which others own is not among the conflicts of an\n" +
			"apply, so a plain write may be refused for more.\n\n" +
			"-o json and -o yaml print FieldOwners, or FieldConflicts with -f, of apiVersion sluice.dev/v1.",
		Example: "  kubectl sluice owners deploy/web\n  kubectl sluice owners configmap web --all\n" +
			"  kubectl sluice owners -f web.yaml\n  helm template shop | kubectl sluice owners -f - --field-manager=helm",
		ValidArgsFunction: p.completeObjects,
	}
	x.out.addFlag(cmd, asJSON, asYAML)
	flags := cmd.Flags()
	flags.BoolVarP(&x.all, "all", "a", false, "Show every field.")
	flags.StringArrayVarP(&x.files, "filename", "f", nil, "A file, folder or URL of what is to be written; - is stdin. May be repeated.")
	flags.BoolVarP(&x.recursive, "recursive", "R", false, "With -f: look into folders of folders.")
	flags.StringVar(&x.manager, "field-manager", "kubectl", "With -f: who is going to write.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return x.run(cmd.Context(), args) }
	return cmd
}

func (x *inspection) run(ctx context.Context, args []string) error {
	switch err := x.out.validate(); {
	case err != nil:
		return err
	case x.all && len(x.files) > 0:
		return errors.New("--all and -f: the conflicts of a file are all shown")
	case x.manager == "":
		return errors.New("--field-manager: it needs a name")
	}
	c, err := x.connect()
	if err != nil {
		return err
	}
	mapper, err := x.mapper()
	if err != nil {
		return fmt.Errorf("asking the API server for its kinds: %w", err)
	}
	var named *owners.Ref
	if len(args) > 0 || len(x.files) == 0 {
		ref, err := owners.Parse(mapper, args, c.namespace)
		if err != nil {
			return err
		}
		named = &ref
	}
	reader := owners.NewReader(c.client)
	if len(x.files) > 0 {
		return x.conflicts(ctx, c, mapper, reader, named)
	}
	return x.owners(ctx, reader, *named)
}

func (x *inspection) owners(ctx context.Context, reader *owners.Reader, ref owners.Ref) error {
	object, err := reader.Read(ctx, ref)
	if err != nil {
		return err
	}
	if object.Missing {
		return object.Explain()
	}
	r := report.Owners(object)
	if x.out.structured() {
		return x.out.write(x.streams.Out, r)
	}
	lines, err := screen.Owners(r, x.clock.Now(), x.all)
	if err != nil {
		return err
	}
	return x.terminal().Print(lines...)
}

// conflicts tries the objects of the files, or the one that is named. What was found is shown even where others
// could not be tried.
func (x *inspection) conflicts(ctx context.Context, c *connection, mapper meta.RESTMapper, reader *owners.Reader, named *owners.Ref) error {
	_, explicit, err := x.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return fmt.Errorf("reading the namespace of the kubeconfig: %w", err)
	}
	filed, err := owners.Files{
		Names: x.files, Recursive: x.recursive, In: x.streams.In, Namespace: c.namespace, Explicit: explicit,
	}.Read(mapper)
	if err != nil {
		return err
	}
	if named != nil {
		filed = slices.DeleteFunc(filed, func(f owners.Filed) bool { return !f.Is(*named) })
		if len(filed) == 0 {
			return fmt.Errorf("%s is not in what -f names", named)
		}
	}
	r := &report.FieldConflicts{APIVersion: report.APIVersion, Kind: report.FieldConflictsKind, FieldManager: x.manager, Items: []report.ObjectConflicts{}}
	var failures []error
	for _, one := range filed {
		item, err := x.try(ctx, reader, one)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		r.Items = append(r.Items, item)
	}
	if err := x.showConflicts(r); err != nil {
		return err
	}
	if refused := r.Refused(); refused > 0 {
		failures = append(failures, fmt.Errorf("a plain write would be refused for %s of others", count(refused, "field")))
	}
	return errors.Join(failures...)
}

func (x *inspection) try(ctx context.Context, reader *owners.Reader, filed owners.Filed) (report.ObjectConflicts, error) {
	object, err := reader.Read(ctx, filed.Ref)
	if err != nil {
		return report.ObjectConflicts{}, err
	}
	var found []owners.Conflict
	if !object.Missing {
		if found, err = reader.Conflicts(ctx, filed, x.manager); err != nil {
			return report.ObjectConflicts{}, err
		}
	}
	return report.Conflicts(object, found, x.manager), nil
}

func (x *inspection) showConflicts(r *report.FieldConflicts) error {
	if x.out.structured() {
		return x.out.write(x.streams.Out, r)
	}
	lines, err := screen.Conflicts(r, x.clock.Now())
	if err != nil {
		return err
	}
	return x.terminal().Print(lines...)
}

func count(number int, what string) string {
	if number == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", number, what)
}
