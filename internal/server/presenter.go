package server

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/auth"
	"clientele/internal/transport"
	"clientele/models"
	"clientele/store"
)

// present maps any error to what a client may see: a code of the schema's ErrorCode, a message
// for developers, and the request's id (rule X1). What is not ours to show is logged and
// answered as INTERNAL.
func (s *Server) present(ctx context.Context, err error) *gqlerror.Error {
	shown := graphql.DefaultErrorPresenter(ctx, err)
	if shown.Extensions == nil {
		shown.Extensions = map[string]any{}
	}
	shown.Extensions["requestId"] = requestID(ctx)
	var ours *models.Error
	var token auth.Error
	switch {
	case errors.As(err, &ours):
	case errors.As(err, &token):
		ours = models.Errorf(models.CodeUnauthenticated, "%s", token.Error())
	case errors.Is(err, store.ErrUnknownOutcome):
		ours = models.Errorf(models.CodeUnavailable, "whether it happened is not known; ask again, with the same idempotency key if there is one")
	case store.Unreachable(err):
		ours = models.Errorf(models.CodeUnavailable, "the database cannot answer now; try again")
	case strings.HasSuffix(err.Error(), notUpload):
		ours = models.Errorf(models.CodeInvalid, "is no file: send it as a GraphQL multipart request")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		ours = models.Errorf(models.CodeUnavailable, "the time for the operation ran out")
	default:
		if protocol(shown) {
			if field := fieldOfVariable(ctx, shown.Path); field != "" {
				shown.Message, shown.Extensions["field"] = field+" "+shown.Message, field
			}
			return shown
		}
		s.log.ErrorContext(ctx, "unexpected failure", "error", store.Describe(err))
		ours = models.Errorf(models.CodeInternal, "unexpected failure; it is logged under the request id")
	}
	shown.Message = ours.Message
	field := ours.Field
	if field == "" && ours.Code == models.CodeInvalid {
		field = argument(shown.Path) // an argument that could not be read has its path
	}
	if field != "" {
		shown.Message = field + " " + ours.Message
		shown.Extensions["field"] = field
	}
	shown.Extensions["code"] = string(ours.Code)
	if ours.Limit != 0 {
		shown.Extensions["limit"] = ours.Limit
	}
	if !ours.RetryAt.IsZero() {
		shown.Extensions["retryAt"] = ours.RetryAt.Go().Format(time.RFC3339)
	}
	return shown
}

// notUpload is how the executor says that something else stands for a file; its error is of no type.
const notUpload = "is not an Upload"

// argument is the path of an argument below its field; empty for a field's own path.
func argument(path ast.Path) string {
	var parts []string
	for i, p := range path {
		if i > 0 {
			parts = append(parts, fmt.Sprint(p))
		}
	}
	return strings.Join(parts, ".")
}

// protocol reports whether an error is GraphQL's own (syntax, validation, variables, transport):
// its message is safe to show and gets a code of ours.
func protocol(e *gqlerror.Error) bool {
	switch e.Extensions["code"] {
	case errcode.ParseFailed, errcode.ValidationFailed:
		e.Extensions["code"] = string(models.CodeInvalid)
		return true
	case transport.CodePreflight:
		e.Extensions["code"] = string(models.CodeInvalid)
		return true
	case string(models.CodeInvalid), string(models.CodeLimitExceeded), string(models.CodeUnavailable), transport.CodeUnauthenticated:
		return true
	}
	// Coercion of arguments fails in generated code, without a code and with nothing wrapped.
	if e.Unwrap() == nil && e.Extensions["code"] == nil && e.Rule != "" {
		e.Extensions["code"] = string(models.CodeInvalid)
		return true
	}
	return false
}

// recovered logs a panic of a resolver; the client sees INTERNAL.
func (s *Server) recovered(ctx context.Context, p any) error {
	s.log.ErrorContext(ctx, "panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return models.Errorf(models.CodeInternal, "unexpected failure; it is logged under the request id")
}
