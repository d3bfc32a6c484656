package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

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
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { //nolint:gosec // a file descriptor fits.
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
	if s.write, err = s.openPool(ctx, "sqlite3", dsn("journal_mode(wal)", sync)+"&_txlock=immediate", 1); err != nil {
		return err
	}
	if s.read, err = s.openPool(ctx, "sqlite3", dsn("query_only(on)"), readers); err != nil {
		return err
	}
	s.access, err = s.openPool(ctx, "sqlite3", dsn("query_only(on)"), 1)
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
	isolation, err := isolationVariable(ctx, c)
	if err != nil {
		return err
	}
	write, read := c.Clone(), c.Clone()
	mysqlOptions(write, isolation, "READ-COMMITTED")
	mysqlOptions(read, isolation, "REPEATABLE-READ")
	// One connection more: the heartbeat keeps one for itself.
	if s.write, err = s.openPool(ctx, "mysql", write.FormatDSN(), o.Connections+1); err != nil {
		return err
	}
	if err := s.heart.connect(ctx, s); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.heart.told = s.heart.era.Load()
	if s.read, err = s.openPool(ctx, "mysql", read.FormatDSN(), o.Connections); err != nil {
		return err
	}
	if s.access, err = s.openPool(ctx, "mysql", write.FormatDSN(), accessConnections); err != nil {
		return err
	}
	return errors.Join(tune(s.write, o), tune(s.read, o), tune(s.access, o))
}

// isolationVariable is what the server calls the session's isolation level: MariaDB before
// 11.1 knows only the older name, MySQL 8 only the newer.
func isolationVariable(ctx context.Context, c *driver.Config) (string, error) {
	connector, err := driver.NewConnector(c)
	if err != nil {
		return "", fmt.Errorf("open database: %w", err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return "", fmt.Errorf("open database: %w", err)
	}
	if strings.Contains(version, "MariaDB") {
		return "tx_isolation", nil
	}
	return "transaction_isolation", nil
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

func (s *Store) openPool(ctx context.Context, name, dsn string, most int) (*gorm.DB, error) {
	pool, err := sql.Open(name, dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
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
