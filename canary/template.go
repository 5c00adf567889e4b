package canary

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"sluice.dev/sluice/hashing"
)

// HashTemplate returns the hash of a pod template: 32 hexadecimal digits of SHA-256 over its JSON with
// sorted keys, without sluice's digest and the pod-template-hash label. Equal templates have equal
// hashes, whatever library version decoded them.
func HashTemplate(template json.RawMessage) (string, error) {
	fields, err := decodeTemplate(template)
	if err != nil {
		return "", err
	}
	removeKey(fields, "annotations", hashing.AnnotationConfigHash)
	removeKey(fields, "labels", appsv1.DefaultDeploymentUniqueLabelKey)
	if metadata, ok := fields["metadata"].(map[string]any); ok && metadata["creationTimestamp"] == nil {
		delete(metadata, "creationTimestamp") // some versions of the API server write null, some nothing
	}
	canonical, err := json.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("encoding the pod template: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:16]), nil
}

// TemplateDigest returns the config digest of a pod template, empty where there is none.
func TemplateDigest(template json.RawMessage) (string, error) {
	if !bytes.Contains(template, []byte(hashing.AnnotationConfigHash)) {
		return "", nil // the API server writes it in plain letters
	}
	var t struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(template, &t); err != nil {
		return "", fmt.Errorf("decoding the pod template: %w", err)
	}
	return t.Metadata.Annotations[hashing.AnnotationConfigHash], nil
}

// CanaryHash returns the pod-template-hash of a release's canary ReplicaSet, which is also the last
// part of its name. It differs between releases, so that no two ReplicaSets share one.
func CanaryHash(r *Release) string {
	return shortHash(r.Canary.Hash + "/" + r.Canary.Digest + "/" + strconv.FormatInt(r.ID, 10))
}

// shortHash returns ten characters that are valid anywhere in a Kubernetes name.
func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return rand.SafeEncodeString(hex.EncodeToString(sum[:]))[:10]
}

func decodeTemplate(template json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(template))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("decoding the pod template: %w", err)
	}
	return fields, nil
}

// removeKey removes metadata.<field>.<key>, and the field where nothing else is in it.
func removeKey(template map[string]any, field, key string) {
	metadata, _ := template["metadata"].(map[string]any)
	entries, _ := metadata[field].(map[string]any)
	delete(entries, key)
	if len(entries) == 0 {
		delete(metadata, field)
	}
}
