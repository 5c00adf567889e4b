package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Connection says which API server is spoken to, and as whom.
type Connection struct {
	Kubeconfig string // a file; "" is KUBECONFIG, ~/.kube/config or the pod's own
	Context    string // of the kubeconfig; "" is its current one
}

// AddFlags registers the flags.
func (c *Connection) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.Kubeconfig, "kubeconfig", c.Kubeconfig, "kubeconfig file (default: $KUBECONFIG, else ~/.kube/config)")
	flags.StringVar(&c.Context, "context", c.Context, "context of the kubeconfig (default: its current one)")
}

// Cluster is an API server and how to speak to it.
type Cluster struct {
	Config *rest.Config
	// Name is what people call it: the context, or "in-cluster".
	Name string
	// Remedy is what to do about a missing permission; "" is for an installed sluice.
	Remedy string
}

// InPod connects as the pod's ServiceAccount, unless a kubeconfig is named.
func (c Connection) InPod() (Cluster, error) {
	if c.Kubeconfig != "" || c.Context != "" {
		return c.FromKubeconfig()
	}
	config, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return Cluster{}, errors.New("this is no pod, and no --kubeconfig is given: in a cluster install sluice with" +
			" kubectl apply -f manifests/install.yaml, on your machine run sluice dev")
	}
	if err != nil {
		return Cluster{}, fmt.Errorf("reading the pod's ServiceAccount: %w", err)
	}
	return prepared(config, "in-cluster"), nil
}

// FromKubeconfig connects as the kubeconfig's user.
func (c Connection) FromKubeconfig() (Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	rules.DefaultClientConfig = nil
	loading := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.Context})
	raw, err := loading.RawConfig()
	if err != nil {
		return Cluster{}, unreadable(c.where(rules), err)
	}
	name := c.Context
	if name == "" {
		name = raw.CurrentContext
	}
	if _, exists := raw.Contexts[name]; name != "" && !exists {
		return Cluster{}, fmt.Errorf("kubeconfig %s has no context %q: kubectl config get-contexts lists what it has", c.where(rules), name)
	}
	config, err := loading.ClientConfig()
	if err != nil {
		return Cluster{}, unreadable(c.where(rules), err)
	}
	return prepared(config, name), nil
}

// where is the file that a person has to look at.
func (c Connection) where(rules *clientcmd.ClientConfigLoadingRules) string {
	if c.Kubeconfig != "" {
		return c.Kubeconfig
	}
	return strings.Join(rules.GetLoadingPrecedence(), ", ")
}

func unreadable(file string, err error) error {
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return fmt.Errorf("kubeconfig %s cannot be read: %w; name another with --kubeconfig", file, path.Err)
	case clientcmd.IsEmptyConfig(err):
		return fmt.Errorf("kubeconfig %s names no cluster: name another with --kubeconfig, or pick a context with --context", file)
	}
	return fmt.Errorf("kubeconfig %s cannot be used: %w; name another with --kubeconfig, or pick a context with --context",
		file, onOneLine(err))
}

// onOneLine joins what clientcmd lists line by line.
func onOneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// prepared sets what all of sluice's clients share. The admission path makes a
// handful of reads per request, so the client must not be the queue.
func prepared(config *rest.Config, name string) Cluster {
	config.UserAgent = "sluice"
	config.QPS, config.Burst = 200, 400
	config.WarningHandlerWithContext = loggedWarnings{}
	return Cluster{Config: config, Name: name}
}

// loggedWarnings are what API servers tell a client beside their answer; as
// sluice's own writes pass its own webhook, they are mostly its own words.
type loggedWarnings struct{}

func (loggedWarnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _ string, message string) {
	if code == 299 && message != "" {
		log.FromContext(ctx).V(1).Info("warned by the api server", "warning", message)
	}
}

// PodNamespace is the namespace that the pod runs in, or the fallback outside
// of one.
func PodNamespace(fallback string) string {
	const file = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
	content, err := os.ReadFile(file)
	if err != nil || len(content) == 0 {
		return fallback
	}
	return strings.TrimSpace(string(content))
}
