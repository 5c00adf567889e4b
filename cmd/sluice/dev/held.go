package dev

import (
	"context"
	"fmt"
	"io"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

// reportHeld says which Deployments a release still holds and how they go on
// without sluice.
func reportHeld(ctx context.Context, c client.Client, out io.Writer) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("DeploymentList"))
	if err := c.List(ctx, list, client.MatchingLabels{canary.ActiveLabel: "true"}); err != nil {
		return fmt.Errorf("listing the Deployments that have a release: %w", err)
	}
	if len(list.Items) == 0 {
		return nil
	}
	fmt.Fprintln(out, "Still held, and harmless so; each of these rolls its Deployment out natively, without sluice:")
	for _, item := range list.Items {
		fmt.Fprintf(out, "  kubectl -n %s rollout resume deployment/%s   # %s\n", item.Namespace, item.Name, stands(item.Annotations))
	}
	fmt.Fprintln(out, "Or start sluice dev again: it goes on where they are.")
	return nil
}

func stands(annotations map[string]string) string {
	release, err := canary.DecodeRelease(annotations)
	if err != nil || release == nil {
		return "its state cannot be read"
	}
	return fmt.Sprintf("%s, step %d", release.Phase, release.Step)
}
