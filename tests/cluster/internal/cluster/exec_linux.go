package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// guestMark is set for commands that `exec` runs. Left alone, one of them would
// keep the network alive after the cluster's end, so `down` ends them.
const guestMark = "DROVER_CLUSTER_GUEST"

// Exec replaces the calling process with a command in the node's network.
// Everything else, such as files and processes, stays the host's.
func (c *Cluster) Exec(args []string) error {
	supervisor, err := c.runningSupervisor()
	if err != nil {
		return err
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("find %s: %w", args[0], err)
	}
	network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", supervisor))
	if err != nil {
		return fmt.Errorf("open the cluster's network: %w", err)
	}
	// A namespace belongs to a thread, and the one that calls exec prevails.
	runtime.LockOSThread()
	if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the cluster's network: %w", err)
	}
	environment := append(os.Environ(), guestMark+"="+c.dir.ID())
	if err := syscall.Exec(program, args, environment); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}
