package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/owners"
	"sluice.dev/sluice/webhook"
	"sluice.dev/sluice/webhook/ownership"
)

// ownedWorlds are the states of which owners are shown, one folder of testdata.
var ownedWorlds = map[string]func(*owned){
	"enforced":  func(*owned) {},
	"warned":    func(o *owned) { o.namespace.Annotations = nil },
	"own-mode":  func(o *owned) { o.deployment.SetAnnotations(map[string]string{ownership.ModeAnnotation: "ignore"}) },
	"bad-mode":  func(o *owned) { o.namespace.Annotations[ownership.ModeAnnotation] = "on" },
	"opted-out": func(o *owned) { o.namespace.Labels = nil },
	"workload-opted-out": func(o *owned) {
		o.deployment.SetLabels(map[string]string{canary.EnabledLabel: "false"})
	},
	"nobody":    func(o *owned) { o.deployment.SetManagedFields(nil) },
	"one-owner": func(o *owned) { o.deployment.SetManagedFields(ownedFields()[1:2]) },
	"releasing": func(o *owned) {
		o.deployment.SetAnnotations(map[string]string{canary.ReleaseAnnotation: `{"id":4,"phase":"Waiting"}`})
		o.deployment.SetManagedFields([]metav1.ManagedFieldsEntry{entry("ci", applied, "", time.Hour, `{"f:spec":{"f:paused":{},"f:replicas":{}}}`)})
	},
	"hostile": func(o *owned) {
		o.deployment.SetManagedFields([]metav1.ManagedFieldsEntry{
			entry("evil\x1b]0;title\x07\n\tmanager", applied, "", time.Hour, `{"f:spec":{"f:a\u001b[2J\tb\nc":{},"v:\"\\u001b[31m\"":{}}}`),
			{Manager: "old", Operation: updated, APIVersion: "v1\x1b", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:b":{}}}`)},
		})
	},
}

func TestEveryOutputOfOwners(t *testing.T) {
	commands := map[string][]string{
		"owners":        {"owners", "deploy/web"},
		"owners-all":    {"owners", "deployment", "web", "--all"},
		"owners-o-json": {"owners", "deployments.apps/web", "-o", "json"},
	}
	for name, change := range ownedWorlds {
		o := newOwned()
		change(o)
		for command, args := range commands {
			if command != "owners" && name != "enforced" && name != "hostile" {
				continue
			}
			t.Run(name+"/"+command, func(t *testing.T) {
				s := o.session()
				require.Zero(t, s.run(t, args...), s.err.String())
				golden(t, "owners/"+name+"."+command, s.out.String()+s.err.String())
			})
		}
	}
}

func TestEveryOutputOfOwnersOfAnyKind(t *testing.T) {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web", ManagedFields: []metav1.ManagedFieldsEntry{
		entry("ci", applied, "", time.Hour, `{"f:data":{"f:log.level":{},"f:log":{}}}`),
	}}}
	o := newOwned()
	o.more = append(o.more, config)
	s := o.session()
	require.Zero(t, s.run(t, "owners", "cm/web"), s.err.String())
	golden(t, "owners/configmap", s.out.String())
	require.Zero(t, s.run(t, "owners", "ns/"+namespace), s.err.String())
	golden(t, "owners/namespace", s.out.String())
	s.forbid("get", "validatingwebhookconfigurations")
	require.Zero(t, s.run(t, "owners", "cm/web"), s.err.String())
	golden(t, "owners/configmap.forbidden-webhooks", s.out.String())

	o.more = append(o.more, listing(t))
	s = o.session()
	require.Zero(t, s.run(t, "owners", "cm/web"), s.err.String())
	golden(t, "owners/configmap.listed", s.out.String())
	require.Zero(t, s.run(t, "owners", "ns/"+namespace), s.err.String())
	golden(t, "owners/namespace", s.out.String())
}

