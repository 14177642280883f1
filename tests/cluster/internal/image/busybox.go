package image

import (
	"fmt"
	"os/exec"
	"strings"
)

// BusyboxPath is where Debian's busybox-static lies.
const BusyboxPath = "/bin/busybox"

// Applets asks a busybox which commands it can play.
func Applets(busybox string) ([]string, error) {
	out, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("list applets of %s: %w", busybox, err)
	}
	return strings.Fields(string(out)), nil
}

// Pause is the image whose one process holds a pod's namespaces open.
func Pause(name string) Spec {
	return Spec{
		Name:    name,
		Busybox: BusyboxPath,
		Applets: []string{"sh"},
		// `wait` also collects orphans, where a pod shares its PID namespace.
		Entrypoint: []string{"/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do /bin/busybox sleep 86400 & wait; done"},
		User:       "65535",
	}
}
