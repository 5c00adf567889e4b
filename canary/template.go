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
//
// What is hashed is, byte for byte, what json.Marshal makes of the template decoded into map[string]any
// with numbers as json.Number: states in clusters hold such hashes.
func HashTemplate(template json.RawMessage) (string, error) {
	d, err := readDocument(template)
	if err != nil {
		return "", fmt.Errorf("decoding the pod template: %w", err)
	}
	if metadata := d.member(0, "metadata"); metadata > 0 {
		d.leaveOut(metadata, "annotations", hashing.AnnotationConfigHash)
		d.leaveOut(metadata, "labels", appsv1.DefaultDeploymentUniqueLabelKey)
		// Some versions of the API server write null, some nothing.
		if created := d.member(metadata, "creationTimestamp"); created > 0 && string(d.token(created)) == "null" {
			d.values[created].leftOut = true
		}
	}
	sum := sha256.Sum256(d.write(make([]byte, 0, len(template)), 0))
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
