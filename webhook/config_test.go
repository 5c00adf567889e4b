package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// configReview is the review of an update of an object, as the API server sends it.
func configReview(t testing.TB, before, after client.Object) admissionv1.AdmissionReview {
	kind, resource := "ConfigMap", "configmaps"
	if _, ok := after.(*corev1.Secret); ok {
		kind, resource = "Secret", "secrets"
	}
	raw := func(object client.Object) runtime.RawExtension {
		object.GetObjectKind().SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
		encoded, err := json.Marshal(object)
		require.NoError(t, err)
		return runtime.RawExtension{Raw: encoded}
	}
	return admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Kind: metav1.GroupVersionKind{Version: "v1", Kind: kind},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: resource},
			Name:     after.GetName(), Namespace: after.GetNamespace(), Operation: admissionv1.Update,
			OldObject: raw(before), Object: raw(after),
		},
	}
}

type data = map[string]string

func appConfig(values data) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, Data: values}
}

// levelReview is the review of one changed value.
func levelReview(t testing.TB) admissionv1.AdmissionReview {
	return configReview(t, appConfig(data{"level": "info", "url": "a"}), appConfig(data{"level": "debug", "url": "a"}))
}

// all and key are pod templates that read all of an object, or one key.
func all(name string) corev1.PodTemplateSpec {
	from := corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", EnvFrom: []corev1.EnvFromSource{from}}}}}
}

func key(name, key string) corev1.PodTemplateSpec {
	from := &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}}
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "app", Env: []corev1.EnvVar{{Name: "X", ValueFrom: from}}}}}}
}

// pinningAll is all, released with the config pinned, or with another object pinned.
func pinningAll(name string, other ...string) corev1.PodTemplateSpec {
	template := all(name)
	pinned := append(other, name)[0]
	template.Annotations = map[string]string{hashing.AnnotationConfigHash: infoDigest + ":configmap/" + pinned}
	return template
}

// user is a Deployment whose pods are available.
func user(name string, template corev1.PodTemplateSpec, annotations ...string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	for i := 0; i < len(annotations); i += 2 {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, annotations[i], annotations[i+1])
	}
	d.Spec.Template = template
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, AvailableReplicas: 1}
	return d
}

func users(objects ...client.Object) []client.Object {
	return append([]client.Object{shop()}, objects...)
}

const readEarly = "sluice: pods that run already may read it before it is approved"

