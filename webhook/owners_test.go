package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/webhook/ownership"
)

// claimed is a Deployment web whose replicas flux applied, in version 7, or what becomes of it: the replicas,
// who holds them then, and annotations as JSON.
func claimed(replicas int, holder, annotations string) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop","uid":"u-1","resourceVersion":"7",
		"annotations":%s,"managedFields":[%s]},"spec":{"replicas":%d}}`, annotations, holder, replicas)
}

const (
	none    = `{}`
	byFlux  = `{"manager":"flux","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}}`
	byNoOne = ``
	byUser  = `{"manager":"ci","operation":"Update","apiVersion":"apps/v1","time":"2026-11-22T10:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}}`
)

// ownersReview is the review of an update of web by a user.
func ownersReview(user, manager, before, after string) admissionv1.AdmissionReview {
	options := fmt.Appendf(nil, `{"kind":"UpdateOptions","apiVersion":"meta.k8s.io/v1","fieldManager":%q}`, manager)
	return admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Kind: metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
			Resource: metav1.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
			Name:     "web", Namespace: "shop", Operation: admissionv1.Update, UserInfo: authenticationv1.UserInfo{Username: user},
			OldObject: runtime.RawExtension{Raw: []byte(before)}, Object: runtime.RawExtension{Raw: []byte(after)},
			Options: runtime.RawExtension{Raw: options},
		},
	}
}

func enforcing(annotations ...string) client.Object {
	namespace := shop().(*corev1.Namespace)
	namespace.Annotations = map[string]string{ownership.ModeAnnotation: "enforce"}
	for i := 0; i < len(annotations); i += 2 {
		namespace.Annotations[annotations[i]] = annotations[i+1]
	}
	return namespace
}

