package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// Acceptance, config hashing 25.
func TestEditOfConfigWarnsWhichWorkloadsRoll(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	createConfigMap(t, n, "hello")
	n.Create(web().EnvFromConfigMap("app").Obj())
	n.Create(builders.MakeDeployment("api").Replicas(1).Annotation(canary.ConfigExtraAnnotation, "configmap/app").Obj())
	n.Create(builders.MakeDeployment("other").Replicas(1).Obj())
	change := `{"data":{"GREETING":"good day"}}`
	want := []string{
		"sluice: this change of configmap/app (key GREETING) starts a release of deployment/api, deployment/web",
		"sluice: pods that run already may read it before it is approved",
	}
	dry := n.Kubectl("patch", "configmap/app", "-p", change, "--dry-run=server")
	require.Equal(t, want, dry.Warnings(), dry)
	require.Equal(t, want, n.Edit("configmap/app", "hello", "good day").Warnings())
	applied := n.Kubectl("apply", "--server-side", "--force-conflicts", "-f", n.Manifest(configMap("app", "good evening")))
	require.Equal(t, want, applied.Warnings(), applied)

	require.Empty(t, n.Kubectl("label", "configmap/app", "team=shop").Warnings(), "content stays")
	n.Kubectl("annotate", "deployment/api", canary.ConfigAnnotation+"=ignore")
	patched := n.Kubectl("patch", "configmap/app", "-p", change)
	require.Equal(t, []string{
		"sluice: this change of configmap/app (key GREETING) starts a release of deployment/web", want[1],
	}, patched.Warnings(), patched)

	native := env.Namespace(t, harness.Annotation(canary.CanaryAnnotation, "disabled"))
	createConfigMap(t, native, "hello")
	native.Create(web().EnvFromConfigMap("app").Obj())
	patched = native.Kubectl("patch", "configmap/app", "-p", change)
	require.Equal(t, []string{
		"sluice: this change of configmap/app (key GREETING) rolls out natively, without a canary: deployment/web",
	}, patched.Warnings(), patched)

	out := env.Namespace(t, harness.OptedOut)
	createConfigMap(t, out, "hello")
	out.Create(web().EnvFromConfigMap("app").Obj())
	require.Empty(t, out.Kubectl("patch", "configmap/app", "-p", change).Warnings())
	_, answered := out.EditsOfConfig()
	require.Empty(t, answered)
}

// TestEditOfWhatNobodysPodsReadNeverReachesSluice: the machinery writes more Secrets than people do.
func TestEditOfWhatNobodysPodsReadNeverReachesSluice(t *testing.T) {
	t.Parallel()
	for name, helm := range helms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Run(helm.tool, "install", "web", harness.Chart(), "--set", "replicas=1,image="+v1, "--wait")
			n.Run(helm.tool, "upgrade", "web", harness.Chart(), "--set", "replicas=1,image="+v1)
			secrets := n.Admin.CoreV1().Secrets(n.Name)
			_, err := secrets.Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "token", Annotations: map[string]string{corev1.ServiceAccountNameKey: "default"}},
				Type:       corev1.SecretTypeServiceAccountToken,
			}, createOptions)
			require.NoError(t, err)
			n.Eventually("the token is made", func(ctx context.Context) error {
				token, err := secrets.Get(ctx, "token", getOptions)
				if err == nil && len(token.Data[corev1.ServiceAccountTokenKey]) == 0 {
					err = errors.New("it is empty")
				}
				return err
			})
			n.Kubectl("create", "secret", "generic", "db", "--from-literal=password=1")
			patched := n.Kubectl("patch", "secret/db", "-p", `{"stringData":{"password":"2"}}`)
			require.Empty(t, patched.Warnings(), "nobody uses it")

			edits, answered := n.EditsOfConfig()
			require.Positive(t, edits["secrets/sh.helm.release.v1.web.v1"])
			require.Positive(t, edits["secrets/sh.helm.release.v1.web.v2"])
			require.Positive(t, edits["secrets/token"])
			require.Equal(t, map[string]int{"secrets/db": 1}, answered)
		})
	}
}

// TestEditOfConfigPassesWhileSluiceIsDown is not parallel: everybody's sluice is down.
func TestEditOfConfigPassesWhileSluiceIsDown(t *testing.T) {
	n := env.Namespace(t)
	createConfigMap(t, n, "hello")
	n.Create(web().EnvFromConfigMap("app").Obj())
	env.Sluice().Kill()
	edited := n.Edit("configmap/app", "hello", "good day")
	require.Empty(t, edited.Warnings(), edited)
	stored, err := n.Admin.CoreV1().ConfigMaps(n.Name).Get(t.Context(), "app", getOptions)
	require.NoError(t, err)
	require.Equal(t, "good day", stored.Data["GREETING"])
	_, err = env.StartSluice(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, n.Edit("configmap/app", "good day", "hello").Warnings())
}

// TestEditOfLargeConfigOfManyWorkloadsIsWarnedOfToo: as large as the API server stores it, and more workloads than one
// page of a list has.
func TestEditOfLargeConfigOfManyWorkloadsIsWarnedOfToo(t *testing.T) {
	t.Parallel()
	const count = 120
	n := env.Namespace(t)
	large := configMap("app", strings.Repeat("x", 1<<20-100))
	_, err := n.Admin.CoreV1().ConfigMaps(n.Name).Create(t.Context(), large, createOptions)
	require.NoError(t, err)
	for i := range count {
		d := builders.MakeDeployment(fmt.Sprintf("web-%d", i)).Replicas(0).EnvFromConfigMap("app").Obj()
		_, err := n.Admin.AppsV1().Deployments(n.Name).Create(t.Context(), d, createOptions)
		require.NoError(t, err)
	}
	warnings := n.Kubectl("patch", "configmap/app", "-p", `{"data":{"GREETING":"good day"}}`).Warnings()
	require.Len(t, warnings, 1)
	named, rest, found := strings.Cut(strings.TrimPrefix(warnings[0],
		"sluice: this change of configmap/app (key GREETING) rolls out natively, without a canary: deployment/web-0, "), " and ")
	require.True(t, found, warnings)
	require.Equal(t, fmt.Sprintf("%d more", count-1-strings.Count(named, "deployment/")), rest)
}
