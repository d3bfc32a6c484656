package transport

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

const (
	// tokenHeader and tokenParameter name a reservation.
	tokenHeader    = "X-GraphQL-Event-Stream-Token" //nolint:gosec // it is the name of a header.
	tokenParameter = "token"
	// reservationBytes is how much chance a token is made of.
	reservationBytes = 32
	// operationIDBytes is the longest id of an operation.
	operationIDBytes = 128
)

// Defaults of [ReservationOptions].
const (
	DefaultReservationTime     = 10 * time.Second
	DefaultMaxReservations     = 10_000
	DefaultMaxPerPrincipal     = 16
	DefaultMaxStreamOperations = DefaultMaxSubscriptions + DefaultMaxOperations
)

// ReservationOptions are for the "single connection mode" of graphql-sse: PUT answers a token, GET with it opens the stream, POST with it
// and an extensions.operationId executes an operation on the stream, and DELETE with it and ?operationId= stops one.
//
// A reservation is known to the one [Events] that made it: where there are several nodes, all requests of a client must reach the same one.
type ReservationOptions struct {
	// Principal says whose a request is: a reservation is usable by requests of the same principal alone, and to others is one that does not
	// exist. An error refuses the request, with 401 where its presented code is [CodeUnauthenticated], else with 503. nil: nothing can be
	// reserved, and requests of this mode are left to other transports.
	Principal func(ctx context.Context) (string, error)
	// Time is how long a reservation waits for its stream. Zero or less: [DefaultReservationTime].
	Time time.Duration
	// MaxReservations is the most reservations at once, open ones included; above it PUT is answered 503. Zero or less:
	// [DefaultMaxReservations].
	MaxReservations int
	// MaxPerPrincipal is the same for one principal; above it PUT is answered 429. Zero or less: [DefaultMaxPerPrincipal].
	MaxPerPrincipal int
	// MaxOperations is the most operations at once of one stream; above it POST is answered 429. Zero or less:
	// [DefaultMaxStreamOperations].
	MaxOperations int
}

func (o ReservationOptions) withDefaults() ReservationOptions {
	o.Time = positiveOr(o.Time, DefaultReservationTime)
	o.MaxReservations = positiveOr(o.MaxReservations, DefaultMaxReservations)
	o.MaxPerPrincipal = positiveOr(o.MaxPerPrincipal, DefaultMaxPerPrincipal)
	o.MaxOperations = positiveOr(o.MaxOperations, DefaultMaxStreamOperations)
	return o
}

// reservation is a stream of many operations, or the promise of one. Fields that change are guarded by the mu of [Events].
type reservation struct {
	token     string
	principal string
	pipe      *eventPipe
	ctx       context.Context // ends with the reservation, and so do its operations
	cancel    context.CancelFunc
	opened    chan struct{} // closed once the stream's head was sent
	timer     *time.Timer   // ends what nobody opens

	open       bool
	gone       bool
	operations map[string]*seat
	// working counts the operations' goroutines; idle is closed once there are none and the reservation is gone.
	working int
	idle    chan struct{}
}

// seat is an operation's place on a reserved stream.
type seat struct {
	cancel context.CancelFunc
	// left: the operation has ended for the client, its id is free, and nothing more is written for it.
	left atomic.Bool
}

// isReserving reports whether a request is of the single connection mode.
func (t *Events) isReserving(r *http.Request) bool {
	if t.options.Reservations.Principal == nil || isUpgrade(r) {
		return false
	}
	switch r.Method {
	case http.MethodPut, http.MethodDelete:
		return true
	case http.MethodGet:
		return r.Header.Get(tokenHeader) != "" || r.URL.Query().Has(tokenParameter) && prefersEvents(r.Header.Values("Accept"))
	case http.MethodPost:
		return r.Header.Get(tokenHeader) != "" || r.URL.Query().Has(tokenParameter)
	}
	return false
}

