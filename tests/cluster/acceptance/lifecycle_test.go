package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAPIOnlyIsUpSoonAndKeepsObjectsConsistent(t *testing.T) {
	before := takeTraces(t)
	c := newCluster(t)
	// Two seconds on a machine with nothing else to do.
	if took := c.up("--api-only"); took > 15*time.Second {
		t.Errorf("up took %s", took)
	}
	c.run("kubectl", "create", "namespace", "made")
	c.eventually("default", "kubectl", "get", "serviceaccount", "default", "-n", "made", "-o", "jsonpath={.metadata.name}")
	c.run("kubectl", "delete", "namespace", "made", "--timeout=20s")
	c.run("status")
	c.run("down")
	before.mustBeAllThatIs(t, c)
}

func TestSecondUpChangesNothing(t *testing.T) {
	c := newCluster(t)
	c.up("--api-only")
	first := c.run("status", "-o", "json")
	c.up("--api-only")
	if second := c.run("status", "-o", "json"); second != first {
		t.Errorf("status was\n%s\nand is\n%s", first, second)
	}
	if _, err := c.try("up"); err == nil || !strings.Contains(err.Error(), "api-only") {
		t.Errorf("up in another mode says %v", err)
	}
}

func TestConcurrentUpsStartOneCluster(t *testing.T) {
	c := newCluster(t)
	results := make(chan error, 3)
	for range cap(results) {
		go func() {
			_, err := c.try("up", "--api-only")
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if nodes := len(processesOf(t, c)); nodes != 1 {
		t.Errorf("%d nodes run", nodes)
	}
}

// TestKilledUpIsCleaned kills `up` at moments spread over its whole run.
func TestKilledUpIsCleaned(t *testing.T) {
	before := takeTraces(t)
	c := newCluster(t)
	for _, after := range []time.Duration{0, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560} {
		t.Run(fmt.Sprintf("after %dms", after), func(t *testing.T) {
			cmd := c.command("up")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(after * time.Millisecond)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			c.run("down")
			before.mustBeAllThatIs(t, c)
		})
	}
}

func TestUpWaitsForDown(t *testing.T) {
	c := newCluster(t)
	c.up("--api-only")
	down := c.command("down")
	if err := down.Start(); err != nil {
		t.Fatal(err)
	}
	// Whoever comes first: both must succeed.
	c.up("--api-only")
	if err := down.Wait(); err != nil {
		t.Error(err)
	}
}

func TestDeadClusterStartsAnewOnTheSamePort(t *testing.T) {
	c := newCluster(t)
	c.up("--api-only")
	first := c.status()
	if err := unix.Kill(first.Supervisor, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := c.try("status"); err == nil {
		t.Error("status of a dead cluster succeeds")
	}
	c.up("--api-only")
	if second := c.status(); second.Server != first.Server {
		t.Errorf("server was %s and is %s", first.Server, second.Server)
	}
}

func TestKilledComponentComesBack(t *testing.T) {
	c := newCluster(t)
	c.up("--api-only")
	c.run("kubectl", "create", "configmap", "kept")
	for _, component := range c.status().Components {
		if component.Name == "kube-apiserver" {
			if err := unix.Kill(component.PID, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.up("--api-only")
	// The first look may have come before the component's end was noticed.
	c.eventually("kept", "kubectl", "get", "configmap", "kept", "-o", "jsonpath={.metadata.name}")
	for _, component := range c.status().Components {
		if component.Name == "kube-apiserver" && component.Exits != 1 {
			t.Errorf("it ended %d times", component.Exits)
		}
	}
}

func TestForeignFolderIsRefused(t *testing.T) {
	c := newCluster(t)
	if err := os.Mkdir(c.state, 0o755); err != nil {
		t.Fatal(err)
	}
	precious := c.state + "/precious"
	if err := os.WriteFile(precious, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.try("up", "--api-only"); err == nil {
		t.Error("up in a folder with other files succeeds")
	}
	c.run("down")
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("down removed somebody else's file: %v", err)
	}
}

func TestDownEndsCommandsInTheNetwork(t *testing.T) {
	before := takeTraces(t)
	c := newCluster(t)
	c.up("--api-only")
	guest := c.command("exec", "--", "sleep", "1000")
	if err := guest.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- guest.Wait() }()
	for deadline := time.Now().Add(10 * time.Second); len(processesOf(t, c)) < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the command does not run")
		}
	}
	c.run("down")
	if err := <-ended; err == nil {
		t.Error("the command ended by itself")
	}
	before.mustBeAllThatIs(t, c)
}

func TestFailingComponentIsExplained(t *testing.T) {
	c := newCluster(t)
	// Too small for etcd, which reserves its log in advance.
	parent := filepath.Dir(c.state)
	if err := unix.Mount("tmpfs", parent, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("no small file system to try with: %v", err)
	}
	defer func() {
		if err := unix.Unmount(parent, 0); err != nil {
			t.Error(err)
		}
	}()
	_, err := c.try("up", "--api-only")
	if err == nil || !strings.Contains(err.Error(), "etcd failed") || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v", err)
	}
	c.run("down")
}

// status is the part of `status -o json` that tests look at.
type status struct {
	ID         string
	Server     string
	Supervisor int
	Components []struct {
		Name  string
		PID   int
		Exits int
	}
}

func (c *cluster) status() status {
	c.t.Helper()
	// It fails for a cluster that does not run, and prints nevertheless.
	out, err := c.try("status", "-o", "json")
	var parsed status
	if jsonErr := json.Unmarshal([]byte(out), &parsed); jsonErr != nil {
		c.t.Fatalf("%v (%v)", jsonErr, err)
	}
	return parsed
}
