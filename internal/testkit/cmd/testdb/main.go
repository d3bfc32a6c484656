// Command testdb runs a command, `go test` as a rule, with a private MySQL or MariaDB for all
// its processes:
//
//	go run ./internal/testkit/cmd/testdb go test ./...
//
// It starts one server from what is installed (as root on Debian and its kin it installs one),
// names it in CLIENTELE_TEST_MYSQL_DSN, runs the command, stops the server and ends with the
// command's exit code. A server that the variable names already is used as it is. Where none can
// be had the command runs without; the last line then says in capitals what was not tested.
// If CLIENTELE_TEST_REQUIRE names mysql, that is a failure instead, before anything runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"clientele/internal/testkit"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testdb command [argument …]")
		os.Exit(2)
	}
	// The command has the terminal's signals too and ends by them; the server must outlive it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, command []string) (code int) {
	fail := func(doing string, err error) {
		if err != nil {
			fmt.Fprintf(os.Stderr, "testdb: %s: %v\n", doing, err)
			code = max(code, 1)
		}
	}
	gaps, err := os.CreateTemp("", "clientele-gaps-")
	if err != nil {
		fail("note gaps", err)
		return code
	}
	defer func() {
		fail("tell gaps", tell(gaps.Name()))
		fail("note gaps", errors.Join(gaps.Close(), os.Remove(gaps.Name())))
	}()
	env := append(os.Environ(), testkit.GapsEnv+"="+gaps.Name())
	if os.Getenv(testkit.MySQLEnv) == "" {
		server, err := startServer(ctx)
		switch {
		case err == nil:
			defer func() { fail("stop the database", server.Stop()) }()
			env = append(env, testkit.MySQLEnv+"="+server.DSN)
		case !errors.Is(err, testkit.ErrNoServer):
			fail("start a database", err)
			return code
		case testkit.NeedMySQL.IsRequired():
			fail(testkit.RequireEnv+" asks for mysql", fmt.Errorf("%w; %s", err, testkit.NeedMySQL.Help()))
			return code
		}
	}
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.Stdin, c.Stdout, c.Stderr, c.Env = os.Stdin, os.Stdout, os.Stderr, env
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	fail("run "+command[0], err)
	return code
}

// tell prints, as the last line, what the tests noted that they had to leave out.
func tell(file string) error {
	noted, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var told []string
	for name := range strings.FieldsSeq(string(noted)) {
		need := testkit.Need(name)
		if line := strings.ToUpper(name) + " (" + need.Help() + ")"; !slices.Contains(told, line) {
			told = append(told, line)
		}
	}
	if len(told) > 0 {
		fmt.Println("NOT TESTED: WHAT NEEDS " + strings.Join(told, "; "))
	}
	return nil
}

func startServer(ctx context.Context) (*testkit.Server, error) {
	server, err := testkit.StartServer(ctx)
	if errors.Is(err, testkit.ErrNoServer) && install(ctx) {
		return testkit.StartServer(ctx)
	}
	return server, err
}

// install puts a MariaDB on a machine where that takes no more than a command.
func install(ctx context.Context) bool {
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return false
	}
	for _, args := range [][]string{{"update", "-q"}, {"install", "-qy", "--no-install-recommends", "mariadb-server-core"}} {
		c := exec.CommandContext(ctx, apt, args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "testdb: apt-get %s: %v\n%s", args[0], err, out)
			return false
		}
	}
	return true
}
