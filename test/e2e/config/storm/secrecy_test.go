package storm

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
)

// planted are values that are nowhere else, of a Secret and a ConfigMap, before and after a change.
var planted = []string{"pl4nted-secret-one", "pl4nted-secret-two", "pl4nted-config-one", "pl4nted-config-two"}

// TestNoValueAndNoDigestIsTold, in the log at its most talkative, in Events, in metrics.
func TestNoValueAndNoDigestIsTold(t *testing.T) {
	n := env.Namespace(t)
	ctx := t.Context()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db"}, StringData: map[string]string{"PASSWORD": planted[0]}}
	_, err := n.Admin.CoreV1().Secrets(n.Name).Create(ctx, secret, metav1.CreateOptions{})
	require.NoError(t, err)
	configMap(t, n, "app")
	set(t, n, "app", planted[2])
	b := builders.MakeDeployment("web").Replicas(1).EnvFromConfigMap("app")
	c := &b.Template().Spec.Containers[0]
	c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}})
	n.Create(b.Obj())
	digests := []string{digest(*n.WaitDeployment("web", "its config was seen", func(d *appsv1.Deployment) bool { return seen(*d) }))}

	set(t, n, "app", planted[3])
	secret.StringData["PASSWORD"] = planted[1]
	_, err = n.Admin.CoreV1().Secrets(n.Name).Update(ctx, secret, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Equal(t, "configmap/app: GREETING; secret/db: PASSWORD", n.WaitPhase("web", canary.Waiting, 1).Cause)
	digests = append(digests, digest(*n.Deployment("web")))
	n.WaitEvent("web", "ConfigChanged")

	log, err := os.ReadFile(env.SluiceLog())
	require.NoError(t, err)
	events, err := n.Admin.CoreV1().Events(n.Name).List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	var told strings.Builder
	for _, e := range events.Items {
		told.WriteString(e.String() + "\n")
	}
	texts := map[string]string{"the log": string(log), "Events": told.String(), "metrics": metrics(t)}
	require.Contains(t, texts["the log"], "level=debug")
	require.Contains(t, texts["metrics"], "sluice_config_releases_total")
	for where, text := range texts {
		for _, value := range planted {
			require.NotContains(t, text, value, where)
			require.NotContains(t, text, base64.StdEncoding.EncodeToString([]byte(value)), where)
		}
		for _, d := range digests {
			require.NotContains(t, text, d[strings.LastIndex(d, ":")+1:], where)
		}
	}
}

func metrics(t *testing.T) string {
	t.Helper()
	response, err := http.Get("http://" + metricsAddress + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
