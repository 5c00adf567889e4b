package split

import (
	"errors"
	"fmt"
	"strconv"
)

// readCanary adds what the canary Ingress says.
func readCanary(reading *Reading, companion node, names Names) error {
	annotations, err := annotationsOf(companion)
	if err != nil {
		return err
	}
	if !isCanary(annotations) {
		return errors.New("metadata.annotations: the canary Ingress does not say that it is one by " + nginx + "canary: its Service gets all requests")
	}
	text, _ := annotations[nginx+"canary-weight"].(string)
	weight, err := strconv.ParseInt(text, 10, 32)
	if text != "" && (err != nil || weight < 0 || weight > 100) {
		return fmt.Errorf("metadata.annotations: %scanary-weight is %q, which is not a percentage from 0 to 100", nginx, text)
	}
	reading.Weight = max(reading.Weight, int32(weight)) // 0 to 100
	all, err := recordsOf(companion)
	if err != nil {
		return err
	}
	if annotations[nginx+"canary-by-header"] != nil || annotations[nginx+"canary-by-cookie"] != nil {
		reading.Match = all[names.Service].match()
	}
	return nil
}

// ingressFeatures are what else nginx does with the requests of an Ingress, as sentences.
func ingressFeatures(root node, names Names) ([]string, error) {
	annotations, err := annotationsOf(root)
	if err != nil {
		return nil, err
	}
	says := func(key string) bool { v, _ := annotations[nginx+key].(string); return v != "" && v != "false" }
	var sentences []string
	if says("affinity") && annotations[nginx+"affinity-canary-behavior"] != "legacy" {
		sentences = append(sentences, nginx+"affinity keeps sessions where they are: weight and match decide for new ones only, and sessions begin anew when a release does and when it ends")
	} else if says("affinity") {
		sentences = append(sentences, nginx+"affinity keeps sessions of the stable version where they are: weight and match decide for all other requests, and sessions begin anew when a release does and when it ends")
	}
	if says("upstream-hash-by") {
		sentences = append(sentences, nginx+"upstream-hash-by picks the pod within a version: requests that it keeps together can be of both versions")
	}
	if says("ssl-passthrough") {
		sentences = append(sentences, nginx+"ssl-passthrough sends connections on unread: nginx splits none of them, and all go to the stable version")
	}
	if says("mirror-target") {
		sentences = append(sentences, nginx+"mirror-target mirrors requests: the copies are not split")
	}
	backends, err := ingressBackends(root)
	if err != nil {
		return nil, err
	}
	if len(backends) > 0 && hasRules(root) {
		last := backends[len(backends)-1]
		if name := last.service.text("name"); last.path.at == "" && (name == names.Service || name == names.Stable) {
			sentences = append(sentences, "spec.defaultBackend: nginx splits the default backend of an Ingress without rules only: its requests go to the stable version")
		}
	}
	return sentences, nil
}
