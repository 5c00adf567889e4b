package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
)

var update = flag.Bool("update", false, "write the contract files of testdata anew")

// contract is what the API server gets back, as it stands in response.json.
type contract struct {
	Allowed          bool                `json:"allowed"`
	Code             int32               `json:"code"`
	Reason           metav1.StatusReason `json:"reason,omitempty"`
	Message          string              `json:"message,omitempty"`
	Warnings         []string            `json:"warnings,omitempty"`
	AuditAnnotations map[string]string   `json:"auditAnnotations,omitempty"`
}

// TestContract posts testdata/<case>/review.json to a server whose cluster holds cluster.yaml, and
// compares with response.json and patch.json (absent: no patch).
func TestContract(t *testing.T) {
	folders, err := filepath.Glob("testdata/*/review.json")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, file := range folders {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			review := readReview(t, file)
			s := cluster{objects: readCluster(t, filepath.Join(folder, "cluster.yaml"))}.server(t)
			got := admit(t, s, MutatePath, review)
			compare(t, filepath.Join(folder, "response.json"), contract{
				Allowed: got.Allowed, Code: got.Result.Code, Reason: got.Result.Reason, Message: got.Result.Message,
				Warnings: got.Warnings, AuditAnnotations: got.AuditAnnotations,
			})
			compare(t, filepath.Join(folder, "patch.json"), json.RawMessage(got.Patch))

			dry := true
			review.Request.DryRun = &dry
			require.Equal(t, got, admit(t, s, MutatePath, review), "a dry-run gets the same answer")
			if got.Allowed && review.Request.Operation != admissionv1.Delete {
				requireApplied(t, s, review, got)
			}
		})
	}
}

// requireApplied applies the patch as the API server does, and checks that the result is what sluice
// wants: the same review again gets no patch, and /validate lets it pass.
func requireApplied(t testing.TB, s *Server, review admissionv1.AdmissionReview, response *admissionv1.AdmissionResponse) {
	before := review.Request.Object.Raw
	after := applyPatch(t, before, response.Patch)
	requireTyped(t, review.Request.Kind.Kind, after)
	requireSurvives(t, before, after)

	again := review.DeepCopy()
	again.Request.Object.Raw = after
	repeated := admit(t, s, MutatePath, *again)
	require.True(t, repeated.Allowed)
	require.Empty(t, string(repeated.Patch), "an object that is already handled gets no patch")

	final := admit(t, s, ValidatePath, *again)
	require.True(t, final.Allowed, final.Result.Message)
	require.Empty(t, final.Patch)
	if gates(t, response.Patch) {
		ungated := review.DeepCopy()
		if notes(t, review) { // without the digest it rolls nothing
			ungated.Request.Object.Raw = applyPatch(t, before, onTemplate(t, response.Patch))
		}
		undone := admit(t, s, ValidatePath, *ungated)
		require.False(t, undone.Allowed, "an object without the patch must not be stored")
	}
}

// gates tells whether the patch sets what holds a release.
func gates(t testing.TB, patch []byte) bool {
	var operations []struct{ Path string }
	if len(patch) > 0 {
		require.NoError(t, json.Unmarshal(patch, &operations))
	}
	for _, operation := range operations {
		for _, path := range []string{"/metadata/labels", "/spec/paused", "/spec/strategy", "/spec/updateStrategy"} {
			if strings.HasPrefix(operation.Path, path) {
				return true
			}
		}
	}
	return false
}

// notes tells whether sluice notes what it saw of the config.
func notes(t testing.TB, review admissionv1.AdmissionReview) bool {
	if review.Request.UserInfo.Username != DefaultUser || review.Request.Operation != admissionv1.Update {
		return false
	}
	var seen []string
	for _, raw := range [][]byte{review.Request.OldObject.Raw, review.Request.Object.Raw} {
		w, err := canary.DecodeWorkload(raw)
		require.NoError(t, err)
		seen = append(seen, w.Metadata.Annotations[canary.ConfigSeenAnnotation])
	}
	return seen[1] != "" && seen[0] != seen[1]
}

// onTemplate returns the operations of a patch that concern the template.
func onTemplate(t testing.TB, patch []byte) []byte {
	var operations, kept []map[string]any
	require.NoError(t, json.Unmarshal(patch, &operations))
	for _, operation := range operations {
		if path, _ := operation["path"].(string); strings.HasPrefix(path, "/spec/template") {
			kept = append(kept, operation)
		}
	}
	raw, err := json.Marshal(kept)
	require.NoError(t, err)
	return raw
}

func applyPatch(t testing.TB, object, patch []byte) []byte {
	if len(patch) == 0 {
		return object
	}
	operations, err := jsonpatch.DecodePatch(patch)
	require.NoError(t, err)
	patched, err := operations.Apply(object)
	require.NoError(t, err, "patch %s of %s", patch, object)
	return patched
}

// laterField is the field of a pod that no library knows yet.
const laterField = `"fieldOfALaterVersion":{"level":3}`

// requireTyped decodes strictly: an unknown field that the patch had brought would be an error.
func requireTyped(t testing.TB, kind string, object []byte) {
	known := bytes.ReplaceAll(compact(t, object), []byte(","+laterField), nil)
	known = bytes.ReplaceAll(known, []byte(laterField+","), nil)
	var typed any
	switch kind {
	case "Deployment":
		typed = &appsv1.Deployment{}
	case "StatefulSet":
		typed = &appsv1.StatefulSet{}
	case "DaemonSet":
		typed = &appsv1.DaemonSet{}
	}
	strict, err := kjson.UnmarshalStrict(known, typed)
	require.NoError(t, err)
	require.Empty(t, strict)
}

func requireSurvives(t testing.TB, before, after []byte) {
	had := bytes.Contains(compact(t, before), []byte(laterField))
	require.Equal(t, had, bytes.Contains(compact(t, after), []byte(laterField)))
}

func compact(t testing.TB, raw []byte) []byte {
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, raw))
	return b.Bytes()
}

func readReview(t testing.TB, file string) admissionv1.AdmissionReview {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var review admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(raw, &review))
	return review
}

// readCluster reads the Namespaces, ConfigMaps and Secrets of a cluster.
func readCluster(t testing.TB, file string) []client.Object {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var objects []client.Object
	for decoder := yaml.NewYAMLToJSONDecoder(bytes.NewReader(raw)); ; {
		var document json.RawMessage
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return objects
		}
		var kind metav1.TypeMeta
		require.NoError(t, json.Unmarshal(document, &kind))
		object := map[string]client.Object{
			"Namespace": &corev1.Namespace{}, "ConfigMap": &corev1.ConfigMap{}, "Secret": &corev1.Secret{},
		}[kind.Kind]
		require.NoError(t, json.Unmarshal(document, object))
		objects = append(objects, object)
	}
}

// compare compares a value with a file, or writes it there. Nothing is no file.
func compare(t testing.TB, file string, got any) {
	var encoded []byte
	if raw, ok := got.(json.RawMessage); !ok || len(raw) > 0 {
		var err error
		encoded, err = json.MarshalIndent(got, "", "  ")
		require.NoError(t, err)
		encoded = append(encoded, '\n')
	}
	if *update {
		if encoded == nil {
			require.NoError(t, ignoreNoFile(os.Remove(file)))
			return
		}
		require.NoError(t, os.WriteFile(file, encoded, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, ignoreNoFile(err))
	require.Equal(t, string(want), string(encoded))
}

func ignoreNoFile(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