func TestAWriteThatTakesAFieldIsAnswered(t *testing.T) {
	taken := claimed(5, byUser, none)
	force := `{"sluice.dev/force-conflicts":"7"}`
	tests := map[string]struct {
		namespace   client.Object
		review      admissionv1.AdmissionReview
		wantRefusal string // how it begins
		wantWarned  []string
		wantAudit   map[string]string
		wantEvent   string
	}{
		"enforced: refused in the words of server-side apply": {
			namespace: enforcing(), review: ownersReview("bob", "ci", claimed(3, byFlux, none), taken),
			wantRefusal: "Update failed with 1 conflict: conflict with \"flux\": .spec.replicas\nThere are three ways out:\n",
			wantAudit:   map[string]string{"verdict": "Denied", "refused": `.spec.replicas of "flux"`}},
		"by default it is a warning": {
			namespace: shop(), review: ownersReview("bob", "ci", claimed(3, byFlux, none), taken),
			wantWarned: []string{`sluice: this write takes .spec.replicas from "flux", which sluice.dev/ownership=enforce would refuse`},
			wantAudit:  map[string]string{"verdict": "Warned", "warned": `.spec.replicas of "flux"`}},
		"of a workload that ignores it nothing comes": {
			namespace: enforcing(), review: ownersReview("bob", "ci", claimed(3, byFlux, `{"sluice.dev/ownership":"ignore"}`), claimed(5, byUser, `{"sluice.dev/ownership":"ignore"}`)),
			wantAudit: map[string]string{"verdict": "Allowed"}},
		"the owner's own write": {
			namespace: enforcing(), review: ownersReview("flux", "flux", claimed(3, byFlux, none), claimed(5, strings.Replace(byUser, "ci", "flux", 1), none)),
			wantAudit: map[string]string{"verdict": "Allowed"}},
		"forced, by who may": {
			namespace: enforcing(), review: ownersReview("root", "ci", claimed(3, byFlux, none), claimed(5, byUser, force)),
			wantWarned: []string{`sluice: this write takes .spec.replicas from "flux", by force`},
			wantAudit:  map[string]string{"verdict": "Forced", "forced": `.spec.replicas of "flux"`},
			wantEvent:  `root took .spec.replicas of "flux" by force`},
		"forced, by who may not": {
			namespace: enforcing(), review: ownersReview("alice", "ci", claimed(3, byFlux, none), claimed(5, byUser, force)),
			wantRefusal: "Update failed with 1 conflict: conflict with \"flux\": .spec.replicas\n\"alice\" may not force it: that needs the verb \"force-conflicts\" on deployments.apps.\n",
			wantAudit:   map[string]string{"verdict": "Denied", "refused": `.spec.replicas of "flux"`}},
		"who may does so only on purpose": {
			namespace: enforcing(), review: ownersReview("root", "ci", claimed(3, byFlux, none), taken),
			wantRefusal: "Update failed with 1 conflict: ", wantAudit: map[string]string{"verdict": "Denied", "refused": `.spec.replicas of "flux"`}},
		"policy is loosened by who may not": {
			namespace: enforcing(), review: ownersReview("alice", "ci", claimed(3, byFlux, none), claimed(3, byFlux, `{"sluice.dev/ownership":"ignore"}`)),
			wantRefusal: "Update failed: less of deployment/web -n shop would be protected with the new sluice.dev/ownership. Leave it as it is, or have somebody change it who has the verb \"force-conflicts\" on deployments.apps.",
			wantAudit:   map[string]string{"verdict": "Denied", "loosened": "sluice.dev/ownership"}},
		"policy is loosened by who may": {
			namespace: enforcing(), review: ownersReview("root", "ci", claimed(3, byFlux, none), claimed(3, byFlux, `{"sluice.dev/ownership-ignore":".spec.replicas"}`)),
			wantWarned: []string{"sluice: less of deployment/web -n shop is protected with the new sluice.dev/ownership-ignore"},
			wantAudit:  map[string]string{"verdict": "Forced", "loosened": "sluice.dev/ownership-ignore"}, wantEvent: "root loosened sluice.dev/ownership-ignore"},
		"policy is tightened by anybody": {
			namespace: enforcing(), review: ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(3, byFlux, `{"sluice.dev/protect":"helm"}`)),
			wantAudit: map[string]string{"verdict": "Allowed"}},
		"where nothing is enforced, anybody loosens it": {
			namespace: shop(), review: ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(3, byFlux, `{"sluice.dev/ownership":"ignore"}`)),
			wantAudit: map[string]string{"verdict": "Allowed"}},
		"the Namespace denies overrides, so the annotation loosens nothing": {
			namespace: enforcing(canary.OverridesAnnotation, "denied"),
			review:    ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(3, byFlux, `{"sluice.dev/ownership":"ignore"}`)),
			wantAudit: map[string]string{"verdict": "Allowed"}},
		"policy that is not valid": {
			namespace: shop(), review: ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(3, byFlux, `{"sluice.dev/ownership":"on"}`)),
			wantRefusal: `sluice refuses this change of deployments shop/web: its policy is not valid: annotation sluice.dev/ownership: "on" is not one of ignore, warn, enforce`,
			wantAudit: map[string]string{"verdict": "Denied",
				"reason": `sluice refuses this change of deployments shop/web: its policy is not valid: annotation sluice.dev/ownership: "on" is not one of ignore, warn, enforce`}},
		"policy that was not valid before is left alone": {
			namespace: shop(), review: ownersReview("bob", "ci", claimed(3, byFlux, `{"sluice.dev/ownership":"on"}`), claimed(3, byFlux, `{"sluice.dev/ownership":"on"}`)),
			wantAudit: map[string]string{"verdict": "Allowed"}},
		"another webhook changed the field: allowed, and in the audit log": {
			namespace: enforcing(), review: ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(5, byFlux+","+strings.Replace(byUser, "f:replicas", "f:paused", 1), none)),
			wantAudit: map[string]string{"verdict": "Allowed", "untraced": `.spec.replicas of "flux"`}},
	}
	for name, test := range tests {
		for _, dryRun := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, dry run %v", name, dryRun), func(t *testing.T) {
				reads := (cluster{objects: []client.Object{test.namespace}}).client(t)
				s := cluster{deps: func(d *Deps) { d.Reader, d.Creator = reads, reads }}.server(t)
				test.review.Request.DryRun = &dryRun

				got := admit(t, s, ValidateOwnersPath, test.review)

				require.Equal(t, test.wantRefusal == "", got.Allowed)
				if test.wantRefusal != "" {
					require.True(t, strings.HasPrefix(got.Result.Message, test.wantRefusal), got.Result.Message)
					require.EqualValues(t, http.StatusForbidden, got.Result.Code)
					require.Equal(t, metav1.StatusReasonForbidden, got.Result.Reason)
				}
				require.Equal(t, test.wantWarned, got.Warnings)
				require.Equal(t, test.wantAudit, got.AuditAnnotations)
				requireEvent(t, reads, test.wantEvent, dryRun)
			})
		}
	}
}

