package server

import (
	"context"
	"net/http"
	"path"
	"slices"

	"clientele/channels/wechat"
	"clientele/internal/transport"
	"clientele/models"
	"clientele/services"
)

// accounts and ingester are the services as the wechat callback asks for them.
type (
	accounts struct{ s *services.Services }
	ingester struct{ s *services.Services }
)

// Callback implements wechat.Accounts.
func (a accounts) Callback(ctx context.Context, id string) (wechat.Callback, error) {
	c, err := a.s.Callback(ctx, id)
	return credentials(c), err
}

// CallbackNow implements wechat.Accounts.
func (a accounts) CallbackNow(ctx context.Context, id string) (wechat.Callback, error) {
	c, err := a.s.CallbackNow(ctx, id)
	return credentials(c), err
}

func credentials(c services.Callback) wechat.Callback {
	if c.Account == nil {
		return wechat.Callback{}
	}
	return wechat.Callback{
		Account: c.Account.Key, AppID: string(c.Account.AppID), OriginalID: string(c.Account.OriginalID),
		Mode: wechat.Mode(c.Account.CallbackMode), Tokens: c.Tokens, AESKeys: c.AESKeys,
	}
}

// Ingest implements wechat.Ingester.
func (i ingester) Ingest(ctx context.Context, account models.Key, in models.Inbound) error {
	_, err := i.s.Ingest(ctx, account, in)
	return err
}

func scopeOf(e transport.Event) *services.Scope {
	if pushed, ok := e.Value.(models.PushedEvent); ok {
		return services.ScopeOf(pushed)
	}
	return nil
}

func primedOf(e transport.Event) *models.Primed {
	if pushed, ok := e.Value.(models.PushedEvent); ok {
		return pushed.Meta().Primed
	}
	return nil
}

// matches reports whether an allowed origin covers one; * stands for any characters but a
// slash, and alone for every origin, as it does for WebSockets.
func matches(allowed, origin string) bool {
	ok, err := path.Match(allowed, origin)
	return allowed == "*" || err == nil && ok
}

// cors lets the pages of the allowed origins call the API. Tokens travel in a header and never
// in a cookie, so no credentials are allowed across origins.
func (s *Server) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin != "" && slices.ContainsFunc(s.settings.AllowedOrigins, func(allowed string) bool { return matches(allowed, origin) }) {
			h := w.Header()
			h.Add("Vary", "Origin")
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "Retry-After, "+requestIDHeader)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, GraphQL-Require-Preflight, Apollo-Require-Preflight, X-Apollo-Operation-Name, If-None-Match, Last-Event-ID, X-GraphQL-Event-Stream-Token, "+requestIDHeader)
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
