package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/supervise"
)

// tailLines of a component's log go into the error about it.
const tailLines = 15

// awaitComponents returns when all components work, or when one of them ended
// while it was waited for.
func (c *Cluster) awaitComponents(ctx context.Context, supervisor int) error {
	control := supervise.NewClient(throughProcess(supervisor, node.ControlSocket))
	announced := map[string]bool{}
	exits := map[string]int{}
	for first := true; ; first = false {
		if !isAlive(supervisor) {
			return c.failure(SuperviseCommand, "ended")
		}
		reports, err := control.Components(ctx)
		pending := ""
		if err != nil {
			pending = "the supervisor does not answer"
			first = true
		}
		for _, report := range reports {
			if first {
				exits[report.Name] = report.Exits
			}
			if report.Exits > exits[report.Name] {
				return c.failure(report.Name, report.LastExit)
			}
			if !report.Healthy {
				pending = report.Name + ": " + report.Problem
			} else if !announced[report.Name] {
				announced[report.Name] = true
				c.step("%s works", report.Name)
			}
		}
		if pending == "" {
			return nil
		}
		if err := pause(ctx, pending); err != nil {
			return err
		}
	}
}

// pause waits for the next look. When there is no time left, it says what was
// still missing.
func pause(ctx context.Context, pending string) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %s", context.Cause(ctx), pending)
	case <-time.After(pollInterval):
		return nil
	}
}

// failure explains a component's end with what it logged last.
func (c *Cluster) failure(component, reason string) error {
	path := c.dir.OnHost(node.LogFile(component))
	return fmt.Errorf("%s failed: %s; the end of %s:\n%s", component, reason, path, tail(path))
}

func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// throughProcess names a path as it is in a process's mount namespace.
func throughProcess(pid int, path string) string {
	return fmt.Sprintf("/proc/%d/root%s", pid, path)
}

func isAlive(pid int) bool { return unix.Kill(pid, 0) == nil }
