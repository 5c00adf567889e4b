package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/manifests"
	"sluice.dev/sluice/test/e2e/harness"
)

// kubectl runs it as admin, with no namespace but the manifests' own, and returns what it printed.
func kubectl(t *testing.T, input string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, env.Cluster.Tool("kubectl"), args...)
	cmd.Env = []string{"KUBECONFIG=" + env.Cluster.Kubeconfig("admin"), "HOME=" + env.Dir}
	cmd.Stdin = strings.NewReader(input)
	var out, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &faults
	err := cmd.Run()
	require.NoError(t, err, "kubectl %s: %s", strings.Join(args, " "), faults.String())
	return out.String(), faults.String()
}

func installFile() string { return filepath.Join(harness.Root(), "manifests", "install.yaml") }

// install applies the file as an operator does. The API server warns of nothing and creates every object.
func install(t *testing.T) {
	t.Helper()
	said, warned := kubectl(t, "", "apply", "-f", installFile())
	require.Empty(t, warned)
	objs, err := manifests.Objects()
	require.NoError(t, err)
	require.Equal(t, len(objs), strings.Count(said, " created\n"), said)
}

// deployed waits until the installed Deployment is complete and returns it: its pods passed the
// namespace's pod security and quota and run on different nodes.
func deployed(t *testing.T) *appsv1.Deployment {
	t.Helper()
	admin := env.Client(t, "admin")
	var found *appsv1.Deployment
	eventually(t, "the installed Deployment is complete", func(ctx context.Context) error {
		d, err := admin.AppsV1().Deployments(manifests.Namespace).Get(ctx, manifests.Name, metav1.GetOptions{})
		if found = d; err != nil || harness.Complete(d) {
			return err
		}
		return fmt.Errorf("its status is %+v", d.Status)
	})
	require.EqualValues(t, 2, found.Status.ReadyReplicas)
	pods, err := admin.CoreV1().Pods(manifests.Namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	nodes := map[string]bool{}
	for _, p := range pods.Items {
		nodes[p.Spec.NodeName] = true
	}
	require.Len(t, nodes, 2)
	namespace, err := admin.CoreV1().Namespaces().Get(t.Context(), manifests.Namespace, metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "restricted", namespace.Labels["pod-security.kubernetes.io/enforce"])
	return found
}

// point leads the webhook configurations to a URL.
func point(t *testing.T, url string) {
	t.Helper()
	objs, err := manifests.Objects()
	require.NoError(t, err)
	list := map[string]any{"apiVersion": "v1", "kind": "List"}
	var items []any
	for _, obj := range manifests.ForURL(objs, url) {
		if strings.HasSuffix(obj.GetKind(), "WebhookConfiguration") {
			items = append(items, obj.Object)
		}
	}
	require.Len(t, items, 2)
	list["items"] = items
	content, err := json.Marshal(list)
	require.NoError(t, err)
	_, warned := kubectl(t, string(content), "apply", "-f", "-")
	require.Empty(t, warned)
}

// account writes a kubeconfig of the installed ServiceAccount, with a token as a pod gets one.
func account(t *testing.T) string {
	t.Helper()
	token, _ := kubectl(t, "", "create", "token", manifests.Name, "--namespace", manifests.Namespace)
	file, err := env.Cluster.WriteKubeconfig("serve", strings.TrimSpace(token))
	require.NoError(t, err)
	return file
}

// uninstall deletes what install applied, and with it what sluice created.
func uninstall(t *testing.T) {
	t.Helper()
	kubectl(t, "", "delete", "-f", installFile())
	left, _ := kubectl(t, "", "get", "-f", installFile(), "--ignore-not-found", "--output=name")
	require.Empty(t, left)
	secrets, err := env.Client(t, "admin").CoreV1().Secrets(corev1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, secrets.Items)
}
