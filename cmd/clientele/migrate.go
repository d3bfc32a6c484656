package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"clientele/internal/config"
	"clientele/store"
)

type migrateCommand struct {
	Up     migrateUp     `cmd:"" help:"Apply pending migrations."`
	Status migrateStatus `cmd:"" help:"List migrations and when they were applied."`
}

type (
	migrateUp     struct{ config.Migrate }
	migrateStatus struct{ config.Migrate }
)

// Run applies what is pending.
func (c *migrateUp) Run(ctx context.Context) error {
	s, err := open(ctx, &c.Migrate)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // the process ends.
	n, err := s.Migrate(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d migrations applied\n", n)
	return nil
}

// Run lists the migrations.
func (c *migrateStatus) Run(ctx context.Context) error {
	s, err := open(ctx, &c.Migrate)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // the process ends.
	all, err := s.Migrations(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, m := range all {
		when := "pending"
		if !m.AppliedAt.IsZero() {
			when = m.AppliedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", m.Version, m.Name, when)
	}
	return w.Flush()
}

func open(ctx context.Context, c *config.Migrate) (*store.Store, error) {
	db, err := c.Database()
	if err != nil {
		return nil, err
	}
	dsn := string(db.DSN)
	if db.Engine == config.SQLite {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return nil, err
		}
		dsn = "sqlite:" + db.Path
	}
	return store.Open(ctx, store.Options{DSN: dsn, Log: c.NewLogger(os.Stderr)})
}
