package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"drover.dev/tests/cluster/internal/components"
	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/prerequisite"
	"drover.dev/tests/cluster/internal/state"
)

// Up starts the cluster if it does not run, and returns when it works.
func (c *Cluster) Up(ctx context.Context, mode state.Mode) error {
	if err := prerequisite.Check(mode); err != nil {
		return err
	}
	if err := c.dir.Create(); err != nil {
		return err
	}
	lock, err := c.dir.Lock()
	if err != nil {
		return err
	}
	defer lock.Release()
	settings, err := c.dir.LoadSettings()
	if err != nil {
		return err
	}
	supervisor, err := c.supervisor()
	if err != nil {
		return err
	}
	fresh := supervisor == 0
	switch {
	case fresh:
		if supervisor, err = c.start(mode, settings); err != nil {
			return err
		}
	case settings == nil:
		return fmt.Errorf("a node runs but %s lost its files; run `down` first", c.dir.Path())
	case settings.Mode != mode:
		return fmt.Errorf("a cluster runs in mode %s; run `down` first to start one in mode %s", settings.Mode, mode)
	}
	if err := c.awaitWorking(ctx, supervisor, mode, fresh); err != nil {
		return err
	}
	c.step("up: export KUBECONFIG=%s", c.dir.Kubeconfig())
	return nil
}

// start begins an empty cluster and returns its supervisor's process ID. Data
// of one that died is not picked up: nothing in it was written to survive.
func (c *Cluster) start(mode state.Mode, previous *state.Settings) (int, error) {
	if err := c.clean(); err != nil {
		return 0, err
	}
	listener, err := listen(previous)
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	if err := c.prepare(mode, port); err != nil {
		return 0, err
	}
	cmd, err := c.startSupervisor(mode, listener)
	if err != nil {
		return 0, err
	}
	go watchForDeath(cmd)
	c.step("node started as process %d, API at https://127.0.0.1:%d", cmd.Process.Pid, port)
	return cmd.Process.Pid, nil
}

// watchForDeath collects the supervisor if it ends while `up` waits for it, so
// that it does not look alive as a zombie.
func watchForDeath(cmd *exec.Cmd) { _ = cmd.Wait() }

// listen takes the port that an earlier start had, if it is still free.
func listen(previous *state.Settings) (*net.TCPListener, error) {
	loopback := net.IPv4(127, 0, 0, 1)
	if previous != nil {
		if listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback, Port: previous.Port}); err == nil {
			return listener, nil
		}
	}
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback})
	if err != nil {
		return nil, fmt.Errorf("take a port for the API: %w", err)
	}
	return listener, nil
}

// prepare writes everything that the node reads when it starts.
func (c *Cluster) prepare(mode state.Mode, port int) error {
	for _, folder := range node.Folders() {
		if err := os.MkdirAll(c.dir.OnHost(folder), 0o755); err != nil {
			return fmt.Errorf("prepare the node: %w", err)
		}
	}
	// Pods that are not root write here, as on any node.
	if err := os.Chmod(c.dir.OnHost("/var/tmp"), os.ModeSticky|0o777); err != nil {
		return fmt.Errorf("prepare the node: %w", err)
	}
	if err := c.dir.SaveSettings(state.Settings{Mode: mode, Port: port}); err != nil {
		return err
	}
	if err := c.writeCredentials(port); err != nil {
		return err
	}
	files, err := components.RenderConfig(components.Variables{
		CgroupName:  c.cgroupName(),
		Snapshotter: snapshotterFor(c.dir.Var()),
	})
	if err != nil {
		return err
	}
	for path, data := range files {
		if err := c.writeOnNode(path, data); err != nil {
			return err
		}
	}
	if mode == state.APIOnly {
		return nil
	}
	return c.createCgroups()
}

// snapshotterFor avoids stacking overlays on an overlay, as inside a container,
// which the kernel refuses.
func snapshotterFor(folder string) string {
	var stat unix.Statfs_t
	if unix.Statfs(folder, &stat) == nil && stat.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

// awaitWorking sees the node through to where it can be used.
func (c *Cluster) awaitWorking(ctx context.Context, supervisor int, mode state.Mode, fresh bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, upTimeout, errTooSlow)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.awaitComponents(ctx, supervisor, fresh) })
	if mode == state.Full {
		group.Go(func() error { return c.loadPauseImage(ctx, supervisor) })
		group.Go(func() error { return c.furnish(ctx) })
	}
	return group.Wait()
}

const upTimeout = 2 * time.Minute

var errTooSlow = errors.New("not up after " + upTimeout.String())
