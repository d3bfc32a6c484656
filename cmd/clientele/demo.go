package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"clientele/internal/config"
	"clientele/internal/demo"
)

type demoCommand struct {
	config.Demo
}

// Run shows the product at work until ctx ends or nobody reads the output.
func (c *demoCommand) Run(ctx context.Context) error {
	// Someone who reads the beginning and closes the pipe must not end the process before it has
	// removed its folder: with the signal taken, the write fails instead.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	d := demo.Demo{Settings: c.Demo, Pace: demo.Pace, Out: os.Stdout, Err: os.Stderr}
	return d.Run(ctx)
}
