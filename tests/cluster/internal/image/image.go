// Package image packs files into a container image, as a docker-archive that
// containerd imports. The same input gives the same bytes.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// File puts a file or a folder of the host into the image.
type File struct{ Source, Destination string }

// ParseFile reads SRC=DEST.
func ParseFile(argument string) (File, error) {
	source, destination, found := strings.Cut(argument, "=")
	if !found || source == "" || !strings.HasPrefix(destination, "/") {
		return File{}, fmt.Errorf("%q is not SRC=DEST with an absolute DEST", argument)
	}
	return File{Source: source, Destination: destination}, nil
}

// Spec describes an image.
type Spec struct {
	// Name with an optional tag.
	Name       string
	Files      []File
	Entrypoint []string
	Command    []string
	Env        []string
	// User is the numeric user that the image asks to be run as.
	User string
	// Busybox is the path of a static busybox to add with its applets; empty adds none.
	Busybox string
	// Applets are links to busybox below /bin.
	Applets []string
}

// Reference is the name under which containerd will know the image.
func (s Spec) Reference() string {
	name := s.Name
	if !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		name += ":latest"
	}
	first, _, hasPath := strings.Cut(name, "/")
	switch {
	case !hasPath:
		return "docker.io/library/" + name
	case strings.ContainsAny(first, ".:") || first == "localhost":
		return name
	default:
		return "docker.io/" + name
	}
}

// WriteFile packs the image to path, which is replaced only by a whole image.
func (s Spec) WriteFile(path string) error {
	draft, err := os.CreateTemp(filepath.Dir(path), ".image-*")
	if err != nil {
		return fmt.Errorf("create image: %w", err)
	}
	defer os.Remove(draft.Name())
	defer draft.Close()
	if err := s.write(draft); err != nil {
		return fmt.Errorf("pack image %s: %w", s.Name, err)
	}
	if err := draft.Chmod(0o644); err != nil {
		return fmt.Errorf("pack image %s: %w", s.Name, err)
	}
	if err := os.Rename(draft.Name(), path); err != nil {
		return fmt.Errorf("pack image %s: %w", s.Name, err)
	}
	return nil
}

// write puts the layer's digest into files that come before it, so the layer
// goes to a temporary file first. That has no name: if this process is killed,
// nothing is left.
func (s Spec) write(out *os.File) error {
	layer, err := os.CreateTemp(filepath.Dir(out.Name()), ".layer-*")
	if err != nil {
		return err
	}
	defer layer.Close()
	if err := os.Remove(layer.Name()); err != nil {
		return err
	}
	digest := sha256.New()
	if err := s.writeLayer(io.MultiWriter(layer, digest)); err != nil {
		return err
	}
	config, err := s.config(hex.EncodeToString(digest.Sum(nil)))
	if err != nil {
		return err
	}
	return s.writeArchive(out, config, layer)
}

// config is the OCI image configuration.
func (s Spec) config(layerDigest string) ([]byte, error) {
	type execution struct {
		User       string   `json:"User,omitempty"`
		Env        []string `json:"Env"`
		Entrypoint []string `json:"Entrypoint,omitempty"`
		Cmd        []string `json:"Cmd,omitempty"`
	}
	type rootfs struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	data, err := json.Marshal(struct {
		Architecture string    `json:"architecture"`
		OS           string    `json:"os"`
		Config       execution `json:"config"`
		RootFS       rootfs    `json:"rootfs"`
	}{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Config: execution{
			User:       s.User,
			Env:        append([]string{"PATH=" + searchPath}, s.Env...),
			Entrypoint: s.Entrypoint,
			Cmd:        s.Command,
		},
		RootFS: rootfs{Type: "layers", DiffIDs: []string{"sha256:" + layerDigest}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode image configuration: %w", err)
	}
	return data, nil
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (s Spec) writeArchive(out io.Writer, config []byte, layer *os.File) error {
	const layerName = "layer.tar"
	sum := sha256.Sum256(config)
	configName := hex.EncodeToString(sum[:]) + ".json"
	manifest, err := json.Marshal([]map[string]any{{
		"Config":   configName,
		"RepoTags": []string{s.Reference()},
		"Layers":   []string{layerName},
	}})
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	size, err := layer.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	parts := []struct {
		name    string
		content io.Reader
		size    int64
	}{
		{"manifest.json", bytes.NewReader(manifest), int64(len(manifest))},
		{configName, bytes.NewReader(config), int64(len(config))},
		{layerName, layer, size},
	}
	for _, part := range parts {
		header := newHeader(part.name, tar.TypeReg, 0o644)
		header.Size = part.size
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.Copy(archive, part.content); err != nil {
			return err
		}
	}
	return archive.Close()
}
