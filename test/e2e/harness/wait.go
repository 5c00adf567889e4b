package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/canary"
)

// patience is how long a test waits for what must happen; on an idle machine all of it takes a second.
const patience = 60 * time.Second

// Patient waits so long for what must happen in the Namespace, from now on.
func (n *Namespace) Patient(d time.Duration) { n.patience = d }

// Eventually waits until done returns nil.
func (n *Namespace) Eventually(what string, done func(context.Context) error) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), n.patience)
	defer cancel()
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		err := done(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(n.t, err, "waited %s in vain until %s", n.patience, what)
		case <-retry.C:
		}
	}
}

// Deployment returns a Deployment as stored.
func (n *Namespace) Deployment(name string) *appsv1.Deployment {
	n.t.Helper()
	d, err := n.Admin.AppsV1().Deployments(n.Name).Get(n.t.Context(), name, metav1.GetOptions{})
	require.NoError(n.t, err)
	return d
}

// Release returns the release of a Deployment, nil where there is none.
func (n *Namespace) Release(name string) *canary.Release {
	n.t.Helper()
	r, err := canary.DecodeRelease(n.Deployment(name).Annotations)
	require.NoError(n.t, err)
	return r
}

// WaitDeployment waits until a Deployment is as asked for.
func (n *Namespace) WaitDeployment(name, what string, ok func(*appsv1.Deployment) bool) *appsv1.Deployment {
	n.t.Helper()
	var found *appsv1.Deployment
	n.Eventually(what, func(ctx context.Context) error {
		d, err := n.Admin.AppsV1().Deployments(n.Name).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if found = d; !ok(d) {
			return fmt.Errorf("it is %s", summary(d))
		}
		return nil
	})
	return found
}

// WaitConfigSeen waits until sluice noted what config a Deployment has. That bumps the generation, and so a
// write at the same moment is asked about twice and gets two ids.
func (n *Namespace) WaitConfigSeen(name string) {
	n.t.Helper()
	n.WaitDeployment(name, "the config of "+name+" was seen", func(d *appsv1.Deployment) bool {
		return d.Annotations[canary.ConfigSeenAnnotation] != ""
	})
}

// WaitPhase waits until the release of a Deployment is in a phase, at a step.
func (n *Namespace) WaitPhase(name string, phase canary.Phase, step int) *canary.Release {
	n.t.Helper()
	what := fmt.Sprintf("the release of %s is %s at step %d", name, phase, step)
	n.WaitDeployment(name, what, func(d *appsv1.Deployment) bool {
		r, err := canary.DecodeRelease(d.Annotations)
		return err == nil && r != nil && r.Phase == phase && r.Step == step
	})
	return n.Release(name)
}

// WaitStable waits until a Deployment has no release, its rollout is complete and nothing of a release
// is left.
func (n *Namespace) WaitStable(name string) *appsv1.Deployment {
	n.t.Helper()
	d := n.WaitDeployment(name, name+" is complete and has no release", func(d *appsv1.Deployment) bool {
		return d.Annotations[canary.ReleaseAnnotation] == "" && Complete(d)
	})
	n.Eventually("nothing of a release is left", func(ctx context.Context) error {
		sets, err := n.Admin.AppsV1().ReplicaSets(n.Name).List(ctx, metav1.ListOptions{
			LabelSelector: canary.WorkloadLabel + "=" + canary.WorkloadLabelValue(name),
		})
		if err != nil {
			return err
		}
		if len(sets.Items) > 0 {
			return fmt.Errorf("replica set %s still has labels of a release: %v", sets.Items[0].Name, sets.Items[0].Labels)
		}
		if live := n.LivePods(ctx, name); len(live) != int(*d.Spec.Replicas) {
			return fmt.Errorf("%d pods are there, %d are wanted", len(live), *d.Spec.Replicas)
		}
		return nil
	})
	return d
}

// Complete tells whether the native rollout of a Deployment is over.
func Complete(d *appsv1.Deployment) bool {
	s, want := d.Status, *d.Spec.Replicas
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want
}

// Create creates a Deployment as alice and waits until its first rollout is complete.
func (n *Namespace) Create(d *appsv1.Deployment) *appsv1.Deployment {
	n.t.Helper()
	_, err := n.Env.Client(n.t, "alice").AppsV1().Deployments(n.Name).Create(n.t.Context(), d, metav1.CreateOptions{})
	require.NoError(n.t, err)
	return n.WaitStable(d.Name)
}

// LivePods returns the pods of a Deployment, canary pods among them, that are not being deleted.
func (n *Namespace) LivePods(ctx context.Context, name string) []corev1.Pod {
	n.t.Helper()
	d, err := n.Admin.AppsV1().Deployments(n.Name).Get(ctx, name, metav1.GetOptions{})
	require.NoError(n.t, err)
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	require.NoError(n.t, err)
	list, err := n.Admin.CoreV1().Pods(n.Name).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	require.NoError(n.t, err)
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// PodsOf returns the names of the live pods of a Deployment that run an image, sorted.
func (n *Namespace) PodsOf(name, image string) []string {
	n.t.Helper()
	var names []string
	for _, p := range n.LivePods(n.t.Context(), name) {
		if p.Spec.Containers[0].Image == image {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// PodsOfEventually waits until a Deployment has this many live pods of an image and returns their names.
func (n *Namespace) PodsOfEventually(name, image string, count int) []string {
	n.t.Helper()
	var pods []string
	n.Eventually(fmt.Sprintf("%s has %d pods of %s", name, count, image), func(context.Context) error {
		if pods = n.PodsOf(name, image); len(pods) != count {
			return fmt.Errorf("it has %d", len(pods))
		}
		return nil
	})
	return pods
}

// ReplicaSets returns the ReplicaSets that run pods of a Deployment, a canary's among them.
func (n *Namespace) ReplicaSets(name string) []appsv1.ReplicaSet {
	n.t.Helper()
	d := n.Deployment(name)
	list, err := n.Admin.AppsV1().ReplicaSets(n.Name).List(n.t.Context(), metav1.ListOptions{})
	require.NoError(n.t, err)
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	require.NoError(n.t, err)
	return slices.DeleteFunc(list.Items, func(rs appsv1.ReplicaSet) bool {
		return !selector.Matches(labels.Set(rs.Spec.Template.Labels))
	})
}

// WaitEvent waits for a Kubernetes Event on a Deployment or StatefulSet with this reason and returns its message.
func (n *Namespace) WaitEvent(name, reason string) string {
	n.t.Helper()
	var message string
	n.Eventually("there is an event "+reason, func(ctx context.Context) error {
		list, err := n.Admin.CoreV1().Events(n.Name).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var reasons []string
		for _, e := range list.Items {
			if e.InvolvedObject.Name != name || !canary.Holdable(e.InvolvedObject.Kind) {
				continue
			}
			if message = e.Message; e.Reason == reason {
				return nil
			}
			reasons = append(reasons, e.Reason)
		}
		return fmt.Errorf("the events are %s", strings.Join(reasons, ", "))
	})
	return message
}

func summary(d *appsv1.Deployment) string {
	return fmt.Sprintf("generation %d, observed %d, paused %t, %d replicas wanted, %d there, %d updated, %d available, release %s",
		d.Generation, d.Status.ObservedGeneration, d.Spec.Paused, *d.Spec.Replicas, d.Status.Replicas,
		d.Status.UpdatedReplicas, d.Status.AvailableReplicas, d.Annotations[canary.ReleaseAnnotation])
}
