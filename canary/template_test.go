package canary

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"pgregory.net/rapid"

	"sluice.dev/sluice/hashing"
)

// hashDecoded defines HashTemplate: the template is decoded, changed and encoded again.
func hashDecoded(template []byte) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(template))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return "", err
	}
	metadata, _ := fields["metadata"].(map[string]any)
	for field, key := range map[string]string{"annotations": hashing.AnnotationConfigHash, "labels": appsv1.DefaultDeploymentUniqueLabelKey} {
		entries, _ := metadata[field].(map[string]any)
		delete(entries, key)
		if len(entries) == 0 {
			delete(metadata, field)
		}
	}
	if metadata["creationTimestamp"] == nil {
		delete(metadata, "creationTimestamp")
	}
	canonical, err := json.Marshal(fields)
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:16]), err
}

func requireHashOfDecoded(t require.TestingT, template []byte) {
	want, wantErr := hashDecoded(template)
	got, err := HashTemplate(template)
	if wantErr != nil || !json.Valid(template) { // a decoder does not look at what follows
		require.Error(t, err, "%q", template)
		return
	}
	require.NoError(t, err, "%q", template)
	require.Equal(t, want, got, "%q", template)
}

// strangeTemplates are those that decoding changes most.
var strangeTemplates = []string{
	`{}`, ` { } `, `null`, `[]`, `"x"`, `1`, `true`, ``, `{`, `{}}`, `{"a":}`, `{"a":01}`, "{\"a\":\"\n\"}", "\ufeff{}",
	"\t{\r\n\"b\" : [ 1 , 2,[ ] ,{ } ] ,\"a\":\"x y\"\n}\n",
	`{"b":1,"a":2,"aa":3,"a ":4,"a!":5,"":6,"B":7}`,
	`{"a":1,"b":2,"a":3}`, `{"a":{"b":1},"a":{"c":2}}`, `{"a":1,"\u0061":2}`, `{"\u0061":1,"a":2}`,
	`{"a":[0,-0,1.0,1e5,1E+5,1e-5,100000000000000000000000,0.1000]}`,
	`{"a":"\u003c\u003C<\u003e>\u0026&\u2028\u2029\/\\\"\b\f\n\r\t\u0000\u001F\u007f"}`,
	"{\"a\":\"é\u2028\u2029\u007f😀\"}", `{"a":"\ud83d\ude00\ud800\udc00\ud800x\udc00\u00e9"}`,
	"{\"a\":\"\xff\xc3\xed\xa0\x80\"}", "{\"\xff\":1,\"\ufffd\":2,\"\xfe\":3}",
	`{"<":1,"\u003c":2,"é":3,"\u00e9":4,"\\":5,"\"":6}`,
	`{"metadata":null}`, `{"metadata":[]}`, `{"metadata":"x"}`, `{"metadata":{}}`,
	`{"metadata":{"annotations":null,"labels":[],"creationTimestamp":null}}`,
	`{"metadata":{"annotations":"x","labels":1,"creationTimestamp":"2026-10-01T08:00:00Z"}}`,
	`{"metadata":{"annotations":{},"labels":{"pod-template-hash":{"a":[1]}}}}`,
	`{"metadata":{"annotations":{"sluice.dev/config-hash":"x","sluice.dev/config-hash":"y"},"labels":{"pod-template-hash":"x","a":"b"}}}`,
	`{"metadata":{"annotations":{"sluice.dev\/config-hash":"x"},"\u006cabels":{"pod-template-\u0068ash":"x"}}}`,
	`{"metadata":{"labels":{"a":"b"},"labels":{"pod-template-hash":"x"}}}`,
	`{"metadata":{"labels":{"pod-template-hash":"x"},"labels":{"a":"b"}}}`,
	`{"metadata":{"creationTimestamp":null,"creationTimestamp":1}}`, `{"metadata":{"creationTimestamp":1,"creationTimestamp":null}}`,
	`{"metadata":{"labels":{}},"metadata":{"name":"x"}}`, `{"metadata":{"name":"x"},"metadata":{"labels":{}}}`,
	`{"spec":{"metadata":{"labels":{"pod-template-hash":"x"},"creationTimestamp":null}},"labels":{}}`,
}

func TestTheHashIsThatOfTheDecodedTemplate(t *testing.T) {
	t.Run("strange templates", func(t *testing.T) {
		for _, template := range strangeTemplates {
			requireHashOfDecoded(t, []byte(template))
		}
	})
	t.Run("templates of the contract files", func(t *testing.T) {
		for _, template := range contractTemplates(t) {
			requireHashOfDecoded(t, template)
		}
	})
	t.Run("random templates", rapid.MakeCheck(func(t *rapid.T) {
		requireHashOfDecoded(t, []byte(drawObject(t, 6)))
	}))
	t.Run("as deep as encoding/json goes", func(t *testing.T) {
		for _, depth := range []int{9_999, 10_000, 20_000} {
			requireHashOfDecoded(t, []byte(strings.Repeat(`{"b":`, depth)+`1`+strings.Repeat(`,"a":0}`, depth)))
			requireHashOfDecoded(t, []byte(`{"a":`+strings.Repeat(`[`, depth-1)+strings.Repeat(`]`, depth)))
		}
	})
}

