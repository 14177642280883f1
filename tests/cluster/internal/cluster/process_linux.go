package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/state"
	"drover.dev/tests/cluster/internal/supervise"
)

const (
	// supervisorMark is set in the environment of the supervisor alone. By it
	// the supervisor is found even if whoever started it was killed before it
	// could write anything down, and a process ID is never mistaken.
	supervisorMark = "DROVER_CLUSTER_SUPERVISOR"
	// SuperviseCommand is the hidden command that the supervisor runs.
	SuperviseCommand = "supervise"

	killTimeout  = 10 * time.Second
	pollInterval = 20 * time.Millisecond
)

// supervisor returns the process ID of the running supervisor, or zero.
func (c *Cluster) supervisor() (int, error) {
	found, err := findMarked(supervisorMark + "=" + c.dir.ID())
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0], nil
}

// startSupervisor starts the node in namespaces of its own. The listener is
// handed over: it stays a socket of the host's network.
func (c *Cluster) startSupervisor(mode state.Mode, listener *net.TCPListener) (*exec.Cmd, error) {
	socket, err := listener.File()
	if err != nil {
		return nil, fmt.Errorf("hand over the listener: %w", err)
	}
	defer socket.Close()
	log, err := os.Create(c.dir.OnHost(node.LogFile(SuperviseCommand)))
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", "--state", c.dir.Path(), SuperviseCommand, "--mode", string(mode))
	cmd.Args[0] = filepath.Base(os.Args[0])
	cmd.Dir = "/"
	cmd.Env = []string{supervisorMark + "=" + c.dir.ID(), "PATH=" + supervise.SearchPath}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the node: %w", err)
	}
	return cmd, nil
}

// kill ends the supervisor, and by that every process on the node, then the
// commands that `exec` started. It returns when they are gone.
func (c *Cluster) kill() error {
	nodes, err := findMarked(supervisorMark + "=" + c.dir.ID())
	if err != nil {
		return err
	}
	guests, err := findMarked(guestMark + "=" + c.dir.ID())
	if err != nil {
		return err
	}
	spared := ancestry()
	for _, pid := range slices.Concat(nodes, guests) {
		if slices.Contains(spared, pid) {
			continue
		}
		if err := killAndWait(pid); err != nil {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

// killAndWait returns when the process is gone for good. The first process of
// a PID namespace is gone only after all others in there are.
func killAndWait(pid int) error {
	handle, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(handle)
	if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	deadline := time.Now().Add(killTimeout)
	for {
		events := []unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}
		ready, err := unix.Poll(events, int(time.Until(deadline).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case ready == 0:
			return fmt.Errorf("it still lives after %s", killTimeout)
		}
		return nil
	}
}