// requireEvent requires one Event of the write, and none of a dry run.
func requireEvent(t *testing.T, c client.Client, want string, dryRun bool) {
	t.Helper()
	var events eventsv1.EventList
	require.NoError(t, c.List(t.Context(), &events))
	if want == "" || dryRun {
		require.Empty(t, events.Items)
		return
	}
	require.Len(t, events.Items, 1)
	event := events.Items[0]
	require.Equal(t, want, event.Note)
	require.Equal(t, "ForcedConflicts", event.Reason)
	require.Equal(t, corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", UID: "u-1"}, event.Regarding)
}

// A write that is asked about twice, since the API server tries again, is one Event.
func TestAForcedWriteIsRecordedOnce(t *testing.T) {
	reads := (cluster{objects: []client.Object{enforcing()}}).client(t)
	s := cluster{deps: func(d *Deps) { d.Reader, d.Creator = reads, reads }}.server(t)
	review := ownersReview("root", "ci", claimed(3, byFlux, none), claimed(5, byUser, `{"sluice.dev/force-conflicts":"7"}`))
	for range 2 {
		require.True(t, admit(t, s, ValidateOwnersPath, review).Allowed)
	}
	requireEvent(t, reads, `root took .spec.replicas of "flux" by force`, false)
}

func TestTheNamespaceIsReadOnlyWhereSomebodyLostSomething(t *testing.T) {
	tests := map[string]struct {
		review admissionv1.AdmissionReview
		want   int
	}{
		"nobody lost anything":        {ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(3, byFlux, `{"a":"b"}`)), 0},
		"nobody owned anything":       {ownersReview("bob", "ci", claimed(3, byNoOne, none), claimed(5, byUser, none)), 0},
		"the owner writes":            {ownersReview("f", "flux", claimed(3, byFlux, none), claimed(5, byNoOne, none)), 0},
		"sluice writes":               {ownersReview(DefaultUser, "ci", claimed(3, byFlux, none), claimed(5, byUser, none)), 0},
		"Kubernetes' controllers do":  {ownersReview("system:serviceaccount:kube-system:x", "ci", claimed(3, byFlux, none), claimed(5, byUser, none)), 0},
		"flux lost its field":         {ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(5, byUser, none)), 1},
		"policy of the object change": {ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(3, byFlux, `{"sluice.dev/protect":"helm"}`)), 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reads := 0
			c := cluster{objects: []client.Object{shop()}}
			c.funcs.Get = func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				reads++
				return c.Get(ctx, key, o, opts...)
			}
			require.True(t, admit(t, c.server(t), ValidateOwnersPath, test.review).Allowed)
			require.Equal(t, test.want, reads)
		})
	}
}

