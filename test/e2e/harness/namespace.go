package harness

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

// Namespace is where one test lives: its own, opted in, watched from the first object on. Its methods
// fail the test where they can't do what they say.
type Namespace struct {
	Name  string
	Env   *Env
	Admin kubernetes.Interface

	t        testing.TB
	dir      string
	home     string
	steps    string
	recorder *watch.Recorder
	unjudged bool
	gaps     bool
	patience time.Duration
	// rehearsals are the dry runs of writes, which are compared with what was stored at the end.
	rehearsals []rehearsal
}

// Option changes the Namespace of a test.
type Option func(*corev1.Namespace)

// OptedOut leaves the label away that opts the namespace in.
func OptedOut(ns *corev1.Namespace) { delete(ns.Labels, canary.EnabledLabel) }

// Annotation sets an annotation of the namespace, for example a policy.
func Annotation(key, value string) Option {
	return func(ns *corev1.Namespace) { metav1.SetMetaDataAnnotation(&ns.ObjectMeta, key, value) }
}

// Steps sets the steps of the namespace's releases.
func Steps(value string) Option { return Annotation(canary.StepsAnnotation, value) }

// Namespace creates the namespace of a test. When the test ends, everything that was stored in it is
// judged, and a failure says what that was.
func (e *Env) Namespace(t testing.TB, options ...Option) *Namespace {
	t.Helper()
	ctx := t.Context()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   fmt.Sprintf("e2e-%d", e.count.Add(1)),
		Labels: map[string]string{canary.EnabledLabel: "true"},
	}}
	for _, option := range options {
		option(object)
	}
	n := &Namespace{
		Name: object.Name, Env: e, Admin: e.Client(t, "admin"),
		t: t, dir: filepath.Join(e.Dir, object.Name), home: filepath.Join(e.Dir, "home"), steps: object.Annotations[canary.StepsAnnotation],
		patience: patience,
	}
	require.NoError(t, os.Mkdir(n.dir, 0o700)) // kubectl takes a comma, as test names have, for two files
	_, err := n.Admin.CoreV1().Namespaces().Create(ctx, object, metav1.CreateOptions{})
	require.NoError(t, err)
	n.recorder, err = watch.Record(context.WithoutCancel(ctx), n.Admin, n.Name)
	require.NoError(t, err)
	n.createServices(ctx)
	t.Cleanup(n.finish)
	return n
}

// Client returns a client of a user. It goes to the API server, not through sluice's proxy.
func (e *Env) Client(t testing.TB, user string) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(e.config(t, user))
	require.NoError(t, err)
	return client
}

func (e *Env) config(t testing.TB, user string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", e.Cluster.Kubeconfig(user))
	require.NoError(t, err)
	config.QPS = -1
	config.UserAgent = "kubectl/e2e" // what a test writes is one owner with what its kubectl does
	config.WarningHandler = rest.NoWarnings{}
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json" // costs both sides less
	return config
}

// finish judges the namespace, tells what happened where the test failed, and takes its pods away, so
// that the next test has the machine for itself.
func (n *Namespace) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	n.Verify(ctx)
	if n.t.Failed() {
		n.dump(ctx)
	}
	n.recorder.Stop()
	for _, err := range []error{
		n.Admin.AppsV1().Deployments(n.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}),
		n.Admin.AppsV1().StatefulSets(n.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}),
		n.Admin.CoreV1().Namespaces().Delete(ctx, n.Name, metav1.DeleteOptions{}),
	} {
		if err != nil && !apierrors.IsNotFound(err) { // a test may have removed it
			n.t.Errorf("removing namespace %s: %v", n.Name, err)
		}
	}
}

// Verify judges everything that was stored until now.
func (n *Namespace) Verify(ctx context.Context) {
	n.t.Helper()
	if n.unjudged {
		return
	}
	for _, v := range n.Violations(ctx) {
		n.t.Errorf("at revision %d: rule %q: %s", v.Revision, v.Rule, v.Message)
	}
	n.verifyRehearsals()
	for _, trespass := range n.Env.Proxy.Trespasses(n.Name) {
		n.t.Error(trespass)
	}
}

