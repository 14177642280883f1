// Package acceptance tests the built binary: real clusters come up, run pods
// and go without a trace. It needs root and takes a minute or two, so it runs
// only when asked for.
package acceptance

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	enabledVariable = "DROVER_CLUSTER_TESTS"
	binaryVariable  = "DROVER_CLUSTER_BIN"

	// commandTimeout is generous: a machine that builds beside the tests is slow.
	commandTimeout = 2 * time.Minute
)

// cluster is one state folder and the binary to use on it.
type cluster struct {
	t      *testing.T
	binary string
	state  string
	id     string
}

// newCluster returns a cluster that does not run yet. Whatever the test does to
// it, it is gone afterwards.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	if os.Getenv(enabledVariable) == "" {
		t.Skipf("set %s=1 and %s to run", enabledVariable, binaryVariable)
	}
	binary := os.Getenv(binaryVariable)
	if binary == "" {
		t.Fatalf("%s does not name the built binary", binaryVariable)
	}
	c := &cluster{t: t, binary: binary, state: t.TempDir() + "/cluster"}
	c.id = c.status().ID
	t.Cleanup(func() { c.run("down") })
	return c
}

// up starts the cluster and returns how long that took.
func (c *cluster) up(flags ...string) time.Duration {
	c.t.Helper()
	begun := time.Now()
	c.run(append([]string{"up"}, flags...)...)
	return time.Since(begun)
}

// command prepares a call of the binary with a time limit.
func (c *cluster) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	c.t.Cleanup(cancel)
	return exec.CommandContext(ctx, c.binary, append([]string{"--state", c.state}, args...)...)
}

// run returns what the command printed, without the last newline; it must succeed.
func (c *cluster) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (c *cluster) try(args ...string) (string, error) {
	return output(c.command(args...))
}

// apply creates objects from YAML.
func (c *cluster) apply(manifest string) {
	c.t.Helper()
	cmd := c.command("kubectl", "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if _, err := output(cmd); err != nil {
		c.t.Fatalf("apply: %v\n%s", err, manifest)
	}
}

// eventually tries again until the command prints what is wanted.
func (c *cluster) eventually(want string, args ...string) {
	c.t.Helper()
	var last string
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last, err = c.try(args...); err == nil && last == want {
			return
		}
	}
	c.t.Fatalf("%s: got %q (%v), want %q", strings.Join(args, " "), last, err, want)
}

func output(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), &commandError{err: err, stderr: stderr.String()}
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// commandError shows what a failed command said.
type commandError struct {
	err    error
	stderr string
}

func (e *commandError) Error() string { return e.err.Error() + ": " + e.stderr }
