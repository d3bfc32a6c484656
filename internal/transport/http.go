package transport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// HTTP answers a request with one response: GraphQL over HTTP by POST with application/json, and by GET for queries.
//
// Statuses are those that the audits of graphql-http want: a request that is malformed is answered 400, 405, 406, 413 or 415 whatever the
// client accepts; a document that does not parse, is not valid or is refused before it is executed is answered 200 to application/json and
// 400 to application/graphql-response+json; what was executed is answered 200. Errors of a request come without `data`. A subscription is
// refused without being executed. @defer is ignored: everything is in the one response. With Draft the statuses are others.
//
// It supports every request but an upgrade, so it must be the last transport that is added. It is safe for concurrent use.
type HTTP struct {
	// Timeout is the time for a query or mutation, parsing included: the resolvers' context ends then. Zero: [DefaultTimeout]; negative:
	// none.
	Timeout time.Duration
	// MaxBody is the most bytes of a body; a longer one is answered 413. Zero: [DefaultMaxBody]; negative: no limit.
	MaxBody int64
	// Draft answers with the statuses of the 2026 draft of GraphQL over HTTP, which no server can give together with those of the audits:
	// whatever the client accepts, 400 to a body that is not JSON and to a document that does not parse; 422 to any other request that is malformed
	// or refused before it is executed; [StatusPartialSuccess] to an answer with both data, null or not, and errors, where application/json gets 200.
	Draft bool
	// Also are methods that other transports serve at the same address, for Allow: [Events] PUT and DELETE where streams can be reserved.
	Also []string
}

// StatusPartialSuccess is the draft's 294 Partial Success.
const StatusPartialSuccess = 294

// Supports implements [graphql.Transport]: everything but WebSocket upgrades, so that other methods get their 405.
func (t HTTP) Supports(r *http.Request) bool {
	return !isUpgrade(r)
}

// Do implements [graphql.Transport].
func (t HTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := graphql.StartOperationTrace(r.Context())
	if timeout := orDefault(t.Timeout, DefaultTimeout); timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	started := graphql.Now()
	w.Header().Add("Vary", "Accept")
	media, acceptable := negotiate(r.Header.Values("Accept"))
	if !acceptable {
		media = mediaJSON
	}
	answer := answerer{w: w, exec: exec, media: media, draft: t.Draft}
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", "OPTIONS, "+t.allowed())
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", t.allowed())
		answer.refuse(ctx, http.StatusMethodNotAllowed, newError(CodeInvalid, "use GET or POST"))
		return
	}
	if !acceptable {
		answer.refuse(ctx, http.StatusNotAcceptable, newError(CodeInvalid, "answers are %s or %s, in utf-8", mediaJSON, mediaResponse))
		return
	}
	params := answer.params(r, t.MaxBody)
	if params == nil {
		return
	}
	params.ReadTime = graphql.TraceTiming{Start: started, End: graphql.Now()}
	answer.execute(ctx, r.Method, params)
}

// allowed is the methods that are served.
func (t HTTP) allowed() string {
	return strings.Join(append([]string{http.MethodGet, http.MethodPost}, t.Also...), ", ")
}

// readMembers reads the parameters of a request as members of a JSON object; they are nil where the request is refused, with a status for answerer.refuse.
func readMembers(w http.ResponseWriter, r *http.Request, maxBody int64) (map[string]json.RawMessage, int, *gqlerror.Error) {
	if r.Method == http.MethodGet {
		members, err := queryMembers(r.URL.RawQuery)
		if err != nil {
			return nil, http.StatusUnprocessableEntity, newError(CodeInvalid, "%s", err)
		}
		return members, 0, nil
	}
	if !isJSONRequest(r.Header) {
		return nil, http.StatusUnsupportedMediaType, newError(CodeInvalid, "the body must be %s in utf-8, not compressed", mediaJSON)
	}
	body := r.Body
	if limit := orDefault(maxBody, DefaultMaxBody); limit > 0 {
		body = http.MaxBytesReader(w, r.Body, limit)
	}
	text, err := io.ReadAll(body)
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		refusal := newError(CodeLimitExceeded, "the body is over %d bytes", tooBig.Limit)
		refusal.Extensions["limit"] = tooBig.Limit
		return nil, http.StatusRequestEntityTooLarge, refusal
	}
	// What encoding/json says of a body may quote it; what is said here does not.
	var members map[string]json.RawMessage
	if err != nil || !utf8.Valid(text) || !json.Valid(text) {
		return nil, http.StatusBadRequest, newError(CodeInvalid, "the body must be one JSON object")
	}
	if json.Unmarshal(text, &members) != nil || members == nil {
		return nil, http.StatusUnprocessableEntity, newError(CodeInvalid, "the body must be one JSON object")
	}
	return members, 0, nil
}

