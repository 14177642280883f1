package command

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"drover.dev/tests/cluster/internal/multicall"
)

func kubectl(current *invocation) *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl ARGS…",
		Short:              "Run kubectl against the cluster",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := current.exportKubeconfig(); err != nil {
				return err
			}
			return ExitCode(multicall.Run(multicall.Kubectl, args))
		},
	}
}

// helm runs a program of its own: Helm's commands are not a package that could
// be linked.
func helm(current *invocation) *cobra.Command {
	return &cobra.Command{
		Use:                "helm ARGS…",
		Short:              "Run helm against the cluster",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := current.exportKubeconfig(); err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find helm: %w", err)
			}
			program := filepath.Join(filepath.Dir(self), "helm")
			if err := syscall.Exec(program, append([]string{"helm"}, args...), os.Environ()); err != nil {
				return fmt.Errorf("run %s: %w; build it with `go build -o %s helm.sh/helm/v3/cmd/helm`",
					program, err, program)
			}
			return nil
		},
	}
}

func (i *invocation) exportKubeconfig() error {
	path, err := i.kubeconfigPath()
	if err != nil {
		return err
	}
	return os.Setenv("KUBECONFIG", path)
}

func execute(current *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "exec -- CMD…",
		Short: "Run a command in the cluster's network, where pods can reach it",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := current.cluster()
			if err != nil {
				return err
			}
			return c.Exec(args)
		},
	}
}
