package cluster

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/state"
	"drover.dev/tests/cluster/internal/supervise"
)

// Status is what `status` prints.
type Status struct {
	// ID is part of every name that the cluster shares with the host.
	ID         string     `json:"id"`
	Running    bool       `json:"running"`
	Healthy    bool       `json:"healthy"`
	State      string     `json:"state"`
	Mode       state.Mode `json:"mode,omitempty"`
	Server     string     `json:"server,omitempty"`
	Kubeconfig string     `json:"kubeconfig,omitempty"`
	// Supervisor is the process ID, on the host, of the node's first process.
	Supervisor int                `json:"supervisor,omitempty"`
	Components []supervise.Report `json:"components,omitempty"`
	// Problem says why a running cluster is not healthy, beyond its components.
	Problem string `json:"problem,omitempty"`
}

// Status looks at the cluster without changing it.
func (c *Cluster) Status(ctx context.Context) (*Status, error) {
	status := &Status{ID: c.dir.ID(), State: c.dir.Path()}
	supervisor, err := c.supervisor()
	if err != nil || supervisor == 0 {
		return status, err
	}
	status.Running = true
	status.Supervisor = supervisor
	settings, err := c.dir.LoadSettings()
	if err != nil {
		return nil, err
	}
	if settings == nil {
		status.Problem = "a node runs but the folder lost its files; run `down`"
		return status, nil
	}
	status.Mode = settings.Mode
	status.Server = fmt.Sprintf("https://127.0.0.1:%d", settings.Port)
	status.Kubeconfig = c.dir.Kubeconfig()
	control := supervise.NewClient(throughProcess(supervisor, node.ControlSocket))
	if status.Components, err = control.Components(ctx); err != nil {
		status.Problem = err.Error()
		return status, nil
	}
	status.Healthy = true
	pids := hostPIDs(supervisor)
	for i := range status.Components {
		component := &status.Components[i]
		component.PID = pids[component.PID]
		status.Healthy = status.Healthy && component.Healthy
	}
	if settings.Mode == state.Full && status.Healthy {
		if err := c.checkNode(ctx); err != nil {
			status.Healthy = false
			status.Problem = err.Error()
		}
	}
	return status, nil
}

func (c *Cluster) checkNode(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	current, err := client.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get node: %w", err)
	}
	if !isReady(current) {
		return fmt.Errorf("node is not ready")
	}
	return nil
}
