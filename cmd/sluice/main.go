// Command sluice is the admission webhook and the controllers in one binary:
// serve runs them in a cluster, dev on a developer's machine.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks to stop. A second one ends the process, unless it is
	// the same Ctrl-C, which may come from the terminal and from a parent.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	err := command(console{out: os.Stdout, err: os.Stderr}).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sluice:", err)
		os.Exit(1)
	}
}
