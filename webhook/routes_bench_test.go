package webhook

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary/traffic/split"
)

// BenchmarkRoute is a review of a route during a release, of as many rules as the Gateway API allows: one that
// changes nothing, its chart's PUT, and the PUT of a route that everything can be done to, of 1 MB with a record
// that somebody made up. Decoding and encoding included.
//
//	go test ./webhook -run '^$' -bench Route
func BenchmarkRoute(b *testing.B) {
	s := noReads.server(b)
	review := readReview(b, "testdata/routes/share-of-an-httproute/review.json")
	plain := decodedRoute(b, review.Request.OldObject.Raw)
	spec := plain.Object["spec"].(map[string]any)
	rule := spec["rules"].([]any)[0]
	for len(spec["rules"].([]any)) < 16 {
		spec["rules"] = append(spec["rules"].([]any), rule)
	}
	value, err := split.Ask(plain, "web", &split.Share{Names: split.NamesOf("web"), Weight: 20, Workload: "Deployment/web"})
	require.NoError(b, err)
	asked := plain.DeepCopy()
	asked.SetAnnotations(map[string]string{split.RecordAnnotation: value})
	review.Request.OldObject.Raw, review.Request.Object.Raw = encodedRoute(b, plain), encodedRoute(b, asked)
	stored := requireRouted(b, s, review, admitRoute(b, s, review))
	review.Request.UserInfo.Username = "helm"
	for name, object := range map[string][]byte{"the same": stored, "its chart's PUT": encodedRoute(b, plain)} {
		review.Request.OldObject.Raw, review.Request.Object.Raw = stored, object
		body, err := json.Marshal(review)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				post(s, MutateRoutesPath, body)
			}
		})
	}

	var backends []any
	for len(backends) < 12_000 {
		backends = append(backends, map[string]any{"name": "web-stable", "port": int64(80), "weight": int64(80)}, map[string]any{"name": "web-canary", "port": int64(80), "weight": int64(20)})
	}
	forged := map[string]any{}
	for i := range 32 {
		forged[fmt.Sprint("s", i)] = map[string]any{"stable": fmt.Sprint("a", i), "canary": fmt.Sprint("b", i)}
	}
	record, err := json.Marshal(forged)
	require.NoError(b, err)
	asked.SetAnnotations(map[string]string{split.RecordAnnotation: string(record)})
	asked.Object["spec"] = map[string]any{"rules": []any{map[string]any{"backendRefs": backends}}}
	review.Request.Object.Raw = encodedRoute(b, asked)
	body, err := json.Marshal(review)
	require.NoError(b, err)
	b.Run("a record made up", func(b *testing.B) {
		for b.Loop() {
			post(s, MutateRoutesPath, body)
		}
	})
}