func TestWhatCannotBeFoundOut(t *testing.T) {
	etcdIsDown := errors.New("etcd is down")
	taken := ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(5, byUser, none))
	t.Run("the policy: no answer, so failurePolicy decides", func(t *testing.T) {
		c := cluster{}
		c.funcs.Get = func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return etcdIsDown
		}
		body, err := json.Marshal(taken)
		require.NoError(t, err)
		got := status(t, post(c.server(t), ValidateOwnersPath, body))
		require.EqualValues(t, http.StatusInternalServerError, got.Code)
		require.Equal(t, "sluice could not decide on deployments shop/web: reading Namespace shop: etcd is down; nothing was changed, try again", got.Message)
	})
	t.Run("the permission: it stays refused, and says so", func(t *testing.T) {
		c := cluster{objects: []client.Object{enforcing()}}
		c.funcs.Create = func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			require.IsType(t, &authorizationv1.SubjectAccessReview{}, o)
			return etcdIsDown
		}
		got := admit(t, c.server(t), ValidateOwnersPath, ownersReview("root", ownership.ForceManager, claimed(3, byFlux, none), claimed(5, strings.Replace(byUser, "ci", ownership.ForceManager, 1), none)))
		require.False(t, got.Allowed)
		require.Equal(t, []string{`sluice could not tell whether you may force it: checking whether "root" may force-conflicts deployments shop/web: etcd is down`}, got.Warnings)
	})
	t.Run("an Event that cannot be made stops nobody", func(t *testing.T) {
		c := cluster{objects: []client.Object{enforcing()}}
		c.funcs.Create = func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			review, ok := o.(*authorizationv1.SubjectAccessReview)
			if !ok {
				return etcdIsDown
			}
			review.Status.Allowed = true
			return nil
		}
		got := admit(t, c.server(t), ValidateOwnersPath, ownersReview("root", "ci", claimed(3, byFlux, none), claimed(5, byUser, `{"sluice.dev/force-conflicts":"7"}`)))
		require.True(t, got.Allowed)
	})
}

func TestAnyResourceIsJudged(t *testing.T) {
	const before = `{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"web","managedFields":[{"manager":"flux","operation":"Apply","apiVersion":"example.com/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:text":{}}}}],"annotations":{"sluice.dev/ownership":"enforce"}},"spec":{"text":"1"}}`
	after := strings.Replace(strings.Replace(before, `"1"`, `"2"`, 1), `"manager":"flux","operation":"Apply"`, `"manager":"ci","operation":"Update"`, 1)
	review := ownersReview("bob", "ci", before, after)
	review.Request.Kind = metav1.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}
	review.Request.Resource = metav1.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "things"}
	review.Request.Namespace = "" // of the cluster: it has no Namespace to ask

	got := admit(t, cluster{}.server(t), ValidateOwnersPath, review)

	require.False(t, got.Allowed)
	require.Equal(t, []metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Message: `conflict with "flux"`, Field: ".spec.text"}}, got.Result.Details.Causes)
	require.Contains(t, got.Result.Message, "kubectl get thing.example.com/web -o yaml --show-managed-fields")
	require.Contains(t, got.Result.Message, `(needs the verb "force-conflicts" on things.example.com)`)
}

