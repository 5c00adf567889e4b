package ownership

import (
	"fmt"
	"slices"
	"strings"
)

// subject is the object of a write, and how commands name it.
type subject struct {
	kind, group, name, namespace string
	resource                     string // "deployments.apps"
	resourceVersion              string
	requester                    Requester
	// named: the request named its field manager, so the client has a way to choose it.
	named bool
	// scaling: a Scale has no annotations that are kept.
	scaling bool
}

func (c *Comparison) subject() subject {
	group, _, ok := strings.Cut(c.old.APIVersion, "/")
	if !ok {
		group = ""
	}
	return subject{
		kind: c.old.Kind, group: group, name: c.old.Metadata.Name, namespace: c.old.Metadata.Namespace,
		resource: c.review.Resource, resourceVersion: c.old.Metadata.ResourceVersion, named: c.review.FieldManager != "", requester: c.requester, scaling: c.scaling,
	}
}

// target names the object as kubectl does, "deployment/web -n shop".
func (s subject) target() string {
	target := strings.ToLower(s.kind) + "/" + s.name
	if s.namespace != "" {
		target += " -n " + s.namespace
	}
	return target
}

// waysOut lists what to do instead, with the commands.
func (d Decision) waysOut() []string {
	s := d.subject
	var lines []string
	if s.requester.Disbelieved {
		lines = append(lines, fmt.Sprintf("%q is not %q: that manager is bound to other users.", d.user, s.requester.Manager))
	}
	if d.notPermitted {
		lines = append(lines, fmt.Sprintf("%q may not force it: that needs the verb %q on %s.", d.user, VerbForce, s.resource))
	}
	lines = append(lines, "There are three ways out:")
	if all := d.rewritten(); all {
		return append(lines,
			"1. agree: send managedFields as they are, or none at all: kubectl get "+s.target()+" -o yaml --show-managed-fields",
			"2. give it up: leave managedFields out of what you send",
			fmt.Sprintf("3. force it: the same write, by somebody who has the verb %q on %s", VerbForce, s.resource))
	}
	return append(lines,
		"1. agree: send the value that is there, or have the owner change it: kubectl get "+s.target()+" -o yaml --show-managed-fields",
		"2. give it up: leave the field out, and apply what is left server-side, which removes nothing of others: "+s.applyCommand(""),
		"3. force it: "+s.forceCommand())
}

// rewritten tells whether only claims are at stake and no field. Nobody rewrites those but on purpose: tools
// that move an object from one way of applying to another do.
func (d Decision) rewritten() bool {
	return len(d.Refused) > 0 && !slices.ContainsFunc(d.Refused, func(c Conflict) bool { return c.How != Rewritten })
}

func (s subject) applyCommand(flags string) string {
	if s.requester.Manager == helm {
		return "helm upgrade --server-side=true" + flags + " RELEASE CHART (Helm 4)"
	}
	namespace := ""
	if s.namespace != "" {
		namespace = " -n " + s.namespace
	}
	return "kubectl apply --server-side" + flags + namespace + " -f FILE"
}

// forceCommand is what the client can do: one that names its field manager can name another, and any
// other can set an annotation.
func (s subject) forceCommand() string {
	permission := fmt.Sprintf(" (needs the verb %q on %s)", VerbForce, s.resource)
	switch {
	case s.requester.Manager == helm:
		return fmt.Sprintf("%s, or the same upgrade with the annotation %s: %q in the chart%s",
			s.applyCommand(" --force-conflicts"), ForceAnnotation, s.resourceVersion, permission)
	case kubectlManagers[s.requester.Manager] && s.named:
		return "the same kubectl command with --field-manager=" + ForceManager + permission
	case s.scaling:
		return "the same write with the field manager " + ForceManager + permission
	case s.requester.is(kubectl):
		return "kubectl patch " + s.target() + " --field-manager=" + ForceManager + " -p PATCH" + permission
	}
	return fmt.Sprintf("the same write with the annotation %s: %q%s", ForceAnnotation, s.resourceVersion, permission)
}
