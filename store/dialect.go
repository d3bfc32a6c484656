package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	driver "github.com/go-sql-driver/mysql"
	_ "github.com/ncruces/go-sqlite3/driver" // the embedded engine
	"github.com/ncruces/go-sqlite3/gormlite"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"

	"clientele/limits"
	"clientele/migrations"
)

func sqlitePath(dsn string) (string, bool) { return strings.CutPrefix(dsn, "sqlite:") }

// accessConnections is how many connections ask what has been revoked. They do nothing else, so
// that writers of one account who wait for each other do not keep others from being let in.
const accessConnections = 2

// readers is how many connections read an SQLite database beside the writer.
const readers = 8

func (s *Store) openSQLite(ctx context.Context, o Options) error {
	s.dialect = migrations.SQLite
	path, err := filepath.Abs(o.DSN)
	if err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.unlock = lock.Close
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another process uses %s; SQLite serves one, MySQL or MariaDB several", path)
	}
	// Made before the engine would make it, readable to nobody else; its journals take after it.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	dsn := func(pragmas ...string) string {
		q := url.Values{"_pragma": append(pragmas, "busy_timeout("+strconv.Itoa(int(limits.LockWait.Milliseconds()))+")")}
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	}
	sync := "synchronous(full)"
	if o.Relaxed {
		sync = "synchronous(off)"
	}
	pool := func(dsn string, most int) (*gorm.DB, error) {
		made, err := sql.Open("sqlite3", dsn)
		if err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		return s.openPool(ctx, made, most)
	}
	if s.write, err = pool(dsn("journal_mode(wal)", sync)+"&_txlock=immediate", 1); err != nil {
		return err
	}
	if s.read, err = pool(dsn("query_only(on)"), readers); err != nil {
		return err
	}
	s.access, err = pool(dsn("query_only(on)"), 1)
	return err
}

// mysqlOptions are the session settings of every connection (docs/architecture.md): strict
// values, UTC, matched rows counted, parameters put in by the driver to save a round trip.
func mysqlOptions(c *driver.Config, isolation, value string) {
	c.ParseTime, c.ClientFoundRows, c.InterpolateParams = true, true, true // times: only goose's table has one.
	c.Collation = "utf8mb4_bin"
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	c.Params["sql_mode"] = "'TRADITIONAL'"
	c.Params["time_zone"] = "'+00:00'"
	c.Params["innodb_lock_wait_timeout"] = strconv.Itoa(int(limits.LockWait.Seconds()))
	c.Params[isolation] = "'" + value + "'"
}

func (s *Store) openMySQL(ctx context.Context, o Options) error {
	s.dialect = migrations.MySQL
	c, err := driver.ParseDSN(o.DSN)
	if err != nil {
		return fmt.Errorf("the database setting is neither `sqlite:PATH` nor a MySQL DSN: %w", err)
	}
	c.Logger = driverLog{s.log}
	server, err := serverOf(ctx, c)
	if err != nil {
		return err
	}
	write, read := c.Clone(), c.Clone()
	mysqlOptions(write, server.isolation, "READ-COMMITTED")
	mysqlOptions(read, server.isolation, "REPEATABLE-READ")
	server.limitReads(read, cmp.Or(o.StatementTime, limits.StatementTime))
	if s.killer, err = newKiller(write, s.log); err != nil {
		return err
	}
	pool := func(c *driver.Config, most int) (*gorm.DB, error) {
		made, err := driver.NewConnector(c)
		if err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		return s.openPool(ctx, sql.OpenDB(connector{made, s.killer}), most)
	}
	// One connection more: the heartbeat keeps one for itself.
	if s.write, err = pool(write, o.Connections+1); err != nil {
		return err
	}
	if err := s.heart.connect(ctx, s); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.heart.told = s.heart.era.Load()
	if s.read, err = pool(read, o.Connections); err != nil {
		return err
	}
	if s.access, err = pool(write, accessConnections); err != nil {
		return err
	}
	return errors.Join(tune(s.write, o), tune(s.read, o), tune(s.access, o))
}

// driverLog takes what the driver says of connections that broke, which it would write to standard error by itself.
type driverLog struct{ log *slog.Logger }

// Print implements driver.Logger.
func (l driverLog) Print(v ...any) {
	l.log.Info("a connection to the database", "said", fmt.Sprint(v...))
}

// server is how a server calls what a session is told. MariaDB and MySQL differ.
type server struct {
	// isolation is the variable of the isolation level: MariaDB before 11.1 knows only the older name, MySQL 8 only the newer.
	isolation string
	// statementTime is the variable of how long a statement may run, a number of these units. MySQL's holds for what reads alone.
	statementTime string
	unit          time.Duration
}

// serverOf asks which server it is.
func serverOf(ctx context.Context, c *driver.Config) (server, error) {
	connector, err := driver.NewConnector(c)
	if err != nil {
		return server{}, fmt.Errorf("open database: %w", err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return server{}, fmt.Errorf("open database: %w", err)
	}
	if strings.Contains(version, "MariaDB") {
		return server{isolation: "tx_isolation", statementTime: "max_statement_time", unit: time.Second}, nil
	}
	return server{isolation: "transaction_isolation", statementTime: "max_execution_time", unit: time.Millisecond}, nil
}

// limitReads has the server end statements of a session that reads after a time, unless the DSN says another. It is for
// those that nobody can kill any more: their node died, or is cut off.
func (s server) limitReads(c *driver.Config, most time.Duration) {
	if _, named := c.Params[s.statementTime]; !named {
		c.Params[s.statementTime] = strconv.FormatFloat(float64(most)/float64(s.unit), 'f', -1, 64)
	}
}

// tune gives a pool of MySQL connections the idle number and life that were asked for.
func tune(db *gorm.DB, o Options) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	if o.Idle > 0 {
		pool.SetMaxIdleConns(o.Idle)
	}
	pool.SetConnMaxLifetime(o.ConnLife)
	return nil
}

// openPool takes over a pool of at most so many connections, and closes it if it fails.
func (s *Store) openPool(ctx context.Context, pool *sql.DB, most int) (*gorm.DB, error) {
	pool.SetMaxOpenConns(most)
	pool.SetMaxIdleConns(most)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	var d gorm.Dialector
	if s.dialect == migrations.SQLite {
		d = gormlite.OpenDB(pool)
	} else {
		// MariaDB 10.11 refuses the RETURNING that the driver would add to UPDATE.
		d = gormmysql.New(gormmysql.Config{Conn: pool, DisableWithReturning: true, SkipInitializeWithVersion: true})
	}
	db, err := gorm.Open(d, &gorm.Config{
		SkipDefaultTransaction: true, // transactions are the store's own
		DisableAutomaticPing:   true,
		Logger:                 counter{},
		NowFunc:                s.now,
	})
	if err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return db, nil
}
