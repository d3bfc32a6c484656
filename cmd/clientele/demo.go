package main

import (
	"context"

	"clientele/internal/config"
)

type demoCommand struct {
	config.Demo
}

// Run is the demo.
func (c *demoCommand) Run(ctx context.Context) error { return ctx.Err() }
