package controller

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

var web = named(canary.Deployment, "web")

// released is a cluster whose web was released with red, by a first change from "none".
func released(t testing.TB) *shopCluster {
	c := baseline(t)
	c.edit("app", "red")
	c.looks(web)
	require.Len(t, c.digests, 1)
	c.end("web")
	c.looks(web)
	c.patches, c.digests, c.calls = nil, nil, 0
	c.told()
	return c
}

// baseline is a cluster whose web has no digest, and whose config was seen.
func baseline(t testing.TB) *shopCluster {
	c := newCluster(t, shop(), configMap("app", "none"), deployment("web", "app"))
	c.looks(web)
	require.Len(t, c.patches, 1)
	require.Empty(t, c.digests)
	c.patches, c.calls = nil, 0
	return c
}

// end ends a release: its template is in the spec and rolled out.
func (c *shopCluster) end(name string) {
	d := c.deployment(name)
	delete(d.Annotations, canary.ReleaseAnnotation)
	delete(d.Labels, canary.ActiveLabel)
	d.Spec.Paused, d.Status.ObservedGeneration = false, d.Generation
	require.NoError(c.t, c.store.Update(context.Background(), d))
	c.now = c.now.Add(time.Hour)
}

func (c *shopCluster) edited(change func(*corev1.Namespace)) {
	namespace := &corev1.Namespace{}
	require.NoError(c.t, c.store.Get(context.Background(), types.NamespacedName{Name: "shop"}, namespace))
	change(namespace)
	require.NoError(c.t, c.store.Update(context.Background(), namespace))
}

func (c *shopCluster) annotated(key, value string) {
	d := c.deployment("web")
	d.Annotations[key] = value
	require.NoError(c.t, c.store.Update(context.Background(), d))
}

func (c *shopCluster) seen() hashing.Seen { return hashing.DecodeSeen(c.deployment("web").Annotations) }