// Acceptance, config hashing 25.
func TestAnEditOfConfigWarnsWhatItRolls(t *testing.T) {
	labelled := func(d *appsv1.Deployment, key, value string) *appsv1.Deployment {
		metav1.SetMetaDataLabel(&d.ObjectMeta, key, value)
		return d
	}
	deleting := user("web", all("app"))
	deleting.DeletionTimestamp, deleting.Finalizers = &metav1.Time{Time: time.Unix(1700000000, 0)}, []string{"example.com/x"}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}}
	set.Spec.Template, set.Status.AvailableReplicas, set.Status.ObservedGeneration = all("app"), 1, 1
	set.Spec.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
	daemon := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "agent"}}
	daemon.Spec.Template = all("app")
	elsewhere := user("web", all("app"))
	elsewhere.Namespace = "bank"
	defaults := func(key, value string) client.Object {
		namespace := shop()
		namespace.SetAnnotations(map[string]string{key: value})
		return namespace
	}
	optedOut := shop()
	optedOut.SetLabels(nil)
	ignored := func(values data) *corev1.ConfigMap {
		object := appConfig(values)
		object.Annotations = map[string]string{hashing.AnnotationConfig: hashing.ConfigIgnore}
		return object
	}
	annotated := ignored(data{"level": "debug"})
	password := func(value string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, Data: map[string][]byte{"password": []byte(value)}}
	}
	binary := func(value byte) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, BinaryData: map[string][]byte{"logo": {value}}}
	}
	const level = "sluice: this change of configmap/app (key level) "
	tests := map[string]struct {
		cluster       []client.Object
		before, after client.Object // a changed level where they are not set
		want          []string
	}{
		"a workload that reads all of it": {
			cluster: users(user("web", all("app"))), want: []string{level + "starts a release of deployment/web", readEarly}},
		"one that reads the key": {
			cluster: users(user("web", key("app", "level"))), want: []string{level + "starts a release of deployment/web", readEarly}},
		"several, sorted, and some that do not use the key": {
			cluster: users(set, user("web", all("app")), user("api", key("app", "level")), user("a", key("app", "url")), user("b", key("app", "url"))),
			want:    []string{level + "starts a release of deployment/api, deployment/web, statefulset/db; 2 workloads use only unchanged keys", readEarly}},
		"one that does not use the key, and one that does": {
			cluster: users(user("web", all("app")), user("a", key("app", "url"))),
			want:    []string{level + "starts a release of deployment/web; 1 workload uses only unchanged keys", readEarly}},
		"without a canary": {
			cluster: users(daemon, user("web", all("app"), canary.CanaryAnnotation, "disabled"), user("a", key("app", "url"))),
			want:    []string{level + "rolls out natively, without a canary: daemonset/agent, deployment/web; 1 workload uses only unchanged keys"}},
		"both": {
			cluster: users(daemon, user("web", all("app"))),
			want: []string{level + "starts a release of deployment/web",
				"sluice: it rolls out natively, without a canary: daemonset/agent", readEarly}},
		"listed as extra config": {
			cluster: users(user("web", corev1.PodTemplateSpec{}, canary.ConfigExtraAnnotation, "configmap/app")),
			want:    []string{level + "starts a release of deployment/web", readEarly}},
		"a key is added and one removed": {
			cluster: users(user("web", all("app"))), before: appConfig(data{"a": "1", "same": ""}), after: appConfig(data{"b": "1", "same": ""}),
			want: []string{"sluice: this change of configmap/app (keys a, b) starts a release of deployment/web", readEarly}},
		"many keys": {
			cluster: users(user("web", all("app"))), before: appConfig(nil), after: appConfig(data{"a": "", "b": "", "c": "", "d": "", "e": ""}),
			want: []string{"sluice: this change of configmap/app (keys a, b, c and 2 more) starts a release of deployment/web", readEarly}},
		"bytes": {
			cluster: users(user("web", all("app"))), before: binary(1), after: binary(2),
			want: []string{"sluice: this change of configmap/app (key logo) starts a release of deployment/web", readEarly}},
		"a Secret": {
			cluster: users(user("web", corev1.PodTemplateSpec{}, canary.ConfigExtraAnnotation, "secret/app"), user("api", all("app"))),
			before:  password("1"), after: password("2"),
			want: []string{"sluice: this change of secret/app (key password) starts a release of deployment/web", readEarly}},
		"its pods read a snapshot": {
			cluster: users(user("web", pinningAll("app"))), want: []string{level + "starts a release of deployment/web", "sluice: pods that run already keep what they were released with: it is pinned"}},
		"pods of one read a snapshot, those of another do not": {
			cluster: users(user("web", pinningAll("app")), user("api", all("app"))), want: []string{level + "starts a release of deployment/api, deployment/web", readEarly}},
		"another object is pinned": {
			cluster: users(user("web", pinningAll("app", "other"))), want: []string{level + "starts a release of deployment/web", readEarly}},
		"the stable version reads the object itself": {
			cluster: users(labelled(user("web", pinningAll("app"), canary.ReleaseAnnotation, (&canary.Release{ID: 2, Phase: canary.Waiting, Step: 1}).Encode()), canary.ActiveLabel, "true")),
			want:    []string{level + "starts a release of deployment/web", readEarly}},

		"nobody uses it":                           {cluster: users(user("web", all("other")))},
		"nobody uses the key":                      {cluster: users(user("web", key("app", "url")))},
		"nothing changes":                          {cluster: users(user("web", all("app"))), before: appConfig(data{"a": "1"}), after: appConfig(data{"a": "1"})},
		"nothing but annotations change":           {cluster: users(user("web", all("app"))), before: appConfig(data{"level": "debug"}), after: annotated},
		"the object is ignored":                    {cluster: users(user("web", all("app"))), before: ignored(data{"level": "info"}), after: annotated},
		"it is ignored from now on":                {cluster: users(user("web", all("app"))), before: appConfig(data{"level": "info"}), after: annotated, want: []string{level + "starts a release of deployment/web", readEarly}},
		"it is no longer ignored":                  {cluster: users(user("web", all("app"))), before: annotated, after: appConfig(data{"level": "info"}), want: []string{level + "starts a release of deployment/web", readEarly}},
		"the workload ignores config":              {cluster: users(user("web", all("app"), canary.ConfigAnnotation, "ignore"))},
		"the Namespace ignores config":             {cluster: []client.Object{defaults(canary.ConfigAnnotation, "ignore"), user("web", all("app"))}},
		"overrides are denied":                     {cluster: []client.Object{defaults(canary.OverridesAnnotation, "denied"), user("web", all("app"), canary.ConfigAnnotation, "ignore")}, want: []string{level + "starts a release of deployment/web", readEarly}},
		"the workload has opted out":               {cluster: users(labelled(user("web", all("app")), canary.EnabledLabel, "false"))},
		"the workload is being deleted":            {cluster: users(deleting)},
		"its policy lets nothing pass":             {cluster: users(user("web", all("app"), canary.StepsAnnotation, "x"))},
		"the Namespace has not opted in":           {cluster: []client.Object{optedOut, user("web", all("app"))}},
		"a workload of another Namespace reads it": {cluster: users(elsewhere)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			review := levelReview(t)
			if test.before != nil {
				review = configReview(t, test.before, test.after)
			}
			s := cluster{objects: test.cluster}.server(t)
			got := admit(t, s, WarnConfigPath, review)
			require.True(t, got.Allowed)
			require.Equal(t, test.want, got.Warnings)
			verdict := map[bool]string{false: "Unchanged", true: "Warned"}[len(test.want) > 0]
			require.Equal(t, map[string]string{"verdict": verdict}, got.AuditAnnotations)
			require.EqualValues(t, 1, value(t, s.metrics.verdicts.WithLabelValues("warn-config", review.Request.Kind.Kind, verdict, "")))

			dry := true
			review.Request.DryRun = &dry
			require.Equal(t, got, admit(t, s, WarnConfigPath, review), "a dry run gets the same answer")
		})
	}
}

