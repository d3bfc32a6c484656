package store

import (
	"context"
	"database/sql"
	stddriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"

	driver "github.com/go-sql-driver/mysql"

	"clientele/limits"
)

// When a context ends, the driver closes the connection, and that is all the server ever hears of it: it finds out when it
// next writes to that connection. A statement that reads much and answers little goes on until then, and so does one that
// waits for a lock, with the locks that its transaction has. So a connection that was closed over a statement whose context
// had ended is killed, from another one (ADR 0038). SQLite needs none of it: there the context interrupts the statement itself.

// killer ends connections on the server. It is safe for concurrent use.
type killer struct {
	// pool is one connection, which is closed when it has had nothing to do.
	pool *sql.DB
	log  *slog.Logger

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func newKiller(c *driver.Config, log *slog.Logger) (*killer, error) {
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	k := &killer{pool: sql.OpenDB(connector), log: log}
	k.pool.SetMaxOpenConns(1)
	k.pool.SetConnMaxIdleTime(limits.KillTime)
	return k, nil
}

// kill ends a session in the background, within limits.KillTime. What cannot be ended is logged: it goes on until
// it writes, or limits.StatementTime is over.
func (k *killer) kill(of session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	k.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limits.KillTime) //nolint:forbidigo // the caller's has ended: that is why.
		defer cancel()
		if err := k.end(ctx, of); err != nil {
			k.log.WarnContext(ctx, "a statement that nobody waits for may go on", "error", Describe(err))
		}
	})
}

// end kills the session if it is there. The number alone does not tell: another server behind the same name, or the same
// one after a restart, may have given it to somebody else.
func (k *killer) end(ctx context.Context, of session) error {
	conn, err := k.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var there int
	err = conn.QueryRowContext(ctx, "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = ? AND HOST = ?", of.id, of.client).Scan(&there)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "KILL "+strconv.FormatUint(of.id, 10))
	}
	var my *driver.MySQLError
	if errors.As(err, &my) && my.Number == myNoThread {
		return nil // it has just ended by itself.
	}
	return err
}

// Close waits for what is being killed.
func (k *killer) Close() error {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.wg.Wait()
	return k.pool.Close()
}

// session is a connection as the server knows it: its number, and the address it came from, which no other has while it lives.
type session struct {
	id     uint64
	client string
}

// connector makes connections that are killed when they are closed over a statement whose context has ended.
type connector struct {
	stddriver.Connector
	killer *killer
}

// Connect implements driver.Connector. It costs one statement more than the driver's own.
func (c connector) Connect(ctx context.Context) (stddriver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn := &killable{mysqlConn: made.(mysqlConn), killer: c.killer, last: ctx} //nolint:forcetypeassert // else nothing works.
	if err := conn.identify(ctx); err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return conn, nil
}

// mysqlConn is what database/sql asks of the driver's connections.
type mysqlConn interface {
	stddriver.Conn
	stddriver.Pinger
	stddriver.ExecerContext
	stddriver.QueryerContext
	stddriver.ConnBeginTx
	stddriver.ConnPrepareContext
	stddriver.NamedValueChecker
	stddriver.SessionResetter
	stddriver.Validator
}

// killable is a connection. database/sql lets one goroutine use it at a time.
type killable struct {
	mysqlConn
	killer  *killer
	session session
	// last is the context of the last statement: once it has ended, it tells that the connection broke because of that.
	last context.Context //nolint:containedctx // it is looked at, and nothing runs under it.
}

// identify asks the server how it knows this connection.
func (c *killable) identify(ctx context.Context) error {
	rows, err := c.mysqlConn.QueryContext(ctx, "SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()", nil)
	if err != nil {
		return err
	}
	var row [2]stddriver.Value
	if err := rows.Next(row[:]); err != nil {
		_ = rows.Close() // the error of reading is the one to tell.
		if errors.Is(err, io.EOF) {
			err = errors.New("the server does not list the connection")
		}
		return err
	}
	if c.session.id, err = strconv.ParseUint(text(row[0]), 10, 64); err != nil {
		return errors.Join(err, rows.Close())
	}
	c.session.client = text(row[1])
	return rows.Close()
}

// text is a value as the driver gives it: a text as bytes, a number as a number or as bytes.
func text(v stddriver.Value) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// QueryContext implements driver.QueryerContext.
func (c *killable) QueryContext(ctx context.Context, query string, args []stddriver.NamedValue) (stddriver.Rows, error) {
	c.last = ctx
	return c.mysqlConn.QueryContext(ctx, query, args)
}

// ExecContext implements driver.ExecerContext.
func (c *killable) ExecContext(ctx context.Context, query string, args []stddriver.NamedValue) (stddriver.Result, error) {
	c.last = ctx
	return c.mysqlConn.ExecContext(ctx, query, args)
}

// Close implements driver.Conn. database/sql calls it as soon as whoever used a broken connection gives it back.
func (c *killable) Close() error {
	if !c.IsValid() && c.last.Err() != nil {
		c.killer.kill(c.session)
	}
	return c.mysqlConn.Close()
}
