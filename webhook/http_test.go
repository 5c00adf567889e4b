package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// tlsClient is a client that trusts whatever it meets on loopback.
func tlsClient(t testing.TB, certificates ...tls.Certificate) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// exchange posts a body as the API server does and returns code and body of the answer.
func exchange(t testing.TB, c *http.Client, s *Server, path string, body []byte, change ...func(*http.Request)) (int, []byte) {
	request, err := http.NewRequest(http.MethodPost, "https://"+s.Address()+path+"?timeout=5s", bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	for _, apply := range change {
		apply(request)
	}
	response, err := c.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, answer
}

// Acceptance, admission 24, and what a forger might try: one clear error each, and the process lives.
func TestHostileBodies(t *testing.T) {
	s := startServer(t, cluster{objects: shopWithConfig("info")}.server(t))
	raw, err := os.ReadFile("testdata/update-of-the-image/review.json")
	require.NoError(t, err)
	good := string(compact(t, raw))
	replaced := func(old, with string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, with, 1)
	}
	object := good[strings.Index(good, `"object":`)+len(`"object":`) : strings.Index(good, `,"oldObject":`)]
	deep := strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001)

	tests := map[string]struct {
		body        string
		change      func(*http.Request)
		wantCode    int
		wantMessage string
	}{
		"nothing":               {"", nil, 400, "the body is empty"},
		"not JSON":              {"hello", nil, 400, "the body is not an AdmissionReview: invalid character 'h' looking for beginning of value"},
		"a review cut off":      {good[:len(good)/2], nil, 400, "the body is not an AdmissionReview: unexpected end of JSON input"},
		"two reviews":           {good + good, nil, 400, "the body is not an AdmissionReview: invalid character '{' after top-level value"},
		"invalid UTF-8":         {replaced("shop", "sh\xffp"), nil, 400, "the body is not valid UTF-8"},
		"nested 10,001 deep":    {replaced(`"labels":{"app":"web"}`, `"labels":{"app":"web"},"x":`+deep), nil, 400, "the request's object is not a Deployment: decoding the workload: invalid character '{' exceeded max depth"},
		"an array":              {"[]", nil, 400, "the body is not an AdmissionReview: json: cannot unmarshal array into Go value of type webhook.admissionReview"},
		"null":                  {"null", nil, 400, `the body is a "" of "", not an AdmissionReview of admission.k8s.io/v1`},
		"another kind":          {replaced(`"kind":"AdmissionReview"`, `"kind":"TokenReview"`), nil, 400, `the body is a "TokenReview" of "admission.k8s.io/v1", not an AdmissionReview of admission.k8s.io/v1`},
		"another version":       {replaced("admission.k8s.io/v1", "admission.k8s.io/v1beta1"), nil, 400, `the body is a "AdmissionReview" of "admission.k8s.io/v1beta1", not an AdmissionReview of admission.k8s.io/v1`},
		"folded field names":    {replaced(`"request"`, `"Request"`), nil, 400, "the AdmissionReview has no request"},
		"no request":            {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`, nil, 400, "the AdmissionReview has no request"},
		"no uid":                {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{}}`, nil, 400, "the request has no uid"},
		"no object":             {strings.Replace(good, object, "null", 1), nil, 400, "the request (UPDATE of deployments) has no object"},
		"an object that is one": {strings.Replace(good, object, "1", 1), nil, 400, "the request's object is not a Deployment: decoding the workload: json: cannot unmarshal number into Go value of type canary.Workload"},
		"no template":           {strings.Replace(good, object, `{"spec":{}}`, 1), nil, 400, "the request's object is not a Deployment: decoding the workload: spec.template is missing or not an object"},
		"no old object": {good[:strings.Index(good, `,"oldObject":`)] + `,"dryRun":false}}`, nil, 400,
			"the request (UPDATE of deployments) has no oldObject"},
		"the kind of something else":      {strings.ReplaceAll(good, `"kind":"Deployment"`, `"kind":"Pod"`), nil, 400, "the request is for deployments but its kind is apps/v1, Kind=Pod"},
		"the group of something else":     {replaced(`"kind":{"group":"apps"`, `"kind":{"group":"extensions"`), nil, 400, "the request is for deployments but its kind is extensions/v1, Kind=Deployment"},
		"a namespace that is a path":      {strings.ReplaceAll(good, `"namespace":"shop"`, `"namespace":"../../x"`), nil, 400, `the request's namespace "../../x" is not a valid name`},
		"an object of another namespace":  {replaced(`"name":"web","namespace":"shop","operation"`, `"name":"web","namespace":"bank","operation"`), nil, 400, `the request is for namespace "bank" but its object is in "shop"`},
		"more than 7 MiB":                 {good + strings.Repeat(" ", maxBody), nil, 413, "the body is larger than 7340032 bytes, which no AdmissionReview is"},
		"more than 7 MiB, length unknown": {good + strings.Repeat(" ", maxBody), func(r *http.Request) { r.ContentLength = -1 }, 413, "the body is larger than 7340032 bytes, which no AdmissionReview is"},
		"GET":                             {good, func(r *http.Request) { r.Method = http.MethodGet }, 405, "an AdmissionReview is posted, not sent with GET"},
		"another content type":            {good, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, `the content type is "text/plain", not application/json`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			change := func(r *http.Request) {
				if test.change != nil {
					test.change(r)
				}
			}
			code, body := exchange(t, tlsClient(t), s, MutatePath, []byte(test.body), change)
			var got metav1.Status
			require.NoError(t, json.Unmarshal(body, &got), string(body))
			require.Equal(t, test.wantCode, code)
			require.EqualValues(t, test.wantCode, got.Code)
			require.Equal(t, test.wantMessage, got.Message)
			require.Equal(t, "Failure", got.Status)
		})
	}
	code, _ := exchange(t, tlsClient(t), s, MutatePath, []byte(good))
	require.Equal(t, http.StatusOK, code, "the process lives")
}

