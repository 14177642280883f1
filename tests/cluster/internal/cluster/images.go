package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"drover.dev/tests/cluster/internal/components"
	"drover.dev/tests/cluster/internal/image"
	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/state"
)

// Load imports image archives, so that pods can use them without a registry.
func (c *Cluster) Load(ctx context.Context, archives []string) error {
	supervisor, err := c.runningSupervisor()
	if err != nil {
		return err
	}
	if settings, err := c.dir.LoadSettings(); err != nil {
		return err
	} else if settings != nil && settings.Mode == state.APIOnly {
		return errors.New("no pods run in mode api-only, so there is nothing to load images into")
	}
	for _, archive := range archives {
		if err := c.importImage(ctx, supervisor, archive); err != nil {
			return err
		}
		c.step("loaded %s", archive)
	}
	return nil
}

func (c *Cluster) importImage(ctx context.Context, supervisor int, archive string) error {
	socket := throughProcess(supervisor, node.ContainerdSocket)
	cmd := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace", "k8s.io",
		"images", "import", "--snapshotter", snapshotterFor(c.dir.Var()), archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import %s: %w: %s", archive, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// loadPauseImage loads what every pod needs. A note below /var spares the next
// `up` the work.
func (c *Cluster) loadPauseImage(ctx context.Context, supervisor int) error {
	archive := c.dir.OnHost(node.Home + "/pause.tar")
	loaded := c.dir.OnHost(node.Home + "/pause.loaded")
	if _, err := os.Stat(loaded); err == nil {
		return nil
	}
	if err := image.Pause(components.PauseImage).WriteFile(archive); err != nil {
		return err
	}
	socket := throughProcess(supervisor, node.ContainerdSocket)
	// The socket's file is there a moment before containerd listens.
	for {
		connection, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			connection.Close()
			break
		}
		if err := pause(ctx, "containerd does not listen yet"); err != nil {
			return err
		}
	}
	if err := c.importImage(ctx, supervisor, archive); err != nil {
		return err
	}
	if err := os.WriteFile(loaded, nil, 0o644); err != nil {
		return fmt.Errorf("note the pause image: %w", err)
	}
	c.step("pause image loaded")
	return nil
}

var errNotRunning = errors.New("the cluster does not run; start it with `up`")

func (c *Cluster) runningSupervisor() (int, error) {
	supervisor, err := c.supervisor()
	if err == nil && supervisor == 0 {
		err = errNotRunning
	}
	return supervisor, err
}
