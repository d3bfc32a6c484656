package testkit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"clientele/migrations"
	"clientele/store"
)

// SQLite is the DSN of a fresh, migrated SQLite database in the test's folder.
func SQLite(tb testing.TB) string {
	tb.Helper()
	template, err := sqliteTemplate()
	if err != nil {
		tb.Fatalf("make an SQLite database: %v", err)
	}
	dsn := EmptySQLite(tb)
	if err := os.WriteFile(strings.TrimPrefix(dsn, "sqlite:"), template, 0o600); err != nil {
		tb.Fatalf("copy an SQLite database: %v", err)
	}
	return dsn
}

// EmptySQLite is the DSN of an SQLite database that nobody has opened or migrated.
func EmptySQLite(tb testing.TB) string {
	tb.Helper()
	return "sqlite:" + filepath.Join(tb.TempDir(), "test.db")
}

// sqliteTemplate is the file of a migrated database, made once a process.
var sqliteTemplate = sync.OnceValues(func() (template []byte, err error) {
	dir, err := os.MkdirTemp("", "clientele-template-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "template.db")
	err = opened("sqlite:"+path, func(db *sql.DB) error {
		_, err := migrations.Up(context.Background(), migrations.SQLite, db)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path) // closing it has put the write-ahead log into it.
})

// MySQL is the DSN of a fresh, migrated MySQL or MariaDB database, dropped at the end of the
// test. The test ends here where no server can be had.
func MySQL(tb testing.TB) string {
	tb.Helper()
	// Migrating takes goose four statements a file; copying what came of it, one a table.
	template, err := mysqlTemplate()
	if err != nil {
		missingMySQL(tb, err)
	}
	dsn := EmptyMySQL(tb)
	if err := opened(dsn, func(db *sql.DB) error { return restore(tb.Context(), db, template) }); err != nil {
		tb.Fatalf("copy a database: %v", err)
	}
	return dsn
}

// EmptyMySQL is the DSN of a MySQL or MariaDB database without tables, dropped at the end of the
// test. The test ends here where no server can be had.
func EmptyMySQL(tb testing.TB) string {
	tb.Helper()
	dsn, drop, err := makeDatabase()
	if err != nil {
		missingMySQL(tb, err)
	}
	tb.Cleanup(func() {
		if err := drop(); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return dsn
}

func missingMySQL(tb testing.TB, err error) {
	tb.Helper()
	if !errors.Is(err, ErrNoServer) {
		tb.Fatalf("MySQL or MariaDB for tests: %v", err)
	}
	Missing(tb, NeedMySQL, err)
}

// opened runs fn on the pool that writes to a database.
func opened(dsn string, fn func(*sql.DB) error) error {
	s, err := store.Open(context.Background(), store.Options{DSN: dsn, Relaxed: true})
	if err != nil {
		return err
	}
	db, err := s.SQL()
	if err == nil {
		err = fn(db)
	}
	return errors.Join(err, s.Close())
}

// process holds the private server of this process, if one was started.
var process struct {
	sync.Mutex
	server *Server
	dsn    string
	err    error
}

// serverDSN is a server on which databases may be created: the one that was named, else a
// private one. A failure to start one is not tried again.
func serverDSN() (string, error) {
	process.Lock()
	defer process.Unlock()
	if process.dsn == "" && process.err == nil {
		switch process.dsn = os.Getenv(MySQLEnv); process.dsn {
		case NoMySQL:
			process.dsn, process.err = "", fmt.Errorf("%s=%s: %w", MySQLEnv, NoMySQL, ErrNoServer)
		case "":
			if process.server, process.err = StartServer(context.Background()); process.err == nil {
				process.dsn = process.server.DSN
			}
		}
	}
	return process.dsn, process.err
}

func stopServer() error {
	process.Lock()
	defer process.Unlock()
	if process.server == nil {
		return nil
	}
	return process.server.Stop()
}

// makeDatabase creates a database with a name of its own.
func makeDatabase() (dsn string, drop func() error, err error) {
	server, err := serverDSN()
	if err != nil {
		return "", nil, err
	}
	c, err := driver.ParseDSN(server)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", MySQLEnv, err)
	}
	var random [6]byte
	_, _ = rand.Read(random[:])
	name := "clientele_test_" + hex.EncodeToString(random[:])
	run := func(statement string) error {
		c := c.Clone()
		c.DBName = ""
		connector, err := driver.NewConnector(c)
		if err != nil {
			return err
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		_, err = db.ExecContext(context.Background(), statement)
		return err
	}
	if err := run("CREATE DATABASE " + name + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
		return "", nil, fmt.Errorf("%s: %w", MySQLEnv, err)
	}
	c.DBName = name
	return c.FormatDSN(), func() error { return run("DROP DATABASE " + name) }, nil
}

// mysqlTemplate is what makes a migrated database, read off one that was migrated, once a
// process. A text is kept and not a database: no crash can leave it behind on a server.
var mysqlTemplate = sync.OnceValues(func() (*dump, error) {
	dsn, drop, err := makeDatabase()
	if err != nil {
		return nil, err
	}
	var made *dump
	err = opened(dsn, func(db *sql.DB) error {
		if _, err := migrations.Up(context.Background(), migrations.MySQL, db); err != nil {
			return err
		}
		made, err = dumpDatabase(context.Background(), db)
		return err
	})
	return made, errors.Join(err, drop())
})

// dump is a database as statements.
type dump struct {
	tables []string
	rows   []insertion
}

type insertion struct {
	statement string
	args      []any
}

func dumpDatabase(ctx context.Context, db *sql.DB) (*dump, error) {
	names, err := tableNames(ctx, db)
	if err != nil {
		return nil, err
	}
	d := &dump{}
	for _, name := range names {
		var table, create string
		if err := db.QueryRowContext(ctx, "SHOW CREATE TABLE `"+name+"`").Scan(&table, &create); err != nil {
			return nil, err
		}
		d.tables = append(d.tables, create)
		if err := d.addRows(ctx, db, name); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func tableNames(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SHOW TABLES")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func (d *dump) addRows(ctx context.Context, db *sql.DB, table string) error {
	rows, err := db.QueryContext(ctx, "SELECT * FROM `"+table+"`")
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	one := "(?" + strings.Repeat(",?", len(columns)-1) + ")"
	in := insertion{statement: "INSERT INTO `" + table + "` VALUES "}
	for rows.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		if len(in.args) > 0 {
			in.statement += ","
		}
		in.statement, in.args = in.statement+one, append(in.args, values...)
	}
	if len(in.args) > 0 {
		d.rows = append(d.rows, in)
	}
	return rows.Err()
}

func restore(ctx context.Context, db *sql.DB, d *dump) error {
	for _, create := range d.tables {
		if _, err := db.ExecContext(ctx, create); err != nil {
			return err
		}
	}
	for _, in := range d.rows {
		if _, err := db.ExecContext(ctx, in.statement, in.args...); err != nil {
			return err
		}
	}
	return nil
}