// Duplicate keys are read as the API server reads them: the last one counts, and case is not folded.
func TestDuplicateKeysAreReadAsTheAPIServerReadsThem(t *testing.T) {
	s := cluster{objects: shopWithConfig("info")}.server(t)
	review := contractReview(t, "update-of-the-image")
	object := string(compact(t, review.Request.Object.Raw))
	template := string(compact(t, review.Request.OldObject.Raw))
	template = template[strings.Index(template, `"template":`):strings.Index(template, `,"strategy"`)]

	for name, test := range map[string]struct {
		object      string
		wantVerdict string
	}{
		"the old template last": {strings.Replace(object, `,"strategy"`, ","+template+`,"strategy"`, 1), "Unchanged"},
		"the new template last": {strings.Replace(object, `"template":`, template+`,"template":`, 1), "Held"},
		"the old template last, under another spelling": {
			strings.Replace(object, `,"strategy"`, ","+strings.Replace(template, `"template"`, `"Template"`, 1)+`,"strategy"`, 1), "Held"},
	} {
		t.Run(name, func(t *testing.T) {
			review.Request.Object.Raw = []byte(test.object)
			require.Equal(t, test.wantVerdict, admit(t, s, MutatePath, review).AuditAnnotations["verdict"])
		})
	}
}

// What is not a write of a workload is none of ours: allowed, and no patch, which the API server would
// refuse.
func TestOtherRequestsAreAllowedWithoutAPatch(t *testing.T) {
	s := cluster{objects: shopWithConfig("info")}.server(t)
	good, err := os.ReadFile("testdata/update-of-the-image/review.json")
	require.NoError(t, err)
	body := string(compact(t, good))
	for name, body := range map[string]string{
		"DELETE":           strings.Replace(body, `"operation":"UPDATE"`, `"operation":"DELETE"`, 1),
		"CONNECT":          strings.Replace(body, `"operation":"UPDATE"`, `"operation":"CONNECT"`, 1),
		"a status":         strings.Replace(body, `"operation"`, `"subResource":"status","operation"`, 1),
		"another resource": strings.ReplaceAll(body, `"deployments"`, `"replicasets"`),
		"another group":    strings.Replace(body, `"resource":{"group":"apps"`, `"resource":{"group":"example.org"`, 1),
	} {
		for _, path := range []string{MutatePath, ValidatePath, ValidateScalePath} {
			t.Run(name+" "+path, func(t *testing.T) {
				w := post(s, path, []byte(body))
				require.Equal(t, http.StatusOK, w.Code, w.Body.String())
				require.JSONEq(t, fmt.Sprintf(
					`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":%q,"allowed":true,"status":{"metadata":{},"code":200}}}`,
					contractReview(t, "update-of-the-image").Request.UID), w.Body.String())
			})
		}
	}
}

func TestAnObjectThatIsNotJSONIsRefusedAlsoWhereNobodyReadsIt(t *testing.T) {
	s := cluster{}.server(t)
	body := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","operation":"DELETE","oldObject":{"a":tru}}}`
	require.Equal(t, "the request's oldObject is not JSON", status(t, post(s, MutatePath, []byte(body))).Message)
}

