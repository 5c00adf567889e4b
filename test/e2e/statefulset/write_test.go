package statefulset

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// two is a set of two pods, made at once.
func two() *builders.StatefulSetBuilder { return db().Replicas(2).Parallel() }

const containers = `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"` + v2 + `"}]}}}}`

func TestEveryKubectlWriteOfATemplateIsHeld(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(s harness.Set) harness.Result{
		"kubectl edit": func(s harness.Set) harness.Result {
			return s.Edit("statefulset/db", v1, v2)
		},
		"kubectl replace": func(s harness.Set) harness.Result {
			return s.Replace(s.Manifest(two().Image(v2).Obj()))
		},
		"kubectl apply": func(s harness.Set) harness.Result {
			return s.Kubectl("apply", "-f", s.Manifest(two().Image(v2).Obj()))
		},
		"kubectl apply --server-side": func(s harness.Set) harness.Result {
			return s.Kubectl("apply", "--server-side", "--force-conflicts", "-f", s.Manifest(two().Image(v2).Obj()))
		},
		"kubectl patch": func(s harness.Set) harness.Result {
			return s.Kubectl("patch", "statefulset/db", "-p", containers)
		},
		"kubectl patch --type=json": func(s harness.Set) harness.Result {
			return s.Kubectl("patch", "statefulset/db", "--type=json", "-p", `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"`+v2+`"}]`)
		},
		"kubectl patch --type=merge": func(s harness.Set) harness.Result {
			return s.Kubectl("patch", "statefulset/db", "--type=merge", "-p", containers)
		},
		"a partition in the same write": func(s harness.Set) harness.Result {
			return s.Kubectl("patch", "statefulset/db", "-p", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}},"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := env.Namespace(t).CreateSet(two().Obj())
			result := write(s)
			release := requireHeld(t, s, 1, v1, v2)
			warnings := slices.DeleteFunc(result.Warnings(), func(w string) bool {
				return strings.Contains(w, "last-applied-configuration") // kubectl's own, of an object made without apply
			})
			require.Equal(t, []string{holdWarning(s, release, 1, "1 new pod of 2")}, warnings, result)
			s.Approve()
			s.WaitReleased()
			require.Zero(t, s.Partition())
		})
	}
}

// TestWhatIsInATemplateIsHeld: a label, an annotation and an env variable are a version as an image is.
func TestWhatIsInATemplateIsHeld(t *testing.T) {
	t.Parallel()
	for name, write := range map[string][]string{
		"a label":    {"patch", "statefulset/db", "-p", `{"spec":{"template":{"metadata":{"labels":{"team":"shop"}}}}}`},
		"a restart":  {"rollout", "restart", "statefulset/db"},
		"a variable": {"set", "env", "statefulset/db", "GREETING=hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := env.Namespace(t).CreateSet(two().Obj())
			result := s.Kubectl(write...)
			release := requireHeld(t, s, 1, v1, v1)
			require.Equal(t, []string{holdWarning(s, release, 1, "1 new pod of 2")}, result.Warnings())
			set, pods := s.Get(), s.Pods()
			require.Equal(t, set.Status.CurrentRevision, pods["db-0"].Labels[appsv1.StatefulSetRevisionLabel])
			require.Equal(t, set.Status.UpdateRevision, pods["db-1"].Labels[appsv1.StatefulSetRevisionLabel])
			require.NotEqual(t, set.Status.CurrentRevision, set.Status.UpdateRevision)
		})
	}
}

func TestAppliedManifestsAreHeldApprovedAndPromoted(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"kubectl apply":               {},
		"kubectl apply --server-side": {"--server-side"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Set{Namespace: env.Namespace(t)}
			apply := func(set *appsv1.StatefulSet) harness.Result {
				return s.Kubectl(append([]string{"apply", "-f", s.Manifest(set)}, flags...)...)
			}
			first := apply(two().Partition(0).Obj())
			require.Equal(t, []string{"sluice: statefulset/db rolls out natively, without a canary: it is new"}, first.Warnings())
			s.WaitComplete()

			result := apply(two().Partition(0).Image(v2).Obj())
			release := requireHeld(t, s, 1, v1, v2)
			require.Equal(t, []string{holdWarning(s, release, 1, "1 new pod of 2")}, result.Warnings(), result)
			again := apply(two().Partition(0).Image(v2).Obj())
			require.NotContains(t, again.Stderr, "onflict")
			require.Equal(t, release, s.Release(), "the same file again changes nothing")

			s.Approve()
			s.WaitStable(v2)
			apply(two().Partition(0).Image(v3).Obj()) // no field was taken from the user meanwhile
			requireHeld(t, s, 1, v2, v3)
			apply(two().Partition(0).Image(v2).Obj())
			s.WaitStable(v2)
			require.Zero(t, s.Partition())
			s.Quiet()
		})
	}
}

