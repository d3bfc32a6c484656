package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"clientele/events"
	"clientele/internal/config"
	"clientele/services"
)

type restoredCommand struct {
	config.Migrate
}

// Run makes a database fit to serve that has lost commits. It refuses a database that is not
// migrated, and an embedded one that a process uses. That no node of a MySQL or MariaDB runs it
// cannot see.
func (c *restoredCommand) Run(ctx context.Context) error {
	db, err := open(ctx, &c.Migrate)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // the process ends.
	if err := db.Ready(ctx); err != nil {
		return err
	}
	s := services.New(services.Deps{Store: db, Hub: events.New(db.Log(), events.Options{Now: time.Now}), Log: c.NewLogger(os.Stderr)})
	done, err := s.Restored(ctx)
	if err != nil {
		return fmt.Errorf("not finished, run it again: %w", err)
	}
	fmt.Println("The event log has a new epoch: every cursor from before has expired.")
	fmt.Printf("%d queued messages of %d customers are UNKNOWN now.\n", done.Messages, done.Customers)
	return nil
}