func FuzzHashTemplate(f *testing.F) {
	for _, template := range strangeTemplates {
		f.Add([]byte(template))
	}
	for _, template := range contractTemplates(f) {
		f.Add([]byte(template))
	}
	f.Fuzz(func(t *testing.T, template []byte) { requireHashOfDecoded(t, template) })
}

// contractTemplates returns the pod templates of the webhook's contract files.
func contractTemplates(t testing.TB) []json.RawMessage {
	files, err := filepath.Glob("../webhook/testdata/*/review.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var templates []json.RawMessage
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		type object struct {
			Spec struct{ Template json.RawMessage }
		}
		var review struct {
			Request struct{ Object, OldObject object }
		}
		require.NoError(t, json.Unmarshal(raw, &review), file)
		for _, o := range []object{review.Request.Object, review.Request.OldObject} {
			if len(o.Spec.Template) > 0 {
				templates = append(templates, o.Spec.Template)
			}
		}
	}
	return templates
}

// drawObject returns the text of an object. Names repeat, and some are those that hashing looks for.
func drawObject(t *rapid.T, depth int) string {
	members := make([]string, rapid.IntRange(0, 4).Draw(t, "members"))
	for i := range members {
		name := rapid.OneOf(rapid.SampledFrom([]string{
			`"metadata"`, `"annotations"`, `"labels"`, `"creationTimestamp"`, `"sluice.dev/config-hash"`, `"pod-template-hash"`, `"a"`, `"\u0061"`,
		}), rapid.Custom(drawString)).Draw(t, "name")
		members[i] = drawSpace(t) + name + drawSpace(t) + ":" + drawValue(t, depth-1)
	}
	return drawSpace(t) + "{" + strings.Join(members, ",") + drawSpace(t) + "}" + drawSpace(t)
}

func drawValue(t *rapid.T, depth int) string {
	kinds := []string{"string", "word", "object", "object", "array"}
	if depth == 0 {
		kinds = kinds[:2]
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "string":
		return drawString(t)
	case "word":
		return drawSpace(t) + rapid.SampledFrom([]string{`null`, `true`, `false`, `0`, `-0.50`, `1E+2`, `12345678901234567890`}).Draw(t, "word") + drawSpace(t)
	case "object":
		return drawObject(t, depth)
	}
	elements := make([]string, rapid.IntRange(0, 3).Draw(t, "elements"))
	for i := range elements {
		elements[i] = drawValue(t, depth-1)
	}
	return drawSpace(t) + "[" + strings.Join(elements, ",") + "]"
}

func drawString(t *rapid.T) string {
	pieces := rapid.SliceOfN(rapid.SampledFrom([]string{
		"a", "b", " ", "<", ">", "&", "'", "é", "\u2028", "😀", "\xff", "\xc3", "\x7f", "{", "]", ",", ":",
		`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, `\u003c`, `\u003C`, `\u003e`, `\u0026`, `\u0061`, `\u0000`, `\u2029`, `\ud83d`, `\ude00`,
	}), 0, 6).Draw(t, "pieces")
	return `"` + strings.Join(pieces, "") + `"`
}

func drawSpace(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", " ", "\n\t\r "}).Draw(t, "space")
}

// templateWith returns a template with so many env entries, as the API server writes it.
func templateWith(vars int) json.RawMessage {
	env := make([]string, vars)
	for i := range env {
		env[i] = fmt.Sprintf(`{"name":"SETTING_%d","value":"https://example.org/%d?a=1\u0026b=\"2\""}`, i, i)
	}
	return json.RawMessage(`{"metadata":{"creationTimestamp":null,"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","env":[` + strings.Join(env, ",") + `]}]}}`)
}

func TestHashingALargeTemplateMakesNoMoreGarbage(t *testing.T) {
	allocations := func(template json.RawMessage) float64 {
		return testing.AllocsPerRun(10, func() {
			_, err := HashTemplate(template)
			require.NoError(t, err)
		})
	}
	require.LessOrEqual(t, allocations(templateWith(1_000)), allocations(templateWith(10))+5, "but for slices that grow")
}

func BenchmarkHashTemplate(b *testing.B) {
	for _, vars := range []int{50, 1_500} {
		template := templateWith(vars)
		for name, hash := range map[string]func([]byte) (string, error){
			"decoded": hashDecoded, "read": func(raw []byte) (string, error) { return HashTemplate(raw) },
		} {
			b.Run(fmt.Sprintf("%dKB/%s", len(template)>>10, name), func(b *testing.B) {
				b.SetBytes(int64(len(template)))
				b.ReportAllocs()
				for b.Loop() {
					_, err := hash(template)
					require.NoError(b, err)
				}
			})
		}
	}
}