func TestWhatIsNoNewVersionIsNotHeld(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Obj())
	for _, args := range [][]string{
		{"scale", "statefulset/db", "--replicas=3"},
		{"patch", "statefulset/db", "-p", `{"spec":{"replicas":4}}`},
		{"label", "statefulset/db", "team=shop"},
		{"annotate", "statefulset/db", "example.com/note=1"},
		{"patch", "statefulset/db", "-p", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}}}}`},
		{"patch", "statefulset/db", "-p", `{"spec":{"minReadySeconds":1}}`},
	} {
		require.Empty(t, s.Kubectl(args...).Warnings(), args)
		require.Nil(t, s.Release())
	}
	s.WaitImages(v1, v1, v1, v1)
	require.EqualValues(t, 1, s.Partition())
	require.Empty(t, env.Proxy.Writes(s.Name))
}

func TestTwoUpdatesAtOnceAreOneRelease(t *testing.T) {
	t.Parallel()
	s := four(t, "25%")
	alice := env.Client(t, "alice").AppsV1().StatefulSets(s.Name)
	for _, image := range []string{v2, v3} {
		_, err := alice.Patch(t.Context(), "db", types.StrategicMergePatchType, []byte(strings.Replace(containers, v2, image, 1)), patchOptions)
		require.NoError(t, err)
	}
	requireHeld(t, s, 1, v1, v1, v1, v3)
}

func TestADryRunOrARefusalStoresNothing(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Obj())
	before := s.Get()
	s.Kubectl("set", "image", "statefulset/db", "app="+v2, "--dry-run=server")
	require.Equal(t, before, s.Get())
	require.Empty(t, env.Proxy.Writes(s.Name))
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v2)
	s.Quiet()
	before = s.Get()
	s.Refused("bob", []string{"may not abort", `the verb "abort" on statefulsets.apps`}, "kubectl", "annotate", "statefulset/db", canary.AbortAnnotation+"="+s.Release().Name())
	s.Refused("alice", []string{"cannot be scaled to 0"}, "kubectl", "patch", "statefulset/db", "-p", `{"spec":{"replicas":0,"minReadySeconds":3}}`)
	require.Equal(t, before, s.Get())
}

func TestAStaleResourceVersionGetsTheServersOwnConflict(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Obj())
	stored := s.Kubectl("get", "statefulset/db", "-o", "yaml").Stdout
	s.SetImage(v2)
	release := requireHeld(t, s, 1, v1, v2)
	stale := s.File("stale.yaml", []byte(strings.ReplaceAll(stored, v1, v3)))
	s.Refused("alice", []string{"the object has been modified"}, "kubectl", "replace", "-f", stale)
	require.Equal(t, release, s.Release())
}

func TestAWriteOfTheStateOrOfThePartitionReleasesNothing(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t, harness.Steps("25%")).CreateSet(db().Obj())
	s.SetImage(v2)
	release := requireHeld(t, s, 1, v1, v1, v1, v2)
	for _, args := range [][]string{
		{"annotate", "statefulset/db", canary.ReleaseAnnotation + "-"},
		{"annotate", "--overwrite", "statefulset/db", canary.ReleaseAnnotation + "={}"},
		{"label", "statefulset/db", canary.ActiveLabel + "-"},
		{"annotate", "--overwrite", "statefulset/db", canary.ApproveAnnotation + "=1/1"},
	} {
		s.Kubectl(args...)
		require.Equal(t, release, s.Release(), args)
		require.Equal(t, "true", s.Get().Labels[canary.ActiveLabel])
		require.EqualValues(t, harness.Closed, s.Partition())
	}
	forged := release.Encode()
	forged = strings.Replace(forged, `"Waiting"`, `"Promoting","stage":"Finishing"`, 1)
	s.Kubectl("annotate", "--overwrite", "statefulset/db", canary.ReleaseAnnotation+"="+forged)
	require.Equal(t, release, s.Release())
	s.Refused("admin", []string{canary.ReleaseAnnotation}, "kubectl", "patch", "--subresource=status", "--type=merge", "statefulset/db",
		"-p", `{"metadata":{"annotations":{"`+canary.ReleaseAnnotation+`":"{}"}}}`)

	result := s.StatePartition(2)
	require.Contains(t, result.Stderr, `"partition: 2" approves nothing. Approve with: kubectl annotate statefulset/db -n `+s.Name)
	require.EqualValues(t, harness.Closed, s.Partition())
	s.WaitImages(v1, v1, v1, v2)
	s.Approve()
	s.WaitReleased()
	require.EqualValues(t, 2, s.Partition())
	s.WaitImages(v1, v1, v2, v2)
	s.Quiet()
}

func TestApprovalAtTheWrongTime(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t, harness.Steps("50%, 75%")).CreateSet(db().Obj())
	s.SetImage(unready)
	s.WaitImages(v1, v1, v1)
	s.Refused("alice", []string{"step 1 of release", "is not ready", "kubectl get pods -n " + s.Name},
		"kubectl", "annotate", "statefulset/db", canary.ApproveAnnotation+"="+s.Release().ApproveValue())
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v1, v2, v2)
	s.Approve()
	requireHeld(t, s, 2, v1, v2, v2, v2)
	stale := s.Kubectl("annotate", "--overwrite", "statefulset/db", canary.ApproveAnnotation+"="+s.Release().Name()+"/1", "example.com/note=1")
	require.Equal(t, canary.Waiting, s.Release().Phase, stale.Stderr)
	s.Abort()
	s.WaitImages(v1, v1, v1, v1)
	s.Refused("alice", []string{"is aborted: aborted by alice"}, "kubectl", "annotate", "--overwrite", "statefulset/db", canary.ApproveAnnotation+"="+s.Release().ApproveValue())
	retryOfAnother := s.Kubectl("annotate", "--overwrite", "statefulset/db", canary.RetryAnnotation+"=1")
	require.Contains(t, retryOfAnother.Stderr, "does nothing")
	require.Equal(t, canary.Aborted, s.Release().Phase)
}
