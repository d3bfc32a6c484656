// Package app wires the parts into one running product: store, hub, services, channels, jobs
// and the HTTP side. The commands and the end-to-end tests start the same App.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"clientele/auth"
	"clientele/channels/sandbox"
	"clientele/channels/wechat"
	"clientele/events"
	"clientele/internal/blobs"
	"clientele/internal/config"
	"clientele/internal/server"
	"clientele/internal/transport"
	"clientele/internal/webcall"
	"clientele/jobs"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

// Options is what an App is made of.
type Options struct {
	Settings config.Server
	Log      *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Migrate applies pending migrations before anything runs. Without it pending migrations are
	// an error of Open.
	Migrate bool
	// Store changes how the store is opened; tests make it strict. nil: as it is.
	Store func(*store.Options)
	// Sockets changes how WebSockets are served; tests shorten its times. nil: as it is.
	Sockets func(*transport.WebSocketOptions)
	// Forms changes how multipart requests are served, as Sockets does.
	Forms func(*transport.Multipart)
	// HTTP changes how connections are served, as Sockets does.
	HTTP func(*http.Server)
	// Jobs changes how jobs run; tests look more often for what has lapsed. nil: as they are.
	Jobs func(*jobs.Runner)
}

// App is the product, opened. Run makes it work.
type App struct {
	http          func(*http.Server)
	operationTime time.Duration
	// keys is the key set of the merchant's sign-in; nil without one.
	keys     *auth.JWKS
	Store    *store.Store
	Hub      *events.Hub
	Services *services.Services
	// Platform is the channel of WECHAT accounts.
	Platform *wechat.Channel
	Server   *server.Server
	// Issuer makes tokens; nil without a secret to sign with.
	Issuer   *auth.Issuer
	runner   *jobs.Runner
	images   *blobs.Store
	settings config.Server
	log      *slog.Logger
	ballast  ballast
}

// Open opens the database and joins the parts. Close it.
func Open(ctx context.Context, o Options) (_ *App, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	set := o.Settings
	o.Log = server.Traced(o.Log)
	db, err := set.Database()
	if err != nil {
		return nil, err
	}
	so := store.Options{DSN: string(db.DSN), Now: o.Now, Log: o.Log, Connections: set.DBMaxOpen, Idle: set.DBMaxIdle, ConnLife: set.DBConnLife}
	so.StatementTime = max(limits.StatementTime, set.OperationTime)
	if db.Engine == config.SQLite {
		if err := os.MkdirAll(set.Data, 0o700); err != nil {
			return nil, fmt.Errorf("data folder: %w", err)
		}
		so.DSN = "sqlite:" + db.Path
	}
	if o.Store != nil {
		o.Store(&so)
	}
	a := &App{settings: set, log: o.Log}
	if a.Store, err = store.Open(ctx, so); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = a.Close()
		}
	}()
	if o.Migrate {
		if _, err = a.Store.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	if err = a.Store.Ready(ctx); err != nil {
		return nil, err
	}
	verifier, keys, err := set.NewVerifier(o.Now, o.Log)
	if err != nil {
		return nil, err
	}
	if a.keys = keys; keys != nil {
		// A file that cannot be read is a mistake; an address may answer later.
		if err = keys.Refresh(ctx); err != nil && !auth.IsAddress(set.TokenJWKS) {
			return nil, fmt.Errorf("--token-jwks: %w", err)
		} else if err != nil {
			o.Log.WarnContext(ctx, "the key set could not be read and is tried again", "error", err)
		}
	}
	// With public keys alone tokens come from the merchant's sign-in and none is issued here.
	var issuer services.Issuer
	if a.Issuer, err = set.NewIssuer(o.Now); err == nil {
		issuer = a.Issuer
	} else if !errors.Is(err, config.ErrNoSecret) {
		return nil, err
	}
	ring, err := set.NewRing()
	if err != nil {
		return nil, err
	}
	a.Hub = events.New(a.Store.Log(), events.Options{Now: o.Now, Log: o.Log})
	simulated := sandbox.New()
	if set.SandboxURL != "" {
		simulated.Reach(set.SandboxURL)
	}
	a.Platform = wechat.New(set.WechatURL, o.Now)
	if a.images, err = set.NewImages(); err != nil {
		return nil, err
	}
	if set.Images != "" { // a mistake in it shows now; what a bucket holds is not asked
		if err = a.images.Open(ctx); err != nil {
			return nil, fmt.Errorf("--images: %w", err)
		}
	}
	receivers := webcall.NewGuarded(webcall.GuardedOptions{
		Private: set.WebhookPrivate, ConnectTime: limits.WebhookConnectTime, AnswerBytes: limits.WebhookAnswerBytes,
	})
	a.Services = services.New(services.Deps{
		Store: a.Store, Hub: a.Hub, Issuer: issuer, Ring: ring, Log: o.Log, Lanes: set.Lanes, Blobs: a.images, PublicURL: set.PublicURL,
		Webhooks: receivers, WebhookPrivate: set.WebhookPrivate,
		Channels: map[models.ChannelKind]services.Channel{models.ChannelSandbox: simulated, models.ChannelWechat: a.Platform},
	})
	simulated.Use(a.Services)
	a.Platform.Use(a.Services)
	a.runner = &jobs.Runner{Services: a.Services, Log: o.Log, Workers: set.DeliveryWorkers}
	if o.Jobs != nil {
		o.Jobs(a.runner)
	}
	persisted, err := set.Persisted()
	if err != nil {
		return nil, err
	}
	a.Server = server.New(server.Options{
		Persisted: persisted,
		Settings:  set, Services: a.Services, Hub: a.Hub, Verifier: verifier, Ready: a.Store.Ready, Now: o.Now, Log: o.Log,
		Sockets: o.Sockets, Forms: o.Forms, Ballast: a.ballast.held.Load,
	})
	a.http, a.operationTime = o.HTTP, set.OperationTime
	a.runner.Delivered, a.Platform.Asked, a.runner.WebhookCalled = a.Server.Delivered, a.Server.PlatformAsked, a.Server.WebhookCalled
	return a, nil
}

