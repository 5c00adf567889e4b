package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing/live"
)

// shopWithConfig is an opted-in namespace with the config that the contract reviews refer to.
func shopWithConfig(level string) []client.Object {
	return []client.Object{
		shop(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Data: map[string]string{"LEVEL": level}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Data: map[string][]byte{"password": []byte("hunter2")}},
	}
}

func contractReview(t testing.TB, name string) admissionv1.AdmissionReview {
	return readReview(t, "testdata/"+name+"/review.json")
}

// kindOf names what is read: the key Secret apart from others.
func kindOf(key client.ObjectKey, object client.Object) string {
	switch object.(type) {
	case *metav1.PartialObjectMetadata:
		return "Namespace"
	case *corev1.ConfigMap:
		return "ConfigMap"
	default:
		if key.Name == live.SecretName {
			return "key Secret"
		}
		return "Secret"
	}
}

// failing makes one kind of request fail.
func failing(what string, fail func(ctx context.Context) error) interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if kindOf(key, object) == what {
				return fail(ctx)
			}
			return c.Get(ctx, key, object, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			review, ok := object.(*authorizationv1.SubjectAccessReview)
			if !ok {
				return c.Create(ctx, object, opts...)
			}
			if what == "SubjectAccessReview" {
				return fail(ctx)
			}
			review.Status.Allowed = true
			return nil
		},
	}
}

// Acceptance, config hashing 18: a read that is refused, fails or hangs gives a decision within the
// deadline that says which, and never a digest.
func TestAFailedReadIsSaidAndNothingIsDecided(t *testing.T) {
	reads := map[string]struct{ review, wantObject string }{
		"Namespace":           {"update-of-the-image-with-config", "reading Namespace shop: "},
		"ConfigMap":           {"update-of-the-image-with-config", "reading ConfigMap shop/web: "},
		"Secret":              {"create-with-config", "reading Secret shop/web: "},
		"key Secret":          {"create-with-config", "reading hash key Secret sluice-system/sluice-hash-key: "},
		"SubjectAccessReview": {"resume-while-waiting-by-a-promoter", `checking whether "alice" may promote deployments shop/web: `},
	}
	faults := map[string]struct {
		fail      func(ctx context.Context) error
		wantCause string
		wantAfter time.Duration
	}{
		"refused": {func(context.Context) error {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "web", errors.New("no RBAC policy matched"))
		}, "no RBAC policy matched", 0},
		"failing": {func(context.Context) error {
			return apierrors.NewInternalError(errors.New("etcdserver: leader changed"))
		}, "etcdserver: leader changed", 0},
		"overloaded": {func(context.Context) error { return apierrors.NewTooManyRequestsError("slow down") }, "slow down", 0},
		"hanging": {func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, "context deadline exceeded", 4500 * time.Millisecond}, // the API server says 5 s
	}
	for what, read := range reads {
		for how, fault := range faults {
			t.Run(what+" "+how, func(t *testing.T) {
				body, err := json.Marshal(contractReview(t, read.review))
				require.NoError(t, err)
				certificates := testCertificates(t)
				synctest.Test(t, func(t *testing.T) {
					s := cluster{
						objects: shopWithConfig("info"), funcs: failing(what, fault.fail),
						deps: func(d *Deps) { d.Certificates = certificates },
					}.server(t)
					start := time.Now()
					got := status(t, post(s, MutatePath, body))
					require.Equal(t, fault.wantAfter, time.Since(start))
					require.EqualValues(t, http.StatusInternalServerError, got.Code)
					require.Contains(t, got.Message, "sluice could not decide on deployments shop/web: "+read.wantObject)
					require.Contains(t, got.Message, fault.wantCause)
					require.Contains(t, got.Message, "nothing was changed, try again")
					require.NotContains(t, got.Message, "v1:", "no digest")
				})
			})
		}
	}
}

// counted counts what is asked of the API server.
func counted(calls *atomic.Int32) interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			calls.Add(1)
			return c.Get(ctx, key, object, opts...)
		},
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			calls.Add(1)
			return nil
		},
	}
}

// Acceptance, config hashing 14.
func TestAnUpdateOfNeitherTemplateNorPolicyAsksNobody(t *testing.T) {
	for _, name := range []string{"update-of-a-label", "update-of-an-object-that-is-being-deleted", "put-of-the-same-version-from-a-file", "delete"} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			s := cluster{objects: shopWithConfig("info"), funcs: counted(&calls)}.server(t)
			admit(t, s, MutatePath, contractReview(t, name))
			require.Zero(t, calls.Load())
		})
	}
}

