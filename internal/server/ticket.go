package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/auth"
	"clientele/models"
	"clientele/services"
)

// tickets answers POST /graphql/ticket with a ticket for one event stream, to whoever brings a token: a browser's EventSource can send no
// header, and a token must not stand in an address (rule V1).
func (s *Server) tickets(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.answerErrors(w, r, http.StatusMethodNotAllowed, models.Errorf(models.CodeInvalid, "use POST"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.settings.OperationTime)
	defer cancel()
	v, err := s.viewerOf(ctx)
	req := requestOf(ctx)
	var ticket string
	var expires models.Time
	if err == nil {
		ticket, expires, err = s.services.IssueTicket(services.WithViewer(services.WithAddress(ctx, req.address), v, req.id))
	}
	if err != nil {
		s.answerErrors(w, r, statusOf(s.present(ctx, err)), err)
		return
	}
	answerJSON(w, http.StatusCreated, map[string]any{"ticket": ticket, "expiresAt": expires.Go().Format(time.RFC3339Nano)})
}

// redeem is the viewer of a request's ticket.
func (s *Server) redeem(r *http.Request, ticket string) (*auth.Viewer, error) {
	ctx, cancel := context.WithTimeout(r.Context(), s.settings.OperationTime)
	defer cancel()
	return s.services.RedeemTicket(ctx, ticket)
}

// unauthorized answers a request for an event stream that nobody who is known makes.
func (s *Server) unauthorized(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		err = models.Errorf(models.CodeUnauthenticated, "a token or a ticket is required")
	}
	s.answerErrors(w, r, statusOf(s.present(r.Context(), err)), err)
}

// statusOf is the status of an answer that is no GraphQL response.
func statusOf(e *gqlerror.Error) int {
	switch e.Extensions["code"] {
	case string(models.CodeUnauthenticated):
		return http.StatusUnauthorized
	case string(models.CodeForbidden):
		return http.StatusForbidden
	case string(models.CodeRateLimited):
		return http.StatusTooManyRequests
	case string(models.CodeUnavailable):
		return http.StatusServiceUnavailable
	case string(models.CodeInternal):
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// answerErrors answers an error in the form of a GraphQL response without data.
func (s *Server) answerErrors(w http.ResponseWriter, r *http.Request, status int, err error) {
	answerError(w, status, s.present(r.Context(), err))
}

func answerError(w http.ResponseWriter, status int, shown *gqlerror.Error) {
	answerJSON(w, status, struct { // graphql.Response would say `"data": null`, as of an operation that was executed
		Errors gqlerror.List `json:"errors"`
	}{gqlerror.List{shown}})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"errors":[{"message":"internal system error"}]}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails
}
