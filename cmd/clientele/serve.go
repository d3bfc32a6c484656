package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"clientele/internal/app"
	"clientele/internal/config"
)

type serveCommand struct {
	config.Server
}

// Run serves until ctx ends. Pending migrations are refused, not applied: several nodes may
// start at once, and when the schema changes is the operator's decision.
func (c *serveCommand) Run(ctx context.Context) error {
	log := c.NewLogger(os.Stderr)
	a, err := app.Open(ctx, app.Options{Settings: c.Server, Log: log})
	if err != nil {
		return err
	}
	defer a.Close() //nolint:errcheck // the process ends.
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	return a.Serve(ctx, l, func() { fmt.Printf("ready http://%s\n", l.Addr()) })
}
