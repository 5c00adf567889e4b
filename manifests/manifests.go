package manifests

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Namespace is where sluice runs, and Name what its ServiceAccount, Deployment,
// Service and both webhook configurations are called.
const (
	Namespace = "sluice-system"
	Name      = "sluice"
)

// OwnershipName is the webhook configuration of further resources whose fields have owners.
const OwnershipName = "sluice-ownership"

// Version is the release whose image the Deployment runs.
const Version = "v0.1.0"

// The files are named one by one, because install.yaml must not be among them.
//
//go:embed namespace.yaml serviceaccount.yaml rbac.yaml resourcequota.yaml
//go:embed service.yaml networkpolicy.yaml pdb.yaml deployment.yaml
//go:embed policy.yaml webhooks.yaml
var files embed.FS

//go:embed pin.yaml
var pin []byte

//go:embed ownership.yaml
var ownership []byte

// order is the order of applying.
var order = []string{
	"namespace.yaml",
	"serviceaccount.yaml",
	"rbac.yaml",
	"resourcequota.yaml",
	"service.yaml",
	"networkpolicy.yaml",
	"pdb.yaml",
	"deployment.yaml",
	"policy.yaml",
	"webhooks.yaml",
}

// Objects returns every object that makes up sluice, in the order of applying.
// The caller owns them.
func Objects() ([]*unstructured.Unstructured, error) {
	var objs []*unstructured.Unstructured
	for _, name := range order {
		content, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading manifest %s: %w", name, err)
		}
		decoded, err := decode(content)
		if err != nil {
			return nil, fmt.Errorf("decoding manifest %s: %w", name, err)
		}
		objs = append(objs, decoded...)
	}
	return objs, nil
}

func decode(content []byte) ([]*unstructured.Unstructured, error) {
	var objs []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content))
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(obj)
		if errors.Is(err, io.EOF) {
			return objs, nil
		}
		if err != nil {
			return nil, err
		}
		objs = append(objs, obj)
	}
}

// Pin returns the objects that sluice.dev/config: pin needs beside those, in the
// order of applying. They are in no install.yaml: who does not pin gives sluice
// no right to write ConfigMaps and Secrets. The caller owns them.
func Pin() ([]*unstructured.Unstructured, error) {
	objs, err := decode(pin)
	if err != nil {
		return nil, fmt.Errorf("decoding manifest pin.yaml: %w", err)
	}
	return objs, nil
}

// Ownership returns the objects that have sluice judge who owns the fields of further resources, in the order of
// applying. Operators change their rules. The caller owns them.
func Ownership() ([]*unstructured.Unstructured, error) {
	objs, err := decode(ownership)
	if err != nil {
		return nil, fmt.Errorf("decoding manifest ownership.yaml: %w", err)
	}
	return objs, nil
}

// Install returns the content of install.yaml.
func Install() ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# sluice %s: kubectl apply -f install.yaml\n", Version)
	out.WriteString("# Made from the other files of this folder; change those.\n")
	for _, name := range order {
		content, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading manifest %s: %w", name, err)
		}
		out.WriteString("---\n")
		out.Write(content)
	}
	return out.Bytes(), nil
}
