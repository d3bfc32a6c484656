// Command bench measures the product: each of its commands sets a load up, prints one line of
// figures, a ratio to a floor measured in the same run, and what the machine is.
//
//	go run ./bench inbound --data /var/tmp/bench --keep
//
// docs/performance.md says what each measures and what it is to reach.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"clientele/bench/idle"
	"clientele/bench/inbound"
	"clientele/bench/inbox"
	"clientele/bench/people"
	"clientele/bench/push"
	"clientele/bench/reconnect"
	"clientele/bench/rig"
	"clientele/bench/soak"
)

type commands struct {
	Inbound   inboundCommand   `cmd:"" help:"Messages in: stored, counted, pushed."`
	Push      pushCommand      `cmd:"" help:"From COMMIT to the client."`
	Inbox     inboxCommand     `cmd:"" help:"The page that an advisor's app opens with."`
	People    peopleCommand    `cmd:"" help:"Many customers at once: bulk calls, import, lists."`
	Idle      idleCommand      `cmd:"" help:"Memory of an idle subscriber."`
	Reconnect reconnectCommand `cmd:"" help:"Everybody comes back at once."`
	Soak      soakCommand      `cmd:"" help:"Clients come and go for a long time."`
}

type (
	inboxCommand     struct{ inbox.Options }
	peopleCommand    struct{ people.Options }
	inboundCommand   struct{ inbound.Options }
	pushCommand      struct{ push.Options }
	idleCommand      struct{ idle.Options }
	reconnectCommand struct{ reconnect.Options }
	soakCommand      struct{ soak.Options }
)

// Run measures.
func (c *inboundCommand) Run(ctx context.Context) error {
	c.Say = os.Stderr
	return show(inbound.Run(ctx, c.Options))
}

// Run measures.
func (c *pushCommand) Run(ctx context.Context) error {
	c.Say = os.Stderr
	return show(push.Run(ctx, c.Options))
}

// Run measures.
func (c *idleCommand) Run(ctx context.Context) error {
	c.Say = os.Stderr
	return show(idle.Run(ctx, c.Options))
}

// Run measures.
func (c *reconnectCommand) Run(ctx context.Context) error {
	c.Say = os.Stderr
	return show(reconnect.Run(ctx, c.Options))
}

// Run measures.
func (c *soakCommand) Run(ctx context.Context) error {
	c.Say = os.Stderr
	return show(soak.Run(ctx, c.Options))
}

// Run measures.
func (c *inboxCommand) Run(ctx context.Context) error {
	c.Say = os.Stderr
	return show(inbox.Run(ctx, c.Options))
}

// Run measures.
func (c *peopleCommand) Run(ctx context.Context) error {
	c.Say = os.Stderr
	return show(people.Run(ctx, c.Options))
}

func show(l *rig.Line, err error) error {
	if err == nil {
		fmt.Println(l)
	}
	return err
}

func main() {
	rig.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var c commands
	k := kong.Parse(&c, kong.Name("bench"), kong.Description("Measures the product against floors."), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)))
	err := k.Run()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
