package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// RequireEnv names the variable with the needs, separated by commas, whose absence is a failure
// and not a gap: what continuous integration sets.
const RequireEnv = "CLIENTELE_TEST_REQUIRE"

// GapsEnv names the variable with a file to which a test that is skipped for want of something
// adds a line: how testdb knows at the end what was not tested.
const GapsEnv = "CLIENTELE_TEST_GAPS"

// Need is something outside this repository without which some tests cannot run.
type Need string

// The needs.
const (
	NeedMySQL    Need = "mysql"
	NeedNode     Need = "node"
	NeedChromium Need = "chromium"
)

// Help says in a word how to get it.
func (n Need) Help() string {
	switch n {
	case NeedMySQL:
		return "install mariadb-server, or set " + MySQLEnv + " to the DSN of a server on which databases may be created"
	case NeedNode:
		return "install nodejs (20.19 or later) and npm"
	case NeedChromium:
		return "install chromium"
	}
	return ""
}

// IsRequired reports whether its absence is a failure.
func (n Need) IsRequired() bool {
	return slices.Contains(strings.Split(os.Getenv(RequireEnv), ","), string(n))
}

// Program is the path of the program that a need other than mysql stands for; empty without it.
func (n Need) Program() string {
	names := map[Need][]string{NeedNode: {"node", "nodejs"}, NeedChromium: {"chromium", "chromium-browser", "google-chrome"}}
	for _, name := range names[n] {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Program is the path of the program that the test needs. Without it the test is skipped with
// the reason, or fails where it is required.
func Program(tb testing.TB, n Need) string {
	tb.Helper()
	path := n.Program()
	if path == "" {
		Missing(tb, n, fmt.Errorf("%s is not installed", n))
	}
	return path
}

// Missing ends a test that cannot run for want of n: it fails where n is required, else it is
// skipped, with the reason printed.
func Missing(tb testing.TB, n Need, why error) {
	tb.Helper()
	if n.IsRequired() {
		tb.Fatalf("%s asks for %s: %v; %s", RequireEnv, n, why, n.Help())
	}
	if err := note(n); err != nil {
		tb.Logf("%s: %v", GapsEnv, err)
	}
	tb.Skipf("NOT TESTED WITHOUT %s: %v; %s", strings.ToUpper(string(n)), why, n.Help())
}

func note(n Need) error {
	path := os.Getenv(GapsEnv)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(string(n) + "\n")
	return errors.Join(err, f.Close())
}
