package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"drover.dev/tests/cluster/internal/cluster"
	"drover.dev/tests/cluster/internal/state"
)

func up(current *invocation) *cobra.Command {
	var apiOnly bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster, or make sure that it runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := current.cluster()
			if err != nil {
				return err
			}
			mode := state.Full
			if apiOnly {
				mode = state.APIOnly
			}
			return c.Up(cmd.Context(), mode)
		},
	}
	cmd.Flags().BoolVar(&apiOnly, "api-only", false, "no node: only the API server and the controllers that objects need")
	return cmd
}

func down(current *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the cluster and remove all that it left",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := current.cluster()
			if err != nil {
				return err
			}
			return c.Down()
		},
	}
}

func kubeconfig(current *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the administrator's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := current.kubeconfigPath()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), path)
			return nil
		},
	}
}

func status(current *invocation) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the cluster does; fails unless all is well",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := current.cluster()
			if err != nil {
				return err
			}
			status, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := printStatus(cmd.OutOrStdout(), status, format); err != nil {
				return err
			}
			if !status.Healthy {
				return ExitCode(1)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "text or json")
	return cmd
}

func printStatus(out io.Writer, status *cluster.Status, format string) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	case "text":
		return printStatusText(out, status)
	default:
		return fmt.Errorf("unknown output format %q: text or json", format)
	}
}

func printStatusText(out io.Writer, status *cluster.Status) error {
	if !status.Running {
		_, err := fmt.Fprintf(out, "not running (%s)\n", status.State)
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "mode\t%s\nserver\t%s\nkubeconfig\t%s\n", status.Mode, status.Server, status.Kubeconfig)
	for _, component := range status.Components {
		health := "ok"
		if !component.Healthy {
			health = component.Problem
		}
		if component.Exits > 0 {
			health += fmt.Sprintf(" (started again %d times, last: %s)", component.Exits, component.LastExit)
		}
		fmt.Fprintf(table, "%s\t%s\n", component.Name, health)
	}
	if status.Problem != "" {
		fmt.Fprintf(table, "problem\t%s\n", status.Problem)
	}
	return table.Flush()
}

// kubeconfigPath prefers a cluster that the caller brought along.
func (i *invocation) kubeconfigPath() (string, error) {
	if own := os.Getenv("DROVER_KUBECONFIG"); own != "" {
		return own, nil
	}
	dir, err := i.dir()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir.Kubeconfig()); err != nil {
		return "", fmt.Errorf("no cluster in %s; start it with `up`", dir.Path())
	}
	return dir.Kubeconfig(), nil
}
