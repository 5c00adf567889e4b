package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
)

// Values that must not get anywhere, and a piece of each as it stands in a body.
const (
	hidden       = "hunter2hunter2"
	hiddenNumber = "47114711"
)

var leaks = []string{hidden, hiddenNumber, base64.StdEncoding.EncodeToString([]byte(hidden)), "hunter"}

// hiddenReview is the review of a Secret that has hidden values in every place that an object has.
func hiddenReview(t testing.TB) admissionv1.AdmissionReview {
	secret := func(value string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db", Annotations: map[string]string{
				"kubectl.kubernetes.io/last-applied-configuration": `{"stringData":{"password":"` + hidden + `"}}`}},
			Data: map[string][]byte{"password": []byte(hidden + value), "same": []byte(hidden)},
		}
	}
	return configReview(t, secret("1"), secret("2"))
}

func TestValuesOfConfigGetNowhere(t *testing.T) {
	good, err := json.Marshal(hiddenReview(t))
	require.NoError(t, err)
	object := func(raw string) []byte {
		review := hiddenReview(t)
		review.Request.Object = runtime.RawExtension{Raw: []byte(raw)}
		body, err := json.Marshal(review)
		require.NoError(t, err)
		return body
	}
	replaced := func(old, with string) []byte {
		require.Contains(t, string(good), old)
		return bytes.Replace(good, []byte(old), []byte(with), 1)
	}
	const start = `{"metadata":{"name":"db","namespace":"shop"},`
	bodies := map[string]struct {
		body     []byte
		wantCode int
	}{
		"a Secret":                       {good, http.StatusOK},
		"cut off":                        {good[:len(good)-40], http.StatusBadRequest},
		"followed by something":          {append(bytes.Clone(good), hidden...), http.StatusBadRequest},
		"a value that is a number":       {object(start + `"data":{"password":` + hiddenNumber + `}}`), http.StatusOK},
		"data that is a string":          {object(start + `"data":"` + hidden + `"}`), http.StatusBadRequest},
		"data that is a number":          {object(start + `"data":` + hiddenNumber + `}`), http.StatusBadRequest},
		"data that is a list":            {object(start + `"data":["` + hidden + `"]}`), http.StatusBadRequest},
		"a name that is a number":        {object(`{"metadata":{"name":` + hiddenNumber + `}}`), http.StatusBadRequest},
		"a namespace that is a value":    {object(`{"metadata":{"name":"db","namespace":"` + hidden + `"}}`), http.StatusBadRequest},
		"annotations that are a string":  {object(`{"metadata":{"annotations":"` + hidden + `"}}`), http.StatusBadRequest},
		"a value without an end":         {replaced(`"data":{"password":"`, `"data":{"password":"`+hidden+`"`), http.StatusBadRequest},
		"a value that is no JSON":        {replaced(`"data":{"password":"`, `"data":{"password":`+hidden+`,"x":"`), http.StatusBadRequest},
		"an object that is a string":     {object(`"` + hidden + `"`), http.StatusBadRequest},
		"values that are no UTF-8":       {replaced(`"data":{"password":"`, "\"data\":{\"password\":\"\xff"), http.StatusBadRequest},
		"an escape in a key of the body": {replaced(`"request":`, `"\u0072equest":`), http.StatusOK},
		"an operation that is ignored":   {replaced(`"UPDATE"`, `"CONNECT"`), http.StatusOK},
	}
	for name, test := range bodies {
		for how, funcs := range map[string]interceptor.Funcs{
			"": {},
			", and a list fails": {List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
				return errors.New("etcd is down")
			}},
			", and a list panics": {List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { panic("boom") }},
		} {
			t.Run(name+how, func(t *testing.T) {
				code, told := everythingTold(t, funcs, test.body)
				require.Equal(t, test.wantCode, code, told)
				for _, leak := range leaks {
					require.NotContains(t, told, leak)
				}
			})
		}
	}
}

// everythingTold posts a body and returns the answer, every log line and every metric.
func everythingTold(t *testing.T, funcs interceptor.Funcs, body []byte) (code int, told string) {
	var all strings.Builder
	var mu sync.Mutex // the lists are read at once
	write := func(prefix, args string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(&all, prefix, args)
	}
	logger := funcr.New(write, funcr.Options{Verbosity: 100})
	registry := prometheus.NewRegistry()
	s := cluster{
		objects: users(user("web", corev1.PodTemplateSpec{}, canary.ConfigExtraAnnotation, "secret/db")), funcs: funcs,
		deps: func(d *Deps) { d.Metrics = registry },
	}.server(t)
	r := httptest.NewRequestWithContext(log.IntoContext(t.Context(), logger), http.MethodPost, WarnConfigPath+"?timeout=3s", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.WebhookMux().ServeHTTP(w, r)
	require.NotEmpty(t, all.String(), "something is logged")
	fmt.Fprintln(&all, w.Header(), w.Body.String())
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		fmt.Fprintln(&all, family)
	}
	return w.Code, all.String()
}

func TestTheLargestObjectsAreComparedAndWarnedOfBriefly(t *testing.T) {
	many := data{}
	for i := range 60_000 {
		many[fmt.Sprintf("k%05d", i)] = "0123456789"
	}
	for name, test := range map[string]struct {
		after data
		want  string
	}{
		"a value of one megabyte":                  {data{"file": strings.Repeat(hidden, 80_000)}, "(key file)"},
		"a megabyte of keys, all of which are new": {many, "(keys k00000, k00001, k00002 and 59997 more)"},
	} {
		t.Run(name, func(t *testing.T) {
			got := admit(t, cluster{objects: users(user("web", all("app")))}.server(t), WarnConfigPath, configReview(t, appConfig(nil), appConfig(test.after)))
			require.Equal(t, []string{"sluice: this change of configmap/app " + test.want + " starts a release of deployment/web", readEarly}, got.Warnings)
			requireShort(t, got.Warnings)
		})
	}
}
