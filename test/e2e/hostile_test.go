package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
)

// mutateURL returns where the API server sends its reviews, and the bundle it trusts.
func mutateURL(t *testing.T) (string, *x509.CertPool) {
	t.Helper()
	c, err := env.Client(t, "admin").AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), "sluice", getOptions)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(c.Webhooks[0].ClientConfig.CABundle))
	require.NotNil(t, c.Webhooks[0].ClientConfig.URL)
	return *c.Webhooks[0].ClientConfig.URL, roots
}

func TestAHostileReviewGetsOneClearErrorAndTheProcessLives(t *testing.T) {
	t.Parallel()
	url, roots := mutateURL(t)
	client := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	}
	object := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","namespace":"y"},"spec":{"template":{"spec":{}}}}`
	review := func(request string) string {
		return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":` + request + `}`
	}
	request := func(object, old string) string {
		return `{"uid":"u","operation":"UPDATE","kind":{"group":"apps","version":"v1","kind":"Deployment"},` +
			`"resource":{"group":"apps","version":"v1","resource":"deployments"},"name":"x","namespace":"y",` +
			`"object":` + object + `,"oldObject":` + old + `}`
	}
	tests := map[string]string{
		"nothing":                           "",
		"no JSON":                           "hello",
		"no request":                        `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`,
		"no object":                         review(request("null", "null")),
		"no old object":                     review(request(object, "null")),
		"an object of the wrong kind":       review(strings.ReplaceAll(request(`{"apiVersion":"v1","kind":"Pod"}`, object), `"kind":"Deployment"},"resource"`, `"kind":"Pod"},"resource"`)),
		"an object that is no object":       review(request(`[1,2,3]`, object)),
		"7 MiB":                             review(request(`{"metadata":{"annotations":{"a":"`+strings.Repeat("x", 8<<20)+`"}}}`, object)),
		"a depth of 10,000":                 review(request(strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000), object)),
		"a template that is a list":         review(request(`{"metadata":{"name":"x"},"spec":{"template":[]}}`, object)),
		"text that is not valid UTF-8":      review(request("{\"metadata\":{\"name\":\"\xff\xfe\"},\"spec\":{}}", object)),
		"a template that is twice an error": review(request(`{"spec":{"template":1,"template":2}}`, object)),
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			response, err := client.Post(url, "application/json", bytes.NewReader([]byte(body)))
			if err != nil { // the server may end the connection in the middle of a body that is too large
				require.Contains(t, name, "MiB", err.Error())
				return
			}
			defer response.Body.Close()
			answer, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Less(t, len(answer), 4096, "the answer is short")
			require.NotContains(t, string(answer), "goroutine")
			require.NotEmpty(t, refusal(response.StatusCode, answer), "the fault is named: %s", answer)
		})
	}
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
}

// refusal returns what the answer says is wrong, empty where it allows.
func refusal(status int, answer []byte) string {
	if status != http.StatusOK {
		return fmt.Sprintf("%d %s", status, answer)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &review); err != nil || review.Response == nil || review.Response.Allowed || review.Response.Result == nil {
		return ""
	}
	return review.Response.Result.Message
}
