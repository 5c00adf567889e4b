package ownership

import "strings"

// kubectl's commands write under names of their own. They are one principal: whoever applied with kubectl
// may edit with kubectl. Plugins, whose names begin alike, are not kubectl. Source: k8s.io/kubectl pkg/cmd.
var kubectlManagers = map[string]bool{
	"kubectl": true, "kubectl-last-applied": true, "kubectl-client-side-apply": true, "kubectl-applyset": true,
	"kubectl-annotate": true, "kubectl-autoscale": true, "kubectl-create": true, "kubectl-edit": true,
	"kubectl-expose": true, "kubectl-label": true, "kubectl-patch": true, "kubectl-replace": true,
	"kubectl-rollout": true, "kubectl-run": true, "kubectl-set": true, "kubectl-taint": true,
}

const (
	kubectl           = "kubectl"
	helm              = "helm"
	controllerManager = "kube-controller-manager"
	kubeSystem        = "system:serviceaccount:kube-system:"
)

// builtIn binds what Kubernetes itself writes as: in-tree controllers, the autoscaler among them, run as
// one user or as ServiceAccounts of kube-system.
var builtIn = []Binding{{Manager: controllerManager, Users: []string{"system:" + controllerManager, kubeSystem + "*"}}}

// Principal returns the one name of a manager that has several. Apply and Update entries of a name, and
// those for subresources, are one principal anyway.
func (o Operator) Principal(manager string) string {
	if of, ok := o.Aliases[manager]; ok {
		manager = of
	}
	if kubectlManagers[manager] {
		return kubectl
	}
	return manager
}

// mayBe tells whether the user may be a principal: anyone may, unless it is bound to others.
func (o Operator) mayBe(user, principal string) bool {
	bound := false
	for _, bindings := range [][]Binding{builtIn, o.Bindings} {
		for _, b := range bindings {
			if o.Principal(b.Manager) != principal {
				continue
			}
			if b.has(user) {
				return true
			}
			bound = true
		}
	}
	return !bound
}

// boundTo returns the principals that the user is bound to.
func (o Operator) boundTo(user string) []string {
	var principals []string
	for _, b := range o.Bindings {
		if b.has(user) {
			principals = append(principals, o.Principal(b.Manager))
		}
	}
	return principals
}

func (b Binding) has(user string) bool {
	for _, u := range b.Users {
		prefix, wild := strings.CutSuffix(u, "*")
		if u == user || wild && strings.HasPrefix(user, prefix) {
			return true
		}
	}
	return false
}

// exempt tells whether a user is never judged: refusing Kubernetes' own controllers and kubelets breaks
// the cluster and protects nobody. It goes by the user, not by the manager, which is self-asserted.
func exempt(user string) bool {
	return user == "system:"+controllerManager || user == "system:kube-scheduler" ||
		strings.HasPrefix(user, "system:node:") || strings.HasPrefix(user, kubeSystem)
}