func TestWhatIsNoEditOfConfigIsIgnored(t *testing.T) {
	for name, change := range map[string]func(*admissionv1.AdmissionRequest){
		"CREATE": func(r *admissionv1.AdmissionRequest) {
			r.Operation, r.OldObject = admissionv1.Create, runtime.RawExtension{}
		},
		"DELETE": func(r *admissionv1.AdmissionRequest) {
			r.Operation, r.Object = admissionv1.Delete, runtime.RawExtension{}
		},
		"another resource":    func(r *admissionv1.AdmissionRequest) { r.Resource.Resource = "pods" },
		"another group":       func(r *admissionv1.AdmissionRequest) { r.Resource.Group = "apps" },
		"another version":     func(r *admissionv1.AdmissionRequest) { r.Resource.Version = "v2" },
		"another operation":   func(r *admissionv1.AdmissionRequest) { r.Operation = "PATCH" },
		"one of its subparts": func(r *admissionv1.AdmissionRequest) { r.SubResource = "status" },
	} {
		t.Run(name, func(t *testing.T) {
			review := levelReview(t)
			change(review.Request)
			got := admit(t, cluster{objects: users(user("web", all("app")))}.server(t), WarnConfigPath, review)
			require.True(t, got.Allowed)
			require.Empty(t, got.Warnings)
		})
	}
}

