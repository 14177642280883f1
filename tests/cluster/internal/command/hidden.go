package command

import (
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"drover.dev/tests/cluster/internal/cluster"
	"drover.dev/tests/cluster/internal/components"
	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/provision"
	"drover.dev/tests/cluster/internal/state"
	supervisor "drover.dev/tests/cluster/internal/supervise"
)

// inheritedListener is the first descriptor after the standard ones.
const inheritedListener = 3

// supervise is what `up` starts; it expects the namespaces and the listener
// that it is given there.
func supervise(current *invocation) *cobra.Command {
	var mode string
	cmd := &cobra.Command{
		Use:    cluster.SuperviseCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if os.Getpid() != 1 {
				return fmt.Errorf("only `up` can start the supervisor")
			}
			dir, err := current.dir()
			if err != nil {
				return err
			}
			socket := os.NewFile(inheritedListener, "listener")
			listener, err := net.FileListener(socket)
			if err != nil {
				return fmt.Errorf("take over the listener: %w", err)
			}
			socket.Close()
			return supervisor.Run(dir, state.Mode(mode), listener)
		},
	}
	cmd.Flags().StringVar(&mode, "mode", string(state.Full), "what to run")
	return cmd
}

func provisioner() *cobra.Command {
	var kubeconfig string
	cmd := &cobra.Command{
		Use:    components.Provisioner,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return fmt.Errorf("read kubeconfig: %w", err)
			}
			config.QPS = -1
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return fmt.Errorf("make client: %w", err)
			}
			return provision.New(client, node.Volumes).Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API")
	return cmd
}
