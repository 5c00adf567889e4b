package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"sluice.dev/sluice/webhook/ownership"
)

// OwnershipOptions are the flags that say who is who where writes take fields of others.
type OwnershipOptions struct {
	// Bindings are MANAGER=USER, one per user; Aliases are NAME=MANAGER.
	Bindings, Aliases []string
	// Unknown and ForcedApply are modes.
	Unknown, ForcedApply string
}

// AddFlags registers the flags; what the Options hold is their default.
func (o *OwnershipOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.Bindings, "manager-user", o.Bindings,
		"MANAGER=USER: nobody but this user is believed to be the field manager; repeat it for more users, a USER may end in * (as kustomize-controller=system:serviceaccount:flux-system:kustomize-controller)")
	flags.StringArrayVar(&o.Aliases, "manager-alias", o.Aliases,
		"NAME=MANAGER: a further name of a field manager, whose fields it may change; repeat it for more")
	flags.StringVar(&o.Unknown, "ownership-unknown", o.Unknown,
		"the most that comes of a removal, or of scaling, when nothing tells who asks: ignore, warn or enforce")
	flags.StringVar(&o.ForcedApply, "ownership-forced-apply", o.ForcedApply,
		"the most that comes of a server-side apply that forces conflicts, as GitOps tools do: ignore, warn or enforce")
}

// Validate reports every flag that cannot be read; what they say, the webhook's own options check.
func (o OwnershipOptions) Validate() error {
	_, err := o.operator()
	return err
}

func (o OwnershipOptions) operator() (ownership.Operator, error) {
	operator := ownership.Operator{
		Unknown: ownership.Mode(o.Unknown), ForcedApply: ownership.Mode(o.ForcedApply), Aliases: map[string]string{},
	}
	var faults []error
	users := map[string][]string{}
	for _, text := range o.Bindings {
		manager, user, ok := strings.Cut(text, "=")
		if !ok || manager == "" || user == "" {
			faults = append(faults, fmt.Errorf("--manager-user %q: want MANAGER=USER", text))
			continue
		}
		if users[manager] == nil {
			operator.Bindings = append(operator.Bindings, ownership.Binding{Manager: manager})
		}
		users[manager] = append(users[manager], user)
	}
	for i, b := range operator.Bindings {
		operator.Bindings[i].Users = users[b.Manager]
	}
	for _, text := range o.Aliases {
		name, manager, ok := strings.Cut(text, "=")
		if !ok || name == "" || manager == "" {
			faults = append(faults, fmt.Errorf("--manager-alias %q: want NAME=MANAGER", text))
			continue
		}
		operator.Aliases[name] = manager
	}
	return operator, errors.Join(faults...)
}
