package ownership

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/test/e2e/harness"
)

// interfere registers a mutating webhook of somebody else's that patches every Thing that bob writes in the namespace.
func interfere(t *testing.T, n *harness.Namespace, patch string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		kind := admissionv1.PatchTypeJSONPatch
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, PatchType: &kind, Patch: []byte(patch)}
		_ = json.NewEncoder(w).Encode(review) // the API server may have given up
	}))
	t.Cleanup(server.Close)
	none := admissionregistrationv1.SideEffectClassNone
	client := env.Client(t, "admin").AdmissionregistrationV1().MutatingWebhookConfigurations()
	created, err := client.Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "another-" + n.Name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "another.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": n.Name}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v1"}, Resources: []string{"things"}},
			}},
			MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "bob", Expression: `request.userInfo.username == "bob"`}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, env.Client(t, "admin").AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(
			context.WithoutCancel(t.Context()), created.Name, metav1.DeleteOptions{}))
	})
}

// 63: what it sets is entered for nobody. The write passes, and the audit log says whose field changed.
func TestAnotherWebhookChangesAField(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	interfere(t, n, `[{"op": "add", "path": "/spec/replicas", "value": 5}]`)
	for _, v := range things.verbs() {
		o := object{things, n.Name, "untraced-" + string(v)}
		o.history(t, three)
		rehearsal := write{edit: labelled("u", "1"), dryRun: true}
		eventually(t, "the other webhook is called", func() error {
			a := o.send(t, v, rehearsal)
			require.NoError(t, a.err)
			if a.stored.Object["spec"].(manifest)["replicas"] != int64(5) {
				return errors.New("replicas are as they were")
			}
			return nil
		})
		a := o.send(t, v, write{edit: labelled("u", "1")})
		require.NoError(t, a.err)
		require.Empty(t, a.warnings)
		owns("A", `{"f:spec":{"f:replicas":{}}}`, true)(t, a.stored)
		o.hasAudit(t, n, "more.owners.sluice.dev/untraced", `.spec.replicas of "A"`)
	}
}

// 51: the API server puts back the managedFields that it broke, and says so. The verdict is the same.
func TestAnotherWebhookBreaksManagedFields(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	interfere(t, n, `[{"op": "replace", "path": "/metadata/managedFields/0/fieldsV1", "value": {"nonsense": 1}}]`)
	restored := func(a answer) bool {
		return strings.Contains(strings.Join(a.warnings, "\n"), ".metadata.managedFields was in an invalid state after admission")
	}
	for _, v := range things.verbs() {
		o := object{things, n.Name, "broken-" + string(v)}
		o.history(t, three)
		eventually(t, "the other webhook is called", func() error {
			if !restored(o.send(t, v, write{edit: labelled("u", "1"), dryRun: true})) {
				return errors.New("nothing is restored")
			}
			return nil
		})
		before := o.settled(t)
		require.Equal(t, aReplicas, conflicts(o.send(t, v, write{edit: five}).status(t)))
		require.Equal(t, before, o.settled(t))
		a := o.send(t, v, write{edit: labelled("u", "1")})
		require.NoError(t, a.err)
		require.True(t, restored(a))
		owns("A", `{"f:spec":{"f:replicas":{}}}`, true)(t, a.stored)
	}
}

// 40: an entry of a version that never was makes the API server give up its bookkeeping for this write, of a custom
// resource: managedFields stay as they were, also where fields of others change. That looks like the other webhook
// above, so it passes, and the audit log says whose field changed.
func TestABodyThatStopsTheBookkeeping(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	o := object{things, n.Name, "stopped"}
	o.history(t, three)
	never := plus(metav1.ManagedFieldsEntry{Manager: "old", Operation: "Update", APIVersion: "example.com/v0"}, `{"f:spec":{"f:text":{}}}`)
	a := o.send(t, put, write{edit: five, claims: never})
	require.NoError(t, a.err)
	owns("A", `{"f:spec":{"f:replicas":{}}}`, true)(t, a.stored)
	o.hasAudit(t, n, "more.owners.sluice.dev/untraced", `.spec.replicas of "A"`)

	// Of a Deployment the entry goes, and the write is judged as any.
	d := object{deployments, n.Name, "goes-on"}
	d.history(t, three)
	gone := plus(metav1.ManagedFieldsEntry{Manager: "old", Operation: "Update", APIVersion: "extensions/v1beta1"}, `{"f:spec":{"f:minReadySeconds":{}}}`)
	for _, v := range d.kind.verbs() {
		require.Equal(t, aReplicas, conflicts(d.send(t, v, write{edit: five, claims: gone}).status(t)), v)
		require.NoError(t, d.send(t, v, write{edit: labelled("u", string(v)), claims: gone}).err, v)
	}
}
