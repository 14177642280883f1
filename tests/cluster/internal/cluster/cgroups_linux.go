package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchies returns the roots of all cgroup trees: the one of version 2, or
// those of version 1, which every group must exist in separately.
func hierarchies() ([]string, error) {
	if isUnified(cgroupRoot) {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, fmt.Errorf("list cgroup hierarchies: %w", err)
	}
	var roots []string
	for _, entry := range entries {
		// Links are other names of joined hierarchies.
		if entry.IsDir() {
			roots = append(roots, filepath.Join(cgroupRoot, entry.Name()))
		}
	}
	return roots, nil
}

func isUnified(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.CGROUP2_SUPER_MAGIC
}

// createCgroups makes the group below which the kubelet puts its pods'.
func (c *Cluster) createCgroups() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if isUnified(root) {
			if err := delegateControllers(root); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(root, c.cgroupName()), 0o755); err != nil {
			return fmt.Errorf("create cgroup: %w", err)
		}
	}
	return nil
}

// delegateControllers lets children of a version 2 group use its controllers.
func delegateControllers(group string) error {
	controllers, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read cgroup controllers: %w", err)
	}
	for _, controller := range strings.Fields(string(controllers)) {
		// One by one: some cannot be delegated, and the kubelet names those it misses.
		_ = os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
	return nil
}

// removeCgroups waits a little, since a group is busy until the last of its
// killed processes is gone.
func (c *Cluster) removeCgroups() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(killTimeout)
	for _, root := range roots {
		group := filepath.Join(root, c.cgroupName())
		for {
			err := removeGroup(group)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("remove cgroup: %w", err)
			}
			time.Sleep(pollInterval)
		}
	}
	return nil
}

// removeGroup removes a group after those below it. The files in it are the
// kernel's and go with it, so os.RemoveAll would fail on them.
func removeGroup(group string) error {
	entries, err := os.ReadDir(group)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroup(filepath.Join(group, entry.Name())); err != nil {
				return err
			}
		}
	}
	return unix.Rmdir(group)
}