// Violations returns what a watcher of the namespace found until now.
func (n *Namespace) Violations(ctx context.Context) []watch.Violation {
	n.t.Helper()
	if err := n.recorder.Sync(ctx); err != nil {
		n.t.Error(err)
	}
	events, err := n.recorder.Events()
	if err != nil && !n.gaps {
		n.t.Error(err)
	}
	return watch.Judge(events, n.steps, time.Now())
}

// Unjudged says that this test shows violations on purpose, and checks them itself.
func (n *Namespace) Unjudged() { n.unjudged = true }

// AllowGaps says that this test restarts the API server, after which the watcher may miss versions.
func (n *Namespace) AllowGaps() { n.gaps = true }

// Recorded returns every event up to now.
func (n *Namespace) Recorded() []watch.Event {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(n.t, n.recorder.Sync(ctx))
	events, err := n.recorder.Events()
	if !n.gaps {
		require.NoError(n.t, err)
	}
	return events
}

// Mark tells the judge what this test is about to do. It is called before the write it is about.
func (n *Namespace) Mark(workload string, fact watch.Fact, value ...string) {
	n.t.Helper()
	list, err := n.Admin.AppsV1().Deployments(n.Name).List(n.t.Context(), metav1.ListOptions{Limit: 1})
	require.NoError(n.t, err)
	revision, err := strconv.ParseInt(list.ResourceVersion, 10, 64)
	require.NoError(n.t, err)
	n.recorder.Mark(revision, watch.Mark{Workload: workload, Fact: fact, Value: strings.Join(value, "")})
}

// Annotate changes annotations of the namespace: a policy.
func (n *Namespace) Annotate(annotations map[string]string) {
	n.t.Helper()
	n.changeNamespace(func(ns *corev1.Namespace) {
		if ns.Annotations == nil {
			ns.Annotations = map[string]string{}
		}
		maps.Copy(ns.Annotations, annotations)
	})
}

// Label sets a label of the namespace.
func (n *Namespace) Label(key, value string) {
	n.t.Helper()
	n.changeNamespace(func(ns *corev1.Namespace) { metav1.SetMetaDataLabel(&ns.ObjectMeta, key, value) })
}

// OptOut removes the label that opts the namespace in; OptIn sets it.
func (n *Namespace) OptOut() { n.t.Helper(); n.changeNamespace(OptedOut) }

// OptIn sets the label that opts the namespace in.
func (n *Namespace) OptIn() {
	n.t.Helper()
	n.changeNamespace(func(ns *corev1.Namespace) { metav1.SetMetaDataLabel(&ns.ObjectMeta, canary.EnabledLabel, "true") })
}

func (n *Namespace) changeNamespace(change func(*corev1.Namespace)) {
	n.t.Helper()
	n.Eventually("the namespace is changed", func(ctx context.Context) error {
		ns, err := n.Admin.CoreV1().Namespaces().Get(ctx, n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(ns)
		_, err = n.Admin.CoreV1().Namespaces().Update(ctx, ns, metav1.UpdateOptions{})
		return err
	})
}

// File writes a file of this test's and returns its path.
func (n *Namespace) File(name string, content []byte) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	require.NoError(n.t, os.WriteFile(path, content, 0o600))
	return path
}

// dump tells everything about a failure.
func (n *Namespace) dump(ctx context.Context) {
	events, _ := n.recorder.Events()
	n.t.Logf("what was stored in %s:\n%s", n.Name, watch.History(events))
	var writes strings.Builder
	for _, w := range n.Env.Proxy.Writes(n.Name) {
		fmt.Fprintln(&writes, w)
	}
	n.t.Logf("what sluice wrote:\n%s", writes.String())
	if list, err := n.Admin.CoreV1().Events(n.Name).List(ctx, metav1.ListOptions{}); err == nil {
		var lines strings.Builder
		for _, e := range list.Items {
			fmt.Fprintf(&lines, "%s %s %s/%s: %s (%s)\n", e.Type, e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message, e.ReportingController+e.Source.Component)
		}
		n.t.Logf("its events:\n%s", lines.String())
	}
	n.t.Logf("the end of sluice's log:\n%s", n.tailOfLog(60))
}

// tailOfLog returns the last lines of sluice's log that are about this namespace or about no workload.
func (n *Namespace) tailOfLog(count int) string {
	content, err := os.ReadFile(n.Env.SluiceLog())
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, n.Name+"/") || strings.Contains(line, n.Name+"\"") || !strings.Contains(line, "e2e-") {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