// Acceptance, config hashing 13, as far as admission decides it: config applied after its Deployment
// becomes part of the release that the Deployment started.
func TestConfigThatComesAfterItsDeploymentBelongsToTheSameRelease(t *testing.T) {
	s := cluster{objects: shopWithConfig("info")}.server(t)
	review := contractReview(t, "update-of-the-image-with-config")
	first := admit(t, s, MutatePath, review)
	held := applyPatch(t, review.Request.Object.Raw, first.Patch)

	settled := review.DeepCopy()
	settled.Request.OldObject.Raw = held
	settled.Request.Object.Raw = settle(t, held)
	settled.Request.UserInfo = authenticationv1.UserInfo{Username: DefaultUser}
	same := admit(t, s, MutatePath, *settled)
	require.Equal(t, digestOf(t, held), digestOf(t, applyPatch(t, settled.Request.Object.Raw, same.Patch)), "no change, no new digest")

	changed := admit(t, cluster{objects: shopWithConfig("debug")}.server(t), MutatePath, *settled)
	after := applyPatch(t, settled.Request.Object.Raw, changed.Patch)
	require.NotEqual(t, digestOf(t, held), digestOf(t, after))
	before, now := releaseOf(t, held), releaseOf(t, after)
	require.Equal(t, before.ID, now.ID)
	require.Equal(t, digestOf(t, after), now.Canary.Digest)
}

// settle sets what the controller sets one settle time after the hold.
func settle(t testing.TB, object []byte) []byte {
	release := releaseOf(t, object)
	release.Settled = true
	value := release.Encode()
	w, err := canary.DecodeWorkload(object)
	require.NoError(t, err)
	p, err := patchFor(object, w, &canary.Want{Annotations: map[string]*string{canary.ReleaseAnnotation: &value}})
	require.NoError(t, err)
	raw, err := p.bytes()
	require.NoError(t, err)
	return applyPatch(t, object, raw)
}

func releaseOf(t testing.TB, object []byte) *canary.Release {
	w, err := canary.DecodeWorkload(object)
	require.NoError(t, err)
	release, err := canary.DecodeRelease(w.Metadata.Annotations)
	require.NoError(t, err)
	return release
}

func digestOf(t testing.TB, object []byte) string {
	w, err := canary.DecodeWorkload(object)
	require.NoError(t, err)
	digest, err := canary.TemplateDigest(w.Spec.Template)
	require.NoError(t, err)
	return digest
}

// Acceptance, config hashing 15: the first appearance of a missing object rolls nothing.
func TestConfigThatWasMissingOnCreateRollsNothingWhenItAppears(t *testing.T) {
	create := contractReview(t, "create-with-missing-config")
	response := admit(t, cluster{objects: []client.Object{shop()}}.server(t), MutatePath, create)
	require.Contains(t, response.Warnings, `sluice: configmap "web" is required by the pod template and does not exist: its pods wait until it does`)
	created := applyPatch(t, create.Request.Object.Raw, response.Patch)
	require.Empty(t, digestOf(t, created))

	label := contractReview(t, "update-of-a-label")
	label.Request.OldObject.Raw, label.Request.Object.Raw = created, created
	require.Empty(t, admit(t, cluster{objects: shopWithConfig("info")}.server(t), MutatePath, label).Patch)
}

// TestADigestOfAnUnknownKeyStaysUntilTheTemplateChanges: a lost key rolls nothing.
func TestADigestOfAnUnknownKeyStaysUntilTheTemplateChanges(t *testing.T) {
	const lost = "v1:00000000:" + "1111111111111111111111111111111111111111111111111111111111111111"
	s := cluster{objects: shopWithConfig("info")}.server(t)
	update := contractReview(t, "update-of-the-image-with-config")
	old := withDigest(t, update.Request.OldObject.Raw, lost)

	o := observer{reader: s.deps.Reader, keyring: s.deps.Keyring}
	before, err := canary.DecodeWorkload(old)
	require.NoError(t, err)
	var seen observation
	require.NoError(t, o.digest(t.Context(), "shop", nil, canary.Review{Old: before, New: before}, &seen))
	require.Equal(t, lost, seen.world.Digest)

	update.Request.OldObject.Raw = old
	update.Request.Object.Raw = withDigest(t, update.Request.Object.Raw, lost)
	response := admit(t, s, MutatePath, update)
	after := digestOf(t, applyPatch(t, update.Request.Object.Raw, response.Patch))
	require.NotEqual(t, lost, after)
	require.NotEmpty(t, after)
}

func withDigest(t testing.TB, object []byte, digest string) []byte {
	w, err := canary.DecodeWorkload(object)
	require.NoError(t, err)
	p, err := patchFor(object, w, &canary.Want{Digest: &digest})
	require.NoError(t, err)
	raw, err := p.bytes()
	require.NoError(t, err)
	return applyPatch(t, object, raw)
}

