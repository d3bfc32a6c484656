// Package demo shows the product at work: it starts it on an embedded database with a simulated
// service account, and lets a story happen in it. Beside starting the server it is a client and
// nothing more: all it does, it does through the GraphQL API over HTTP and WebSocket, with tokens
// of the roles that may.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"clientele/internal/app"
	"clientele/internal/config"
)

// Pace is the time between two steps of the story when people watch.
const Pace = 700 * time.Millisecond

// grace is how long the end waits for requests under way; a demo keeps nobody waiting.
const grace = 3 * time.Second

// Demo is one run. Settings must be valid.
type Demo struct {
	Settings config.Demo
	// Pace is the time between two steps of the story; 0: none.
	Pace time.Duration
	// Out takes what is for people: the line `ready http://ADDR`, how to look in, a line for each event.
	Out io.Writer
	// Err takes the server's log, from level warn on.
	Err io.Writer
}

// Run runs the demo until ctx ends or Out cannot be written to, which is no error: whoever closed
// it has seen enough. Without a data folder a temporary one is
// made, and removed at the end. A folder that holds a demo is gone on with, unless its account is
// not in the database: then a new one is made.
func (d *Demo) Run(ctx context.Context) (err error) {
	f, err := openFolder(d.Settings.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	settings := d.Settings.Server()
	settings.LogLevel, settings.LogFormat, settings.ShutdownGrace = "warn", "text", grace
	f.settle(&settings)
	if err := settings.Validate(); err != nil {
		return err
	}
	log := settings.NewLogger(d.Err)
	// The port comes first: it is what most often cannot be had, and opening a database takes longer.
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", settings.Addr)
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, app.Options{Settings: settings, Log: log, Migrate: true})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, a.Close()) }()

	live, stopLive := context.WithCancel(ctx)
	defer stopLive()
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	served := make(chan error, 1)
	go func() {
		defer stopLive() // without a server there is nothing to show.
		served <- a.Serve(serving, l, nil)
	}()
	err = d.live(live, stopLive, a, l.Addr(), f, log)
	// The server ends last, so that everybody has said goodbye.
	stopServing()
	err = errors.Join(ended(live, err), ended(serving, <-served))
	return err
}

// ended is err, or nil when it only says that ctx ended, or that somebody was still connected
// when the grace was over.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return err
}

// live sets up, says that it is ready, and lets the story happen until ctx ends, which stop
// brings about.
func (d *Demo) live(ctx context.Context, stop func(), a *app.App, at net.Addr, f *folder, log *slog.Logger) error {
	client := &http.Client{Transport: &http.Transport{}} // no proxy: the server is in this process.
	defer client.CloseIdleConnections()
	p, err := f.progress()
	if err != nil {
		return err
	}
	host := dialable(at)
	s := &shop{http: client, url: "http://" + host + "/graphql", issuer: a.Issuer, folder: f}
	if err := s.setUp(ctx, &p); err != nil {
		return fmt.Errorf("set-up: %w", err)
	}
	if p.Seed != d.Settings.Seed || p.Customers != d.Settings.Customers {
		p = progress{Account: p.Account, Seed: d.Settings.Seed, Customers: d.Settings.Customers}
	}
	pl := &player{shop: s, progress: &p, out: d.Out, log: log}
	story := Story(p.Seed, p.Customers)
	if d.Settings.Quiet {
		err = pl.arrivals(ctx)
	} else {
		err = pl.regulars(ctx, story)
	}
	if err != nil {
		return fmt.Errorf("set-up: %w", err)
	}

	lines := &lines{out: d.Out, closed: stop}
	if pl.apps, err = d.openApps(ctx, s, story, p.Step); err != nil {
		return fmt.Errorf("set-up: %w", err)
	}
	for _, advisor := range pl.apps {
		advisor.client, advisor.url, advisor.tell, advisor.log = client, "ws://"+host+"/graphql", lines.tell, log
	}
	lines.tell(d.welcome(at, host, f))
	var wg sync.WaitGroup
	for _, advisor := range pl.apps {
		wg.Go(func() { advisor.run(ctx) })
	}
	defer wg.Wait()
	if d.Settings.Quiet {
		<-ctx.Done()
		return ctx.Err()
	}
	return pl.play(ctx, skipped(story, p.Step), d.Pace)
}

// openApps makes the advisors' apps as they are after the steps of the story that are behind us.
// Without a story they are closed: an app that nobody looks at would keep inquiries from being
// notified (rule N3).
func (d *Demo) openApps(ctx context.Context, s *shop, story iter.Seq[Step], steps int) ([]*advisorApp, error) {
	apps := make([]*advisorApp, advisorCount)
	for i := range apps {
		n := i + 1
		apps[i] = &advisorApp{
			name: advisorName(n), nickname: advisorNickname(n), self: s.bearers[advisorName(n)], isOpen: !d.Settings.Quiet,
		}
		if err := apps[i].start(ctx); err != nil {
			return nil, err
		}
	}
	if d.Settings.Quiet {
		return apps, nil
	}
	for step := range taken(story, steps) {
		if step.Kind == StepClose || step.Kind == StepOpen {
			apps[step.Advisor-1].isOpen = step.Kind == StepOpen
		}
	}
	return apps, nil
}

// dialable is where a client of this machine finds a listener.
func dialable(at net.Addr) string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return at.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// lines writes whole lines, whoever else writes at the same time.
type lines struct {
	mu  sync.Mutex
	out io.Writer
	// closed is called when nothing can be written any more.
	closed func()
}

func (l *lines) tell(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := fmt.Fprintln(l.out, text); err != nil {
		l.closed()
	}
}
