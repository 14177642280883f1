package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestReferenceIsWhatContainerdNormalizesTo(t *testing.T) {
	for name, want := range map[string]string{
		"busybox":                "docker.io/library/busybox:latest",
		"drover/agent:1":         "docker.io/drover/agent:1",
		"drover.local/agent:1":   "drover.local/agent:1",
		"drover.local/a/b":       "drover.local/a/b:latest",
		"localhost:5000/agent":   "localhost:5000/agent:latest",
		"localhost/agent:latest": "localhost/agent:latest",
	} {
		if got := (Spec{Name: name}).Reference(); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
}

func TestFileArgument(t *testing.T) {
	file, err := ParseFile("a/b=/c")
	if err != nil || file != (File{Source: "a/b", Destination: "/c"}) {
		t.Errorf("got %v, %v", file, err)
	}
	for _, wrong := range []string{"a", "=/b", "a=b", "a="} {
		if _, err := ParseFile(wrong); err == nil {
			t.Errorf("%q was accepted", wrong)
		}
	}
}

func TestSameInputGivesSameBytes(t *testing.T) {
	first, second := pack(t, testSpec(t, time.Unix(1, 0), 0o755)), pack(t, testSpec(t, time.Now(), 0o700))
	if !bytes.Equal(first, second) {
		t.Error("times or modes of the sources show in the image")
	}
}

func TestArchiveIsWhole(t *testing.T) {
	spec := testSpec(t, time.Now(), 0o755)
	spec.User = "1000"
	spec.Entrypoint = []string{"/opt/program", "argument"}
	parts := unpack(t, pack(t, spec))
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	decode(t, parts["manifest.json"], &manifest)
	if len(manifest) != 1 || manifest[0].RepoTags[0] != "drover.local/test:1" {
		t.Fatalf("manifest: %+v", manifest)
	}
	var config struct {
		Config struct {
			User       string
			Entrypoint []string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	decode(t, parts[manifest[0].Config], &config)
	if config.Config.User != "1000" || len(config.Config.Entrypoint) != 2 {
		t.Errorf("config: %+v", config)
	}
	layer := parts[manifest[0].Layers[0]]
	sum := sha256.Sum256(layer)
	if want := "sha256:" + hex.EncodeToString(sum[:]); config.RootFS.DiffIDs[0] != want {
		t.Errorf("layer is %s, config says %v", want, config.RootFS.DiffIDs)
	}
	checkLayer(t, unpack(t, layer))
}

func checkLayer(t *testing.T, files map[string][]byte) {
	t.Helper()
	for name, want := range map[string]string{
		"opt/program":     "program",
		"opt/tree/a/file": "in a tree",
		"opt/tree/link":   "-> a/file",
		"bin/busybox":     "busybox",
		"bin/sh":          "-> /bin/busybox",
		"etc/group":       "root:x:0:\nnogroup:x:65534:\nuser:x:1000:\n",
		"opt/":            "",
		"opt/tree/a/":     "",
		"tmp/":            "",
	} {
		if got, exists := files[name]; !exists || string(got) != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

// testSpec has a program, a tree with a link and a pretended busybox.
func testSpec(t *testing.T, modified time.Time, mode os.FileMode) Spec {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{
		"program": "program", "busybox": "busybox", "tree/a/file": "in a tree",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a/file", filepath.Join(folder, "tree/link")); err != nil {
		t.Fatal(err)
	}
	return Spec{
		Name: "drover.local/test:1",
		Files: []File{
			{Source: filepath.Join(folder, "program"), Destination: "/opt/program"},
			{Source: filepath.Join(folder, "tree"), Destination: "/opt/tree"},
		},
		Busybox: filepath.Join(folder, "busybox"),
		Applets: []string{"sh", "ls"},
	}
}

func pack(t *testing.T, spec Spec) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := spec.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// unpack returns contents by name; links as an arrow to their target.
func unpack(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	contents := map[string][]byte{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return contents
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeSymlink {
			content = []byte("-> " + header.Linkname)
		}
		contents[header.Name] = content
	}
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v in %q", err, data)
	}
}
