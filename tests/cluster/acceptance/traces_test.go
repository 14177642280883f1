package acceptance

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// traces is what a cluster could leave on its host.
type traces map[string][]string

// usualPlaces is where Kubernetes and containerd keep things by default. Some
// exist on a host that runs its own containers; a test cluster adds nothing.
var usualPlaces = []string{
	"/etc/cni", "/etc/kubernetes", "/opt/cni", "/opt/containerd", "/run/containerd", "/run/netns",
	"/usr/libexec/kubernetes", "/var/lib/cni", "/var/lib/containerd", "/var/lib/etcd",
	"/var/lib/kubelet", "/var/log/containers", "/var/log/pods",
}

var pinnedSettings = []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"}

func takeTraces(t *testing.T) traces {
	t.Helper()
	found := traces{}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	found["mounts"] = strings.Split(string(mounts), "\n")
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range interfaces {
		found["interfaces"] = append(found["interfaces"], each.Name)
	}
	if rules, err := exec.Command("iptables-save").Output(); err == nil {
		for line := range strings.Lines(string(rules)) {
			// Comments hold the time, chains hold counters.
			if strings.HasPrefix(line, "-A") {
				found["iptables"] = append(found["iptables"], line)
			}
		}
	}
	for _, place := range usualPlaces {
		found["folders"] = append(found["folders"], list(t, place)...)
	}
	if found["temporary files"], err = filepath.Glob(filepath.Join(os.TempDir(), "*drover*")); err != nil {
		t.Fatal(err)
	}
	for _, setting := range pinnedSettings {
		if value, err := os.ReadFile("/proc/sys/" + setting); err == nil {
			found["settings"] = append(found["settings"], setting+"="+string(value))
		}
	}
	return found
}

func list(t *testing.T, folder string) []string {
	t.Helper()
	names := []string{}
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return names
	}
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, folder)
	for _, entry := range entries {
		names = append(names, filepath.Join(folder, entry.Name()))
	}
	return names
}

// mustBeAllThatIs fails the test for everything that came since. Nothing may
// be said of what other clusters on the host do, so only additions count.
func (before traces) mustBeAllThatIs(t *testing.T, c *cluster) {
	t.Helper()
	for kind, now := range takeTraces(t) {
		for _, each := range now {
			if !slices.Contains(before[kind], each) {
				t.Errorf("%s: %q was left", kind, each)
			}
		}
	}
	// The second pattern is for a host with version 2 alone.
	for _, pattern := range []string{"/sys/fs/cgroup/*/drover-", "/sys/fs/cgroup/drover-"} {
		groups, err := filepath.Glob(pattern + c.id)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range groups {
			t.Errorf("cgroup %s was left", group)
		}
	}
	for _, process := range processesOf(t, c) {
		t.Errorf("process %s was left", process)
	}
	if _, err := os.Stat(c.state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("state folder was left (%v)", err)
	}
}

// processesOf finds the cluster's first process and commands run by `exec`,
// which alone bear a mark. All others on the node end with the first.
func processesOf(t *testing.T, c *cluster) []string {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, process := range processes {
		// A process may end meanwhile.
		environment, _ := os.ReadFile(process + "/environ")
		for variable := range strings.SplitSeq(string(environment), "\x00") {
			if variable == "DROVER_CLUSTER_SUPERVISOR="+c.id || variable == "DROVER_CLUSTER_GUEST="+c.id {
				found = append(found, process)
			}
		}
	}
	return found
}