func TestValuesOfOwnedObjectsGetNowhere(t *testing.T) {
	review := ownersReview("bob", "ci", claimed(3, byFlux, none), claimed(3, byFlux, none))
	for name, raw := range map[string]string{
		"metadata that is a value":       `{"metadata":"` + hidden + `"}`,
		"an annotation that is a number": `{"metadata":{"annotations":{"a":` + hiddenNumber + `}}}`,
		"claims that are a value":        `{"metadata":{"managedFields":["` + hidden + `"]}}`,
		"fields that are a value":        `{"metadata":{"managedFields":[{"operation":"Update","fieldsType":"FieldsV1","fieldsV1":"` + hidden + `"}]}}`,
		"an operation that is a value":   `{"metadata":{"managedFields":[{"operation":"` + hidden + `"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			review := review.DeepCopy()
			review.Request.OldObject.Raw = []byte(raw)
			body, err := json.Marshal(review)
			require.NoError(t, err)
			w := post(cluster{objects: []client.Object{shop()}}.server(t), ValidateOwnersPath, body)
			require.Equal(t, http.StatusBadRequest, w.Code)
			for _, leak := range leaks {
				require.NotContains(t, w.Body.String(), leak)
			}
			require.Equal(t, "the objects of the request (UPDATE of deployments shop/web) or their managedFields cannot be decoded", status(t, w).Message)
		})
	}
}

func TestScalingTakesReplicas(t *testing.T) {
	parent := func(holder, labels string, annotations map[string]string) func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if key.Namespace == "" || key.Namespace == "sluice-system" {
				return c.Get(ctx, key, o, opts...)
			}
			options := &client.GetOptions{}
			options.ApplyOptions(opts)
			require.Equal(t, "0", options.AsGetOptions().ResourceVersion, "from the watch cache")
			return json.Unmarshal([]byte(strings.Replace(claimed(3, holder, none), `"annotations":{}`, `"labels":{`+labels+`},"annotations":`+string(must(json.Marshal(annotations))), 1)), o)
		}
	}
	tests := map[string]struct {
		holder        string
		user, manager string
		labels        string
		annotations   map[string]string
		wantRefusal   string
		wantWarned    []string
	}{
		"replicas that flux applied": {holder: byFlux, user: "bob", manager: "ci",
			wantRefusal: "Update failed with 1 conflict: conflict with \"flux\": .spec.replicas\n"},
		"nothing tells who asks": {holder: byFlux, user: "bob",
			wantWarned: []string{`sluice: this write takes .spec.replicas from "flux"`}},
		"the workload ignores it": {holder: byFlux, user: "bob", manager: "ci", annotations: map[string]string{ownership.ModeAnnotation: "ignore"}},
		"the workload opted out":  {holder: byFlux, user: "bob", manager: "ci", labels: `"sluice.dev/enabled":"false"`},
		"nobody owns them":        {holder: byNoOne, user: "bob", manager: "ci"},
		"flux scales":             {holder: byFlux, user: "f", manager: "flux"},
		"by force, by who may": {holder: byFlux, user: "root", manager: ownership.ForceManager,
			wantWarned: []string{`sluice: this write takes .spec.replicas from "flux", by force`}},
		"by force, by who may not": {holder: byFlux, user: "alice", manager: ownership.ForceManager,
			wantRefusal: "Update failed with 1 conflict: conflict with \"flux\": .spec.replicas\n\"alice\" may not force it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := cluster{objects: []client.Object{enforcing()}}
			c.funcs.Get = parent(test.holder, test.labels, test.annotations)
			review := scaleReview("deployments", 3, 5)
			review.Request.UserInfo.Username = test.user
			review.Request.Options.Raw = fmt.Appendf(nil, `{"fieldManager":%q}`, test.manager)

			got := admit(t, c.server(t), ValidateScalePath, review)

			require.Equal(t, test.wantRefusal == "", got.Allowed)
			if test.wantRefusal != "" {
				require.True(t, strings.HasPrefix(got.Result.Message, test.wantRefusal), got.Result.Message)
			}
			require.Equal(t, test.wantWarned, got.Warnings)
		})
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestConflictsAreCountedByManagersThatAreKnown(t *testing.T) {
	c := cluster{objects: []client.Object{enforcing()}, opts: func(o *Options) {
		o.Ownership = ownership.Operator{
			Aliases:  map[string]string{"deployer": "ci-bot"},
			Bindings: []ownership.Binding{{Manager: "robot", Users: []string{"bob"}}},
		}
	}}
	s := c.server(t)
	for _, manager := range []string{"kubectl-edit", "helm", "deployer", "robot", "made-up-1", "made-up-2"} {
		admit(t, s, ValidateOwnersPath, ownersReview("bob", manager, claimed(3, byFlux, none), claimed(5, strings.Replace(byUser, "ci", manager, 1), none)))
	}
	for manager, want := range map[string]float64{"kubectl": 1, "helm": 1, "ci-bot": 1, "robot": 1, "other": 2} {
		require.Equal(t, want, value(t, s.metrics.conflicts.WithLabelValues("enforce", manager, "Denied")), manager)
	}
}