func TestAPanicIsOneErrorAndIsCounted(t *testing.T) {
	s := cluster{}.server(t)
	e := &endpoint{name: "mutate", server: s, handle: func(context.Context, *request) (answer, error) { panic("boom") }}
	_, err := e.decide(t.Context(), []byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","name":"web"}}`))
	require.EqualError(t, err, "sluice could not decide on  /web: this is a bug, see sluice's log; nothing was changed, try again")
	require.NotContains(t, err.Error(), "boom", "what a panic says may be content")
}

// More than the server may handle at once is sent back at once, so that the API server tries again,
// and everything else goes on.
func TestTooManyReviewsAreSentBack(t *testing.T) {
	hold := make(chan struct{})
	entered := make(chan struct{}, 2)
	s := startServer(t, cluster{
		objects: shopWithConfig("info"),
		opts:    func(o *Options) { o.MaxRequests = 2 },
		funcs: interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if kindOf(key, object) == "Namespace" {
				entered <- struct{}{}
				<-hold
			}
			return c.Get(ctx, key, object, opts...)
		}},
	}.server(t))
	body, err := json.Marshal(contractReview(t, "update-of-the-image"))
	require.NoError(t, err)
	done := make(chan int, 2)
	for range 2 {
		go func() {
			code, _ := exchange(t, tlsClient(t), s, MutatePath, body)
			done <- code
		}()
		<-entered
	}
	w := post(s, MutatePath, body)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, "sluice is handling as many reviews as it may; try again", status(t, w).Message)
	require.EqualValues(t, 1, value(t, s.metrics.shed.WithLabelValues("mutate")))
	close(hold)
	require.Equal(t, []int{200, 200}, []int{<-done, <-done})
	label, err := json.Marshal(contractReview(t, "update-of-a-label"))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, post(s, MutatePath, label).Code, "room is given back")
}

func TestBodiesInMemoryAreBounded(t *testing.T) {
	l := limits{requests: 10, bytes: 2 * maxBody}
	require.True(t, l.take(maxBody))
	require.True(t, l.take(maxBody-1))
	require.False(t, l.take(2))
	require.True(t, l.take(1))
	l.give(maxBody)
	require.True(t, l.take(2))
}

// A client that sends its body byte by byte holds its place for as long as the API server would wait,
// and no longer.
func TestASlowBodyIsGivenUpOn(t *testing.T) {
	s := startServer(t, cluster{}.server(t))
	conn, err := tls.Dial("tcp", s.Address(), &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /mutate?timeout=1s HTTP/1.1\r\nHost: sluice\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	var timeout net.Error
	if err != nil {
		require.ErrorAs(t, err, &timeout)
	}
	require.Contains(t, string(answer), "400 Bad Request")
	require.Contains(t, string(answer), "i/o timeout")
	require.EqualValues(t, 1, value(t, s.metrics.rejected.WithLabelValues(faultBody)))
}

func TestAClientCALocksOutEverybodyElse(t *testing.T) {
	ca, leaf := issue(t)
	_, stranger := issue(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600))
	s := startServer(t, cluster{objects: shopWithConfig("info"), opts: func(o *Options) { o.ClientCA = file }}.server(t))
	body, err := json.Marshal(contractReview(t, "create-with-config"))
	require.NoError(t, err)

	code, _ := exchange(t, tlsClient(t, *leaf), s, MutatePath, body)
	require.Equal(t, http.StatusOK, code)

	code, answer := exchange(t, tlsClient(t), s, MutatePath, body)
	require.Equal(t, http.StatusUnauthorized, code)
	require.Contains(t, string(answer), "sluice answers only clients with a certificate of its client CA")

	_, err = tlsClient(t, *stranger).Post("https://"+s.Address()+MutatePath, "application/json", bytes.NewReader(body))
	require.Error(t, err, "a certificate of another CA")
}

func TestTLSIsAtLeast12(t *testing.T) {
	s := startServer(t, cluster{}.server(t))
	_, err := tls.Dial("tcp", s.Address(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.ErrorContains(t, err, "protocol version not supported")
	for name, protocols := range map[string][]string{"h2": {"h2"}, "http/1.1": {"http/1.1"}} {
		conn, err := tls.Dial("tcp", s.Address(), &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		require.NoError(t, err)
		require.Equal(t, name, conn.ConnectionState().NegotiatedProtocol)
		conn.Close()
	}
}
