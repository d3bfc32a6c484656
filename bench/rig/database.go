package rig

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// ErrNoDatabase: neither a DSN was given nor is a MariaDB installed.
var ErrNoDatabase = errors.New("mariadbd is not installed; install mariadb-server, or name a server with --dsn")

// Database is the server that the product under test uses.
type Database struct {
	// Config connects as a user who may do anything; it names no database.
	Config *driver.Config
	// Process is the private server; nil when it was there before.
	Process *Process
	folder  string
	remove  bool // the data
	own     bool // the folder is ours
}

// startTime is how long a server may take to answer.
const startTime = 2 * time.Minute

// openDatabase connects to the server that f names, or starts a private one with default durability:
// every commit is synced, pages are written twice. The data folder must be on a real disk.
func openDatabase(ctx context.Context, f Flags) (_ *Database, err error) {
	if f.DSN != "" {
		c, err := driver.ParseDSN(f.DSN)
		if err != nil {
			return nil, fmt.Errorf("--dsn: %w", err)
		}
		c.DBName = ""
		return &Database{Config: c}, nil
	}
	daemon, install := find("mariadbd"), find("mariadb-install-db")
	if daemon == "" || install == "" {
		return nil, ErrNoDatabase
	}
	d := &Database{folder: f.Data, remove: !f.Keep || f.Data == ""}
	if d.folder == "" {
		d.own = true
		if d.folder, err = os.MkdirTemp("", "clientele-bench-"); err != nil {
			return nil, err
		}
	} else if err := os.MkdirAll(d.folder, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.folder, err = filepath.Abs(d.folder); err != nil {
		return nil, err
	}
	return d, d.start(ctx, f, daemon, install)
}

func (d *Database) data() string { return filepath.Join(d.folder, "mariadb") }

// temporary is the server's own folder of temporary tables: in one that several share, servers take
// each other's.
func (d *Database) temporary() string { return filepath.Join(d.folder, "tmp") }

func (d *Database) start(ctx context.Context, f Flags, daemon, install string) error {
	if err := os.MkdirAll(d.temporary(), 0o700); err != nil {
		return err
	}
	var user []string
	if os.Geteuid() == 0 {
		user = []string{"--user=root"}
	}
	if _, err := os.Stat(d.data()); errors.Is(err, os.ErrNotExist) {
		args := append([]string{"--no-defaults", "--datadir=" + d.data(), "--tmpdir=" + d.temporary(), "--auth-root-authentication-method=normal", "--skip-test-db"}, user...)
		if out, err := exec.CommandContext(ctx, install, args...).CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("make the database's folder: %w\n%s", err, out), os.RemoveAll(d.data()))
		}
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	socket := filepath.Join(os.TempDir(), fmt.Sprintf("clientele-bench-%d.sock", os.Getpid()))
	words := &tail{}
	cmd := exec.Command(daemon, append([]string{ // Stop ends it, in order.
		"--no-defaults", "--datadir=" + d.data(), "--tmpdir=" + d.temporary(), "--socket=" + socket, "--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port),
		"--pid-file=" + filepath.Join(d.folder, "mariadb.pid"), "--skip-name-resolve", "--max-connections=1000",
		"--innodb-buffer-pool-size=" + f.BufferPool, "--innodb-flush-log-at-trx-commit=1",
	}, user...)...)
	cmd.Stderr, cmd.Stdout = words, words
	if d.Process, err = startProcess("mariadbd", cmd); err != nil {
		return err
	}
	// root may come by the socket alone; the product and the load come over TCP.
	root := driver.NewConfig()
	root.User, root.Net, root.Addr = "root", "unix", socket
	if err := d.await(ctx, root); err != nil {
		return fmt.Errorf("%w\n%s", err, words)
	}
	admin, err := open(root)
	if err != nil {
		return err
	}
	defer admin.Close()
	for _, statement := range []string{
		"CREATE USER IF NOT EXISTS bench@'127.0.0.1' IDENTIFIED BY 'bench'",
		"GRANT ALL ON *.* TO bench@'127.0.0.1'",
	} {
		if _, err := admin.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	d.Config = driver.NewConfig()
	d.Config.User, d.Config.Passwd, d.Config.Net, d.Config.Addr = "bench", "bench", "tcp", fmt.Sprintf("127.0.0.1:%d", port)
	return nil
}

func (d *Database) await(ctx context.Context, c *driver.Config) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	quiet := c.Clone()
	quiet.Logger = &driver.NopLogger{} // that it does not answer yet is no news.
	db, err := open(quiet)
	if err != nil {
		return err
	}
	defer db.Close()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-d.Process.ended:
			return errors.New("mariadbd ended at once")
		case <-ctx.Done():
			return fmt.Errorf("mariadbd does not answer: %w", err)
		case <-again.C:
		}
	}
}

// PID is the server's process; 0 when it was there before.
func (d *Database) PID() int {
	if d.Process == nil {
		return 0
	}
	return d.Process.PID()
}

// Open connects to one of its databases; none when name is empty.
func (d *Database) Open(name string) (*sql.DB, error) {
	c := d.Config.Clone()
	c.DBName = name
	return open(c)
}

// DSN names one of its databases for the product.
func (d *Database) DSN(name string) string {
	c := d.Config.Clone()
	c.DBName = name
	return c.FormatDSN()
}

// Close stops a private server, and removes its folder unless it is to be kept.
func (d *Database) Close() error {
	var err error
	if d.Process != nil {
		err = d.Process.Stop()
	}
	if d.folder != "" && d.remove {
		err = errors.Join(err, os.RemoveAll(d.data()), os.RemoveAll(d.temporary()))
	}
	if d.own {
		err = errors.Join(err, os.RemoveAll(d.folder))
	}
	return err
}

func open(c *driver.Config) (*sql.DB, error) {
	c = c.Clone()
	c.InterpolateParams, c.Collation = true, "utf8mb4_bin"
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, _ := l.Addr().(*net.TCPAddr)
	return address.Port, l.Close()
}

// find looks for a program, also where servers are kept out of PATH.
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for dir := range strings.SplitSeq("/usr/sbin /usr/local/sbin /usr/local/bin /opt/homebrew/bin", " ") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}
