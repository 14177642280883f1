package supervise

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"drover.dev/tests/cluster/internal/components"
)

func TestChildrenTellHowTheyEnded(t *testing.T) {
	processes := newChildren()
	for script, want := range map[string]string{
		"exit 0":        "exit code 0",
		"exit 3":        "exit code 3",
		"kill -TERM $$": "killed by SIGTERM",
	} {
		ended, err := processes.start(exec.Command("sh", "-c", script))
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(<-ended); got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
	if _, err := processes.start(exec.Command("/does/not/exist")); err == nil {
		t.Error("a missing program started")
	}
}

func TestReportsReachTheClient(t *testing.T) {
	failing := newUnit(components.Component{Name: "failing", Probe: func(context.Context) error { return errors.New("no answer") }})
	failing.pid = 7
	ended := newUnit(components.Component{Name: "ended"})
	ended.noteExit(describe(unix.WaitStatus(2 << 8)))
	waiting := newUnit(components.Component{Name: "waiting"})

	server := httptest.NewServer(reportHandler([]*unit{failing, ended, waiting}))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	reports, err := decode(response)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"no answer", "not running: exit code 2", "not started yet"} {
		if reports[i].Healthy || !strings.Contains(reports[i].Problem, want) {
			t.Errorf("got %+v, want %q", reports[i], want)
		}
	}
	if reports[0].PID != 7 || reports[1].Exits != 1 {
		t.Errorf("got %+v", reports)
	}
}
