// Command clientele runs the product: serve, demo, import, migrate, rekey, restored, token, version. It is wiring only.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"clientele/internal/config"
)

type commands struct {
	Serve    serveCommand    `cmd:"" help:"Run the server."`
	Demo     demoCommand     `cmd:"" help:"Run a demo: an embedded database, a simulated service account, people who scan, write and answer."`
	Import   importCommand   `cmd:"" help:"Import a file through a server that runs, and follow it to its end."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database's schema up to date, or show where it stands."`
	Rekey    rekeyCommand    `cmd:"" help:"Seal all credentials anew with the first master key, while servers that hold both keys run."`
	Restored restoredCommand `cmd:"" help:"After a backup was restored or a replica promoted, before any server starts: expire cursors, mark queued messages UNKNOWN."`
	Token    tokenCommand    `cmd:"" help:"Print a token for a role and subject."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	options := append(config.Options(),
		kong.Name("clientele"),
		kong.Description("Advisor conversations for a WeChat service account."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	k := kong.Parse(&c, options...)
	if err := k.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "clientele:", err)
		os.Exit(1) //nolint:gocritic // the process ends: nothing is left for stop to do.
	}
}
