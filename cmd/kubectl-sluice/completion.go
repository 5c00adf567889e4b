package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd/api"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/owners"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// completionTime bounds how long a shell waits for names.
const completionTime = 3 * time.Second

// completion is what cobra asks for the words that may come next.
type completion = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective)

// register adds the completion of a flag.
func register(cmd *cobra.Command, flag string, complete completion) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic("this is a bug: " + err.Error()) // the flag exists
	}
}

// completeFlags completes the flags that name something in the cluster or the kubeconfig.
func (p *plugin) completeFlags(root *cobra.Command) {
	register(root, "namespace", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return p.names(cmd.Context(), corev1.SchemeGroupVersion.WithResource("namespaces"), false, "", toComplete), cobra.ShellCompDirectiveNoFileComp
	})
	for flag, pick := range map[string]func(api.Config) []string{
		"context": func(c api.Config) []string { return slices.Collect(maps.Keys(c.Contexts)) },
		"cluster": func(c api.Config) []string { return slices.Collect(maps.Keys(c.Clusters)) },
		"user":    func(c api.Config) []string { return slices.Collect(maps.Keys(c.AuthInfos)) },
	} {
		register(root, flag, func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			config, err := p.flags.ToRawKubeConfigLoader().RawConfig()
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return beginning(pick(config), toComplete), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// completeWorkloads completes "KIND/NAME" and "KIND NAME"; released: only those that have a release.
func (p *plugin) completeWorkloads(released bool) completion {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		selector := ""
		if released {
			selector = canary.ActiveLabel + "=true"
		}
		word, name, slashed := strings.Cut(toComplete, "/")
		switch {
		case len(args) == 1 && !strings.Contains(args[0], "/"):
			if kind := workload.KindOf(args[0]); kind != nil {
				return p.workloadNames(cmd.Context(), kind, selector, toComplete), cobra.ShellCompDirectiveNoFileComp
			}
		case len(args) > 0:
		case !slashed:
			return beginning(kindWords(), toComplete), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		default:
			if kind := workload.KindOf(word); kind != nil {
				names := p.workloadNames(cmd.Context(), kind, selector, name)
				for i := range names {
					names[i] = word + "/" + names[i]
				}
				return names, cobra.ShellCompDirectiveNoFileComp
			}
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeObjects completes workloads as completeWorkloads does, and names of any other kind.
func (p *plugin) completeObjects(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	word, name, slashed := strings.Cut(toComplete, "/")
	prefix := word + "/"
	switch {
	case len(args) == 1 && !strings.Contains(args[0], "/"):
		word, name, prefix = args[0], toComplete, ""
	case len(args) > 0:
		return nil, cobra.ShellCompDirectiveNoFileComp
	case !slashed:
		return beginning(append(kindWords(), "daemonset/"), toComplete), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	mapper, err := p.mapper()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	mapping, err := owners.Mapping(mapper, word)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := p.names(cmd.Context(), mapping.Resource, mapping.Scope.Name() == meta.RESTScopeNameNamespace, "", name)
	for i := range names {
		names[i] = prefix + names[i]
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func kindWords() []string {
	var words []string
	for _, kind := range workload.Kinds {
		words = append(words, kind.String()+"/")
	}
	return words
}

func (p *plugin) workloadNames(ctx context.Context, kind *workload.Kind, selector, prefix string) []string {
	return p.names(ctx, kind.Resource, true, selector, prefix)
}

// names lists objects, of the current namespace where they are in one, none where that fails: there is nobody to tell.
func (p *plugin) names(ctx context.Context, resource schema.GroupVersionResource, namespaced bool, selector, prefix string) []string {
	c, err := p.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	namespace := c.namespace
	if !namespaced {
		namespace = ""
	}
	list, err := c.client.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].GetName())
	}
	return beginning(names, prefix)
}

// beginning returns those that begin with a prefix, sorted.
func beginning(words []string, prefix string) []string {
	words = slices.DeleteFunc(words, func(word string) bool { return !strings.HasPrefix(word, prefix) })
	slices.Sort(words)
	return words
}

// explainCompletion says how kubectl itself comes to complete the plugin's arguments.
func explainCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Long = "For \"kubectl sluice ...\" the completion of kubectl is enough, once it finds this program in the\n" +
				"PATH as " + completer + " too:\n\n" +
				"  ln -s \"$(command -v kubectl-sluice)\" \"$HOME/.local/bin/" + completer + "\"\n\n" +
				"The scripts that these commands print complete \"kubectl-sluice ...\"."
		}
	}
}
