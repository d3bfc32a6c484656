package server

import (
	"context"
	"log/slog"

	"clientele/store"
)

// traced is a handler that adds the request's id to what is logged under its context, so that a
// client's report leads to the lines, and that takes out of errors what a database quoted.
type traced struct{ slog.Handler }

// Handle implements slog.Handler.
func (t traced) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(described(a))
		return true
	})
	if id := requestID(ctx); id != "" {
		clean.AddAttrs(slog.String("request", id))
	}
	return t.Handler.Handle(ctx, clean)
}

// described is an attribute; an error as a log may hold it.
func described(a slog.Attr) slog.Attr {
	if err, is := a.Value.Any().(error); is {
		a.Value = slog.StringValue(store.Describe(err))
	}
	return a
}

// WithAttrs implements slog.Handler.
func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = described(a)
	}
	return traced{t.Handler.WithAttrs(clean)}
}

// WithGroup implements slog.Handler.
func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }

// Traced is log with the id of the request in each line that is logged under one, and with errors of the
// database by their numbers: whoever logs one need not think of what it quotes.
func Traced(log *slog.Logger) *slog.Logger { return slog.New(traced{log.Handler()}) }
