package follow_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	k8stesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"sluice.dev/sluice/cmd/kubectl-sluice/follow"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
	"sluice.dev/sluice/test/builders"
)

var ref = workload.Ref{Kind: workload.Deployment, Namespace: "shop", Name: "web"}

func web(version string) *unstructured.Unstructured {
	d := builders.MakeDeployment("web").Obj()
	d.Namespace, d.ResourceVersion = "shop", version
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
	if err != nil {
		panic(err)
	}
	return &unstructured.Unstructured{Object: fields}
}

// scripted is a cluster whose watches send what they are told, one script each.
func scripted(scripts ...[]watch.Event) (client *dynamicfake.FakeDynamicClient, watches func() int) {
	client = dynamicfake.NewSimpleDynamicClient(scheme.Scheme, web("1"))
	begun := 0
	client.PrependWatchReactor("deployments", func(k8stesting.Action) (bool, watch.Interface, error) {
		script := scripts[min(begun, len(scripts)-1)]
		begun++
		w := watch.NewFakeWithChanSize(len(script), false)
		for _, event := range script {
			w.Action(event.Type, event.Object)
		}
		return true, w, nil
	})
	return client, func() int { return begun }
}

func gone() watch.Event {
	status := apierrors.NewResourceExpired("too old resource version").Status()
	return watch.Event{Type: watch.Error, Object: &status}
}

func TestEveryVersionIsSeenInOrder(t *testing.T) {
	client, _ := scripted([]watch.Event{{Type: watch.Modified, Object: web("2")}, {Type: watch.Modified, Object: web("3")}, {Type: watch.Modified, Object: web("4")}})
	var seen []string
	err := follow.Object(t.Context(), clocktesting.NewFakeClock(time.Time{}), client, ref, func(object *unstructured.Unstructured) (bool, error) {
		seen = append(seen, object.GetResourceVersion())
		return len(seen) == 3, nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2", "3"}, seen)
}

func TestAVersionThatTheServerForgotIsReadAnew(t *testing.T) {
	client, watches := scripted([]watch.Event{gone()}, []watch.Event{{Type: watch.Modified, Object: web("9")}})
	var seen []string
	err := follow.Object(t.Context(), clocktesting.NewFakeClock(time.Time{}), client, ref, func(object *unstructured.Unstructured) (bool, error) {
		seen = append(seen, object.GetResourceVersion())
		return object.GetResourceVersion() == "9", nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "1", "9"}, seen)
	require.Equal(t, 2, watches())
}

func TestWhoeverSeesMayFail(t *testing.T) {
	client, _ := scripted([]watch.Event{{Type: watch.Modified, Object: web("2")}})
	for _, version := range []string{"1", "2"} {
		broken := errors.New("broken")
		err := follow.Object(t.Context(), clocktesting.NewFakeClock(time.Time{}), client, ref, func(object *unstructured.Unstructured) (bool, error) {
			if object.GetResourceVersion() == version {
				return false, broken
			}
			return false, nil
		})
		require.ErrorIs(t, err, broken)
	}
}

func TestWhatCannotBeReadFromTheStartIsAnError(t *testing.T) {
	client, _ := scripted(nil)
	client.PrependReactor("get", "deployments", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(appsv1.Resource("deployments"), "web", errors.New("no"))
	})
	err := follow.Object(t.Context(), clocktesting.NewFakeClock(time.Time{}), client, ref, nil)
	require.EqualError(t, err, `reading deployment/web in namespace shop: deployments.apps "web" is forbidden: no`)
}

// TestAnAPIServerThatStartsIsWaitedFor: it refuses for a while what it then permits.
func TestAnAPIServerThatStartsIsWaitedFor(t *testing.T) {
	client, _ := scripted([]watch.Event{{Type: watch.Modified, Object: web("2")}})
	refusals := 0
	client.PrependWatchReactor("deployments", func(k8stesting.Action) (bool, watch.Interface, error) {
		if refusals++; refusals > 20 {
			return false, nil, nil
		}
		return true, nil, apierrors.NewForbidden(appsv1.Resource("deployments"), "web", errors.New("no"))
	})
	clock := clocktesting.NewFakeClock(time.Time{})
	go step(t.Context(), clock)
	var seen []string
	err := follow.Object(t.Context(), clock, client, ref, func(object *unstructured.Unstructured) (bool, error) {
		seen = append(seen, object.GetResourceVersion())
		return object.GetResourceVersion() == "2", nil
	})
	require.NoError(t, err)
	require.Contains(t, seen, "2")
}

func TestARightThatIsTakenAwayIsAnErrorInTheEnd(t *testing.T) {
	client, _ := scripted([]watch.Event{gone()})
	reads := 0
	client.PrependReactor("get", "deployments", func(k8stesting.Action) (bool, runtime.Object, error) {
		reads++
		return reads > 1, nil, apierrors.NewForbidden(appsv1.Resource("deployments"), "web", errors.New("no"))
	})
	clock := clocktesting.NewFakeClock(time.Time{})
	go step(t.Context(), clock)
	err := follow.Object(t.Context(), clock, client, ref, func(*unstructured.Unstructured) (bool, error) { return false, nil })
	require.ErrorContains(t, err, `deployments.apps "web" is forbidden: no`)
	require.Greater(t, reads, 10)
}

// step lets the time pass that somebody waits for.
func step(ctx context.Context, clock *clocktesting.FakeClock) {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if clock.HasWaiters() {
				clock.Step(time.Second)
			}
		case <-ctx.Done():
			return
		}
	}
}

func TestChangesAreToldOnceUntilTheyAreHeard(t *testing.T) {
	client, _ := scripted([]watch.Event{{Type: watch.Modified, Object: web("2")}, {Type: watch.Modified, Object: web("3")}})
	changed := follow.Changes(t.Context(), clocktesting.NewFakeClock(time.Time{}), follow.Workload(client, ref))
	<-changed
	require.LessOrEqual(t, len(changed), 1)
}

func TestASourceThatFailsIsTriedAgain(t *testing.T) {
	client, _ := scripted(nil)
	failed := make(chan struct{}, 1)
	client.PrependReactor("list", "deployments", func(k8stesting.Action) (bool, runtime.Object, error) {
		select {
		case failed <- struct{}{}:
			return true, nil, errors.New("connection refused")
		default:
			return false, nil, nil
		}
	})
	clock := clocktesting.NewFakeClock(time.Time{})
	changed := follow.Changes(t.Context(), clock, follow.Workload(client, ref))
	require.Eventually(t, func() bool { return clock.HasWaiters() }, 10*time.Second, time.Millisecond)
	require.Empty(t, changed)
	clock.Step(time.Second)
	<-changed
}

func TestASourceThatIsForbiddenIsLeftOut(t *testing.T) {
	client, _ := scripted(nil)
	client.PrependReactor("list", "replicasets", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(appsv1.Resource("replicasets"), "", errors.New("no"))
	})
	sets := client.Resource(appsv1.SchemeGroupVersion.WithResource("replicasets")).Namespace("shop")
	clock := clocktesting.NewFakeClock(time.Time{})
	changed := follow.Changes(t.Context(), clock, follow.Source{Resource: sets}, follow.Workload(client, ref))
	<-changed
	require.False(t, clock.HasWaiters())
}
