package workload

import (
	"fmt"
	"strings"
)

// Ref names a workload.
type Ref struct {
	Kind      *Kind
	Namespace string
	Name      string
}

// String names the workload as kubectl takes it: "deployment/web".
func (r Ref) String() string { return r.Kind.String() + "/" + r.Name }

// Resource names the workload as kubectl says what it did: "deployment.apps/web".
func (r Ref) Resource() string {
	return r.Kind.String() + "." + r.Kind.Resource.Group + "/" + r.Name
}

// Parse reads one workload from arguments as kubectl takes them: "deploy/web" or "deployment web".
func Parse(args []string, namespace string) (Ref, error) {
	if len(args) == 0 {
		return Ref{}, fmt.Errorf("which workload? Name it like deployment/web or statefulset/db")
	}
	kind, name, slashed := strings.Cut(args[0], "/")
	switch {
	case len(args) > 2, len(args) == 2 && slashed:
		return Ref{}, fmt.Errorf("%s: one workload at a time", strings.Join(args, " "))
	case len(args) == 2:
		name = args[1]
	case !slashed:
		return Ref{}, withoutKind(kind)
	}
	k := KindOf(kind)
	switch {
	case k == nil:
		return Ref{}, fmt.Errorf("%q is no kind that can have a release: deployment and statefulset are", kind)
	case name == "" || strings.Contains(name, "/"):
		return Ref{}, fmt.Errorf("%q is not the name of a %s", name, k)
	}
	return Ref{Kind: k, Namespace: namespace, Name: name}, nil
}

func withoutKind(arg string) error {
	if k := KindOf(arg); k != nil {
		return fmt.Errorf("which %s? Name it like %s/NAME", k, k)
	}
	return fmt.Errorf("is %q a deployment or a statefulset? Name it like deployment/%s", arg, arg)
}
