package cluster

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Down ends the cluster and removes all that it left, in whatever state it is.
func (c *Cluster) Down() error {
	// Without a folder there is nobody to lock out, but a folder removed by
	// hand may have left a running node behind.
	if c.dir.Exists() {
		lock, err := c.dir.Lock()
		if err != nil {
			return err
		}
		defer lock.Release()
	}
	if err := c.clean(); err != nil {
		return err
	}
	if err := c.dir.Remove(); err != nil {
		return err
	}
	c.step("down")
	return nil
}

// clean ends everything that runs and removes what would be in a new start's way.
func (c *Cluster) clean() error {
	if err := c.kill(); err != nil {
		return err
	}
	if err := c.removeCgroups(); err != nil {
		return err
	}
	if err := unmountBelow(c.dir.Path()); err != nil {
		return err
	}
	return c.dir.Clear()
}

// unmountBelow is a safeguard. The node's mounts are in a namespace that went
// with it, but files must never be removed through a mount.
func unmountBelow(folder string) error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	defer file.Close()
	var points []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && strings.HasPrefix(fields[4], folder+"/") {
			points = append(points, fields[4])
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	// The latest first: it may lie on top of an earlier one.
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return nil
}
