package hashing

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReferences(t *testing.T) {
	spec := func(spec string) string { return `{"metadata":{"labels":{"app":"web"}},"spec":{` + spec + `}}` }
	container := func(container string) string { return spec(`"containers":[{"name":"app",` + container + `}]`) }
	for sentence, test := range map[string]struct {
		template string
		want     []Reference
	}{
		// Acceptance 1.
		"a ConfigMap volume is required with all keys": {
			spec(`"volumes":[{"name":"v","configMap":{"name":"app"}}]`),
			[]Reference{allOf(ConfigMap, "app")},
		},
		"a Secret volume is required with all keys": {
			spec(`"volumes":[{"name":"v","secret":{"secretName":"tls","defaultMode":420}}]`),
			[]Reference{allOf(Secret, "tls")},
		},
		"a volume with items uses those keys": {
			spec(`"volumes":[{"configMap":{"name":"app","items":[{"key":"b","path":"x"},{"key":"a","path":"y"}]}},` +
				`{"secret":{"secretName":"tls","items":[{"key":"tls.crt","path":"crt"}]}}]`),
			[]Reference{keysOf(ConfigMap, "app", "a", "b"), keysOf(Secret, "tls", "tls.crt")},
		},
		"an empty list of items is all keys": {
			spec(`"volumes":[{"configMap":{"name":"app","items":[]}}]`),
			[]Reference{allOf(ConfigMap, "app")},
		},
		"an optional volume is optional": {
			spec(`"volumes":[{"configMap":{"name":"app","optional":true}},{"secret":{"secretName":"tls","optional":true,"items":[{"key":"k","path":"p"}]}}]`),
			[]Reference{optional(allOf(ConfigMap, "app")), optional(keysOf(Secret, "tls", "k"))},
		},

		// Acceptance 2.
		"an optional projected source without items is optional with all keys": {
			spec(`"volumes":[{"projected":{"sources":[{"configMap":{"name":"app","optional":true}},{"secret":{"name":"tls","optional":true}}]}}]`),
			[]Reference{optional(allOf(ConfigMap, "app")), optional(allOf(Secret, "tls"))},
		},
		"a projected source with items key1 and key3 is required with those keys": {
			spec(`"volumes":[{"projected":{"sources":[{"serviceAccountToken":{"path":"token"}},` +
				`{"configMap":{"name":"app","items":[{"key":"key1","path":"1"},{"key":"key3","path":"3"}]}},` +
				`{"secret":{"name":"tls","items":[{"key":"key1","path":"1"},{"key":"key3","path":"3"}]}}]}}]`),
			[]Reference{keysOf(ConfigMap, "app", "key1", "key3"), keysOf(Secret, "tls", "key1", "key3")},
		},

		// Acceptance 3.
		"envFrom of a container and of an initContainer is required with all keys": {
			spec(`"containers":[{"envFrom":[{"configMapRef":{"name":"app"}},{"prefix":"P_","secretRef":{"name":"db"}}]}],` +
				`"initContainers":[{"envFrom":[{"configMapRef":{"name":"init"}},{"secretRef":{"name":"init"}}]}]`),
			[]Reference{allOf(ConfigMap, "app"), allOf(ConfigMap, "init"), allOf(Secret, "db"), allOf(Secret, "init")},
		},
		"envFrom with optional true is optional": {
			spec(`"containers":[{"envFrom":[{"configMapRef":{"name":"app","optional":true}}]}],` +
				`"initContainers":[{"envFrom":[{"secretRef":{"name":"db","optional":true}}]}]`),
			[]Reference{optional(allOf(ConfigMap, "app")), optional(allOf(Secret, "db"))},
		},

		// Acceptance 4.
		"keyRefs of key1 in a container and key2 in an initContainer are one required object": {
			spec(`"containers":[{"env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"app","key":"key1"}}}]}],` +
				`"initContainers":[{"env":[{"name":"B","valueFrom":{"configMapKeyRef":{"name":"app","key":"key2"}}}]}]`),
			[]Reference{keysOf(ConfigMap, "app", "key1", "key2")},
		},
		"a Secret keyRef uses its key": {
			container(`"env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"db","key":"password"}}}]`),
			[]Reference{keysOf(Secret, "db", "password")},
		},
		"an optional keyRef beside a required one is used and not required": {
			container(`"env":[{"valueFrom":{"secretKeyRef":{"name":"db","key":"a","optional":true}}},` +
				`{"valueFrom":{"secretKeyRef":{"name":"db","key":"b"}}}]`),
			[]Reference{{Kind: Secret, Name: "db", Keys: []string{"a", "b"}, Required: []string{"b"}}},
		},
		"the same key once optional and once required is required": {
			container(`"env":[{"valueFrom":{"secretKeyRef":{"name":"db","key":"a","optional":true}}},` +
				`{"valueFrom":{"secretKeyRef":{"name":"db","key":"a"}}}]`),
			[]Reference{keysOf(Secret, "db", "a")},
		},

		// Acceptance 5.
		"the same object through a volume, envFrom and env is one reference with the union of keys": {
			spec(`"volumes":[{"configMap":{"name":"app","items":[{"key":"file","path":"f"}]}}],` +
				`"containers":[{"envFrom":[{"configMapRef":{"name":"app","optional":true}}],` +
				`"env":[{"valueFrom":{"configMapKeyRef":{"name":"app","key":"url"}}}]}]`),
			[]Reference{{Kind: ConfigMap, Name: "app", Required: []string{"file", "url"}}},
		},
		"a ConfigMap and a Secret of one name are two objects": {
			container(`"envFrom":[{"secretRef":{"name":"app"}},{"configMapRef":{"name":"app"}}]`),
			[]Reference{allOf(ConfigMap, "app"), allOf(Secret, "app")},
		},

		// Acceptance 8.
		"a sidecar is found like any other": {
			spec(`"initContainers":[{"name":"proxy","restartPolicy":"Always","envFrom":[{"configMapRef":{"name":"proxy"}}]}]`),
			[]Reference{allOf(ConfigMap, "proxy")},
		},
		"a subPath mount needs its volume only": {
			spec(`"volumes":[{"name":"v","configMap":{"name":"app"}}],` +
				`"containers":[{"volumeMounts":[{"name":"v","mountPath":"/etc/app.conf","subPath":"app.conf"}]}]`),
			[]Reference{allOf(ConfigMap, "app")},
		},

		"credentials that only the kubelet uses are no config": {
			spec(`"imagePullSecrets":[{"name":"registry"}],"volumes":[{"csi":{"driver":"d","nodePublishSecretRef":{"name":"csi"}}},` +
				`{"azureFile":{"secretName":"azure","shareName":"s"}},{"rbd":{"secretRef":{"name":"ceph"}}}]`),
			nil,
		},
		"fields of a later Kubernetes are skipped": {
			spec(`"volumes":[{"configMap":{"name":"app","later":[1]},"secretive":{"name":"no"}}],"configMaps":[{"name":"no"}]`),
			[]Reference{allOf(ConfigMap, "app")},
		},
		"field names are case-sensitive": {
			spec(`"volumes":[{"ConfigMap":{"name":"no"},"configmap":{"name":"no"},"configMap":{"Name":"no","name":"app"}}]`),
			[]Reference{allOf(ConfigMap, "app")},
		},
		"escaped field names are the same names": {
			spec(`"volumes":[{"\u0063onfigMa\u0070":{"name":"app"}}]`),
			[]Reference{allOf(ConfigMap, "app")},
		},
		"a reference without a name is left to the API server's validation": {
			spec(`"volumes":[{"configMap":{}},{"secret":{"secretName":""}}]`), nil,
		},
		"nulls are like nothing": {
			spec(`"volumes":[null,{"configMap":null,"secret":null,"projected":null},{"projected":{"sources":null}}],` +
				`"initContainers":null,"containers":[{"env":null,"envFrom":[null,{"configMapRef":null}]},{"env":[{"valueFrom":null}]}]`),
			nil,
		},
		"a template of images only has none": {container(`"image":"web:1"`), nil},
		"an empty template has none":         {`{}`, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			require.Equal(t, test.want, referencesOf(t, test.template))
		})
	}
}

