package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestWhatAilsACanaryIsSaidAtOnce: the step's deadline is ten minutes, and nobody has to wait for it to
// read why nothing happens.
func TestWhatAilsACanaryIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(*harness.Namespace)
		image   string
		want    []string
	}{
		"a crash loop":      {image: "example/app:crash", want: []string{"pod web-", "container app: ", "exit code"}},
		"a missing image":   {image: "example/app:pull", want: []string{"pod web-", "container app: "}},
		"an exceeded quota": {prepare: quota, image: v2, want: []string{"replica set web-", "exceeded quota"}},
		"pod security":      {prepare: restricted, image: v2, want: []string{"replica set web-", "violates PodSecurity"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Obj())
			if test.prepare != nil {
				test.prepare(n)
			}
			n.SetImage("web", test.image)
			n.Eventually("the release says what ails it", func(context.Context) error {
				r := n.Release("web")
				for _, want := range test.want {
					if !strings.Contains(r.Reason, want) {
						return fmt.Errorf("it says %q", r.Reason)
					}
				}
				return nil
			})
			require.Equal(t, canary.Progressing, n.Release("web").Phase)
			require.Contains(t, n.WaitEvent("web", "CanaryFailing"), test.want[0])
			n.Refused("alice", []string{test.want[0]}, "kubectl", "rollout", "resume", "deployment/web")
		})
	}
}

// quota leaves no room for another pod.
func quota(n *harness.Namespace) {
	ctx := context.Background()
	object := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "pods"}}
	object.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3")}
	_, err := n.Admin.CoreV1().ResourceQuotas(n.Name).Create(ctx, object, createOptions)
	if err != nil {
		panic(err)
	}
	n.Eventually("the quota is counted", func(context.Context) error {
		found, err := n.Admin.CoreV1().ResourceQuotas(n.Name).Get(ctx, "pods", getOptions)
		if err == nil && found.Status.Used.Pods().Value() != 3 {
			err = fmt.Errorf("it counts %v", found.Status.Used)
		}
		return err
	})
}

// restricted forbids pods such as those of the tests.
func restricted(n *harness.Namespace) {
	n.Label("pod-security.kubernetes.io/enforce", "restricted")
}
