// Package command is the command line of drover-cluster.
package command

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"drover.dev/tests/cluster/internal/cluster"
	"drover.dev/tests/cluster/internal/state"
)

// invocation carries what the global flags say.
type invocation struct{ state string }

func (i *invocation) dir() (state.Dir, error) { return state.Resolve(i.state) }

func (i *invocation) cluster() (*cluster.Cluster, error) {
	dir, err := i.dir()
	if err != nil {
		return nil, err
	}
	return cluster.New(dir, os.Stderr), nil
}

// New returns the root command.
func New() *cobra.Command {
	current := &invocation{}
	root := &cobra.Command{
		Use:   "drover-cluster",
		Short: "A single-node Kubernetes for tests",
		// Flags before the command's name are ours, those after it may be kubectl's.
		TraverseChildren: true,
		SilenceUsage:     true,
		SilenceErrors:    true,
	}
	root.PersistentFlags().StringVar(&current.state, "state", "",
		"folder of the cluster (default $"+state.EnvironmentVariable+", or .run/cluster)")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		up(current), down(current), status(current), kubeconfig(current),
		kubectl(current), helm(current), execute(current),
		load(current), pack(), kstatus(),
		supervise(current), provisioner(),
	)
	return root
}

// ExitCode is an error that has been reported already.
type ExitCode int

func (ExitCode) Error() string { return "failed" }

// CodeOf returns the exit code for an error and whether it is still to be printed.
func CodeOf(err error) (code int, report bool) {
	var exit ExitCode
	switch {
	case err == nil:
		return 0, false
	case errors.As(err, &exit):
		return int(exit), false
	default:
		return 1, true
	}
}
