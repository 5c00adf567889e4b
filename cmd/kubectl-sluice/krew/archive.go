package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// platform is one that krew knows.
type platform struct{ os, arch string }

var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"},
}

// selected returns the platform of that name, all for no name.
func selected(name string) ([]platform, error) {
	if name == "" {
		return platforms, nil
	}
	var names []string
	for _, p := range platforms {
		if p.String() == name {
			return []platform{p}, nil
		}
		names = append(names, p.String())
	}
	return nil, fmt.Errorf("-platform=%s: want one of %s", name, strings.Join(names, ", "))
}

func (p platform) String() string { return p.os + "/" + p.arch }

// binary is the plugin's file name.
func (p platform) binary() string {
	if p.os == "windows" {
		return "kubectl-sluice.exe"
	}
	return "kubectl-sluice"
}

// archive is what one platform downloads.
type archive struct {
	OS, Arch     string
	Name, SHA256 string
	Binary       string
}

// pack writes the archive of these files; the first one is the program.
func (p platform) pack(out string, files ...string) (archive, error) {
	var content bytes.Buffer
	zipped := gzip.NewWriter(&content)
	packed := tar.NewWriter(zipped)
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return archive{}, fmt.Errorf("reading what goes into the archive: %w", err)
		}
		header := &tar.Header{Name: filepath.Base(file), Mode: 0o644, Size: int64(len(data))} // without times and owners
		if i == 0 {
			header.Mode = 0o755
		}
		if err := packed.WriteHeader(header); err != nil {
			return archive{}, fmt.Errorf("packing %s: %w", file, err)
		}
		if _, err := packed.Write(data); err != nil {
			return archive{}, fmt.Errorf("packing %s: %w", file, err)
		}
	}
	for _, closer := range []interface{ Close() error }{packed, zipped} {
		if err := closer.Close(); err != nil {
			return archive{}, fmt.Errorf("packing the archive: %w", err)
		}
	}
	sum := sha256.Sum256(content.Bytes())
	a := archive{
		OS: p.os, Arch: p.arch, Binary: p.binary(), SHA256: hex.EncodeToString(sum[:]),
		Name: fmt.Sprintf("kubectl-sluice_%s_%s.tar.gz", p.os, p.arch),
	}
	if err := os.WriteFile(filepath.Join(out, a.Name), content.Bytes(), 0o644); err != nil {
		return archive{}, fmt.Errorf("writing the archive: %w", err)
	}
	return a, nil
}

// manifest is what fills the template.
type manifest struct {
	Version  string
	Archives []archive
}

func (m manifest) fill(text string) ([]byte, error) {
	parsed, err := template.New("krew.yaml").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest's template: %w", err)
	}
	var filled bytes.Buffer
	if err := parsed.Execute(&filled, m); err != nil {
		return nil, fmt.Errorf("filling in the manifest: %w", err)
	}
	return filled.Bytes(), nil
}