// queryMembers makes members of a JSON object of a URL's query: the two strings are quoted, the two objects are JSON already.
func queryMembers(rawQuery string) (map[string]json.RawMessage, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, paramsError("the query of the URL is malformed")
	}
	members := make(map[string]json.RawMessage)
	for _, name := range []string{"query", DocumentID, "operationName", "variables", "extensions"} {
		given := values[name]
		if len(given) > 1 {
			return nil, paramsError("`" + name + "` is given twice")
		}
		if len(given) == 0 || given[0] == "" {
			continue
		}
		if !utf8.ValidString(given[0]) {
			return nil, paramsError("`" + name + "` must be utf-8")
		}
		member := []byte(given[0])
		if name == "query" || name == DocumentID || name == "operationName" {
			if member, err = json.Marshal(given[0]); err != nil {
				return nil, paramsError("`" + name + "` must be a string")
			}
		} else if !json.Valid(member) {
			return nil, paramsError("`" + name + "` must be an object or null")
		}
		members[name] = member
	}
	return members, nil
}

// answerer writes the one response to a request.
type answerer struct {
	w     http.ResponseWriter
	exec  graphql.GraphExecutor
	media string
	draft bool // see HTTP.Draft
}

// params reads the parameters of a request, with its header. nil: the request is malformed, and has been refused.
func (a answerer) params(r *http.Request, maxBody int64) *graphql.RawParams {
	members, status, refusal := readMembers(a.w, r, maxBody)
	if refusal != nil {
		a.refuse(r.Context(), status, refusal)
		return nil
	}
	params, err := decodeParams(members)
	if err != nil {
		a.refuse(r.Context(), http.StatusUnprocessableEntity, newError(CodeInvalid, "%s", err))
		return nil
	}
	params.Headers = r.Header
	return params
}

// execute answers a request that is well formed.
func (a answerer) execute(ctx context.Context, method string, params *graphql.RawParams) {
	a.write(a.run(ctx, method, params))
}

// run executes an operation and returns its answer with a status. Where that has an Allow, it is in the header.
func (a answerer) run(ctx context.Context, method string, params *graphql.RawParams) (status int, resp *graphql.Response) {
	opCtx, errs, panicked := createOperation(ctx, a.exec, params)
	if panicked {
		return http.StatusInternalServerError, requestError(ctx, a.exec, opCtx, errs)
	}
	if len(errs) > 0 {
		if a.draft && isUnparsed(errs) {
			return http.StatusBadRequest, requestError(ctx, a.exec, opCtx, errs)
		}
		return a.result(requestError(ctx, a.exec, opCtx, errs))
	}
	switch opCtx.Operation.Operation {
	case ast.Query:
	case ast.Mutation:
		if method == http.MethodGet {
			a.w.Header().Set("Allow", http.MethodPost)
			return http.StatusMethodNotAllowed, requestError(ctx, a.exec, nil, gqlerror.List{newError(CodeInvalid, "a mutation must be sent by POST")})
		}
	case ast.Subscription:
		return a.result(requestError(ctx, a.exec, opCtx, gqlerror.List{
			newError(CodeInvalid, "a subscription needs a connection that stays open: use graphql-transport-ws over WebSocket, or Accept: %s", mediaEvents),
		}))
	}
	resp, panicked = guard(ctx, a.exec, opCtx, func() *graphql.Response {
		handler, handlerCtx := a.exec.DispatchOperation(ctx, opCtx)
		return handler(handlerCtx)
	})
	if panicked {
		return http.StatusInternalServerError, resp
	}
	if resp == nil {
		resp = requestError(ctx, a.exec, opCtx, gqlerror.List{newError(CodeUnavailable, "the operation took too long")})
		return http.StatusServiceUnavailable, resp
	}
	return a.result(resp)
}

// result is the answer to a request that was well formed.
func (a answerer) result(resp *graphql.Response) (int, *graphql.Response) {
	switch failed := isRequestError(resp); {
	case failed && a.draft:
		return http.StatusUnprocessableEntity, resp
	case failed && a.media == mediaResponse:
		return http.StatusBadRequest, resp
	case len(resp.Errors) > 0 && a.draft && a.media == mediaResponse:
		return StatusPartialSuccess, resp
	}
	return http.StatusOK, resp
}

// isUnparsed reports whether the errors are of a document that is no GraphQL. They are the executor's own, not presented yet.
func isUnparsed(errs gqlerror.List) bool {
	return slices.ContainsFunc(errs, func(err *gqlerror.Error) bool { return err.Extensions["code"] == errcode.ParseFailed })
}

// refuse answers a request that was not. The draft's 422 is 400 for the audits.
func (a answerer) refuse(ctx context.Context, status int, err *gqlerror.Error) {
	if status == http.StatusUnprocessableEntity && !a.draft {
		status = http.StatusBadRequest
	}
	a.write(status, requestError(ctx, a.exec, nil, gqlerror.List{err}))
}

func (a answerer) write(status int, resp *graphql.Response) {
	a.writeBody(status, encodeResponse(resp))
}

func (a answerer) writeBody(status int, body []byte) {
	header := a.w.Header()
	header.Set("Content-Type", a.media+"; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	a.w.WriteHeader(status)
	// The client is gone if this fails, and there is nobody left to tell.
	_, _ = a.w.Write(body)
}
