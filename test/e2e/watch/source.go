package watch

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// source lists and watches one resource.
type source struct {
	name  string
	list  func(context.Context) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (apiwatch.Interface, error)
	// stored is the last version received of each object that exists, by UID.
	stored map[string]string
}

func sources(client kubernetes.Interface, namespace string) []*source {
	all := metav1.ListOptions{}
	deployments, sets, pods := client.AppsV1().Deployments(namespace), client.AppsV1().ReplicaSets(namespace), client.CoreV1().Pods(namespace)
	stateful, revisions := client.AppsV1().StatefulSets(namespace), client.AppsV1().ControllerRevisions(namespace)
	slices := client.DiscoveryV1().EndpointSlices(namespace)
	return []*source{
		{
			name: "deployments", watch: deployments.Watch, stored: map[string]string{},
			list: func(ctx context.Context) (runtime.Object, error) { return deployments.List(ctx, all) },
		},
		{
			name: "replicasets", watch: sets.Watch, stored: map[string]string{},
			list: func(ctx context.Context) (runtime.Object, error) { return sets.List(ctx, all) },
		},
		{
			name: "statefulsets", watch: stateful.Watch, stored: map[string]string{},
			list: func(ctx context.Context) (runtime.Object, error) { return stateful.List(ctx, all) },
		},
		{
			name: "controllerrevisions", watch: revisions.Watch, stored: map[string]string{},
			list: func(ctx context.Context) (runtime.Object, error) { return revisions.List(ctx, all) },
		},
		{
			name: "pods", watch: pods.Watch, stored: map[string]string{},
			list: func(ctx context.Context) (runtime.Object, error) { return pods.List(ctx, all) },
		},
		{
			name: "endpointslices", watch: slices.Watch, stored: map[string]string{},
			list: func(ctx context.Context) (runtime.Object, error) { return slices.List(ctx, all) },
		},
	}
}