// The rows of the table in the package comment, and their neighbours.
func TestWhatALookFinds(t *testing.T) {
	phase := func(phase canary.Phase, step int, settled bool) func(*shopCluster) {
		return func(c *shopCluster) {
			c.edit("app", "blue")
			c.looks(web)
			c.patches, c.digests = nil, nil
			c.change("web", func(r *canary.Release) { r.Phase, r.Step, r.Settled = phase, step, settled })
			c.edit("app", "green")
		}
	}
	tests := map[string]struct {
		given       func(c *shopCluster)
		wantWrites  int
		wantDigests int // that the template got
		wantAgain   time.Duration
	}{
		"the same content": {func(*shopCluster) {}, 0, 0, 0},
		"other content":    {func(c *shopCluster) { c.edit("app", "blue") }, 1, 1, DefaultSettleTime},
		"other content that comes back": {func(c *shopCluster) {
			c.edit("app", "blue")
			c.edit("app", "red")
		}, 0, 0, 0},
		"other content in a namespace that opted out": {func(c *shopCluster) {
			c.optedOut = true
			c.edit("app", "blue")
		}, 0, 0, 0},
		"other content in a namespace that webhooks leave alone": {func(c *shopCluster) {
			c.spared["shop"] = true
			c.edit("app", "blue")
		}, 0, 0, 0},
		"other content of a workload that opted out": {func(c *shopCluster) {
			d := c.deployment("web")
			d.Labels = map[string]string{canary.EnabledLabel: "false"}
			require.NoError(c.t, c.store.Update(context.Background(), d))
			c.edit("app", "blue")
		}, 0, 0, 0},
		"other content that is ignored by the workload": {func(c *shopCluster) {
			c.annotated(canary.ConfigAnnotation, "ignore")
			c.edit("app", "blue")
		}, 0, 0, 0},
		"other content that is ignored by the namespace": {func(c *shopCluster) {
			c.edited(func(n *corev1.Namespace) { n.Annotations = map[string]string{canary.ConfigAnnotation: "ignore"} })
			c.edit("app", "blue")
		}, 0, 0, 0},
		"other content under a policy that is not valid": {func(c *shopCluster) {
			c.annotated(canary.StepsAnnotation, "no")
			c.edit("app", "blue")
		}, 0, 0, 0},
		"an object that is to be ignored from now on": {func(c *shopCluster) {
			object := configMap("app", "blue")
			object.Annotations = map[string]string{hashing.AnnotationConfig: hashing.ConfigIgnore}
			require.NoError(c.t, c.store.Update(context.Background(), object))
		}, 1, 1, DefaultSettleTime}, // what it counted before can no longer be read
		"an object that is to be ignored, and is the same": {func(c *shopCluster) {
			object := configMap("app", "red")
			object.Annotations = map[string]string{hashing.AnnotationConfig: hashing.ConfigIgnore}
			require.NoError(c.t, c.store.Update(context.Background(), object))
		}, 1, 0, 0},
		"a required object is missing": {func(c *shopCluster) {
			require.NoError(c.t, c.store.Delete(context.Background(), configMap("app", "")))
		}, 0, 0, 0},
		"a workload that is gone": {func(c *shopCluster) {
			require.NoError(c.t, c.store.Delete(context.Background(), c.deployment("web")))
		}, 0, 0, 0},
		"a workload that uses no config": {func(c *shopCluster) {
			d := c.deployment("web")
			d.Spec.Template = podTemplate()
			require.NoError(c.t, c.store.Update(context.Background(), d))
		}, 0, 0, 0},
		"what was seen is gone": {func(c *shopCluster) { c.annotated(canary.ConfigSeenAnnotation, "") }, 1, 0, 0},
		"what was seen cannot be read, and the content is other": {func(c *shopCluster) {
			c.annotated(canary.ConfigSeenAnnotation, "{")
			c.edit("app", "blue")
		}, 1, 1, DefaultSettleTime},
		"a new key, the same content":   {func(c *shopCluster) { c.keys.Keyring = ringOf(c.t, 1, 2) }, 1, 0, 0},
		"a lost key, the same content":  {func(c *shopCluster) { c.keys.Keyring = ringOf(c.t, 2) }, 1, 0, 0},
		"a lost key, and other content": {func(c *shopCluster) { c.keys.Keyring = ringOf(c.t, 2); c.edit("app", "blue") }, 1, 0, 0},
		"a new key, and other content":  {func(c *shopCluster) { c.keys.Keyring = ringOf(c.t, 1, 2); c.edit("app", "blue") }, 1, 1, DefaultSettleTime},
		"a lost key that was noted, then other content": {func(c *shopCluster) {
			c.keys.Keyring = ringOf(c.t, 2)
			c.looks(web)
			c.patches = nil
			c.edit("app", "blue")
		}, 1, 1, DefaultSettleTime},
		"a new key that was noted and then given up, then other content": {func(c *shopCluster) {
			c.keys.Keyring = ringOf(c.t, 1, 2)
			c.looks(web)
			c.patches, c.keys.Keyring = nil, ringOf(c.t, 1)
			c.edit("app", "blue")
		}, 1, 1, DefaultSettleTime},
		"a release that has not read its config yet":   {phase(canary.Progressing, 1, false), 0, 0, DefaultSettleTime},
		"a release that the user's own pause delays":   {phase(canary.Progressing, 0, false), 0, 0, idleLook},
		"a release that is promoted":                   {phase(canary.Promoting, 1, true), 0, 0, idleLook},
		"a release that is reverted":                   {phase(canary.Reverting, 1, true), 0, 0, idleLook},
		"a release that makes its pods, other content": {phase(canary.Progressing, 1, true), 1, 1, DefaultSettleTime},
		"a release that waits, other content":          {phase(canary.Waiting, 1, true), 1, 1, DefaultSettleTime},
		"a release that was aborted, other content":    {phase(canary.Aborted, 1, true), 1, 1, DefaultSettleTime},
		"a release that was aborted, its own content": {func(c *shopCluster) {
			phase(canary.Aborted, 1, true)(c)
			c.edit("app", "blue")
		}, 0, 0, 0},
		"a release that waits, the stable content": {func(c *shopCluster) {
			phase(canary.Waiting, 1, true)(c)
			c.edit("app", "red")
		}, 1, 1, idleLook},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := released(t)
			test.given(c)
			c.looks(web)
			require.Len(t, c.patches, test.wantWrites)
			require.Len(t, c.digests, test.wantDigests)
			for range 3 {
				result, err := c.look(web)
				require.NoError(t, err)
				require.Equal(t, test.wantAgain, result.RequeueAfter)
			}
			require.Len(t, c.patches, test.wantWrites, "it is quiet then")
		})
	}
}

func TestABaselineIsNotedAndRollsNothing(t *testing.T) {
	c := baseline(t)
	require.Empty(t, c.deployment("web").Spec.Template.Annotations)
	require.NotEmpty(t, c.seen().Template)
	require.Empty(t, c.told())

	c.edit("app", "blue")
	c.looks(web)
	require.Len(t, c.digests, 1)
	require.Equal(t, []string{"Normal ConfigChanged config changed: configmap/app: color"}, c.told())
}

// What was seen of the stable version outlives the release that is taken back, so that a change which comes before the
// next look is one.
func TestConfigThatChangesAgainDuringARevertToATemplateWithoutADigest(t *testing.T) {
	c := baseline(t)
	c.edit("app", "blue")
	c.looks(web)
	c.change("web", func(r *canary.Release) { r.Phase, r.Settled = canary.Waiting, true })
	c.edit("app", "none")
	c.looks(web)
	require.Len(t, c.digests, 2)
	require.Empty(t, c.digests[1], "the stable template has none")
	require.Empty(t, c.deployment("web").Spec.Template.Annotations[hashing.AnnotationConfigHash])

	c.edit("app", "green") // nobody looks: the release is reverted
	c.end("web")
	c.looks(web)
	require.Len(t, c.digests, 3, "green is a release")
	require.NotEmpty(t, c.digests[2])
}

