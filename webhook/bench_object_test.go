package webhook

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sluice.dev/sluice/canary"
)

// generate returns a Deployment of about so many bytes of JSON, made as charts and the API server make
// them: containers with env, probes and resources, and managed fields of a fifth to a third of it all.
func generate(t testing.TB, size int, image string) map[string]any {
	var object map[string]any
	for vars := 8; ; vars += 1 + vars/8 {
		object = deployment(vars, image)
		if raw, err := json.Marshal(object); err != nil || len(raw) >= size {
			require.NoError(t, err)
			return object
		}
	}
}

func deployment(vars int, image string) map[string]any {
	const perContainer = 60
	var containers []any
	owned := map[string]any{}
	for first := 0; first < vars; first += perContainer {
		name := fmt.Sprintf("part-%d", first/perContainer)
		container, fields := container(name, image, min(perContainer, vars-first))
		containers = append(containers, container)
		owned[fmt.Sprintf(`k:{"name":%q}`, name)] = fields
	}
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{
			"name": "web", "namespace": "shop", "uid": "6f1ad30c-98ba-4ef4-8a8d-1a2f6f9d5a10", "resourceVersion": "1207",
			"generation": 3, "creationTimestamp": "2026-10-01T08:00:00Z",
			"labels":      map[string]any{"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web", "app.kubernetes.io/managed-by": "Helm"},
			"annotations": map[string]any{"deployment.kubernetes.io/revision": "3", "meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop"},
			"managedFields": []any{map[string]any{
				"manager": "helm", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-10-01T08:00:00Z", "fieldsType": "FieldsV1",
				"fieldsV1": map[string]any{"f:spec": map[string]any{"f:template": map[string]any{"f:spec": map[string]any{"f:containers": owned}}}},
			}},
		},
		"spec": map[string]any{
			"replicas": 4, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
			"selector": map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "web"}},
			"strategy": map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": "25%", "maxUnavailable": "25%"}},
			"template": map[string]any{
				"metadata": map[string]any{"creationTimestamp": nil, "labels": map[string]any{"app.kubernetes.io/name": "web"}},
				"spec": map[string]any{
					"containers": containers, "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
					"dnsPolicy": "ClusterFirst", "securityContext": map[string]any{}, "schedulerName": "default-scheduler",
				},
			},
		},
		"status": map[string]any{
			"observedGeneration": 3, "replicas": 4, "updatedReplicas": 4, "readyReplicas": 4, "availableReplicas": 4,
			"conditions": []any{map[string]any{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
				"lastUpdateTime": "2026-10-01T08:00:30Z", "lastTransitionTime": "2026-10-01T08:00:30Z"}},
		},
	}
}

// container returns a container with so many env entries, and the managed fields of it.
func container(name, image string, vars int) (map[string]any, map[string]any) {
	env, owned := []any{}, map[string]any{".": map[string]any{}}
	for i := range vars {
		key := fmt.Sprintf("SETTING_NUMBER_%03d", i)
		env = append(env, map[string]any{"name": key, "value": fmt.Sprintf("https://service-%03d.example.org:8443/path?mode=<%d>&retry=true", i, i)})
		owned[fmt.Sprintf(`k:{"name":%q}`, key)] = map[string]any{".": map[string]any{}, "f:name": map[string]any{}, "f:value": map[string]any{}}
	}
	env = append(env, map[string]any{"name": "LEVEL", "valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": "web", "key": "LEVEL"}}})
	probe := map[string]any{"httpGet": map[string]any{"path": "/healthz", "port": "http", "scheme": "HTTP"},
		"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
	return map[string]any{
		"name": name, "image": image, "env": env, "readinessProbe": probe, "livenessProbe": probe,
		"ports":                  []any{map[string]any{"name": "http", "containerPort": 8080, "protocol": "TCP"}},
		"resources":              map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "128Mi"}, "limits": map[string]any{"memory": "256Mi"}},
		"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent",
	}, map[string]any{".": map[string]any{}, "f:name": map[string]any{}, "f:image": map[string]any{}, "f:env": owned}
}

// updateReview returns the review of an UPDATE by Helm.
func updateReview(t testing.TB, old, object any) admissionv1.AdmissionReview {
	encode := func(value any) runtime.RawExtension {
		raw, err := json.Marshal(value)
		require.NoError(t, err)
		return runtime.RawExtension{Raw: raw}
	}
	kind := metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: canary.Deployment}
	resource := metav1.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	dryRun := false
	return admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "00000000-0000-4000-8000-000000000001", Kind: kind, RequestKind: &kind, Resource: resource, RequestResource: &resource,
			Name: "web", Namespace: "shop", Operation: admissionv1.Update, DryRun: &dryRun,
			UserInfo: authenticationv1.UserInfo{Username: "bob", Groups: []string{"developers", "system:authenticated"}},
			Object:   encode(object), OldObject: encode(old),
			Options: runtime.RawExtension{Raw: []byte(`{"kind":"UpdateOptions","apiVersion":"meta.k8s.io/v1","fieldManager":"helm"}`)},
		},
	}
}