// Run does the background work until ctx ends and what is under way has been finished: what was
// received is stored and what was handed over is recorded before the hub stops.
func (a *App) Run(ctx context.Context) {
	hub, stop := context.WithCancel(context.WithoutCancel(ctx))
	hubDone := make(chan struct{})
	go func() {
		defer close(hubDone)
		if err := a.Hub.Run(hub); err != nil {
			a.log.ErrorContext(hub, "hub", "error", err)
		}
	}()
	var wg sync.WaitGroup
	wg.Go(func() { a.Services.Run(ctx) })
	wg.Go(func() { a.runner.Run(ctx) })
	if a.keys != nil {
		wg.Go(func() { a.keys.Run(ctx) })
	}
	wg.Wait()
	stop()
	<-hubDone
}

// Serve answers HTTP on the listener and works until ctx ends. ready is called once requests
// are accepted; it may be nil.
func (a *App) Serve(ctx context.Context, l net.Listener, ready func()) error {
	hs := &http.Server{
		Handler: a.Server, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime, IdleTimeout: idleTime, MaxHeaderBytes: limits.HeaderBytes,
		WriteTimeout: limits.UploadTime + 2*a.operationTime + answerTime,
	}
	if a.http != nil {
		a.http(hs)
	}
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	workDone := make(chan struct{})
	go func() {
		defer close(workDone)
		a.Run(working)
	}()
	tidyDone := make(chan struct{})
	go func() {
		defer close(tidyDone)
		tidy(working, &a.ballast)
	}()
	if ready != nil {
		ready()
	}
	err := a.Server.Serve(ctx, hs, func() error { return hs.Serve(l) })
	// Only when nobody asks any more does the work end.
	stopWork()
	<-workDone
	<-tidyDone
	return err
}

// How long a client may take over its request.
const (
	headerTime = 10 * time.Second
	bodyTime   = 30 * time.Second
	// answerTime is how long it may take over the answer, behind the longest that one can take to come about: a body of images, a place for
	// it, and the operation. Event streams and images have deadlines of their own.
	answerTime = time.Minute
	idleTime   = 2 * time.Minute
)

// Close closes the database, and where images are.
func (a *App) Close() error {
	err := a.Store.Close()
	if a.images != nil {
		err = errors.Join(err, a.images.Close())
	}
	return err
}