func TestReferencesWhoeverSpelledTheFieldNames(t *testing.T) {
	for _, name := range []string{"configMap", "secret"} {
		for i := range name {
			escaped := fmt.Sprintf(`%s\u%04x%s`, name[:i], name[i], name[i+1:])
			template := `{"spec":{"volumes":[{"projected":{"sources":[{"` + escaped + `":{"name":"app"}}]}}]}}`
			require.Len(t, referencesOf(t, template), 1, template)
		}
	}
}

// Acceptance 10: there is one function for the template of every kind.
func TestReferencesAreThoseOfTheTemplateWhateverTheKind(t *testing.T) {
	template := `{"spec":{"containers":[{"envFrom":[{"configMapRef":{"name":"app"}}]}]}}`
	want := []Reference{allOf(ConfigMap, "app")}
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		var workload struct {
			Spec struct{ Template json.RawMessage }
		}
		require.NoError(t, json.Unmarshal([]byte(`{"kind":"`+kind+`","spec":{"template":`+template+`}}`), &workload))
		refs, err := References(workload.Spec.Template)
		require.NoError(t, err)
		require.Equal(t, want, refs, kind)
		require.Equal(t, digestOf(t, want), digestOf(t, refs), kind)
	}
}

func TestReferencesOfBytesThatAreNoTemplate(t *testing.T) {
	for sentence, template := range map[string]string{
		"not JSON":                  `{"configMap`,
		"a list of volumes wanted":  `{"spec":{"volumes":{"configMap":{}}}}`,
		"a name that is no string":  `{"spec":{"volumes":[{"configMap":{"name":1}}]}}`,
		"optional that is a string": `{"spec":{"volumes":[{"configMap":{"name":"a","optional":"yes"}}]}}`,
		"deeper than any object":    `{"configMap":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
		"deep and unfinished":       `{"configMap":` + strings.Repeat(`{"a":`, 100_000),
	} {
		t.Run(sentence, func(t *testing.T) {
			refs, err := References(json.RawMessage(template))
			require.ErrorContains(t, err, "decoding pod template: ")
			require.Empty(t, refs)
		})
	}
}
