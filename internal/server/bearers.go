package server

import (
	"net/http"
	"sync"

	"clientele/auth"
	"clientele/limits"
	"clientele/models"
)

// bearers counts what a bearer holds open on this node, WebSockets and event streams together, whichever of their tokens they come with: at
// most limits.ConnectionsPerBearer, or one of them could take all that --max-connections lets in. It is safe for concurrent use, and its zero
// value is ready.
type bearers struct {
	mu   sync.Mutex
	open map[string]int
}

// enter counts one in, until leave is called, which must be once. LIMIT_EXCEEDED where the bearer has as many as they may.
func (b *bearers) enter(v *auth.Viewer) (leave func(), err error) {
	name := bearerOf(v)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[name] >= limits.ConnectionsPerBearer {
		return nil, models.TooMany("", limits.ConnectionsPerBearer, "more than %d connections of one bearer are open; close some", limits.ConnectionsPerBearer)
	}
	if b.open == nil {
		b.open = map[string]int{}
	}
	b.open[name]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.open[name]--; b.open[name] == 0 {
			delete(b.open, name)
		}
	}, nil
}

// bearerOf names who bears a token.
func bearerOf(v *auth.Viewer) string {
	return string(v.Role) + " " + v.Account + " " + v.Subject
}

// held counts the event streams of a bearer in, for as long as they are answered. It comes behind ticketed, which lets in only who is known.
func (s *Server) held(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.events.Supports(r) {
			leave, err := s.bearers.enter(requestOf(r.Context()).viewer)
			if err != nil {
				w.Header().Set("Retry-After", "5")
				s.answerErrors(w, r, http.StatusTooManyRequests, err)
				return
			}
			defer leave()
		}
		next.ServeHTTP(w, r)
	})
}