func (t *Events) serveReserved(w http.ResponseWriter, r *http.Request, answer answerer) {
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := withTimeout(r.Context(), t.options.Timeout)
	defer cancel()
	principal, err := t.options.Reservations.Principal(ctx)
	if err != nil {
		resp := requestError(ctx, answer.exec, nil, presentable(err))
		status := http.StatusServiceUnavailable
		if resp.Errors[0].Extensions["code"] == CodeUnauthenticated {
			status = http.StatusUnauthorized
		}
		answer.write(status, resp)
		return
	}
	if r.Method == http.MethodPut {
		t.reserve(ctx, principal, answer)
		return
	}
	token := r.Header.Get(tokenHeader)
	if token == "" {
		token = r.URL.Query().Get(tokenParameter)
	}
	t.mu.Lock()
	res := t.reserved[token]
	t.mu.Unlock()
	if res == nil || res.principal != principal {
		answer.refuse(ctx, http.StatusNotFound, newError(CodeInvalid, "there is no such stream: reserve one by PUT"))
		return
	}
	switch r.Method {
	case http.MethodGet:
		t.openReserved(w, r, res, answer)
	case http.MethodPost:
		t.executeReserved(w, r, res, answer)
	default:
		id := r.URL.Query().Get("operationId")
		if id == "" {
			answer.refuse(ctx, http.StatusBadRequest, newError(CodeInvalid, "`operationId` is missing"))
			return
		}
		t.stop(res, id)
		w.WriteHeader(http.StatusOK)
	}
}

// reserve answers a token, in plain text.
func (t *Events) reserve(ctx context.Context, principal string, answer answerer) {
	var secret [reservationBytes]byte
	_, _ = rand.Read(secret[:]) // it never fails
	res := &reservation{
		token: base64.RawURLEncoding.EncodeToString(secret[:]), principal: principal, pipe: newEventPipe(t, answer.exec),
		opened: make(chan struct{}), operations: make(map[string]*seat), idle: make(chan struct{}),
	}
	res.pipe.isShared = true
	options := t.options.Reservations
	t.mu.Lock()
	full := t.closed || len(t.reserved) >= options.MaxReservations
	over := t.held[principal] >= options.MaxPerPrincipal
	if !full && !over {
		// Its operations have values of their own requests: this context is for the end alone.
		res.ctx, res.cancel = context.WithCancel(context.WithoutCancel(ctx))
		t.reserved[res.token] = res
		t.held[principal]++
		call(t.options.Hooks.Reserved)
		res.timer = time.AfterFunc(options.Time, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			if !res.open {
				t.forget(res)
			}
		})
	}
	t.mu.Unlock()
	switch {
	case full:
		answer.w.Header().Set("Retry-After", "5")
		answer.refuse(ctx, http.StatusServiceUnavailable, newError(CodeUnavailable, "too many streams: try again"))
	case over:
		answer.refuse(ctx, http.StatusTooManyRequests, limitError(options.MaxPerPrincipal, "more than %d reserved streams", options.MaxPerPrincipal))
	default:
		answer.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		answer.w.Header().Set("X-Content-Type-Options", "nosniff")
		answer.w.WriteHeader(http.StatusCreated)
		_, _ = answer.w.Write([]byte(res.token)) // the client is gone if this fails
	}
}

// forget ends a reservation and its operations. It must be called with mu held, and may be called again.
func (t *Events) forget(res *reservation) {
	if res.gone {
		return
	}
	res.gone = true
	call(t.options.Hooks.ReservationEnded)
	res.timer.Stop()
	res.cancel()
	delete(t.reserved, res.token)
	if t.held[res.principal]--; t.held[res.principal] == 0 {
		delete(t.held, res.principal)
	}
	if res.working == 0 {
		close(res.idle)
	}
}

// openReserved serves a reservation's stream until it ends, and all operations with it.
func (t *Events) openReserved(w http.ResponseWriter, r *http.Request, res *reservation, answer answerer) {
	ctx := context.WithValue(r.Context(), streamKey{}, res.pipe)
	if !t.enter() {
		w.Header().Set("Retry-After", "5")
		answer.refuse(ctx, http.StatusServiceUnavailable, newError(CodeUnavailable, "too many streams: try again"))
		return
	}
	defer t.leave()
	t.mu.Lock()
	taken, gone := res.open, res.gone
	res.open = true
	t.mu.Unlock()
	switch {
	case gone:
		answer.refuse(ctx, http.StatusNotFound, newError(CodeInvalid, "there is no such stream: reserve one by PUT"))
		return
	case taken:
		answer.refuse(ctx, http.StatusConflict, newError(CodeInvalid, "the stream is open"))
		return
	}
	var expires time.Time
	if t.options.Begin != nil {
		ctx, expires = t.options.Begin(ctx)
	}
	expired, stop := expiry(expires)
	defer stop()
	pipe := res.pipe
	defer func() {
		pipe.finish()
		t.mu.Lock()
		t.forget(res)
		t.mu.Unlock()
		<-res.idle
	}()
	pipe.attach(w)
	pipe.begin()
	close(res.opened)
	keepAlive := time.NewTicker(positiveOr(t.options.KeepAlive, never))
	defer keepAlive.Stop()
	for {
		select {
		case <-keepAlive.C:
			pipe.keepAlive()
		case <-expired:
			pipe.fail(ctx, CloseError{Code: CloseForbidden, Reason: reasonExpired})
			return
		case <-pipe.ended:
			pipe.fail(ctx, pipe.end)
			return
		case <-pipe.broke:
			return
		case <-t.closing: // no event: a client comes back by itself
			return
		case <-ctx.Done():
			return
		}
	}
}

