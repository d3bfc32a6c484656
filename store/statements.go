package store

import (
	"context"
	"sync/atomic"
	"time"

	"gorm.io/gorm/logger"
)

type statementsKey struct{}

// CountStatements gives a context in which every statement of this package adds one to n: how
// tests hold the number of statements of a request (docs/architecture.md). BEGIN and COMMIT
// are not counted.
func CountStatements(ctx context.Context, n *atomic.Int64) context.Context {
	return context.WithValue(ctx, statementsKey{}, n)
}

type writesKey struct{}

// CountWrites gives a context in which every transaction of Write that is committed adds one to n, and nothing else does.
func CountWrites(ctx context.Context, n *atomic.Int64) context.Context {
	return context.WithValue(ctx, writesKey{}, n)
}

// countWrite counts a transaction.
func countWrite(ctx context.Context) {
	if n, ok := ctx.Value(writesKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
}

// counter stands where gorm would log: it counts, and writes nothing, since statements hold
// texts that belong in no log.
type counter struct{}

func (c counter) LogMode(logger.LogLevel) logger.Interface { return c }
func (counter) Info(context.Context, string, ...any)       {}
func (counter) Warn(context.Context, string, ...any)       {}
func (counter) Error(context.Context, string, ...any)      {}
func (counter) Trace(ctx context.Context, _ time.Time, _ func() (string, int64), _ error) {
	count(ctx)
}

// count counts a statement.
func count(ctx context.Context) {
	if n, ok := ctx.Value(statementsKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
}
