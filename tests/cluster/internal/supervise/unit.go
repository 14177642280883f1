package supervise

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"drover.dev/tests/cluster/internal/components"
	"drover.dev/tests/cluster/internal/node"
)

const (
	// probeInterval is short: nothing else tells when a component is up.
	probeInterval = 20 * time.Millisecond
	probeTimeout  = time.Second
	// restartDelay keeps a component that cannot start from eating a core.
	restartDelay = 500 * time.Millisecond
)

// unit keeps one component running.
type unit struct {
	component components.Component
	// worked is closed when the component has answered for the first time.
	worked chan struct{}

	mu       sync.Mutex
	pid      int
	exits    int
	lastExit string
}

func newUnit(component components.Component) *unit {
	return &unit{component: component, worked: make(chan struct{})}
}

// keep starts the component whenever it is not running, for ever.
func (u *unit) keep(processes *children) {
	go u.awaitFirstAnswer()
	for {
		ended, err := u.start(processes)
		if err != nil {
			u.noteExit(err.Error())
		} else {
			u.noteExit(describe(<-ended))
		}
		time.Sleep(restartDelay)
	}
}

func (u *unit) start(processes *children) (<-chan unix.WaitStatus, error) {
	log, err := os.OpenFile(node.LogFile(u.component.Name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := u.command()
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	// A session of its own: no terminal's signals reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	u.mu.Lock()
	defer u.mu.Unlock()
	ended, err := processes.start(cmd)
	if err == nil {
		u.pid = cmd.Process.Pid
	}
	return ended, err
}

func (u *unit) command() *exec.Cmd {
	if program := u.component.Program; program != "" {
		return exec.Command(program, u.component.Args...)
	}
	cmd := exec.Command("/proc/self/exe", append([]string{u.component.Name}, u.component.Args...)...)
	cmd.Args[0] = filepath.Base(os.Args[0])
	return cmd
}

// environment is fixed, so that nothing of the caller's leaks into components.
func environment() []string {
	return []string{"PATH=" + SearchPath, "HOME=" + node.Home, "LANG=C.UTF-8"}
}

func (u *unit) awaitFirstAnswer() {
	for {
		if u.check() == nil {
			close(u.worked)
			return
		}
		time.Sleep(probeInterval)
	}
}

// check asks the running process whether it works.
func (u *unit) check() error {
	u.mu.Lock()
	pid, lastExit := u.pid, u.lastExit
	u.mu.Unlock()
	if pid == 0 {
		if lastExit == "" {
			return fmt.Errorf("not started yet")
		}
		return fmt.Errorf("not running: %s", lastExit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	return u.component.Probe(ctx)
}

func (u *unit) noteExit(reason string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pid = 0
	u.exits++
	u.lastExit = reason
}

func (u *unit) report() Report {
	problem := u.check()
	u.mu.Lock()
	defer u.mu.Unlock()
	report := Report{Name: u.component.Name, PID: u.pid, Exits: u.exits, LastExit: u.lastExit, Healthy: problem == nil}
	if problem != nil {
		report.Problem = problem.Error()
	}
	return report
}

func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("killed by %s", unix.SignalName(status.Signal()))
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}
