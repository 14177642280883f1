// Command drover-cluster runs a single-node Kubernetes for tests. It is also
// each of the programs that such a cluster consists of.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"drover.dev/tests/cluster/internal/command"
	"drover.dev/tests/cluster/internal/multicall"
)

func main() {
	if len(os.Args) > 1 && multicall.IsComponent(os.Args[1]) {
		os.Exit(multicall.Run(os.Args[1], os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	err := command.New().ExecuteContext(ctx)
	stop()
	code, report := command.CodeOf(err)
	if report {
		fmt.Fprintln(os.Stderr, "drover-cluster:", err)
	}
	os.Exit(code)
}
