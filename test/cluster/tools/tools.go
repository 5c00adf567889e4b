// Package tools builds the programs of the test cluster from their Go modules,
// once, into a cache folder that is no part of the repository.
//
// The nested module in programs pins all of them, so that what they have in common
// is compiled once: a program may come with another version of a library than its
// release. What Traefik links and no test uses is a stub there. A program is built
// again exactly when its stamp changes: the hash of the module's files, its linker
// flags and the Go version.
package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Tool is one program: what it is called in the cache and where it comes from.
type Tool struct {
	Name    string // of the binary
	Module  string // whose version is the program's version
	Package string // the main package
	Link    string // linker flags; VERSION, MAJOR and MINOR stand for the pinned version's
	// OnDemand says that no cluster needs it: it is built for who names it, and with everything.
	OnDemand bool
}

// Without these a component reports v0.0.0 and Helm cannot parse the cluster's version.
const kubernetesVersion = "-X k8s.io/component-base/version.gitVersion=VERSION" +
	" -X k8s.io/component-base/version.gitMajor=MAJOR" +
	" -X k8s.io/component-base/version.gitMinor=MINOR"

// All lists the programs in the order in which they are built: longest first,
// so that a failing one is seen early.
var All = []Tool{
	kubernetes("kube-apiserver"),
	kubernetes("kube-controller-manager"),
	kubernetes("kube-scheduler"),
	kubernetes("kubectl"),
	{Name: "etcd", Module: "go.etcd.io/etcd/server/v3", Package: "go.etcd.io/etcd/server/v3"},
	{Name: "kwok", Module: "sigs.k8s.io/kwok", Package: "sigs.k8s.io/kwok/cmd/kwok"},
	{
		Name: "helm3", Module: "helm.sh/helm/v3", Package: "helm.sh/helm/v3/cmd/helm",
		Link: "-X helm.sh/helm/v3/internal/version.version=VERSION",
	},
	{
		Name: "helm4", Module: "helm.sh/helm/v4", Package: "helm.sh/helm/v4/cmd/helm",
		Link: "-X helm.sh/helm/v4/internal/version.version=VERSION",
	},
	{
		Name: "traefik", Module: "github.com/traefik/traefik/v3", Package: "github.com/traefik/traefik/v3/cmd/traefik",
		Link: "-X github.com/traefik/traefik/v3/pkg/version.Version=VERSION", OnDemand: true,
	},
}

func kubernetes(name string) Tool {
	return Tool{
		Name: name, Module: "k8s.io/kubernetes",
		Package: "k8s.io/kubernetes/cmd/" + name, Link: kubernetesVersion,
	}
}

// version returns the version of t's module that is pinned, e.g. v1.37.0.
func (t Tool) version(programs string) (string, error) {
	file := filepath.Join(programs, "go.mod")
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the version of %s: %w", t.Name, err)
	}
	line := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(t.Module) + ` (v\S+)`)
	found := line.FindSubmatch(content)
	if found == nil {
		return "", fmt.Errorf("reading the version of %s: %s does not require %s", t.Name, file, t.Module)
	}
	return string(found[1]), nil
}

// linkFlags returns the value of -ldflags: without symbols, with the version.
func (t Tool) linkFlags(version string) string {
	number := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	link := strings.NewReplacer("VERSION", version, "MAJOR", number[0], "MINOR", number[1]).Replace(t.Link)
	return strings.TrimSpace("-s -w " + link)
}
