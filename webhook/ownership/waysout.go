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
	// scaling, to so many replicas: a Scale has no annotations that are kept, and `kubectl scale` no field manager.
	scaling  bool
	replicas int64
}

func (c *Comparison) subject() subject {
	group, _, ok := strings.Cut(c.old.APIVersion, "/")
	if !ok {
		group = ""
	}
	return subject{
		kind: c.old.Kind, group: group, name: c.old.Metadata.Name, namespace: c.old.Metadata.Namespace,
		resource: c.review.Resource, resourceVersion: c.old.Metadata.ResourceVersion, named: c.review.FieldManager != "", requester: c.requester, scaling: c.scaling, replicas: c.replicas,
	}
}

// somebody is who may do what is forced by how it is written.
func (s subject) somebody() string {
	return fmt.Sprintf("the same write, by somebody who has the verb %q on %s", VerbForce, s.resource)
}

// target names the object as kubectl does, "deployment/web -n shop"; the kinds of others with their group, since
// they may not be the only ones of that name.
func (s subject) target() string {
	target := strings.ToLower(s.kind)
	if strings.Contains(s.group, ".") {
		target += "." + s.group
	}
	target += "/" + s.name
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
	if d.rewritten() {
		return append(lines,
			"1. agree: send managedFields as they are, or none at all: kubectl get "+s.target()+" -o yaml --show-managed-fields",
			"2. give it up: leave managedFields out of what you send",
			"3. force it: "+s.somebody())
	}
	agree := "1. agree: send the value that is there, or have the owner change it: kubectl get " + s.target() + " -o yaml --show-managed-fields"
	if s.scaling {
		return append(lines, agree,
			"2. give it up: leave the number to its owner; an autoscaler has minReplicas and maxReplicas",
			"3. force it: "+s.forceCommand())
	}
	give := "2. give it up: leave the field out, and apply what is left server-side, which removes nothing of others: " + s.applyCommand("")
	if d.deliberate() {
		return append(lines, agree, give, "3. force it: "+s.somebody())
	}
	return append(lines, agree, give, "3. force it: "+s.forceCommand())
}

// rewritten tells whether only claims are at stake and no field.
func (d Decision) rewritten() bool { return d.all(Rewritten) }

// deliberate tells whether all that is refused was meant by how it was written: nobody rewrites claims but on
// purpose, as tools do that move an object from one way of applying to another, and an apply takes only by force.
func (d Decision) deliberate() bool { return d.all(Rewritten, Applied) }

func (d Decision) all(how ...How) bool {
	return len(d.Refused) > 0 && !slices.ContainsFunc(d.Refused, func(c Conflict) bool { return !slices.Contains(how, c.How) })
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
	needs := fmt.Sprintf("needs the verb %q on %s", VerbForce, s.resource)
	permission := " (" + needs + ")"
	switch {
	case s.scaling:
		return fmt.Sprintf(`kubectl patch %s --subresource=scale --type=merge --field-manager=%s -p '{"spec":{"replicas":%d}}'%s`,
			s.target(), ForceManager, s.replicas, permission)
	case s.requester.Manager == helm:
		return fmt.Sprintf("%s, or the same upgrade with the annotation %s: %q in the chart, which %s",
			s.applyCommand(" --force-conflicts"), ForceAnnotation, s.resourceVersion, needs)
	case kubectlManagers[s.requester.Manager] && s.named:
		return "the same kubectl command with --field-manager=" + ForceManager + permission
	case s.requester.is(kubectl):
		return "kubectl patch " + s.target() + " --type=merge --field-manager=" + ForceManager + " -p PATCH" + permission
	}
	return fmt.Sprintf("the same write with the annotation %s: %q%s", ForceAnnotation, s.resourceVersion, permission)
}
