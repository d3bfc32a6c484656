package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/transport"
	"clientele/limits"
	"clientele/models"
)

// multipartForms serves GraphQL multipart requests (ADR 0042).
func (s *Server) multipartForms(schema *ast.Schema) transport.Multipart {
	roles := uploaders(schema)
	return transport.Multipart{
		Timeout: s.settings.OperationTime, MaxBody: limits.UploadBytes, MaxText: s.settings.BodyBytes, MaxFiles: limits.ImagesPerCall, MaxOperations: limits.UploadOperations,
		Draft:   s.settings.HTTPStatus == config.HTTPStatusDraft,
		MinRate: limits.UploadSecondBytes, Grace: limits.UploadGrace, MaxTime: limits.UploadTime,
		Admit: func(ctx context.Context) (leave func(), status int, err error) {
			if leave, err = s.admitUpload(ctx, roles); err != nil {
				return nil, statusOf(s.present(ctx, err)), err
			}
			return leave, 0, nil
		},
	}
}

// admitUpload lets in whose body may be large only who is known, may send files at all, and asks for no more than they are given; and a few at a time: a body
// of multipart/form-data is held in memory, before an operation is looked at. Who comes is charged for the operation and one file, whether they get a place or not. Errors:
// UNAUTHENTICATED, FORBIDDEN, RATE_LIMITED, UNAVAILABLE.
func (s *Server) admitUpload(ctx context.Context, roles map[auth.Role]bool) (leave func(), err error) {
	v, err := s.viewerOf(ctx)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, models.Errorf(models.CodeUnauthenticated, "a token is required")
	case !roles[v.Role]:
		return nil, models.Errorf(models.CodeForbidden, "files are not taken of %s", v.Role)
	}
	const charge = 1 + limits.UploadCharge
	if err := s.rates.charge(ctx, v, charge, 0); err != nil {
		return nil, err
	}
	requestOf(ctx).paid = charge
	return s.uploads.enter(ctx, v)
}

// uploaders are the roles that may ask for some root field that takes files.
func uploaders(schema *ast.Schema) map[auth.Role]bool {
	roles := map[auth.Role]bool{}
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation} {
		for _, f := range root.Fields {
			if !slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return takesFiles(schema, a.Type.Name(), map[string]bool{}) }) {
				continue
			}
			for _, role := range auth.Roles() {
				roles[role] = roles[role] || allowed(f, role)
			}
		}
	}
	return roles
}

// takesFiles reports whether an upload can stand in a value of a type. seen are the types that were looked at.
func takesFiles(schema *ast.Schema, name string, seen map[string]bool) bool {
	if name == "Upload" {
		return true
	}
	if seen[name] {
		return false
	}
	seen[name] = true
	t := schema.Types[name]
	return t != nil && t.Kind == ast.InputObject &&
		slices.ContainsFunc(t.Fields, func(f *ast.FieldDefinition) bool { return takesFiles(schema, f.Type.Name(), seen) })
}

// uploads are the requests whose bodies this node holds in memory, at most limits.UploadsAtOnce, of an account limits.UploadsPerAccount, of a token
// limits.UploadsPerToken; for each of these places limits.UploadsWaiting more wait at most. It is safe for concurrent use.
type uploads struct {
	wait    time.Duration // the longest that one waits
	now     func() time.Time
	metrics *metrics

	mu    sync.Mutex
	known map[string]*uploadCount // by claim.whose
	line  []*waiter               // in the order of coming
}

// uploadCount is how many have a place, and how many have or want one.
type uploadCount struct{ held, known int }

// claim is whose place an upload needs, and how many of them there are.
type claim struct {
	whose  string
	places int
}

// waiter is one who wants a place of each claim; in is closed when they have them.
type waiter struct {
	claims []claim
	in     chan struct{}
}

// nodePlaces names the places of the node.
const nodePlaces = "node"

func newUploads(wait time.Duration, m *metrics) *uploads {
	return &uploads{wait: wait, now: time.Now, metrics: m, known: map[string]*uploadCount{}}
}

// enter waits for a place; leave gives it back. UNAVAILABLE, with the time to come again, where too many wait already, or when none was free in time or ctx ended.
func (u *uploads) enter(ctx context.Context, v *auth.Viewer) (leave func(), err error) {
	if w := u.come(v); w != nil {
		ctx, cancel := context.WithTimeout(ctx, u.wait)
		defer cancel()
		select {
		case <-w.in:
			return func() { u.leave(w) }, nil
		case <-ctx.Done():
			u.leave(w)
		}
	}
	u.metrics.turnedAway.Inc()
	return nil, &models.Error{Code: models.CodeUnavailable, Message: "too much is being uploaded; try again later", RetryAt: retryAfter(ctx, u.now(), limits.UploadRetry)}
}

// come puts somebody into the line; nil: it is too long for them.
func (u *uploads) come(v *auth.Viewer) *waiter {
	w := &waiter{in: make(chan struct{}), claims: []claim{
		{"token " + tokenOf(v), limits.UploadsPerToken}, {"account " + v.Account, limits.UploadsPerAccount}, {nodePlaces, limits.UploadsAtOnce},
	}}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range w.claims {
		if n := u.known[c.whose]; n != nil && n.known >= c.places*(1+limits.UploadsWaiting) {
			return nil
		}
	}
	for _, c := range w.claims {
		if u.known[c.whose] == nil {
			u.known[c.whose] = &uploadCount{}
		}
		u.known[c.whose].known++
	}
	u.line = append(u.line, w)
	u.serve()
	return w
}

// leave takes somebody out of the line, or gives their places to others.
func (u *uploads) leave(w *waiter) {
	u.mu.Lock()
	defer u.mu.Unlock()
	at := slices.Index(u.line, w)
	if at >= 0 {
		u.line = slices.Delete(u.line, at, at+1)
	}
	for _, c := range w.claims {
		n := u.known[c.whose]
		if at < 0 {
			n.held--
		}
		if n.known--; n.known == 0 {
			delete(u.known, c.whose)
		}
	}
	u.serve()
}

// serve lets in whoever of the line finds all places that they need: whose token or account has none lets others past.
func (u *uploads) serve() {
	u.line = slices.DeleteFunc(u.line, func(w *waiter) bool {
		if slices.ContainsFunc(w.claims, func(c claim) bool { return u.known[c.whose].held >= c.places }) {
			return false
		}
		for _, c := range w.claims {
			u.known[c.whose].held++
		}
		close(w.in)
		return true
	})
	held := 0
	if n := u.known[nodePlaces]; n != nil {
		held = n.held
	}
	u.metrics.uploads.WithLabelValues(uploadsHeld).Set(float64(held))
	u.metrics.uploads.WithLabelValues(uploadsWaiting).Set(float64(len(u.line)))
}

// uploadsOf is how many files stand in the arguments of an operation's root fields: one that stands in several is as much work in each.
func uploadsOf(op *graphql.OperationContext) (n int) {
	walk(op.Operation.SelectionSet, func(f *ast.Field) bool {
		n += uploadsIn(f.ArgumentMap(op.Variables))
		return false
	})
	return n
}

// uploadsIn is how many files stand in a value.
func uploadsIn(value any) (n int) {
	switch v := value.(type) {
	case graphql.Upload, *graphql.Upload:
		return 1
	case map[string]any:
		for _, item := range v {
			n += uploadsIn(item)
		}
	case []any:
		for _, item := range v {
			n += uploadsIn(item)
		}
	}
	return n
}
