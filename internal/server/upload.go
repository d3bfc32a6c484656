package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"clientele/internal/config"
	"clientele/internal/transport"
	"clientele/limits"
	"clientele/models"
)

// multipartForms serves GraphQL multipart requests (ADR 0042).
func multipartForms(set config.Server) transport.Multipart {
	return transport.Multipart{
		Timeout: set.OperationTime, MaxBody: limits.UploadBytes, MaxText: set.BodyBytes, MaxFiles: limits.ImagesPerCall, MaxOperations: -1,
		Draft: set.HTTPStatus == config.HTTPStatusDraft,
	}
}

// uploads are the requests whose bodies this node holds in memory, at most limits.UploadsAtOnce, and of one account
// limits.UploadsPerAccount. It is safe for concurrent use.
type uploads struct {
	all chan struct{}

	mu        sync.Mutex
	byAccount map[string]*accountUploads
}

// accountUploads are the places of one account; known of those who hold or want one.
type accountUploads struct {
	places chan struct{}
	known  int
}

func newUploads() *uploads {
	return &uploads{all: make(chan struct{}, limits.UploadsAtOnce), byAccount: map[string]*accountUploads{}}
}

// enter waits for a place; leave gives it back. UNAVAILABLE when ctx ends before.
func (u *uploads) enter(ctx context.Context, account string) (leave func(), err error) {
	u.mu.Lock()
	a := u.byAccount[account]
	if a == nil {
		a = &accountUploads{places: make(chan struct{}, limits.UploadsPerAccount)}
		u.byAccount[account] = a
	}
	a.known++
	u.mu.Unlock()
	forget := func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if a.known--; a.known == 0 {
			delete(u.byAccount, account)
		}
	}
	for i, places := range []chan struct{}{a.places, u.all} {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-a.places
			}
			forget()
			return nil, models.Errorf(models.CodeUnavailable, "too much is being uploaded; try again")
		}
	}
	return func() {
		<-u.all
		<-a.places
		forget()
	}, nil
}

// admitted lets in whose body may be large only who is known, and a few at a time: a body of multipart/form-data is read before an operation is
// looked at. It comes behind identify.
func (s *Server) admitted(next http.Handler) http.Handler {
	forms := multipartForms(s.settings)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !forms.Supports(r) {
			next.ServeHTTP(w, r)
			return
		}
		v, err := s.viewerOf(r.Context())
		if err != nil || v == nil {
			s.unauthorized(w, r, err)
			return
		}
		wait, cancel := context.WithTimeout(r.Context(), s.settings.OperationTime)
		leave, err := s.uploads.enter(wait, v.Account)
		cancel()
		if err != nil {
			s.answerErrors(w, r, http.StatusServiceUnavailable, err)
			return
		}
		defer leave()
		// More time than for other bodies; where the connection has no such times, as in tests, there is none.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limits.UploadTime))
		next.ServeHTTP(w, r)
	})
}

// uploadsIn is how many files stand in the variables of an operation.
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
