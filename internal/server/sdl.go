package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/models"
	"clientele/schema"
)

// sdlETag is that of the printed schema, the same on every node of one version.
var sdlETag = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(schema.Printed()))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`
})

// sdl answers GET and HEAD /schema.graphql with the printed schema, to whoever may introspect: the same as introspection tells, and what it
// does not, such as who may select a root field. It is refused as an operation would be: without a token that is good by 401, beyond the
// rates, of which it is charged 1, by 429. A client that has it already is answered 304, for which it must be known as well.
func (s *Server) sdl(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", http.MethodGet+", "+http.MethodHead)
		s.answerErrors(w, r, http.StatusMethodNotAllowed, models.Errorf(models.CodeInvalid, "use GET"))
		return
	}
	h := w.Header()
	h.Add("Vary", "Authorization")
	if refused := s.introspects(r.Context()); refused != nil {
		h.Set("Cache-Control", "no-store")
		answerError(w, statusOf(refused), refused)
		return
	}
	h.Set("Content-Type", "application/graphql; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-cache") // it may be kept, and is asked for again by its ETag
	h.Set("ETag", sdlETag())
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(schema.Printed()))
}

// introspects says why the viewer of a request may not be told the schema; nil: they may, and it was charged. It is the rule of
// introspection (rule V8): everybody's who has a token, but not of an ADVISOR where trusted documents are enforced.
func (s *Server) introspects(ctx context.Context) *gqlerror.Error {
	ctx, cancel := context.WithTimeout(ctx, s.settings.OperationTime)
	defer cancel()
	v, err := s.viewerOf(ctx)
	switch {
	case err != nil:
	case v == nil:
		err = models.Errorf(models.CodeUnauthenticated, "a token is required")
	case s.trusted.enforced(v):
		err = errNoIntrospection
	default:
		err = s.rates.charge(ctx, v, 1, 0)
	}
	if err != nil {
		return s.present(ctx, err)
	}
	return nil
}
