package server

import (
	"context"
	"log/slog"
)

// traced is a handler that adds the request's id to what is logged under its context, so that a
// client's report leads to the lines.
type traced struct{ slog.Handler }

// Handle implements slog.Handler.
func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if id := requestID(ctx); id != "" {
		r.AddAttrs(slog.String("request", id))
	}
	return t.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{t.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }

// Traced is log with the id of the request in each line that is logged under one.
func Traced(log *slog.Logger) *slog.Logger { return slog.New(traced{log.Handler()}) }
