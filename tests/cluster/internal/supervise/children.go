package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// children starts processes and collects every process that ends. The
// supervisor is PID 1 of the node, so the orphans of all pods become its
// children too, and one place must wait for all of them: exec.Cmd.Wait would
// race with it.
type children struct {
	mu      sync.Mutex
	waiting map[int]chan unix.WaitStatus
}

func newChildren() *children {
	c := &children{waiting: make(map[int]chan unix.WaitStatus)}
	deaths := make(chan os.Signal, 1)
	signal.Notify(deaths, unix.SIGCHLD)
	go func() {
		for range deaths {
			c.collect()
		}
	}()
	return c
}

// start runs cmd, which must not be waited for by any other means. The channel
// delivers how it ended.
func (c *children) start(cmd *exec.Cmd) (<-chan unix.WaitStatus, error) {
	// Held across the start, so that a child that ends at once is known by the
	// time it is collected.
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	ended := make(chan unix.WaitStatus, 1)
	c.waiting[cmd.Process.Pid] = ended
	return ended, nil
}

func (c *children) collect() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
		c.mu.Lock()
		if ended, ours := c.waiting[pid]; ours {
			ended <- status
			delete(c.waiting, pid)
		}
		c.mu.Unlock()
	}
}
