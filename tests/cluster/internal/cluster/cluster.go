// Package cluster starts, inspects and ends a cluster from the host's side.
package cluster

import (
	"fmt"
	"io"
	"time"

	"drover.dev/tests/cluster/internal/state"
)

// Cluster is one cluster, running or not.
type Cluster struct {
	dir      state.Dir
	progress io.Writer
	begun    time.Time
}

// New returns the cluster of a state folder. Progress goes to the writer, a
// line per step.
func New(dir state.Dir, progress io.Writer) *Cluster {
	return &Cluster{dir: dir, progress: progress, begun: time.Now()}
}

func (c *Cluster) step(format string, arguments ...any) {
	fmt.Fprintf(c.progress, "%5.2fs  %s\n", time.Since(c.begun).Seconds(), fmt.Sprintf(format, arguments...))
}

// cgroupName is shared with nobody: it ends in the cluster's identity.
func (c *Cluster) cgroupName() string { return "drover-" + c.dir.ID() }
