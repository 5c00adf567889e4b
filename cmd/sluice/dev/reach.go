package dev

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A probe is a webhook that selects only a test object of dev's, created as a
// dry-run, and calls a path that sluice does not serve. So the error that the
// person's client gets tells everything: which webhook was called, so that its
// configuration is in force in the API server, and that the call arrived here
// over a connection that it trusts, or else why not.
const (
	probeLabel = "dev.sluice.dev/probe"
	probePath  = "/probe"
	// answered is how the API server tells a 404.
	answered = "could not find the requested resource"
)

const (
	reachTimeout  = 15 * time.Second
	reachInterval = 50 * time.Millisecond
)

// probeName names a probe; a generation of its own tells what is in force now
// from what was before.
func probeName(generation string) string {
	return generation + ".probe.sluice.dev"
}

// withProbe returns the configuration with a probe beside its webhooks, or with
// nothing else.
func withProbe(configuration *unstructured.Unstructured, base, generation string, only bool) *unstructured.Unstructured {
	probed := configuration.DeepCopy()
	var webhooks []any
	if !only {
		webhooks, _, _ = unstructured.NestedSlice(probed.Object, "webhooks") // ours: a list of maps
	}
	probe := map[string]any{
		"name":                    probeName(generation),
		"admissionReviewVersions": []any{"v1"},
		"clientConfig":            map[string]any{"url": strings.TrimSuffix(base, "/") + probePath},
		"failurePolicy":           "Fail",
		"sideEffects":             "None",
		"timeoutSeconds":          int64(5),
		"objectSelector":          map[string]any{"matchLabels": map[string]any{probeLabel: configuration.GetKind()}},
		"rules": []any{map[string]any{
			"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "resources": []any{"configmaps"},
			"operations": []any{"CREATE"}, "scope": "Namespaced",
		}},
	}
	probed.Object["webhooks"] = append(webhooks, probe)
	return probed
}

// trust gives every webhook of the configuration the bundle.
func trust(configuration *unstructured.Unstructured, bundle []byte) {
	webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks") // ours: a list of maps
	for _, webhook := range webhooks {
		entry, _ := webhook.(map[string]any)
		// Cannot fail: clientConfig is a map.
		_ = unstructured.SetNestedField(entry, base64.StdEncoding.EncodeToString(bundle), "clientConfig", "caBundle")
	}
	configuration.Object["webhooks"] = webhooks
}

// bundle is the first caBundle of a configuration, nil where there is none.
func bundle(configuration *unstructured.Unstructured) []byte {
	webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	for _, webhook := range webhooks {
		entry, _ := webhook.(map[string]any)
		text, _, _ := unstructured.NestedString(entry, "clientConfig", "caBundle")
		if decoded, err := base64.StdEncoding.DecodeString(text); err == nil && len(decoded) > 0 {
			return decoded
		}
	}
	return nil
}

// reach returns once the API server has called through the probe.
func reach(ctx context.Context, c client.Client, namespace, kind, generation string) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	var last error
	for tries := 0; ; tries++ {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "sluice-dev-probe", Labels: map[string]string{probeLabel: kind},
		}}
		err := c.Create(ctx, object, client.DryRunAll)
		if called(err, generation) && strings.Contains(err.Error(), answered) {
			return nil
		}
		// What was answered says more than that the time ended during a further try.
		if ctx.Err() == nil || tries == 0 {
			last = err
		}
		select {
		case <-ctx.Done():
			return unreached(last, generation)
		case <-time.After(reachInterval):
		}
	}
}

func called(err error, generation string) bool {
	return err != nil && strings.Contains(err.Error(), `"`+probeName(generation)+`"`)
}

// unreached says why the API server did not get through.
func unreached(err error, generation string) error {
	const hint = "is --url an address of this machine that the API server can reach?" +
		" With a cluster elsewhere, give it a tunnel or this machine's address, and listen there with --listen"
	switch {
	case called(err, generation):
		_, reason, _ := strings.Cut(err.Error(), "failed to call webhook: ")
		return fmt.Errorf("the API server cannot call this process: %s; %s", reason, hint)
	case err != nil:
		return fmt.Errorf("trying whether the API server calls this process: %w", err)
	}
	return fmt.Errorf("the API server has not called this process within %s; %s", reachTimeout, hint)
}