// TestTheRequestingUserIsJudgedAsTheAPIServerKnowsThem: groups, uid and extra are passed on.
func TestTheRequestingUserIsJudgedAsTheAPIServerKnowsThem(t *testing.T) {
	var asked authorizationv1.SubjectAccessReviewSpec
	s := cluster{objects: []client.Object{shop()}, funcs: interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
			review, _ := object.(*authorizationv1.SubjectAccessReview)
			asked, review.Status.Allowed = review.Spec, true
			return nil
		},
	}}.server(t)
	review := contractReview(t, "resume-while-waiting-by-a-promoter")
	review.Request.UserInfo = authenticationv1.UserInfo{
		Username: "alice", UID: "7", Groups: []string{"shop-admins"}, Extra: map[string]authenticationv1.ExtraValue{"scopes": {"a", "b"}},
	}
	require.True(t, admit(t, s, MutatePath, review).Allowed)
	require.Equal(t, authorizationv1.SubjectAccessReviewSpec{
		User: "alice", UID: "7", Groups: []string{"shop-admins"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"a", "b"}},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: "apps", Version: "v1", Resource: "deployments", Namespace: "shop", Name: "web", Verb: canary.VerbPromote,
		},
	}, asked)
}

// TestAPermissionIsRememberedAndARefusalIsNot: of the same person, for the same verb and workload.
func TestAPermissionIsRememberedAndARefusalIsNot(t *testing.T) {
	may, asked := false, 0
	s := cluster{objects: []client.Object{shop()}, funcs: interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
			review, _ := object.(*authorizationv1.SubjectAccessReview)
			asked++
			review.Status.Allowed = may
			return nil
		},
	}}.server(t)
	review := contractReview(t, "resume-while-waiting-by-a-promoter")
	ask := func(user string) bool {
		review.Request.UserInfo.Username = user
		return admit(t, s, MutatePath, review).Allowed
	}
	require.False(t, ask("alice"))
	may = true
	require.True(t, ask("alice"), "a permission that was given counts at once")
	require.True(t, ask("alice"))
	require.Equal(t, 2, asked)
	require.True(t, ask("bob"))
	require.Equal(t, 3, asked, "each person is asked for")
}

// TestConfigOfANamespaceThatHasNotOptedInIsNeverRead, whatever a forged review says.
func TestConfigOfANamespaceThatHasNotOptedInIsNeverRead(t *testing.T) {
	forbidden := func(context.Context) error {
		t.Error("config was read")
		return errors.New("not to be read")
	}
	for _, what := range []string{"ConfigMap", "Secret", "key Secret"} {
		s := cluster{
			objects: []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}},
			funcs:   failing(what, forbidden),
		}.server(t)
		response := admit(t, s, MutatePath, contractReview(t, "create-with-config"))
		require.True(t, response.Allowed)
		require.Empty(t, response.Patch)
		for _, warning := range response.Warnings {
			require.NotContains(t, warning, "required by the pod template")
		}
	}
}

// TestIndependentReadsRunAtTheSameTime: the Namespace and each permission.
func TestIndependentReadsRunAtTheSameTime(t *testing.T) {
	certificates := testCertificates(t)
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			time.Sleep(time.Second)
			return c.Get(ctx, key, object, opts...)
		}
		s := cluster{objects: shopWithConfig("info"), funcs: interceptor.Funcs{
			Get: slow,
			Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
				time.Sleep(time.Second)
				return nil
			},
		}, deps: func(d *Deps) { d.Certificates = certificates }}.server(t)
		require.NoError(t, s.deps.Keyring.Ensure(t.Context()))
		start := time.Now()
		o := observer{reader: s.deps.Reader, permissions: newPermissions(s.deps.Creator), keyring: s.deps.Keyring}
		w, err := canary.DecodeWorkload(contractReview(t, "create-with-config").Request.Object.Raw)
		require.NoError(t, err)
		seen, err := o.observe(t.Context(), &request{Namespace: "shop"}, canary.Review{Operation: canary.Create, New: w},
			canary.Needs{Namespace: true, Digest: true, Verbs: []string{canary.VerbPromote, canary.VerbBypass}})
		require.NoError(t, err)
		require.NotEmpty(t, seen.world.Digest)
		require.Equal(t, 2*time.Second, time.Since(start), "the Namespace, then both config objects at once")
	})
}

// TestAPanicWhileReadingIsAnErrorOfThatRequest, although it happens in another goroutine.
func TestAPanicWhileReadingIsAnErrorOfThatRequest(t *testing.T) {
	s := cluster{objects: shopWithConfig("info"), funcs: failing("Namespace", func(context.Context) error { panic("boom") })}.server(t)
	body, err := json.Marshal(contractReview(t, "update-of-the-image"))
	require.NoError(t, err)
	got := status(t, post(s, MutatePath, body))
	require.EqualValues(t, http.StatusInternalServerError, got.Code)
	require.Equal(t, "sluice could not decide on deployments shop/web: this is a bug, see sluice's log; nothing was changed, try again", got.Message)
	require.EqualValues(t, 1, value(t, s.metrics.panics))
}
