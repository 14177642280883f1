package node

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// IsolateMounts gives the calling process's mount namespace the node's view:
// hostVar as /var, an empty /run and the /proc of its own PID namespace.
// The rest of the host's file system stays visible.
func IsolateMounts(hostVar string) error {
	// Slave first, so that nothing reaches the host; then shared, since the
	// kubelet's volumes with mount propagation demand it.
	for _, propagation := range []uintptr{unix.MS_SLAVE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", propagation|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("detach mounts from the host: %w", err)
		}
	}
	mounts := []struct {
		source, target, kind string
		flags                uintptr
		options              string
	}{
		{hostVar, "/var", "", unix.MS_BIND, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := linkRun(); err != nil {
		return err
	}
	return pinKernelSettings()
}

// linkRun makes /var/run what every program expects it to be.
func linkRun() error {
	if err := os.Symlink("/run", "/var/run"); err != nil && !os.IsExist(err) {
		return fmt.Errorf("link /var/run: %w", err)
	}
	return nil
}

// pinKernelSettings covers the kernel settings that a kubelet changes for the
// whole machine with files that already hold what it wants. So it leaves the
// host's as they are, and it also starts where they are read-only.
func pinKernelSettings() error {
	wanted := map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	}
	for name, value := range wanted {
		cover := filepath.Join("/run/kernel-settings", name)
		if err := os.MkdirAll(filepath.Dir(cover), 0o755); err != nil {
			return fmt.Errorf("pin kernel setting %s: %w", name, err)
		}
		if err := os.WriteFile(cover, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("pin kernel setting %s: %w", name, err)
		}
		if err := unix.Mount(cover, filepath.Join("/proc/sys", name), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin kernel setting %s: %w", name, err)
		}
	}
	return nil
}
