package ownership

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/manifests"
	"sluice.dev/sluice/test/e2e/harness"
)

// register makes the custom resources of these tests, and has sluice judge them, as an operator does: the
// shipped manifests/ownership.yaml with other rules.
var register sync.Once

// registered returns once that is in force.
func registered(t *testing.T) {
	t.Helper()
	register.Do(func() {
		kubectl(t, customResources, "apply", "--server-side", "-f", "-")
		kubectl(t, "", "wait", "--for=condition=Established", "--timeout=60s", "crd/things.example.com", "crd/looses.example.com", "crd/morphs.example.com")
		kubectl(t, string(ownershipFile(t)), "apply", "-f", "-")
		inForce(t)
	})
}

// inForce returns once a write of each custom resource that should be refused is: then sluice has filled in the
// caBundle, and the API server knows of it.
func inForce(t *testing.T) {
	t.Helper()
	n := env.Namespace(t, harness.Annotation("sluice.dev/ownership", "enforce"))
	for _, k := range []kind{things, looses, morphs} {
		o := object{k, n.Name, "probe"}
		o.history(t, appliedBy("A", set("1", "metadata", "annotations", "probe")))
		eventually(t, "writes of a "+k.name+" are judged", func() error {
			if a := o.send(t, merge, write{edit: set("2", "metadata", "annotations", "probe"), dryRun: true}); a.err == nil {
				return errors.New("nothing is refused")
			}
			return nil
		})
	}
}

// ownershipFile returns manifests/ownership.yaml for the custom resources, pointed at where the installed
// webhooks point.
func ownershipFile(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(harness.Root(), "manifests", "ownership.yaml"))
	require.NoError(t, err)
	objs := decode(t, content)
	for _, o := range objs {
		rule := manifest{"apiGroups": []any{"example.com"}, "resources": []any{"things", "looses", "morphs"}}
		if o.GetKind() == "ClusterRole" {
			rule["verbs"] = []any{"force-conflicts"}
			o.Object["rules"] = []any{rule}
			continue
		}
		rule["apiVersions"], rule["operations"], rule["scope"] = []any{"v1"}, []any{"UPDATE"}, "Namespaced"
		o.Object["webhooks"].([]any)[0].(manifest)["rules"] = []any{rule}
	}
	return concatenated(t, manifests.ForURL(objs, base(t)))
}

// webhooksFile returns manifests/webhooks.yaml as `sluice dev` applies it.
func webhooksFile(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(harness.Root(), "manifests", "webhooks.yaml"))
	require.NoError(t, err)
	return concatenated(t, manifests.ForURL(decode(t, content), base(t)))
}

// base returns where the installed webhooks point.
func base(t *testing.T) string {
	t.Helper()
	for _, w := range installed(t, manifests.Name) {
		if w.Name == "owners.sluice.dev" {
			return strings.TrimSuffix(*w.ClientConfig.URL, "/validate-owners")
		}
	}
	t.Fatal("no webhook owners.sluice.dev is installed")
	return ""
}

func installed(t *testing.T, name string) []admissionregistrationv1.ValidatingWebhook {
	t.Helper()
	found, err := env.Client(t, "admin").AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return found.Webhooks
}

func TestInstallingAnewLeavesFurtherResourcesRegistered(t *testing.T) {
	registered(t)
	n := enforced(t)
	shipped, further := installed(t, manifests.Name), installed(t, manifests.OwnershipName)
	require.Len(t, shipped, 5)
	require.Len(t, further, 1)
	o := object{things, n.Name, "thing"}
	o.history(t, appliedBy("A", set("1", "spec", "text")))
	for _, file := range [][]byte{webhooksFile(t), ownershipFile(t)} {
		for _, flags := range [][]string{
			nil, // as README installs
			{"--server-side", "--force-conflicts"},
			{"--server-side"},
		} {
			kubectl(t, string(file), append([]string{"apply", "-f", "-"}, flags...)...)
			require.Equal(t, shipped, installed(t, manifests.Name), flags)
			require.Equal(t, further, installed(t, manifests.OwnershipName), flags)
			require.Equal(t, []string{`"A" .spec.text`}, conflicts(o.send(t, put, write{edit: set("2", "spec", "text")}).status(t)), flags)
		}
	}
}

// kubectl runs it as admin and returns what it printed.
func kubectl(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, env.Cluster.Tool("kubectl"), args...)
	cmd.Env = []string{"KUBECONFIG=" + env.Cluster.Kubeconfig("admin"), "HOME=" + env.Dir}
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "kubectl %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// eventually waits until done returns nil.
func eventually(t *testing.T, what string, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, err, "waited in vain until %s", what)
		case <-retry.C:
		}
	}
}

func decode(t *testing.T, content []byte) []*unstructured.Unstructured {
	t.Helper()
	var objs []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(o)
		if errors.Is(err, io.EOF) {
			return objs
		}
		require.NoError(t, err)
		objs = append(objs, o)
	}
}

func concatenated(t *testing.T, objs []*unstructured.Unstructured) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, o := range objs {
		content, err := yaml.Marshal(o.Object)
		require.NoError(t, err)
		fmt.Fprintf(&all, "---\n%s", content)
	}
	return all.Bytes()
}

// morphs change their schema while they live.
var morphs = kind{name: "Morph", resource: schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "morphs"}, webhook: "more.owners.sluice.dev"}