// listing is the webhook configuration of an operator who applied ownership.yaml.
func listing(t *testing.T) runtime.Object {
	t.Helper()
	content, err := os.ReadFile("../../manifests/ownership.yaml")
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(content), "\n---\n")
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	require.NoError(t, yaml.UnmarshalStrict([]byte(first), &configuration))
	require.Equal(t, webhook.ValidateOwnersPath, owners.Path)
	return &configuration
}

func TestEveryOutputOfOwnersWithoutTheNamespace(t *testing.T) {
	s := newOwned().session()
	s.forbid("get", "namespaces")
	require.Zero(t, s.run(t, "owners", "deploy/web"), s.err.String())
	golden(t, "owners/forbidden-namespace", s.out.String()+s.err.String())
	s.answer(t, map[string]error{"web": applyConflict(`"ci"`, `.spec.template.spec.containers[name="app"].image`)})
	require.Zero(t, s.run(t, "owners", "-f", file(t, webFile)), s.err.String())
	golden(t, "owners/forbidden-namespace.file", s.out.String()+s.err.String())
}

const (
	webFile    = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}`
	newFile    = `{apiVersion: v1, kind: ConfigMap, metadata: {name: new}}`
	configFile = `{apiVersion: v1, kind: ConfigMap, metadata: {name: config}}`
	listFile   = `{apiVersion: v1, kind: List, items: [` + webFile + `, ` + configFile + `]}`
)

func TestEveryOutputOfConflicts(t *testing.T) {
	all := applyConflict(`"ci"`, `.spec.template.spec.containers[name="app"].image`,
		`"helm" using apps/v1`, ".metadata.labels.tier",
		`"kube-controller-manager" with subresource "scale" using apps/v1`, ".spec.replicas",
		`"kube-controller-manager" with subresource "status" using apps/v1`, ".metadata.annotations.deployment.kubernetes.io/revision",
		`"kubectl-edit" using apps/v1`, ".spec.template.spec.terminationGracePeriodSeconds",
		`"somebody" using apps/v1`, ".spec.paused")
	tests := map[string]struct {
		args   []string
		change func(*owned)
		answer error
		code   int
	}{
		"conflicts":           {answer: all, code: 1},
		"conflicts-json":      {args: []string{"-o", "json"}, answer: all, code: 1},
		"conflicts-warned":    {answer: all, change: func(o *owned) { o.namespace.Annotations = nil }},
		"conflicts-unchecked": {answer: all, change: func(o *owned) { o.namespace.Labels = nil }},
		"conflicts-of-helm":   {args: []string{"--field-manager=helm"}, answer: applyConflict(`"helm" using apps/v1`, ".metadata.labels.tier")},
		"no-conflict":         {},
		"one-object":          {args: []string{"deploy/web"}, answer: all, code: 1},
		"refused-otherwise":   {answer: apierrors.NewForbidden(appsv1.Resource("deployments"), "web", nil), code: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := newOwned()
			if test.change != nil {
				test.change(o)
			}
			config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "config"}}
			o.more = append(o.more, config)
			s := o.session()
			s.answer(t, map[string]error{"web": test.answer})
			args := append([]string{"owners", "-f", file(t, newFile, listFile)}, test.args...)
			require.Equal(t, test.code, s.run(t, args...), s.out.String()+s.err.String())
			golden(t, "owners/file."+name, s.out.String()+s.err.String())
		})
	}
}

func TestFilesComeFromStdinToo(t *testing.T) {
	s := newOwned().session()
	s.answer(t, nil)
	s.in = webFile + "\n---\n" + newFile
	require.Zero(t, s.run(t, "owners", "-f", "-"), s.err.String())
	require.Equal(t, "deployment.apps/web in namespace shop: no conflict\nconfigmap/new in namespace shop: it does not exist yet, so nobody owns its fields\n", s.out.String())
}

func TestWhatHasNoOwnersToShowIsSaid(t *testing.T) {
	tests := map[string]struct {
		args []string
		file string
		want string
	}{
		"nothing is named":           {want: "whose owners? Name an object like deployment/web or configmap/web, or give a file with -f"},
		"no such kind":               {args: []string{"foo/web"}, want: `the API server has no kind "foo"; kubectl api-resources lists them`},
		"no such object":             {args: []string{"deploy/wbe"}, want: "deployment.apps/wbe does not exist in namespace shop; look with: kubectl get deployments -n shop"},
		"a kind without a name":      {args: []string{"deploy"}, want: `of what kind is "deploy", or which deploy is it? Name it like deployment/web`},
		"two objects":                {args: []string{"deploy/web", "deploy/api"}, want: "deploy/web deploy/api: one object at a time"},
		"an empty name":              {args: []string{"deploy/"}, want: `"deploy/" is not an object: name it like deployment/web`},
		"a file without the object":  {args: []string{"cm/web"}, file: webFile, want: "configmap/web is not in what -f names"},
		"a file without objects":     {file: "# nothing", want: "the files hold no object"},
		"a kind that is not there":   {file: `{apiVersion: example.com/v2, kind: Widget, metadata: {name: x}}`, want: "the API server has no such kind; where it is a custom one, its definition comes first"},
		"an object of another place": {file: `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: attic}}`, want: "is of namespace attic, and -n says shop"},
		"an object without a name":   {file: `{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x}}`, want: "has no name: what is to be generated has no owners"},
		"a file and every field":     {args: []string{"--all"}, file: webFile, want: "--all and -f: the conflicts of a file are all shown"},
		"nobody writes":              {args: []string{"--field-manager="}, file: webFile, want: "--field-manager: it needs a name"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"owners"}, test.args...)
			if test.file != "" {
				args = append(args, "-f", file(t, test.file))
			}
			s := newOwned().session()
			require.Equal(t, 1, s.run(t, args...))
			require.Contains(t, s.err.String(), test.want)
			require.True(t, strings.HasPrefix(s.err.String(), "error: "))
			require.Empty(t, s.out.String())
		})
	}
}

func TestObjectsOfAnyKindAreCompleted(t *testing.T) {
	tests := map[string]struct {
		args []string
		want []string
	}{
		"kinds":                {[]string{"owners", "d"}, []string{"daemonset/", "deployment/", ":6"}},
		"names":                {[]string{"owners", "deploy/"}, []string{"deploy/web", ":4"}},
		"names of other kinds": {[]string{"owners", "ns/"}, []string{"ns/shop", ":4"}},
		"names behind a kind":  {[]string{"owners", "deployments", "w"}, []string{"web", ":4"}},
		"no such kind":         {[]string{"owners", "foo/"}, []string{":4"}},
		"nothing more":         {[]string{"owners", "deploy/web", ""}, []string{":4"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newOwned().session()
			args := append([]string{"/usr/bin/" + completer, "--server=https://cluster.example", "--namespace=" + namespace}, test.args...)
			require.Zero(t, run(t.Context(), s.plugin(&s.out), args))
			require.Equal(t, test.want, strings.Split(strings.TrimSpace(s.out.String()), "\n"))
		})
	}
}

func TestObjectsOfAnyKindAreNamedAsForKubectl(t *testing.T) {
	gadget := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Gadget"}}
	gadget.SetNamespace(namespace)
	gadget.SetName("web")
	o := newOwned()
	o.more = append(o.more, gadget)
	for _, args := range []string{
		"deploy/web", "deploy web", "Deployment/web", "deployments/web", "deployments.apps/web", "deployment.apps web", "deployments.v1.apps/web",
		"Deployment.v1.apps/web", "gadget/web", "Gadget/web", "gadgets.example.com web", "gadgets.v1.example.com/web", "ns shop",
	} {
		s := o.session()
		require.Zero(t, s.run(t, append([]string{"owners"}, strings.Fields(args)...)...), s.err.String())
		require.Regexp(t, `^Name: +(deployment\.apps/web|gadget\.example\.com/web|namespace/shop)\n`, s.out.String(), args)
	}
}
