// Package server assembles the HTTP side: the GraphQL handler over internal/transport with its
// presenter, default deny and limits, the printed schema, the callback handler of the wechat channel, GraphiQL,
// health and metrics. It holds no rule of the product.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"clientele/auth"
	"clientele/channels/wechat"
	"clientele/dataloaders"
	"clientele/events"
	"clientele/graph"
	"clientele/internal/config"
	"clientele/internal/graphiql"
	"clientele/internal/transport"
	"clientele/limits"
	"clientele/models"
	"clientele/resolvers"
	"clientele/services"
)

// Verifier tells whose a token is.
type Verifier interface {
	Verify(token string) (*auth.Viewer, error)
}

// Options is what a server is made of.
type Options struct {
	Settings config.Server
	Services *services.Services
	Hub      *events.Hub
	Verifier Verifier
	// Persisted is documents by id, as config.Server.Persisted reads them.
	Persisted map[string]string
	// Ready says why requests cannot be served; nil: they can.
	Ready func(context.Context) error
	Now   func() time.Time
	Log   *slog.Logger
	// Registry takes the metrics; nil: a registry of its own.
	Registry *prometheus.Registry
	// Ballast is how many bytes of the heap are ballast (ADR 0020); nil: none ever.
	Ballast func() uint64
	// Sockets changes how WebSockets are served; tests shorten its times. nil: as it is.
	Sockets func(*transport.WebSocketOptions)
	// Streams changes how event streams are served, as Sockets does, and Forms how multipart requests are.
	Streams func(*transport.EventsOptions)
	Forms   func(*transport.Multipart)
}

// Server answers HTTP. It is safe for concurrent use.
type Server struct {
	services *services.Services
	verifier Verifier
	ready    func(context.Context) error
	log      *slog.Logger
	settings config.Server
	metrics  *metrics
	ws       *transport.WebSocket
	events   *transport.Events
	rates    *rates
	uploads  *uploads
	bearers  bearers
	trusted  *trusted
	mux      *http.ServeMux
}

// queriesKept is how many validated documents are kept.
const queriesKept = 1_000