func TestAKeyThatCouldNotBeLookedForIsNotLost(t *testing.T) {
	c := released(t)
	c.keys.Keyring, c.keys.fault = ringOf(t, 2), errors.New("etcdserver: leader changed")
	c.edit("app", "blue")
	_, err := c.look(web)
	require.ErrorContains(t, err, "leader changed")
	require.Empty(t, c.patches, "nothing is noted: it would hide the change")

	c.keys.Keyring, c.keys.fault = ringOf(t, 1, 2), nil
	c.looks(web)
	require.Len(t, c.digests, 1)
}

func TestTheWriteIsGuardedAndHoldsOneAnnotation(t *testing.T) {
	c := released(t)
	c.edit("app", "blue")
	version := c.deployment("web").ResourceVersion
	c.looks(web)
	require.Len(t, c.patches, 1)
	var sent map[string]any
	require.NoError(t, json.Unmarshal([]byte(c.patches[0]), &sent))
	require.Equal(t, map[string]any{"metadata": map[string]any{
		"resourceVersion": version,
		"annotations":     map[string]any{canary.ConfigSeenAnnotation: c.seen().Encode()},
	}}, sent)
	require.Equal(t, []client.PatchOption{client.FieldOwner("sluice")}, c.options)
}

// Whatever fails at whichever call, applied or not, with or without a restart: one release, of the last content.
func TestEachCallMayFail(t *testing.T) {
	resource := schema.GroupResource{Group: "apps", Resource: "deployments"}
	faults := map[string]error{
		"conflict":    apierrors.NewConflict(resource, "web", errors.New("it has changed")),
		"not found":   apierrors.NewNotFound(resource, "web"),
		"forbidden":   apierrors.NewForbidden(resource, "web", errors.New("no")),
		"invalid":     apierrors.NewInvalid(schema.GroupKind{Kind: "Deployment"}, "web", nil),
		"timeout":     apierrors.NewTimeoutError("etcd", 1),
		"unavailable": apierrors.NewServiceUnavailable("down"),
		"deadline":    context.DeadlineExceeded,
	}
	for name, fault := range faults {
		for _, restart := range []bool{false, true} {
			for at := 1; at <= 3; at++ {
				for _, applied := range []bool{false, true} {
					c := released(t)
					c.edit("app", "blue")
					c.fault = func(call int, _, done bool) error {
						if call == at && done == applied {
							return fault
						}
						return nil
					}
					for range 5 {
						_, err := c.look(web)
						if err != nil && restart {
							c.restart()
						}
					}
					require.Len(t, c.digests, 1, "%s at call %d", name, at)
					require.Equal(t, c.digests[0], c.seen().Digest)
					for _, told := range c.told() {
						require.NotContains(t, told, "v1:")
					}
				}
			}
		}
	}
}

func TestAWriteThatIsRefusedIsTold(t *testing.T) {
	c := released(t)
	c.edit("app", "blue")
	c.fault = func(_ int, write, _ bool) error {
		if write {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, "web", errors.New("another webhook says no"))
		}
		return nil
	}
	_, err := c.look(web)
	require.ErrorContains(t, err, "noting the config of deployment/web of namespace shop")
	require.NotContains(t, err.Error(), "v1:")
	told := c.told()
	require.Len(t, told, 1)
	require.Contains(t, told[0], "Warning ConfigBlocked")
}

func TestALookThatIsStoppedSaysNothing(t *testing.T) {
	c := released(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.fault = func(int, bool, bool) error { cancel(); return context.Canceled }
	_, err := c.reconcile.Reconcile(ctx, web)
	require.NoError(t, err)
	require.Empty(t, c.told())
}

// Two leaders for a moment, both of which read before either wrote.
func TestTwoLeadersMakeOneRelease(t *testing.T) {
	c := released(t)
	c.edit("app", "blue")
	first := true
	c.fault = func(_ int, write, _ bool) error {
		if write && first {
			first = false
			mine := c.reconcile
			c.restart()
			c.looks(web)
			c.reconcile = mine
		}
		return nil
	}
	result, err := c.look(web)
	require.NoError(t, err)
	require.Equal(t, lookAgain, result.RequeueAfter)
	c.looks(web)
	require.Len(t, c.digests, 1)
}

func TestNothingOfASecretIsToldLoggedOrWritten(t *testing.T) {
	const value = "hunter2hunter2"
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}, Data: map[string][]byte{"password": []byte("before")}}
	d := deployment("web")
	d.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}}}
	c := newCluster(t, shop(), secret, d)
	c.looks(web)
	secret.Data["password"] = []byte(value)
	require.NoError(t, c.store.Update(t.Context(), secret))
	c.looks(web)
	require.Len(t, c.digests, 1)
	told := c.told()
	require.Equal(t, []string{"Normal ConfigChanged config changed: secret/db: password"}, told)
	for _, text := range append(c.patches, told...) {
		require.NotContains(t, text, value)
		require.NotContains(t, text, "aHVudGVyMmh1bnRlcjI")
	}
	require.False(t, strings.Contains(told[0], "v1:"))
}