// executeReserved begins an operation on a reserved stream. One that is not open yet has it begin when it opens.
func (t *Events) executeReserved(w http.ResponseWriter, r *http.Request, res *reservation, answer answerer) {
	params := answer.params(r, t.options.MaxBody)
	if params == nil {
		return
	}
	id, ok := params.Extensions["operationId"].(string)
	if !ok || id == "" || len(id) > operationIDBytes {
		answer.refuse(r.Context(), http.StatusBadRequest, newError(CodeInvalid, "`extensions.operationId` must be a string of 1 to %d bytes", operationIDBytes))
		return
	}
	delete(params.Extensions, "operationId")
	quoted, err := json.Marshal(id)
	if err != nil {
		answer.refuse(r.Context(), http.StatusBadRequest, newError(CodeInvalid, "`extensions.operationId` must be a string"))
		return
	}
	s := &eventStream{pipe: res.pipe, id: string(quoted), woken: make(chan struct{}, 1)}
	// The answer to this request ends its context; its values are the operation's.
	ctx := context.WithValue(context.WithoutCancel(r.Context()), streamKey{}, res.pipe)
	if t.options.Begin != nil {
		ctx, s.expires = t.options.Begin(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	s.seat = &seat{cancel: cancel}
	s.leave = func() { t.vacate(res, id, s.seat) }
	if status, refusal := t.admit(res, id, s.seat); refusal != nil {
		cancel()
		answer.refuse(r.Context(), status, refusal)
		return
	}
	go func() {
		defer t.finished(res, id, s.seat)
		defer cancel()
		defer context.AfterFunc(res.ctx, cancel)()
		select {
		case <-res.opened:
			s.serve(ctx, cancel, http.MethodPost, params, answerer{})
		case <-ctx.Done():
		}
	}()
	w.WriteHeader(http.StatusAccepted)
}

// admit counts an operation in. Where it is refused it must not run.
func (t *Events) admit(res *reservation, id string, mine *seat) (int, *gqlerror.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.options.Reservations.MaxOperations
	switch _, used := res.operations[id]; {
	case res.gone:
		return http.StatusNotFound, newError(CodeInvalid, "there is no such stream: reserve one by PUT")
	case used:
		return http.StatusConflict, newError(CodeInvalid, "an operation with this id is under way")
	case res.working >= limit:
		return http.StatusTooManyRequests, limitError(limit, "more than %d operations at once on one stream", limit)
	}
	res.operations[id] = mine
	res.working++
	t.running.Add(1)
	return 0, nil
}

// stop ends an operation: its client wants no more of it. One that is not under way may have ended by itself, so that is no mistake.
func (t *Events) stop(res *reservation, id string) {
	t.mu.Lock()
	found := res.operations[id]
	t.mu.Unlock()
	if found != nil {
		found.left.Store(true)
		t.vacate(res, id, found)
		found.cancel()
	}
}

// vacate makes an operation's id free. It may be called again.
func (t *Events) vacate(res *reservation, id string, mine *seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if res.operations[id] == mine {
		delete(res.operations, id)
	}
}

// finished counts an operation's goroutine out.
func (t *Events) finished(res *reservation, id string, mine *seat) {
	t.vacate(res, id, mine)
	t.mu.Lock()
	defer t.mu.Unlock()
	if res.working--; res.working == 0 && res.gone {
		close(res.idle)
	}
	t.running.Done()
}
