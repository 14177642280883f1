package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// findMarked returns the processes in whose environment the mark is.
func findMarked(mark string) ([]int, error) {
	pids, err := allProcesses()
	if err != nil {
		return nil, err
	}
	var found []int
	for _, pid := range pids {
		// A process may end meanwhile; then it is not what is looked for.
		environment, err := os.ReadFile(procFile(pid, "environ"))
		if err != nil {
			continue
		}
		if slices.Contains(strings.Split(string(environment), "\x00"), mark) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// ancestry lists this process and those above it: `down` may be called from a
// shell that `exec` started.
func ancestry() []int {
	var pids []int
	for pid := os.Getpid(); pid > 0; {
		pids = append(pids, pid)
		// The parent is the second field after the name in parentheses.
		stat, err := os.ReadFile(procFile(pid, "stat"))
		_, rest, found := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if err != nil || !found || len(fields) < 2 {
			return pids
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			return pids
		}
	}
	return pids
}

// hostPIDs maps the process IDs that the supervisor knows its children by to
// what the host calls them.
func hostPIDs(supervisor int) map[int]int {
	onHost := map[int]int{}
	pids, err := allProcesses()
	if err != nil {
		return onHost
	}
	for _, pid := range pids {
		status, err := os.ReadFile(procFile(pid, "status"))
		if err != nil {
			continue
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = strings.TrimSpace(value)
		}
		if fields["PPid"] != strconv.Itoa(supervisor) {
			continue
		}
		// One number for each nested namespace, the innermost last.
		nested := strings.Fields(fields["NSpid"])
		if len(nested) == 0 {
			continue
		}
		if inner, err := strconv.Atoi(nested[len(nested)-1]); err == nil {
			onHost[inner] = pid
		}
	}
	return onHost
}

func allProcesses() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
