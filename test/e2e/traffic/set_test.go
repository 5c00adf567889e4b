package traffic

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

// ordinals is how many pods a set has. One of them gets 20 % at step one, three get 60 % at step two: neither is the
// share of so many pods, and the one stable pod that is left has 40 % to answer.
const (
	ordinals = 4
	setSteps = "20%, 60%/3"
)

// behind is how much later than a route's status, by which sluice goes, a gateway may act on the route.
const behind = time.Second

// set is an app whose pods are those of a StatefulSet "db". Its canary pods take the place of stable ones: a pod is
// deleted, and made again under its name with another address.
type set struct {
	*app
	db harness.Set
}

// startSet makes a set of v1, and requests to it.
func startSet(t *testing.T, kind gateway.Kind) *set {
	t.Helper()
	n := plane.Env.Namespace(t, harness.Steps(setSteps))
	db := n.CreateSet(builders.MakeStatefulSet("db").Replicas(ordinals).Image(v1).Obj())
	plane.CreateService(t, n.Name, "web", map[string]string{"app": "db"})
	return &set{serve(t, n, kind, plane.CreateRoute(t, kind, n.Name)), db}
}

// TestNoRequestToAStatefulSetIsLost, and requests leave a version before the first of its pods goes.
func TestNoRequestToAStatefulSetIsLost(t *testing.T) {
	t.Parallel()
	for name, life := range map[string]func(s *set){
		"aborted, and the next version reverted": func(s *set) {
			s.toStepTwo(v2)
			aborted := s.abort()
			s.db.WaitImages(slices.Repeat([]string{v1}, ordinals)...)
			s.back(v1)
			s.hold(v3)
			s.db.SetImage(v1)
			s.restored(v1)
			s.only(v1)
			all := s.nothingLost()
			s.leftItsPods(all, v2, aborted)
			requireLeft(s.t, all, v2, aborted)
			requireInTurn(s.t, all, v2, v3)
		},
		"superseded, and the next version promoted": func(s *set) {
			s.toStepTwo(v2)
			superseded := time.Now()
			s.toStepTwo(v3)
			s.db.Approve()
			s.restored(v3)
			s.settle(v3)
			s.only(v3)
			all := s.nothingLost()
			s.leftItsPods(all, v2, superseded)
			requireInTurn(s.t, all, v2, v3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, kind gateway.Kind) { life(startSet(t, kind)) })
		})
	}
}

// toStepTwo brings a version to its second step and requires the share of either.
func (s *set) toStepTwo(image string) {
	s.t.Helper()
	s.hold(image)
	s.share(image, 20, few)
	s.db.Approve()
	s.db.WaitPhase(canary.Waiting, 2)
	s.db.WaitCount(image, 3)
	s.share(image, 60, few)
}

func (s *set) hold(image string) {
	s.t.Helper()
	s.db.SetImage(image)
	s.db.WaitPhase(canary.Waiting, 1)
	s.db.WaitCount(image, 1)
}

// abort aborts the release and returns when, before the write.
func (s *set) abort() time.Time {
	s.t.Helper()
	patch, client := abortPatch(s.t, s.db.Release()), s.Env.Client(s.t, "alice").AppsV1().StatefulSets(s.Name)
	begun := time.Now()
	_, err := client.Patch(s.t.Context(), "db", types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(s.t, err)
	return begun
}

// restored requires that nothing is left of a release, and that all pods run one version.
func (s *set) restored(image string) {
	s.t.Helper()
	s.db.WaitStable(image)
	s.givenBack()
}

// leftItsPods requires that a version gave its last answer before sluice took the first pod away since then, but for
// what the gateway takes.
func (s *set) leftItsPods(all gateway.Answers, image string, since time.Time) {
	s.t.Helper()
	last, ok := all.LastOf(image)
	require.True(s.t, ok)
	taken := s.firstTaken(since)
	s.t.Logf("%s answered last %s before its first pod was taken", image, taken.Sub(last).Round(time.Millisecond))
	require.Less(s.t, last, taken.Add(behind))
}

// firstTaken returns when sluice deleted a pod for the first time since then.
func (s *set) firstTaken(since time.Time) time.Time {
	s.t.Helper()
	writes := s.Env.Proxy.Writes(s.Name)
	i := slices.IndexFunc(writes, func(w harness.Write) bool {
		return w.Resource == "pods" && w.Method == http.MethodDelete && w.At.After(since)
	})
	require.GreaterOrEqual(s.t, i, 0, "sluice took no pod away")
	return writes[i].At
}
