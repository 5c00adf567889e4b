package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/test/builders"
)

// Inject registers another mutating webhook for the Deployments and StatefulSets of this namespace, until
// the test ends. It comes after sluice's, so that sluice is called once more for whatever it changes. Patch
// returns its JSON patch of an object, empty where it changes nothing.
func (n *Namespace) Inject(patch func(object []byte) string) {
	n.t.Helper()
	var calls atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		inject(w, r, patch)
	}))
	n.t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	configurations := n.Admin.AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := configurations.Create(n.t.Context(), n.injector(server.URL, ca), metav1.CreateOptions{})
	require.NoError(n.t, err)
	n.t.Cleanup(func() {
		if err := configurations.Delete(context.Background(), n.injector("", nil).Name, metav1.DeleteOptions{}); err != nil {
			n.t.Errorf("removing the other webhook: %v", err)
		}
	})
	n.Eventually("the API server calls the other webhook", func(ctx context.Context) error {
		probe := builders.MakeDeployment("probe").Obj()
		_, err := n.Admin.AppsV1().Deployments(n.Name).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && calls.Load() == 0 {
			err = errors.New("it does not")
		}
		return err
	})
}

// injector is named so that it comes after sluice: the API server calls webhooks in the order of the names.
func (n *Namespace) injector(url string, ca []byte) *registrationv1.MutatingWebhookConfiguration {
	return &registrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "zz-" + n.Name},
		Webhooks: []registrationv1.MutatingWebhook{{
			Name:                    "zz.example.com",
			ClientConfig:            registrationv1.WebhookClientConfig{URL: &url, CABundle: ca},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": n.Name}},
			SideEffects:             new(registrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Create, registrationv1.Update},
				Rule: registrationv1.Rule{
					APIGroups: []string{appsv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"deployments", "statefulsets"},
				},
			}},
		}},
	}
}

func inject(w http.ResponseWriter, r *http.Request, patch func([]byte) string) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	if p := patch(review.Request.Object.Raw); p != "" {
		review.Response.Patch, review.Response.PatchType = []byte(p), new(admissionv1.PatchTypeJSONPatch)
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // the API server may have given up
}

// Sidecar is the JSON patch of a webhook that adds a container to every pod template that has it not.
func Sidecar(object []byte) string {
	if bytes.Contains(object, []byte(`"name":"injected"`)) {
		return ""
	}
	return `[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"injected","image":"example/mesh:v1"}}]`
}