func TestAForgedEditIsRefusedWithoutRepeatingIt(t *testing.T) {
	secretData := `{"metadata":{"name":"app","namespace":"shop"},"data":{"password":"` + hidden + `"}}`
	tests := map[string]struct {
		change func(*admissionv1.AdmissionRequest)
		want   string
	}{
		"an object of another namespace": {
			func(r *admissionv1.AdmissionRequest) { r.Namespace = "bank" }, "the request is for configmaps bank/app but its oldObject is another object"},
		"an object of another name": {
			func(r *admissionv1.AdmissionRequest) {
				r.Object.Raw = []byte(strings.ReplaceAll(secretData, `"app"`, `"other"`))
			}, "the request is for configmaps shop/app but its object is another object"},
		"a namespace that is a path": {
			func(r *admissionv1.AdmissionRequest) { r.Namespace = "../nodes" }, `the request's namespace "../nodes" is not a valid name`},
		"no namespace": {
			func(r *admissionv1.AdmissionRequest) { r.Namespace = "" }, `the request's namespace "" is not a valid name`},
		"no object": {
			func(r *admissionv1.AdmissionRequest) { r.Object = runtime.RawExtension{} }, "the request (UPDATE of configmaps shop/app) has no object"},
		"no old object": {
			func(r *admissionv1.AdmissionRequest) { r.OldObject = runtime.RawExtension{} }, "the request (UPDATE of configmaps shop/app) has no oldObject"},
		"another kind": {
			func(r *admissionv1.AdmissionRequest) { r.Kind.Kind = "Secret" }, "the request is for configmaps but its kind is /v1, Kind=Secret"},
		"data that is a string": {
			func(r *admissionv1.AdmissionRequest) {
				r.Object.Raw = []byte(`{"metadata":{"name":"app","namespace":"shop"},"data":"` + hidden + `"}`)
			}, "the request's object is not a ConfigMap"},
		"annotations that are a number": {
			func(r *admissionv1.AdmissionRequest) { r.OldObject.Raw = []byte(`{"metadata":{"annotations":4711}}`) }, "the request's oldObject is not a ConfigMap"},
		"data that is a list": {
			func(r *admissionv1.AdmissionRequest) { r.Object.Raw = []byte(`["` + hidden + `"]`) }, "the request (UPDATE of configmaps shop/app) has no object"},
	}
	s := cluster{objects: users(user("web", all("app")))}.server(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			review := levelReview(t)
			test.change(review.Request)
			body, err := json.Marshal(review)
			require.NoError(t, err)
			got := status(t, post(s, WarnConfigPath, body))
			require.EqualValues(t, http.StatusBadRequest, got.Code)
			require.Equal(t, test.want, got.Message)
		})
	}
}

func TestManyWorkloadsAreReadInPagesAndCounted(t *testing.T) {
	const count = 600
	deployments := make([]appsv1.Deployment, count)
	for i := range deployments {
		deployments[i] = *user(fmt.Sprintf("web-%03d", i), all("app"))
		if i%2 == 1 {
			deployments[i] = *user(fmt.Sprintf("web-%03d", i), key("app", "url"))
		}
	}
	var pages []string
	c := cluster{objects: users(), funcs: interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			options := (&client.ListOptions{}).ApplyOptions(opts)
			of, ok := list.(*appsv1.DeploymentList)
			if !ok {
				return nil
			}
			pages = append(pages, options.Continue)
			require.Empty(t, of.Items, "a page begins empty")
			require.Equal(t, "shop", options.Namespace)
			first := (len(pages) - 1) * int(options.Limit)
			of.Items = deployments[first : first+int(options.Limit)]
			if first+int(options.Limit) < count {
				of.Continue = fmt.Sprint(len(pages))
			}
			return nil
		},
	}}
	got := admit(t, c.server(t), WarnConfigPath, levelReview(t))
	require.Equal(t, []string{"", "1", "2", "3", "4", "5"}, pages)
	require.Equal(t, []string{
		"sluice: this change of configmap/app (key level) starts a release of deployment/web-000, deployment/web-002, deployment/web-004, " +
			"deployment/web-006, deployment/web-008, deployment/web-010 and 294 more; 300 workloads use only unchanged keys", readEarly,
	}, got.Warnings)
	requireShort(t, got.Warnings)
}

// TestNoMoreThanSomePagesAreReadAtOnce: a chart may write many objects in one go.
func TestNoMoreThanSomePagesAreReadAtOnce(t *testing.T) {
	certificates := testCertificates(t)
	body, err := json.Marshal(levelReview(t))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		c := cluster{objects: users(user("web", all("app"))), deps: func(d *Deps) { d.Certificates = certificates }, funcs: interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				time.Sleep(100 * time.Millisecond) // of the bubble
				return c.List(ctx, list, opts...)
			}}}
		s := c.server(t)
		start, answers := time.Now(), make(chan string, 40)
		for range cap(answers) {
			go func() { answers <- post(s, WarnConfigPath, body).Body.String() }()
		}
		warned, late := 0, 0
		for range cap(answers) {
			answer := <-answers
			require.Contains(t, answer, `"allowed":true`)
			if strings.Contains(answer, "starts a release of deployment/web") {
				warned++
			} else {
				require.Contains(t, answer, "context deadline exceeded")
				late++
			}
		}
		require.LessOrEqual(t, time.Since(start), 4600*time.Millisecond, "the deadline, and the page that was being read")
		require.EqualValues(t, pagesAtOnce, most.Load())
		require.Positive(t, warned)
		require.Positive(t, late, "the wait for a turn ends with the deadline")
	})
}

