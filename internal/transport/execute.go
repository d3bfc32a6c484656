package transport

import (
	"context"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// createOperation parses and checks a request. Where it returns errors the operation must not run; the operation context is never nil.
// panicked reports that the errors are of a panic.
func createOperation(
	ctx context.Context, exec graphql.GraphExecutor, params *graphql.RawParams,
) (opCtx *graphql.OperationContext, errs gqlerror.List, panicked bool) {
	defer func() {
		p := recover()
		if opCtx == nil {
			opCtx = noOperation(exec)
		}
		if p != nil {
			panicked = true
			errs = gqlerror.List{recovered(ctx, opCtx, p)}
		}
	}()
	opCtx, errs = exec.CreateOperationContext(ctx, params)
	if opCtx != nil && len(errs) == 0 {
		stripDefer(opCtx)
	}
	return opCtx, errs, false
}

// noOperation stands for the operation context where there is none. An executor gives its recover function to nobody else, but gqlgen's own
// lets it be called.
func noOperation(exec graphql.GraphExecutor) *graphql.OperationContext {
	opCtx := &graphql.OperationContext{RecoverFunc: graphql.DefaultRecover}
	if presenter, ok := exec.(interface {
		PresentRecoveredError(ctx context.Context, err any) error
	}); ok {
		opCtx.RecoverFunc = presenter.PresentRecoveredError
	}
	return opCtx
}

// requestError presents errors of a request whose execution did not begin, or could not be completed: the response has no data.
func requestError(
	ctx context.Context, exec graphql.GraphExecutor, opCtx *graphql.OperationContext, errs gqlerror.List,
) (resp *graphql.Response) {
	if opCtx == nil {
		opCtx = noOperation(exec)
	}
	ctx = graphql.WithOperationContext(ctx, opCtx)
	defer func() {
		// The presenter itself, or a response interceptor, failed: there is nobody left to ask what may be shown.
		if p := recover(); p != nil || resp == nil || len(resp.Errors) == 0 {
			resp = &graphql.Response{Errors: gqlerror.List{newError("INTERNAL", "internal system error")}}
		}
		resp.Data = nil
	}()
	return exec.DispatchError(ctx, errs)
}

// presentable makes an error one of GraphQL without hiding it from the presenter, which may look for its own types in the chain.
func presentable(err error) gqlerror.List {
	return gqlerror.List{gqlerror.WrapIfUnwrapped(err)}
}

// guard runs f, which runs code of the application, and makes of a panic the response that the executor's recover function wants. A panic
// in a resolver is gqlgen's to recover; what is left are extensions and schemas.
func guard(
	ctx context.Context, exec graphql.GraphExecutor, opCtx *graphql.OperationContext, f func() *graphql.Response,
) (resp *graphql.Response, panicked bool) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		panicked = true
		resp = requestError(ctx, exec, opCtx, gqlerror.List{recovered(ctx, opCtx, p)})
	}()
	return f(), false
}

func recovered(ctx context.Context, opCtx *graphql.OperationContext, p any) (err *gqlerror.Error) {
	defer func() {
		if recover() != nil || err == nil {
			err = newError("INTERNAL", "internal system error")
		}
	}()
	return gqlerror.WrapIfUnwrapped(opCtx.RecoverFunc(graphql.WithOperationContext(ctx, opCtx), p))
}

// isRequestError tells errors without an execution result, which have no data at all, from a result whose data is null.
func isRequestError(resp *graphql.Response) bool {
	return resp.Data == nil && len(resp.Errors) > 0
}

// encodeResponse is resp as JSON. Data is copied as it is: it was written by the executor, and having encoding/json check and compact
// it again costs more than everything else here.
func encodeResponse(resp *graphql.Response) []byte {
	const rest = 128 // for cursor and names
	b := append(make([]byte, 0, len(resp.Data)+rest), '{')
	if len(resp.Errors) > 0 {
		b = append(b, `"errors":`...)
		b = append(b, marshalErrors(resp.Errors)...)
	}
	if !isRequestError(resp) {
		b = appendMember(b, "data", resp.Data)
	}
	if len(resp.Extensions) > 0 {
		// Extensions that cannot be encoded are left out: they are no part of the answer.
		if extensions, err := json.Marshal(resp.Extensions); err == nil {
			b = appendMember(b, "extensions", extensions)
		}
	}
	return append(b, '}')
}

// marshalErrors is a list of errors as JSON.
func marshalErrors(errs gqlerror.List) []byte {
	list, err := json.Marshal(errs)
	if err != nil {
		return []byte(`[{"message":"internal system error"}]`)
	}
	return list
}

func appendMember(b []byte, name string, value []byte) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	if value == nil {
		return append(b, "null"...)
	}
	return append(b, value...)
}
