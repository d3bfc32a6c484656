package testkit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// MySQLEnv names the variable with the DSN of a server on which tests may create databases.
const MySQLEnv = "CLIENTELE_TEST_MYSQL_DSN"

// NoMySQL is the value of MySQLEnv for a run on SQLite alone.
const NoMySQL = "none"

// ErrNoServer says that there is no MySQL or MariaDB to test with.
var ErrNoServer = errors.New("neither mariadbd nor mysqld is here")

// startTime is how long a private server may take to answer: a busy machine needs seconds.
const startTime = 2 * time.Minute

// socketBytes is the longest path of a Unix socket that every system takes.
const socketBytes = 100

// Server is a private MySQL or MariaDB with an empty data folder, reachable by a Unix socket
// alone. It lives at most as long as the process that started it, however that one ends.
type Server struct {
	// DSN connects as a user who may do anything; it names no database.
	DSN string
	// Dir is the folder of all it has: in memory where there is room (serverFolder). It ends with
	// the server.
	Dir   string
	guard *exec.Cmd
	held  io.Closer
}

// StartServer starts a private server from what is installed. It fails with ErrNoServer where
// nothing is.
func StartServer(ctx context.Context) (*Server, error) {
	binary := findBinary("mariadbd", "mysqld")
	if binary == "" {
		return nil, ErrNoServer
	}
	dir, err := serverFolder()
	if err != nil {
		return nil, fmt.Errorf("start a database: %w", err)
	}
	s := &Server{Dir: dir}
	if err := s.start(ctx, binary); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", binary, err), s.Stop())
	}
	return s, nil
}

// memoryFolder is where Linux has a file system in memory. Making and dropping a database takes a
// quarter of the time there that it takes on a disk, synced or not: each table is a file.
const memoryFolder = "/dev/shm"

// memoryBytes is what must be free in memoryFolder for a server to be put there: twice what the
// tests leave in one.
const memoryBytes = 3 << 30

// serverFolder makes the folder of a server whose data need not last.
func serverFolder() (string, error) {
	var fs syscall.Statfs_t
	//nolint:unconvert // the types of both differ between systems.
	if err := syscall.Statfs(memoryFolder, &fs); err == nil && uint64(fs.Bavail)*uint64(fs.Bsize) >= memoryBytes {
		if dir, err := os.MkdirTemp(memoryFolder, "clientele-db-"); err == nil {
			return dir, nil
		}
	}
	return os.MkdirTemp("", "clientele-db-")
}

func (s *Server) start(ctx context.Context, binary string) error {
	socket := filepath.Join(s.Dir, "s")
	if len(socket) > socketBytes {
		return fmt.Errorf("the path of its socket is too long; set TMPDIR to a folder with a shorter name than %s", os.TempDir())
	}
	isMariaDB, err := s.makeData(ctx, binary)
	if err != nil {
		return err
	}
	died, err := s.launch(append([]string{binary}, s.flags(isMariaDB, socket)...))
	if err != nil {
		return err
	}
	s.DSN = "root@unix(" + socket + ")/"
	if err := s.await(ctx, died); err != nil {
		text, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
		return fmt.Errorf("%w\n%s", err, text)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.Dir, "data") }

// makeData writes the system tables, and tells MariaDB from MySQL.
func (s *Server) makeData(ctx context.Context, binary string) (isMariaDB bool, err error) {
	version, err := exec.CommandContext(ctx, binary, "--no-defaults", "--version").CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("ask for its version: %w\n%s", err, version)
	}
	isMariaDB = bytes.Contains(version, []byte("MariaDB"))
	args := []string{binary, "--no-defaults", "--datadir=" + s.data(), "--initialize-insecure"}
	if isMariaDB {
		install := findBinary("mariadb-install-db", "mysql_install_db")
		if install == "" {
			return true, fmt.Errorf("mariadb-install-db: %w", ErrNoServer)
		}
		args = []string{install, "--no-defaults", "--datadir=" + s.data(), "--auth-root-authentication-method=normal", "--skip-test-db"}
	}
	command := exec.CommandContext(ctx, args[0], append(args[1:], asRoot()...)...)
	command.Env = append(os.Environ(), "TMPDIR="+s.Dir) // servers that start beside it clear the common one
	made, err := command.CombinedOutput()
	if err != nil {
		return isMariaDB, fmt.Errorf("make its data folder: %w\n%s", err, made)
	}
	return isMariaDB, nil
}

// flags make a server that is quick and small: nothing it stores outlives the tests, so nothing
// is synced, nor its log written at each commit. Locks, isolation and checks are as everywhere.
func (s *Server) flags(isMariaDB bool, socket string) []string {
	flags := append([]string{
		"--no-defaults", "--datadir=" + s.data(), "--socket=" + socket, "--pid-file=" + filepath.Join(s.Dir, "pid"),
		"--tmpdir=" + s.Dir, "--skip-networking", "--skip-name-resolve", "--max-connections=1000",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=96M",
	}, asRoot()...)
	if isMariaDB {
		return append(flags, "--innodb-flush-method=nosync", "--innodb-log-file-size=64M", "--skip-sync-frm")
	}
	return append(flags, "--innodb-redo-log-capacity=64M", "--disable-log-bin", "--mysqlx=OFF", "--performance-schema=OFF")
}

// guardScript runs the server ("$@") until its own input ends, which happens when the process
// that holds the other end closes it or dies of whatever; then it leaves nothing behind.
// Descriptor 3 stays open in the server alone, so that its end tells of the server's.
const guardScript = `dir=$1; shift
"$@" </dev/null >"$dir/log" 2>&1 &
db=$!
exec 3>&-
read -r _
kill -9 $db
wait $db 2>/dev/null
rm -rf "$dir"`

// launch starts the server under its guard. died is closed when the server ends.
func (s *Server) launch(command []string) (died <-chan struct{}, err error) {
	alive, held, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.guard = exec.Command("sh", append([]string{"-c", guardScript, "sh", s.Dir}, command...)...) // it ends with its input.
	s.guard.ExtraFiles = []*os.File{held}
	s.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends the tests first, and the server by that.
	if s.held, err = s.guard.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.guard.Start(); err != nil {
		s.guard = nil
		return nil, errors.Join(err, alive.Close(), held.Close())
	}
	_ = held.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, alive)
		_ = alive.Close()
	}()
	return ended, nil
}

// await returns when the server answers. It asks again and again, since no server tells.
func (s *Server) await(ctx context.Context, died <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	config, err := driver.ParseDSN(s.DSN)
	if err != nil {
		return err
	}
	config.Logger = &driver.NopLogger{} // that it does not answer yet is no news.
	connector, err := driver.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-died:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-again.C:
		}
	}
}

// Stop ends the server and removes its data. It may be called once.
func (s *Server) Stop() error {
	if s.guard == nil {
		return os.RemoveAll(s.Dir)
	}
	err := s.held.Close()
	var exit *exec.ExitError
	if waited := s.guard.Wait(); waited != nil && !errors.As(waited, &exit) {
		err = errors.Join(err, waited)
	}
	return err
}

// findBinary looks for the first of these programs, also where servers are kept out of PATH.
func findBinary(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		for dir := range strings.SplitSeq("/usr/sbin /usr/local/sbin /usr/local/bin /usr/local/mysql/bin /opt/homebrew/bin", " ") {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path
			}
		}
	}
	return ""
}

// asRoot is the flag without which a server does not run as root.
func asRoot() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}
