// Package supervise is the node's first process. It enters namespaces that the
// kernel made for it, starts the components and keeps them running. When it is
// killed, the kernel ends every process on the node, pods included.
package supervise

import (
	"fmt"
	"net"
	"net/http"

	"drover.dev/tests/cluster/internal/components"
	"drover.dev/tests/cluster/internal/forward"
	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/state"
)

// SearchPath finds containerd, runc, iptables and the like.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Run supervises until it is killed. The listener is the host's way in to the API.
func Run(dir state.Dir, mode state.Mode, listener net.Listener) error {
	if err := node.IsolateMounts(dir.Var()); err != nil {
		return err
	}
	if err := node.SetUpNetwork(); err != nil {
		return err
	}
	units := startAll(components.ForMode(mode))
	failed := make(chan error, 2)
	go func() { failed <- forward.Serve(listener, node.APIAddress) }()
	go func() { failed <- serveControl(units) }()
	return <-failed
}

// startAll starts each component as soon as those that it needs work.
func startAll(list []components.Component) []*unit {
	processes := newChildren()
	units := make([]*unit, 0, len(list))
	byName := make(map[string]*unit, len(list))
	for _, component := range list {
		u := newUnit(component)
		units = append(units, u)
		byName[component.Name] = u
	}
	for _, u := range units {
		go func() {
			for _, need := range u.component.Needs {
				<-byName[need].worked
			}
			u.keep(processes)
		}()
	}
	return units
}

func serveControl(units []*unit) error {
	listener, err := net.Listen("unix", node.ControlSocket)
	if err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+reportPath, reportHandler(units))
	if err := http.Serve(listener, mux); err != nil {
		return fmt.Errorf("serve control socket: %w", err)
	}
	return nil
}
