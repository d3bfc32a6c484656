package testkit

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Durable is a private MySQL or MariaDB of one test that syncs every commit to disk, as it must
// in production, and so may be killed and started again on the same data. It is used by one
// goroutine.
type Durable struct {
	// DSN names an empty database of its own, for a user who may do anything.
	DSN     string
	server  Server
	command []string
	process *Process
}

// durableName is the database that a Durable has.
const durableName = "clientele"

// StartDurable makes and starts one; it ends with the test. Extra flags come last, so that they
// win. The test ends here where no server is installed, or where MySQLEnv says that tests are to
// do without.
func StartDurable(tb testing.TB, extra ...string) *Durable {
	tb.Helper()
	binary := findBinary("mariadbd", "mysqld")
	if named := os.Getenv(MySQLEnv); binary == "" || named == NoMySQL {
		err := ErrNoServer
		if named == NoMySQL {
			err = fmt.Errorf("%s=%s: %w", MySQLEnv, NoMySQL, err)
		}
		Missing(tb, NeedMySQL, err)
	}
	// Not the test's own folder: a socket's path must be short.
	dir, err := os.MkdirTemp("", "clientele-db-") //nolint:usetesting // as said.
	if err != nil {
		tb.Fatalf("start a database: %v", err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove the database: %v", err)
		}
	})
	d := &Durable{server: Server{Dir: dir}}
	socket := filepath.Join(dir, "s")
	if len(socket) > socketBytes {
		tb.Fatalf("the path of the database's socket is too long; set TMPDIR to a folder with a shorter name than %s", os.TempDir())
	}
	isMariaDB, err := d.server.makeData(tb.Context(), binary)
	if err != nil {
		tb.Fatalf("start a database: %v", err)
	}
	d.command = append([]string{binary}, d.flags(isMariaDB, socket)...)
	d.command = append(d.command, extra...)
	d.server.DSN = "root@unix(" + socket + ")/"
	d.Start(tb)
	err = opened(d.server.DSN+"mysql", func(db *sql.DB) error {
		_, err := db.ExecContext(tb.Context(), "CREATE DATABASE "+durableName+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
		return err
	})
	if err != nil {
		tb.Fatalf("create a database: %v", err)
	}
	d.DSN = d.server.DSN + durableName
	return d
}

// flags are those of a server in production as far as crashes go; small otherwise.
func (d *Durable) flags(isMariaDB bool, socket string) []string {
	flags := append([]string{
		"--no-defaults", "--datadir=" + d.server.data(), "--socket=" + socket, "--pid-file=" + filepath.Join(d.server.Dir, "pid"),
		"--tmpdir=" + d.server.Dir, "--skip-networking", "--skip-name-resolve", "--max-connections=1000",
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M",
	}, asRoot()...)
	if isMariaDB {
		return append(flags, "--innodb-log-file-size=32M")
	}
	return append(flags, "--innodb-redo-log-capacity=32M", "--disable-log-bin", "--mysqlx=OFF", "--performance-schema=OFF")
}

// Start starts the server on the data it had and returns when it answers: it has recovered then.
func (d *Durable) Start(tb testing.TB) {
	tb.Helper()
	name := filepath.Join(d.server.Dir, "log")
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		tb.Fatalf("start a database: %v", err)
	}
	d.process = StartProcess(tb, out, nil, d.command[0], d.command[1:]...)
	err = errors.Join(out.Close(), d.server.await(tb.Context(), d.process.Done()))
	if err != nil {
		text, _ := os.ReadFile(name)
		tb.Fatalf("start %s: %v\n%s", d.command[0], err, text)
	}
}

// Kill ends the server as `kill -9` does.
func (d *Durable) Kill() { d.process.Kill() }