// New assembles a server.
func New(o Options) *Server {
	s := &Server{
		services: o.Services, verifier: o.Verifier, ready: o.Ready, log: o.Log, settings: o.Settings,
		metrics: newMetrics(o.Registry, o.Hub, o.Ballast), mux: http.NewServeMux(),
	}
	set := o.Settings
	s.rates = newRates(set.RatePerToken, set.RatePerAccount, s.viewerOf, s.present)
	s.uploads = newUploads(set.OperationTime, s.metrics)
	s.trusted = newTrusted(s, o.Persisted)
	sockets := transport.WebSocketOptions{
		Init: s.initialise, AllowedOrigins: set.AllowedOrigins, Timeout: set.OperationTime,
		MaxConnections: set.MaxConnections, MaxSubscriptions: set.SubscriptionsPerSocket, MaxMessage: int(set.BodyBytes), MaxInitMessage: limits.InitBytes,
		MaxStrangers: limits.Strangers, MaxStrangersPerPeer: limits.StrangersPerAddress, Peer: s.peerOf,
		WriteTimeout: limits.WriteDeadline, SendBuffer: limits.SendBufferBytes,
		PingInterval: limits.AppPing, PongTimeout: limits.AppPing - time.Second,
		Hooks: s.metrics.hooks(overWebSocket),
	}
	if o.Sockets != nil {
		o.Sockets(&sockets)
	}
	s.ws = transport.NewWebSocket(sockets)
	s.metrics.strangersOf(s.ws.Strangers)
	streams := transport.EventsOptions{
		Begin: s.begin, Timeout: set.OperationTime, WriteTimeout: limits.WriteDeadline, KeepAlive: limits.AppPing,
		MaxBody: set.BodyBytes, Draft: set.HTTPStatus == config.HTTPStatusDraft, MaxStreams: set.MaxConnections, Hooks: s.metrics.hooks(overEventStream),
		Reservations: transport.ReservationOptions{
			Principal: s.holder, Time: limits.ReservationLife, MaxReservations: set.MaxConnections,
			MaxPerPrincipal: limits.ReservationsPerBearer, MaxOperations: set.SubscriptionsPerSocket,
		},
	}
	if o.Streams != nil {
		o.Streams(&streams)
	}
	s.events = transport.NewEvents(streams)
	s.mux.Handle("/graphql", s.cors(s.identify(s.ticketed(s.held(unread(s.graphql(o.Forms)))))))
	s.mux.Handle("/images/{account}/{image}", s.cors(named(http.HandlerFunc(s.image))))
	s.mux.Handle("/graphql/ticket", s.cors(s.identify(http.HandlerFunc(s.tickets))))
	s.mux.Handle("/schema.graphql", s.cors(s.identify(http.HandlerFunc(s.sdl))))
	s.mux.Handle("/wechat/{callback}", named(wechat.NewCallbackHandler(accounts{o.Services}, ingester{o.Services}, o.Now, o.Log)))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	s.mux.HandleFunc("GET /readyz", s.readiness)
	s.mux.Handle("GET /metrics", s.metrics.handler())
	if set.GraphiQL {
		page := graphiql.Handler("/graphiql")
		s.mux.Handle("/graphiql", page)
		s.mux.Handle("/graphiql/", page)
		s.mux.Handle("/{$}", http.RedirectHandler("/graphiql", http.StatusFound))
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Delivered counts a message that was handed to a channel: what became of it, or that this could
// not be recorded.
func (s *Server) Delivered(done services.Handover, err error) {
	result := string(done.Status)
	switch {
	case err != nil:
		result = "ERROR"
	case done.Status == "":
		result = "LOST"
	}
	s.metrics.deliveries.WithLabelValues(result).Inc()
	if done.Paused {
		s.metrics.pauses.Inc()
	}
}

// PlatformAsked counts a call of the platform of WECHAT accounts.
func (s *Server) PlatformAsked(api models.ChannelAPI, err error) {
	s.metrics.asked.WithLabelValues(string(api), wechat.Answer(err)).Inc()
}

// WebhookCalled counts a call of a receiver of a webhook.
func (s *Server) WebhookCalled(c services.WebhookCall) {
	outcome := "OK"
	if c.Failure != "" {
		outcome = string(c.Failure)
	}
	s.metrics.webhooks.WithLabelValues(outcome).Inc()
	if c.IsDead {
		s.metrics.deadLetters.Inc()
	}
}

// Close ends the WebSocket connections, which http.Server.Shutdown does not know, and the event streams, for which it would wait.
func (s *Server) Close(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.events.Close(ctx) }()
	return errors.Join(s.ws.Close(ctx), <-ended)
}

// graphql is the handler; change may change how multipart requests are served, and may be nil.
func (s *Server) graphql(change func(*transport.Multipart)) http.Handler {
	schema := graph.NewExecutableSchema(graph.Config{Resolvers: &resolvers.Resolver{
		Services: s.services, PageDefault: s.settings.PageDefault, PageMax: s.settings.PageMax,
		MessagesMax: s.settings.MessagesPageMax, NodesMax: s.settings.NodesPerCall,
	}})
	h := handler.New(schema)
	h.AddTransport(s.ws)
	h.AddTransport(s.events)
	forms := s.multipartForms(schema.Schema())
	if change != nil {
		change(&forms)
	}
	h.AddTransport(forms)
	h.AddTransport(transport.HTTP{
		Timeout: s.settings.OperationTime, MaxBody: s.settings.BodyBytes, Draft: s.settings.HTTPStatus == config.HTTPStatusDraft,
		Also: []string{http.MethodPut, http.MethodDelete}, // of event streams
	})
	h.SetQueryCache(shortTexts{lru.New[*ast.QueryDocument](queriesKept)})
	h.SetParserTokenLimit(s.settings.QueryTokens)
	h.SetDisableSuggestion(!s.settings.GraphiQL)
	h.SetValidationRulesFn(func() *rules.Rules { return validation(s.settings.GraphiQL) })
	h.SetErrorPresenter(s.present)
	h.SetRecoverFunc(s.recovered)
	h.Use(access{schema: schema.Schema(), present: s.present, viewer: s.viewerOf}) // first: nobody else is worth the work
	h.Use(s.trusted)
	h.Use(debts{rates: s.rates})
	h.Use(newDocuments(s.settings.QueryTokens, s.settings.QueryDepth, s.settings.QueryAliases, s.present))
	h.Use(variables{schema: schema.Schema(), present: s.present})
	h.Use(argued{present: s.present})
	h.Use(rows{pageDefault: s.settings.PageDefault, present: s.present})
	h.Use(s.rates)
	h.Use(extension.Introspection{})
	h.AroundOperations(s.operation)
	h.AroundResponses(s.response)
	h.AroundRootFields(s.rootField)
	return h
}

// operation gives an operation its viewer. A query that selects a cursor runs in one snapshot
// (rule N4).
func (s *Server) operation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if event, ok := transport.EventFromContext(ctx); ok {
		if scope := scopeOf(event); scope != nil {
			return next(services.WithScope(ctx, scope))
		}
	}
	started := time.Now()
	op := graphql.GetOperationContext(ctx)
	settle(op)
	req := requestOf(ctx)
	ctx = services.WithViewer(services.WithAddress(ctx, req.address), req.viewer, req.id)
	respond := next(ctx)
	if op.Operation.Operation == ast.Query && selects(op, "eventCursor") {
		respond = s.inSnapshot(respond)
	}
	return func(ctx context.Context) *graphql.Response {
		r := respond(ctx)
		if op.Operation.Operation != ast.Subscription {
			withCost(op, r)
		}
		s.finished(ctx, op, r, started)
		return r
	}
}