// requireShort requires what the API server never cuts.
func requireShort(t *testing.T, warnings []string) {
	t.Helper()
	require.LessOrEqual(t, len(warnings), 3)
	for _, w := range warnings {
		require.Less(t, len(w), 256, w)
	}
}

func TestWarningsHaveRoomForAtLeastOneName(t *testing.T) {
	names := func(count int) []string {
		var all []string
		for i := range count {
			all = append(all, fmt.Sprintf("deployment/web-%d", i))
		}
		return all
	}
	keys := []string{"spring.datasource.url", "spring.datasource.username", "spring.datasource.password", "x"}
	for count := range 60 {
		for _, unchanged := range []int{0, 1, 1000} {
			f := effect{held: names(count + 1), native: names(count), unchanged: unchanged}
			got := f.warnings(edit{kind: hashing.ConfigMap, name: "application-settings", keys: keys})
			requireShort(t, got)
			named := strings.Count(got[0], "deployment/")
			require.Positive(t, named)
			require.Equal(t, named <= count, strings.Contains(got[0], fmt.Sprintf(" and %d more", count+1-named)))
		}
	}
	long := strings.Repeat("x", 253)
	got := effect{held: []string{"deployment/" + long, "deployment/y"}}.warnings(edit{kind: hashing.Secret, name: long, keys: []string{long}})
	require.Equal(t, "sluice: this change of secret/"+long+" (key "+long+") starts a release of deployment/"+long+" and 1 more", got[0])
}

func TestAFailedReadNeverBlocksAnEdit(t *testing.T) {
	const could = "sluice could not tell which workloads use configmap/app of namespace shop: "
	broken := func(context.Context) error { return errors.New("etcd is down") }
	hanging := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	listing := func(fail func(context.Context) error) interceptor.Funcs {
		return interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*appsv1.StatefulSetList); ok {
				return fail(ctx)
			}
			return c.List(ctx, list, opts...)
		}}
	}
	endless := interceptor.Funcs{List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
		if _, ok := list.(*appsv1.StatefulSetList); ok {
			list.SetContinue("again")
			time.Sleep(400 * time.Millisecond) // of the bubble
		}
		return nil
	}}
	tests := map[string]struct {
		funcs     interceptor.Funcs
		want      string
		wantAfter time.Duration
	}{
		"the Namespace":         {failing("Namespace", broken), "reading Namespace shop: etcd is down", 0},
		"a list":                {listing(broken), "listing StatefulSets of shop: etcd is down", 0},
		"a list hangs":          {listing(hanging), "listing StatefulSets of shop: context deadline exceeded", 4500 * time.Millisecond},
		"a list without an end": {endless, "listing StatefulSets of shop: context deadline exceeded", 4800 * time.Millisecond},
		"a bug":                 {listing(func(context.Context) error { panic("boom") }), "this is a bug, see sluice's log", 0},
	}
	body, err := json.Marshal(levelReview(t))
	require.NoError(t, err)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			certificates := testCertificates(t)
			synctest.Test(t, func(t *testing.T) {
				s := cluster{objects: users(user("web", all("app"))), funcs: test.funcs, deps: func(d *Deps) { d.Certificates = certificates }}.server(t)
				start := time.Now()
				w := post(s, WarnConfigPath, body)
				require.Equal(t, http.StatusOK, w.Code, w.Body.String())
				got := decodeResponse(t, w.Body.Bytes(), levelReview(t))
				require.Equal(t, test.wantAfter, time.Since(start))
				require.True(t, got.Allowed)
				require.Equal(t, []string{could + test.want}, got.Warnings)
			})
		})
	}
}
