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

type rekeyCommand struct {
	config.Rekey
}

// Run seals all credentials anew with the first master key. Servers of a MySQL or MariaDB may run
// meanwhile; an embedded database that a process uses is refused. It fails when a value could not be
// opened, after all others were dealt with.
func (c *rekeyCommand) Run(ctx context.Context) error {
	db, err := open(ctx, &c.Migrate)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // the process ends.
	if err := db.Ready(ctx); err != nil {
		return err
	}
	ring, err := c.NewRing()
	if err != nil {
		return err
	}
	s := services.New(services.Deps{Store: db, Hub: events.New(db.Log(), events.Options{Now: time.Now}), Ring: ring, Log: c.NewLogger(os.Stderr)})
	done, err := s.Rekey(ctx)
	if err != nil {
		return fmt.Errorf("not finished, run it again: %w", err)
	}
	fmt.Printf("%d credentials of %d accounts are sealed with %s now; %d were before.\n", done.Values, done.Accounts, ring.CurrentID(), done.Kept)
	if len(done.Closed) > 0 {
		for _, account := range done.Closed {
			fmt.Fprintf(os.Stderr, "account %s: a credential cannot be opened with these master keys\n", account)
		}
		return fmt.Errorf("the credentials of %d accounts were left as they are", len(done.Closed))
	}
	return nil
}
