package dev

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestJudge(t *testing.T) {
	const here = holder("laptop/1")
	held := claim{holder: "desk/2", renewed: "10:00:00"}
	tests := map[string]struct {
		first, present claim
		watched        time.Duration
		dead           bool
		want           verdict
	}{
		"nobody holds it":                           {want: takeIt},
		"it was given up while watched":             {first: held, watched: time.Second, want: takeIt},
		"this process holds it":                     {first: claim{holder: here}, present: claim{holder: here}, want: takeIt},
		"its holder is known to have ended":         {first: held, present: held, dead: true, want: takeIt},
		"somebody holds it: who knows":              {first: held, present: held, want: wait},
		"still who knows":                           {first: held, present: held, watched: leaseDuration - 1, want: wait},
		"it was not renewed for long enough":        {first: held, present: held, watched: leaseDuration, want: takeIt},
		"it was renewed":                            {first: held, present: claim{holder: "desk/2", renewed: "10:00:02"}, watched: time.Second, want: yield},
		"renewed late is renewed all the same":      {first: held, present: claim{holder: "desk/2", renewed: "10:00:11"}, watched: leaseDuration, want: yield},
		"somebody else took it, and so is alive":    {first: held, present: claim{holder: "den/3", renewed: "10:00:00"}, watched: time.Second, want: yield},
		"who took it may have ended since":          {first: held, present: claim{holder: "den/3"}, dead: true, want: takeIt},
		"a clock that went back renews it like one": {first: held, present: claim{holder: "desk/2", renewed: "09:00:00"}, watched: time.Second, want: yield},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := judge(tt.first, tt.present, here, tt.watched, func(holder) bool { return tt.dead })

			require.Equal(t, tt.want, got)
		})
	}
}

// ended returns the id of a process that has ended.
func ended(t *testing.T) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	require.NoError(t, cmd.Run())
	return cmd.Process.Pid
}

func TestDead(t *testing.T) {
	here, err := self()
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	tests := map[string]struct {
		holder holder
		want   bool
	}{
		"this very process lives":                 {holder: here},
		"a process of this machine that ended":    {holder: holder(fmt.Sprintf("%s/%d", host, ended(t))), want: true},
		"one of another machine: nobody can tell": {holder: holder(fmt.Sprintf("not-%s/%d", host, ended(t)))},
		"what dev did not write":                  {holder: "somebody"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.holder.dead(here))
		})
	}
}

func leaseOf(by holder) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sluice-system", Name: leaseName},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To(string(by))},
	}
}

func newLease(c client.Client, here holder) *lease {
	return &lease{client: c, namespace: "sluice-system", here: here, now: time.Now}
}

func TestLease(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	here := holder(host + "/1")

	t.Run("the first one makes it and gives it up", func(t *testing.T) {
		c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).Build()
		l := newLease(c, here)

		require.NoError(t, l.take(t.Context()))
		found, err := l.get(t.Context())
		require.NoError(t, err)
		require.Equal(t, here, claimOf(found).holder)

		require.NoError(t, l.release(t.Context()))
		found, err = l.get(t.Context())
		require.NoError(t, err)
		require.Nil(t, found)
	})

	t.Run("one that was killed on this machine is followed at once", func(t *testing.T) {
		killed := holder(fmt.Sprintf("%s/%d", host, ended(t)))
		c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(leaseOf(killed)).Build()
		ctx, cancel := context.WithTimeout(t.Context(), leaseDuration/2)
		defer cancel()

		require.NoError(t, newLease(c, here).take(ctx))
	})

	t.Run("one that renews is left alone", func(t *testing.T) {
		c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).Build()
		other := newLease(c, "elsewhere/2")
		require.NoError(t, other.take(t.Context()))
		keeping, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = other.keep(keeping) }()

		err := newLease(c, here).take(t.Context())

		require.ErrorContains(t, err, "another sluice dev serves this cluster (elsewhere/2): stop that first")
	})

	t.Run("who was overtaken learns it and gives nothing up", func(t *testing.T) {
		c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(leaseOf("elsewhere/2")).Build()
		l := newLease(c, here)

		require.ErrorIs(t, l.keep(t.Context()), errTakenOver)

		require.NoError(t, l.release(t.Context()))
		found, err := l.get(t.Context())
		require.NoError(t, err)
		require.Equal(t, holder("elsewhere/2"), claimOf(found).holder)
	})
}
