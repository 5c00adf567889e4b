package harness

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

// SetImage changes the image of a Deployment's first container with kubectl, as alice.
func (n *Namespace) SetImage(name, image string) Result {
	n.t.Helper()
	return n.Kubectl("set", "image", "deployment/"+name, n.Deployment(name).Spec.Template.Spec.Containers[0].Name+"="+image)
}

// Approve approves the current step with `kubectl rollout resume`, as alice.
func (n *Namespace) Approve(name string) Result {
	n.t.Helper()
	n.Mark(name, watch.Approved)
	return n.Kubectl("rollout", "resume", "deployment/"+name)
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
func (n *Namespace) Abort(name string) {
	n.t.Helper()
	n.Kubectl("annotate", "--overwrite", "deployment/"+name, canary.AbortAnnotation+"="+n.Release(name).Name())
}

// Retry starts the aborted release again with its annotation, as alice.
func (n *Namespace) Retry(name string) {
	n.t.Helper()
	n.Mark(name, watch.Retried)
	n.Kubectl("annotate", "--overwrite", "deployment/"+name, canary.RetryAnnotation+"="+n.Release(name).Name())
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

// quietFor is how long sluice is observed to write nothing. Nothing can show that a write will never
// come; within a second sluice reacts to an event a hundred times over.
const quietFor = time.Second

// Quiet requires that sluice writes nothing more: what there is to do is done, a change that means
// nothing wakes it, and no write follows.
func (n *Namespace) Quiet(name string) {
	n.t.Helper()
	before := n.settled()
	_, err := n.Admin.AppsV1().Deployments(n.Name).Patch(n.t.Context(), name, types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"example.com/poke":"`+time.Now().Format(time.RFC3339Nano)+`"}}}`), metav1.PatchOptions{})
	require.NoError(n.t, err)
	n.WaitDeployment(name, "the deployment controller saw the poke", func(d *appsv1.Deployment) bool {
		return d.Status.ObservedGeneration == d.Generation
	})
	n.observe(quietFor)
	writes := n.Env.Proxy.Writes(n.Name)
	require.Empty(n.t, writes[before:], "sluice wrote though there was nothing to do")
}

// settled waits until sluice has not written for a while and returns how much it wrote.
func (n *Namespace) settled() int {
	n.t.Helper()
	count := -1
	n.Eventually("sluice stops writing", func(context.Context) error {
		for {
			now := len(n.Env.Proxy.Writes(n.Name))
			if now == count {
				return nil
			}
			count = now
			n.observe(quietFor / 4)
		}
	})
	return count
}

func (n *Namespace) observe(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.t.Context().Done():
	}
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
