package cluster

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"drover.dev/tests/cluster/internal/supervise"
)

func TestLastWordsOfALog(t *testing.T) {
	var long []string
	for i := range 100 {
		long = append(long, fmt.Sprint("line ", i))
	}
	end := strings.Join(long[100-tailLines:], "\n")
	trace := "\ngoroutine 1 [running]:\n" + strings.Repeat("main.main()\n", 50)
	for name, log := range map[string]string{
		"plain":   strings.Join(long, "\n") + "\n",
		"crashed": strings.Join(long, "\n") + trace,
	} {
		if got := lastWords(log); got != end {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
	if got := lastWords("only this\n"); got != "only this" {
		t.Errorf("got %q", got)
	}
}

func TestComponentThatEndsWhileWaitedForFails(t *testing.T) {
	w := watcher{cluster: &Cluster{progress: os.Stderr}, exits: map[string]int{}, announced: map[string]bool{}}
	// What happened before this `up` is no failure of it.
	pending, err := w.look([]supervise.Report{{Name: "etcd", Exits: 1, Problem: "not yet"}})
	if err != nil || pending != "etcd: not yet" {
		t.Errorf("first look: %q, %v", pending, err)
	}
	_, err = w.look([]supervise.Report{{Name: "etcd", Exits: 2, LastExit: "exit code 7"}})
	if err == nil || !strings.Contains(err.Error(), "exit code 7") {
		t.Errorf("second look: %v", err)
	}
}

func TestAncestryLeadsToTheFirstProcess(t *testing.T) {
	pids := ancestry()
	if pids[0] != os.Getpid() || !slices.Contains(pids, os.Getppid()) || pids[len(pids)-1] != 1 {
		t.Errorf("got %v", pids)
	}
}

func TestMarkedProcessIsFound(t *testing.T) {
	// The environment that a process was started with is what counts.
	for _, variable := range os.Environ() {
		found, err := findMarked(variable)
		if err != nil || !slices.Contains(found, os.Getpid()) {
			t.Errorf("%s: found %v (%v)", variable, found, err)
		}
		return
	}
}
