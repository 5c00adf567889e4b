package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/manifests"
)

// plugin is what krew reads of a manifest.
type plugin struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Version          string `json:"version"`
		Homepage         string `json:"homepage"`
		ShortDescription string `json:"shortDescription"`
		Description      string `json:"description"`
		Caveats          string `json:"caveats"`
		Platforms        []struct {
			Selector *metav1.LabelSelector `json:"selector"`
			URI      string                `json:"uri"`
			SHA256   string                `json:"sha256"`
			Bin      string                `json:"bin"`
			Files    []struct {
				From string `json:"from"`
				To   string `json:"to"`
			} `json:"files"`
		} `json:"platforms"`
	} `json:"spec"`
}

// packed makes an archive of a program that says which platform it is for.
func packed(t *testing.T, p platform) archive {
	t.Helper()
	folder := t.TempDir()
	program, license := filepath.Join(folder, p.binary()), filepath.Join(folder, "LICENSE")
	require.NoError(t, os.WriteFile(program, []byte(p.os+p.arch), 0o600))
	require.NoError(t, os.WriteFile(license, []byte("Apache"), 0o600))
	a, err := p.pack(folder, program, license)
	require.NoError(t, err)
	again, err := p.pack(t.TempDir(), program, license)
	require.NoError(t, err)
	require.Equal(t, a, again, "the same files give the same archive")
	requireContent(t, filepath.Join(folder, a.Name), a, p.os+p.arch)
	return a
}

func requireContent(t *testing.T, file string, a archive, program string) {
	t.Helper()
	content, err := os.Open(file)
	require.NoError(t, err)
	defer content.Close()
	sum := sha256.New()
	unzipped, err := gzip.NewReader(io.TeeReader(content, sum))
	require.NoError(t, err)
	files := map[string]string{}
	for reader := tar.NewReader(unzipped); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		data, err := io.ReadAll(reader)
		require.NoError(t, err)
		files[header.Name] = string(data)
		require.Equal(t, header.Name == a.Binary, header.FileInfo().Mode()&0o111 != 0, "the program can be run")
	}
	_, err = io.Copy(io.Discard, io.TeeReader(content, sum))
	require.NoError(t, err)
	require.Equal(t, map[string]string{a.Binary: program, "LICENSE": "Apache"}, files)
	require.Equal(t, a.SHA256, hex.EncodeToString(sum.Sum(nil)))
}

func TestTheManifestIsWhatKrewReads(t *testing.T) {
	text, err := os.ReadFile("../krew.yaml")
	require.NoError(t, err)
	m := manifest{Version: manifests.Version}
	for _, p := range platforms {
		m.Archives = append(m.Archives, packed(t, p))
	}
	filled, err := m.fill(string(text))
	require.NoError(t, err)

	var p plugin
	require.NoError(t, yaml.UnmarshalStrict(filled, &p), string(filled))
	require.Equal(t, metav1.TypeMeta{APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin"}, p.TypeMeta)
	require.Equal(t, "sluice", p.Name, "the program is kubectl-<name>")
	require.Empty(t, validation.IsDNS1123Label(p.Name))
	_, err = version.ParseSemantic(p.Spec.Version)
	require.NoError(t, err)
	require.Equal(t, byte('v'), p.Spec.Version[0])
	require.Equal(t, manifests.Version, p.Spec.Version)
	require.NotEmpty(t, p.Spec.Description)
	require.NotEmpty(t, p.Spec.Caveats)
	require.Less(t, len(p.Spec.ShortDescription), 51, "krew's list has room for no more")
	_, err = url.ParseRequestURI(p.Spec.Homepage)
	require.NoError(t, err)
	require.Len(t, p.Spec.Platforms, len(platforms))
	for i, wanted := range m.Archives {
		got := p.Spec.Platforms[i]
		require.Equal(t, map[string]string{"os": wanted.OS, "arch": wanted.Arch}, got.Selector.MatchLabels)
		require.Equal(t, "https://github.com/sluice-dev/sluice/releases/download/"+manifests.Version+"/"+wanted.Name, got.URI)
		require.Equal(t, wanted.SHA256, got.SHA256)
		require.Regexp(t, `^[0-9a-f]{64}$`, got.SHA256)
		require.Equal(t, platforms[i].binary(), got.Bin)
		require.Len(t, got.Files, 2)
		require.Equal(t, got.Bin, got.Files[0].From, "krew runs what it unpacked")
		for _, file := range got.Files {
			require.Equal(t, ".", file.To)
		}
	}
}

func TestAPlatformIsThereOnce(t *testing.T) {
	seen := map[platform]bool{}
	for _, p := range platforms {
		require.False(t, seen[p], p)
		seen[p] = true
	}
	require.Contains(t, seen, platform{"linux", "amd64"})
}

func TestOnePlatformIsBuiltForByItsName(t *testing.T) {
	one, err := selected("darwin/arm64")
	require.NoError(t, err)
	require.Equal(t, []platform{{"darwin", "arm64"}}, one)
	_, err = selected("plan9/mips")
	require.EqualError(t, err, "-platform=plan9/mips: want one of linux/amd64, linux/arm64, darwin/amd64, darwin/arm64, windows/amd64")
}

func TestABrokenTemplateIsAnError(t *testing.T) {
	for _, text := range []string{"{{", "{{ .Nothing }}"} {
		_, err := manifest{}.fill(text)
		require.ErrorContains(t, err, "manifest", text)
	}
}

func TestWhatIsMissingIsNotPacked(t *testing.T) {
	_, err := platforms[0].pack(t.TempDir(), "no such file")
	require.ErrorContains(t, err, "reading what goes into the archive")
	require.ErrorContains(t, release(t.Context(), t.TempDir(), ""), "run this at the root of the repository")
}
