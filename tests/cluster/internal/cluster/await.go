package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/supervise"
)

// tailLines of a component's log go into the error about it.
const tailLines = 15

// watcher follows the components' reports while `up` waits.
type watcher struct {
	cluster *Cluster
	// exits is how often each component had ended when it was first looked at.
	exits     map[string]int
	announced map[string]bool
	// forgiven is how many more times a component may end. In a cluster that
	// ran before, the end of one may just not have been noticed yet.
	forgiven int
}

// awaitComponents returns when all components work, or when one of them ended
// while it was waited for. A fresh node was started by this very command.
func (c *Cluster) awaitComponents(ctx context.Context, supervisor int, fresh bool) error {
	control := supervise.NewClient(throughProcess(supervisor, node.ControlSocket))
	watch := watcher{cluster: c, exits: map[string]int{}, announced: map[string]bool{}}
	if !fresh {
		watch.forgiven = 1
	}
	for {
		if !isAlive(supervisor) {
			return c.failure(SuperviseCommand, "ended")
		}
		pending := "the supervisor does not answer"
		if reports, err := control.Components(ctx); err == nil {
			if pending, err = watch.look(reports); err != nil || pending == "" {
				return err
			}
		}
		if err := pause(ctx, pending); err != nil {
			return err
		}
	}
}

// look returns what is still missing; nothing if all works.
func (w *watcher) look(reports []supervise.Report) (pending string, err error) {
	for _, report := range reports {
		before, known := w.exits[report.Name]
		if !known {
			w.exits[report.Name] = report.Exits
		} else if report.Exits > before+w.forgiven {
			return "", w.cluster.failure(report.Name, report.LastExit)
		}
		if !report.Healthy {
			pending = report.Name + ": " + report.Problem
		} else if !w.announced[report.Name] {
			w.announced[report.Name] = true
			w.cluster.step("%s works", report.Name)
		}
	}
	return pending, nil
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
	return lastWords(string(data))
}

// lastWords returns the end of a log. Of a crash it is the end before the stack
// traces, which would push out what led to it.
func lastWords(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	crash := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "goroutine ") })
	if crash > 0 {
		lines = lines[:crash]
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// throughProcess names a path as it is in a process's mount namespace.
func throughProcess(pid int, path string) string {
	return fmt.Sprintf("/proc/%d/root%s", pid, path)
}

func isAlive(pid int) bool { return unix.Kill(pid, 0) == nil }
