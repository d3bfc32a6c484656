package server

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"clientele/auth"
	"clientele/internal/transport"
	"clientele/models"
)

type requestKey struct{}

// request is what a request brought with it: its id, and the viewer or why there is none.
type request struct {
	id string
	// address is where it came from; empty: not known.
	address string
	viewer  *auth.Viewer
	err     error
	// header is that of the answer; nil on a WebSocket.
	header http.Header
	// paid is what its operation was charged before it was known.
	paid int
}

func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

func requestID(ctx context.Context) string { return requestOf(ctx).id }

const (
	requestIDHeader = "X-Request-Id"
	requestIDBytes  = 64
)

// identify gives each request an id (the client's own where it is sane), the id in the answer,
// and the viewer of its token.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := &request{id: r.Header.Get(requestIDHeader), address: s.addressOf(r.RemoteAddr, r.Header), header: w.Header()}
		if !sane(req.id) {
			req.id = uuid.NewString()
		}
		w.Header().Set(requestIDHeader, req.id)
		if header := r.Header.Get("Authorization"); header != "" {
			var token string
			if token, req.err = auth.FromHeader(header); req.err == nil {
				req.viewer, req.err = s.verifier.Verify(token)
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, req)))
	})
}

// unread lets nobody have a body held in memory who brings no token that is good: their operation is refused whatever it says (access), and one
// that says nothing stands for it. Multipart requests are refused before their bodies by themselves. It comes behind identify.
func unread(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method == http.MethodPost && requestOf(r.Context()).viewer == nil && err == nil && kind == "application/json" {
			const nothing = `{"query":"{__typename}"}`
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(nothing)), int64(len(nothing))
		}
		next.ServeHTTP(w, r)
	})
}

// ticketed lets a ticket stand for a token in the address of an event stream, and nowhere else (rule V1). It comes behind identify.
func (s *Server) ticketed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.events.Supports(r) {
			req := requestOf(r.Context())
			if ticket := r.URL.Query().Get("ticket"); ticket != "" && req.viewer == nil && req.err == nil {
				req.viewer, req.err = s.redeem(r, ticket)
			}
			if req.viewer == nil { // by a status, or a browser would come back with what is not good for ever
				s.unauthorized(w, r, req.err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// named keeps the id that a proxy gave a request. One of the platform's has no viewer, and its account
// and digest name it better than an id that nobody else knows.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := r.Header.Get(requestIDHeader); sane(id) {
			w.Header().Set(requestIDHeader, id)
			r = r.WithContext(context.WithValue(r.Context(), requestKey{}, &request{id: id}))
		}
		next.ServeHTTP(w, r)
	})
}

// addressOf is where a request came from: the peer, or, where that is a proxy that the settings trust,
// the last of the addresses in X-Forwarded-For that is no such proxy. Whoever is not trusted may have
// written anything there.
func (s *Server) addressOf(peer string, header http.Header) string {
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return ""
	}
	address := at.Addr().Unmap()
	hops := strings.Split(strings.Join(header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(address); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		address = before.Unmap().WithZone("")
	}
	return address.String()
}

func (s *Server) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(s.settings.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

func sane(id string) bool {
	if id == "" || len(id) > requestIDBytes {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// initialise decides about a connection_init (rules V1, V6): the token is in its payload, or
// in the header of the upgrade. The connection ends when the token does. Where its bearer has too many, it is told to come back (1013).
func (s *Server) initialise(ctx context.Context, conn *transport.Conn, payload map[string]any, header http.Header) (context.Context, time.Time, error) {
	req := &request{id: header.Get(requestIDHeader), address: s.addressOf(conn.RemoteAddr().String(), header)}
	if !sane(req.id) {
		req.id = uuid.NewString()
	}
	token, err := auth.FromConnectionInit(payload)
	if err == auth.ErrMissing { //nolint:errorlint // the sentinel itself: nothing was given.
		token, err = auth.FromHeader(header.Get("Authorization"))
	}
	if err == nil {
		req.viewer, err = s.verifier.Verify(token)
	}
	if err == nil {
		err = s.services.Admit(ctx, req.viewer)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	leave, err := s.bearers.enter(req.viewer)
	if err != nil {
		return nil, time.Time{}, &transport.CloseError{Code: transport.CloseTryAgain, Reason: s.present(ctx, err).Message}
	}
	context.AfterFunc(ctx, leave) // with the connection
	return context.WithValue(ctx, requestKey{}, req), req.viewer.Expires, nil
}

// begin says until when an event stream is good: for as long as its token is (rule V6).
func (s *Server) begin(ctx context.Context) (context.Context, time.Time) {
	req := *requestOf(ctx)
	req.header = nil // an operation of a reserved stream outlives the answer to its request
	ctx = context.WithValue(ctx, requestKey{}, &req)
	if req.viewer != nil {
		return ctx, req.viewer.Expires
	}
	return ctx, time.Time{}
}

// holder names whose a reserved event stream is: the same bearer's, whichever of their tokens they come with (rule N4).
func (s *Server) holder(ctx context.Context) (string, error) {
	v, err := s.viewerOf(ctx)
	if err != nil {
		return "", err
	}
	if v == nil {
		return "", models.Errorf(models.CodeUnauthenticated, "a token or a ticket is required")
	}
	return bearerOf(v), nil
}

// viewerOf is the viewer of a request's context, or why there is none: a token that was revoked
// since its connection began proves nobody (rule V1).
func (s *Server) viewerOf(ctx context.Context) (*auth.Viewer, error) {
	r := requestOf(ctx)
	if r.viewer != nil {
		if err := s.services.Admit(ctx, r.viewer); err != nil {
			return nil, err
		}
	}
	return r.viewer, r.err
}
