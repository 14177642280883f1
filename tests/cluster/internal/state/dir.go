// Package state knows what a cluster keeps on the host: one folder, its lock
// and the identity derived from its path.
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// EnvironmentVariable names the default state folder.
const EnvironmentVariable = "DROVER_CLUSTER_STATE"

const defaultPath = ".run/cluster"

// Names of everything a cluster puts into its state folder. Remove deletes
// these and nothing else, so a wrong --state cannot cost anybody's files.
const (
	lockName       = "lock"
	settingsName   = "cluster.json"
	kubeconfigName = "kubeconfig"
	varName        = "var"
)

// Dir is the state folder of one cluster.
type Dir struct{ root string }

// Resolve turns the --state flag, the environment or the default into a Dir.
// Symbolic links are resolved, so that two spellings are one cluster.
func Resolve(flag string) (Dir, error) {
	path := flag
	if path == "" {
		path = os.Getenv(EnvironmentVariable)
	}
	if path == "" {
		path = defaultPath
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Dir{}, fmt.Errorf("resolve state folder %q: %w", path, err)
	}
	root, err := canonical(absolute)
	if err != nil {
		return Dir{}, fmt.Errorf("resolve state folder %q: %w", path, err)
	}
	return Dir{root: root}, nil
}

// canonical resolves the links in the part of path that exists.
func canonical(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return resolved, err
	}
	parent, err := canonical(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// ID tells clusters apart wherever they share something with the host.
func (d Dir) ID() string {
	sum := sha256.Sum256([]byte(d.root))
	return hex.EncodeToString(sum[:4])
}

// Path is the folder itself.
func (d Dir) Path() string { return d.root }

// Kubeconfig is the administrator's kubeconfig for use on the host.
func (d Dir) Kubeconfig() string { return filepath.Join(d.root, kubeconfigName) }

// Var is the folder that the node sees as /var.
func (d Dir) Var() string { return filepath.Join(d.root, varName) }

// OnHost translates a path below the node's /var to where it lies on the host.
func (d Dir) OnHost(nodePath string) string {
	relative, err := filepath.Rel("/var", nodePath)
	if err != nil || !filepath.IsLocal(relative) {
		panic("state: not below the node's /var: " + nodePath)
	}
	return filepath.Join(d.Var(), relative)
}

// Exists reports whether a cluster was ever begun in this folder.
func (d Dir) Exists() bool {
	_, err := os.Lstat(filepath.Join(d.root, lockName))
	return err == nil
}

// Create makes the folder. It refuses one that holds somebody else's files.
func (d Dir) Create() error {
	if err := os.MkdirAll(d.root, 0o755); err != nil {
		return fmt.Errorf("create state folder: %w", err)
	}
	if d.Exists() {
		return nil
	}
	entries, err := os.ReadDir(d.root)
	if err != nil {
		return fmt.Errorf("read state folder: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("state folder %s holds other files; name an empty or a new folder", d.root)
	}
	return nil
}

// Clear removes what the cluster keeps, except for the lock, which the caller holds.
func (d Dir) Clear() error {
	for _, name := range []string{varName, kubeconfigName, settingsName} {
		if err := os.RemoveAll(filepath.Join(d.root, name)); err != nil {
			return fmt.Errorf("clear state folder: %w", err)
		}
	}
	return nil
}

// Remove clears the folder, drops the lock file and removes the folder itself
// if nothing of anybody else's is in it.
func (d Dir) Remove() error {
	if err := d.Clear(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(d.root, lockName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove lock: %w", err)
	}
	// Best effort: the folder stays if it holds something that is not ours.
	_ = os.Remove(d.root)
	return nil
}
