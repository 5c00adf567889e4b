package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

// SetImage changes the image of a Deployment's first container, as alice with kubectl does.
func (n *Namespace) SetImage(name, image string) Result {
	n.t.Helper()
	return n.rehearseAndMake(name, imageEdit(n.Deployment(name).Spec.Template.Spec.Containers[0].Name, image))
}

// rehearseAndMake sends a write to a Deployment as dry runs and then makes it.
func (n *Namespace) rehearseAndMake(name string, e edit) Result {
	n.t.Helper()
	n.rehearse(name, e)
	return n.make(name, e)
}

func (n *Namespace) make(name string, e edit) Result {
	n.t.Helper()
	return n.makeWith(e, func(alice kubernetes.Interface) error {
		_, err := alice.AppsV1().Deployments(n.Name).Patch(n.t.Context(), name, e.kind, []byte(e.patch), e.options())
		return err
	})
}

// makeWith requires a write to succeed and returns what kubectl prints of it on stderr. kubectl itself is not started,
// which would take most of the time: kubectl_test.go shows that it comes to the same.
func (n *Namespace) makeWith(e edit, write func(alice kubernetes.Interface) error) Result {
	n.t.Helper()
	var warnings bytes.Buffer
	config := n.Env.config(n.t, "alice")
	config.WarningHandler = rest.NewWarningWriter(&warnings, rest.WarningWriterOptions{})
	alice, err := kubernetes.NewForConfig(config)
	require.NoError(n.t, err)
	require.NoError(n.t, write(alice), "%s: %s", e.manager, e.patch)
	return Result{Command: e.manager + " " + e.patch, Stderr: warnings.String()}
}

func imageEdit(container, image string) edit {
	return edit{"kubectl-set", types.StrategicMergePatchType,
		fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":%q,"image":%q}]}}}}`, container, image)}
}

func annotationEdit(key, value string) edit {
	return edit{"kubectl-annotate", types.MergePatchType, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)}
}

// Approve approves the current step, as alice with kubectl rollout resume does.
func (n *Namespace) Approve(name string) Result {
	n.t.Helper()
	require.True(n.t, n.Deployment(name).Spec.Paused, "kubectl resumes what is paused")
	n.Mark(name, watch.Approved)
	return n.rehearseAndMake(name, edit{"kubectl-rollout", types.StrategicMergePatchType, `{"spec":{"paused":null}}`})
}

// Replace replaces an object by a file, as alice. kubectl reads the object's version first and puts with
// it, so it gets the server's own conflict where a controller wrote in between; it is run again then.
func (n *Namespace) Replace(file string) Result {
	n.t.Helper()
	var result Result
	n.Eventually("the file replaces the object", func(context.Context) error {
		result = n.Command("alice", "kubectl", "replace", "-f", file)
		if strings.Contains(result.Stderr, "the object has been modified") {
			return errors.New(result.String())
		}
		return nil
	})
	require.Zero(n.t, result.Code, result)
	return result
}

// Abort aborts the release with its annotation, as alice.
func (n *Namespace) Abort(name string) Result {
	n.t.Helper()
	return n.rehearseAndMake(name, annotationEdit(canary.AbortAnnotation, n.Release(name).Name()))
}

// Retry starts the aborted release again with its annotation, as alice.
func (n *Namespace) Retry(name string) {
	n.t.Helper()
	n.Mark(name, watch.Retried)
	n.make(name, annotationEdit(canary.RetryAnnotation, n.Release(name).Name()))
}

// Patch patches a Deployment as alice.
func (n *Namespace) Patch(name string, kind types.PatchType, patch any) (*appsv1.Deployment, error) {
	n.t.Helper()
	body, ok := patch.(string)
	if !ok {
		raw, err := json.Marshal(patch)
		require.NoError(n.t, err)
		body = string(raw)
	}
	return n.Env.Client(n.t, "alice").AppsV1().Deployments(n.Name).
		Patch(n.t.Context(), name, kind, []byte(body), metav1.PatchOptions{})
}

// Manifest writes an object as a file for kubectl and returns its path.
func (n *Namespace) Manifest(object any) string {
	n.t.Helper()
	raw, err := json.Marshal(object)
	require.NoError(n.t, err)
	var fields map[string]any
	require.NoError(n.t, json.Unmarshal(raw, &fields))
	delete(fields, "status") // the Go types can't leave it out
	raw, err = yaml.Marshal(fields)
	require.NoError(n.t, err)
	file, err := os.CreateTemp(n.dir, "*.yaml")
	require.NoError(n.t, err)
	defer file.Close()
	_, err = file.Write(raw)
	require.NoError(n.t, err)
	return file.Name()
}
