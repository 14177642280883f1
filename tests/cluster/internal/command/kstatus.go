package command

import (
	"github.com/spf13/cobra"

	"drover.dev/tests/cluster/internal/objectstatus"
)

func kstatus() *cobra.Command {
	return &cobra.Command{
		Use:   "kstatus",
		Short: "Read objects as JSON and print the status that generic tools see in each",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return objectstatus.Print(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
