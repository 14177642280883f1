// Package prerequisite checks that the host can run a cluster, so that what is
// missing is said in one line before anything is started.
package prerequisite

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"drover.dev/tests/cluster/internal/components"
	"drover.dev/tests/cluster/internal/image"
	"drover.dev/tests/cluster/internal/state"
)

const alternative = "or set DROVER_KUBECONFIG to use a cluster of your own"

// tool is an executable of the host's and the Debian package that brings it.
type tool struct{ executable, debianPackage string }

var podTools = []tool{
	{"containerd", "containerd"},
	{"containerd-shim-runc-v2", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"iptables", "iptables"},
	{image.BusyboxPath, "busybox-static"},
	{components.CNIPlugins + "/ptp", "containernetworking-plugins"},
	{components.CNIPlugins + "/host-local", "containernetworking-plugins"},
	{components.CNIPlugins + "/portmap", "containernetworking-plugins"},
	{components.CNIPlugins + "/loopback", "containernetworking-plugins"},
}

// Check returns an error that names everything that is missing.
func Check(mode state.Mode) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("a cluster needs Linux; run on Linux, %s", alternative)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("a cluster needs root; run as root, %s", alternative)
	}
	if mode == state.APIOnly {
		return nil
	}
	var missing, packages []string
	for _, t := range podTools {
		if _, err := exec.LookPath(t.executable); err == nil {
			continue
		}
		missing = append(missing, t.executable)
		if !slices.Contains(packages, t.debianPackage) {
			packages = append(packages, t.debianPackage)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("missing: %s; run `apt-get install %s`, %s",
		strings.Join(missing, ", "), strings.Join(packages, " "), alternative)
}
