package command

import (
	"strconv"

	"github.com/spf13/cobra"

	"drover.dev/tests/cluster/internal/image"
)

func load(current *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "load IMAGE.tar…",
		Short: "Make images available to pods",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := current.cluster()
			if err != nil {
				return err
			}
			return c.Load(cmd.Context(), args)
		},
	}
}

func pack() *cobra.Command {
	var spec image.Spec
	var output string
	var uid int
	var bare bool
	cmd := &cobra.Command{
		Use:   "image --name NAME[:TAG] -o OUT.tar [SRC=DEST…]",
		Short: "Pack files and folders, with busybox, into an image to load",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, argument := range args {
				file, err := image.ParseFile(argument)
				if err != nil {
					return err
				}
				spec.Files = append(spec.Files, file)
			}
			if cmd.Flags().Changed("uid") {
				spec.User = strconv.Itoa(uid)
			}
			if !bare {
				applets, err := image.Applets(image.BusyboxPath)
				if err != nil {
					return err
				}
				spec.Busybox, spec.Applets = image.BusyboxPath, applets
			}
			return spec.WriteFile(output)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&spec.Name, "name", "", "name of the image, with an optional tag")
	flags.StringVarP(&output, "output", "o", "", "archive to write")
	flags.IntVar(&uid, "uid", 0, "user that the image asks to be run as")
	flags.StringArrayVar(&spec.Entrypoint, "entrypoint", nil, "entrypoint; repeat for its arguments")
	flags.StringArrayVar(&spec.Command, "cmd", nil, "default arguments; repeat for each")
	flags.StringArrayVar(&spec.Env, "env", nil, "NAME=VALUE in the environment; repeat for each")
	flags.BoolVar(&bare, "no-busybox", false, "leave busybox out")
	for _, required := range []string{"name", "output"} {
		if err := cmd.MarkFlagRequired(required); err != nil {
			panic(err)
		}
	}
	return cmd
}
