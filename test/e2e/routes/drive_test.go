package routes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
)

func (a *app) release() *canary.Release {
	a.t.Helper()
	if a.set != nil {
		return a.set.Release()
	}
	return a.Release("web")
}

func (a *app) setImage(image string) {
	a.t.Helper()
	if a.set != nil {
		a.set.SetImage(image)
		return
	}
	a.SetImage("web", image)
}

func (a *app) approve() {
	a.t.Helper()
	if a.set != nil {
		a.set.Approve()
		return
	}
	a.Approve("web")
}

func (a *app) abort() {
	a.t.Helper()
	if a.set != nil {
		a.set.Abort()
		return
	}
	a.Abort("web")
}

func (a *app) waits(phase canary.Phase, step int) {
	a.t.Helper()
	a.Eventually(fmt.Sprintf("the release is %s at step %d", phase, step), func(context.Context) error {
		if r := a.release(); r == nil || r.Phase != phase || r.Step != step {
			return fmt.Errorf("it is %+v", r)
		}
		return nil
	})
}

// says waits until the release gives a reason.
func (a *app) says(reason string) {
	a.t.Helper()
	a.Eventually("the release says "+reason, func(context.Context) error {
		if r := a.release(); r == nil || !strings.Contains(r.Reason, reason) {
			return fmt.Errorf("it is %+v", r)
		}
		return nil
	})
}

// ends requires that a version is the stable one, and that nothing is left of its release.
func (a *app) ends(image string) {
	a.t.Helper()
	a.stable(image)
	a.givenBack()
	a.gone()
}

func (a *app) stable(image string) {
	a.t.Helper()
	if a.set != nil {
		a.set.WaitStable(image)
		return
	}
	a.WaitStable("web")
}

// shared requires that every rule of every route is divided by the canary's weight.
func (a *app) shared(weight int) {
	a.t.Helper()
	want := fmt.Sprintf("shop-stable=%d shop-canary=%d", 100-weight, weight)
	a.Eventually("all rules have "+want, func(context.Context) error {
		for _, route := range a.routes() {
			for _, has := range a.shares(route) {
				if has != want {
					return fmt.Errorf("%s has %s", route.GetName(), has)
				}
			}
		}
		return nil
	})
}

// givenBack requires that every route is byte for byte what it was.
func (a *app) givenBack() {
	a.t.Helper()
	a.Eventually("the routes are what they were", func(context.Context) error {
		found := a.routes()
		if len(found) != len(a.before) {
			return fmt.Errorf("there are %d", len(found))
		}
		for _, route := range found {
			if was, is := a.before[route.GetName()], content(a.t, route); is != was {
				return fmt.Errorf("%s is %s and was %s", route.GetName(), is, was)
			}
			if a.canaryOf(route) != nil {
				return fmt.Errorf("%s has a canary beside it", route.GetName())
			}
		}
		return nil
	})
}

// gone requires that sluice's Services are no more.
func (a *app) gone() {
	a.t.Helper()
	a.Eventually("the Services of the release are gone", func(ctx context.Context) error {
		for _, name := range []string{"shop-stable", "shop-canary"} {
			_, err := a.Admin.CoreV1().Services(a.Name).Get(ctx, name, metav1.GetOptions{})
			if !apierrors.IsNotFound(err) {
				return errors.Join(fmt.Errorf("service %s", name), err)
			}
		}
		return nil
	})
}

// selects requires that the two Services select the two versions.
func (a *app) selects() {
	a.t.Helper()
	selector := func(name string) map[string]string {
		s, err := a.Admin.CoreV1().Services(a.Name).Get(a.t.Context(), name, metav1.GetOptions{})
		require.NoError(a.t, err)
		return s.Spec.Selector
	}
	stable, onCanary := selector("shop-stable"), selector("shop-canary")
	if a.set == nil {
		require.Equal(a.t, canary.CanaryHash(a.release()), onCanary["pod-template-hash"])
		require.NotEqual(a.t, stable["pod-template-hash"], onCanary["pod-template-hash"])
		return
	}
	status := a.set.Get().Status
	require.Equal(a.t, status.CurrentRevision, stable["controller-revision-hash"])
	require.Equal(a.t, status.UpdateRevision, onCanary["controller-revision-hash"])
}