// rootField gives each mutation of a document a viewer and loaders of its own: it meets, and shows, what those before it have changed (rule A1).
func (s *Server) rootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	if graphql.GetOperationContext(ctx).Operation.Operation == ast.Mutation {
		req := requestOf(ctx)
		ctx = dataloaders.NewContext(services.WithViewer(ctx, req.viewer, req.id), s.services)
	}
	return next(ctx)
}

func (s *Server) inSnapshot(respond graphql.ResponseHandler) graphql.ResponseHandler {
	return func(ctx context.Context) (r *graphql.Response) {
		err := s.services.Snapshot(ctx, func(ctx context.Context) error {
			r = respond(ctx)
			return nil
		})
		if err != nil {
			return &graphql.Response{Errors: gqlerror.List{s.present(ctx, err)}}
		}
		return r
	}
}

// response gives each response, a pushed event included, loaders of its own.
func (s *Server) response(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	ctx = dataloaders.NewContext(ctx, s.services)
	if event, ok := transport.EventFromContext(ctx); ok {
		dataloaders.From(ctx).Prime(primedOf(event))
		// One operation pushes several events; each was made visible under a scope of its own.
		if scope := scopeOf(event); scope != nil {
			ctx = services.WithScope(ctx, scope)
		}
	} else if graphql.HasOperationContext(ctx) {
		s.rates.refused(ctx, graphql.GetOperationContext(ctx))
	}
	return cut(next(ctx))
}

// cut leaves of many errors the first limits.ErrorsShown, and says how many there were: a document of some kilobytes can be wrong in
// thousands of ways (rule X2).
func cut(r *graphql.Response) *graphql.Response {
	if r == nil || len(r.Errors) <= limits.ErrorsShown {
		return r
	}
	all := len(r.Errors)
	r.Errors = append(r.Errors[:limits.ErrorsShown:limits.ErrorsShown], &gqlerror.Error{
		Message: fmt.Sprintf("%d errors in all; the first %d are shown", all, limits.ErrorsShown), Extensions: map[string]any{"code": string(models.CodeLimitExceeded), "limit": limits.ErrorsShown},
	})
	return r
}

// finished counts and logs an operation: ids and codes, never documents or variables.
func (s *Server) finished(ctx context.Context, op *graphql.OperationContext, r *graphql.Response, started time.Time) {
	if r == nil {
		return
	}
	took := time.Since(started)
	code := "OK"
	if len(r.Errors) > 0 {
		code, _ = r.Errors[0].Extensions["code"].(string)
	}
	kind := string(op.Operation.Operation)
	s.metrics.operations.WithLabelValues(kind, code).Observe(took.Seconds())
	req := requestOf(ctx)
	attrs := []any{"operation", kind, "code", code, "took", took}
	if req.viewer != nil {
		attrs = append(attrs, "role", string(req.viewer.Role), "account", req.viewer.Account)
	}
	s.log.DebugContext(ctx, "operation", attrs...)
}

func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.settings.OperationTime)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		s.log.WarnContext(ctx, "not ready", "error", err)
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}

// Serve answers on a listener until ctx ends, then lets requests under way finish for the
// settings' grace and ends subscriptions with a code that means "come back".
func (s *Server) Serve(ctx context.Context, hs *http.Server, serve func() error) error {
	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settings.ShutdownGrace)
	defer cancel()
	err := errors.Join(s.Close(grace), hs.Shutdown(grace))
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}
