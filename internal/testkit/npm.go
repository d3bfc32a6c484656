package testkit

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// nodeOldest is the oldest Node that the packages of tests and of GraphiQL's build are for, by major and minor number.
var nodeOldest = [2]int{20, 19}

// NPM is a folder of its own with packages of Node. It is not safe for concurrent use.
type NPM struct {
	Folder string
	// Env is what commands get beside the environment of the test, as NAME=VALUE.
	Env []string
	tb  testing.TB
}

// NewNPM makes a folder that ends with the test, and copies the named files of another folder into it; where none is named all of that folder and those
// below, but for what was installed or built there. Without Node or npm, or with one that is too old, the
// test is skipped with the reason, or fails where NeedNode is required.
func NewNPM(tb testing.TB, from string, names ...string) *NPM {
	tb.Helper()
	node := Program(tb, NeedNode)
	if _, err := exec.LookPath("npm"); err != nil {
		Missing(tb, NeedNode, err)
	}
	version, err := exec.CommandContext(tb.Context(), node, "--version").Output()
	if err != nil {
		tb.Fatalf("%s --version: %v", node, err)
	}
	var got [2]int
	if _, err := fmt.Sscanf(string(version), "v%d.%d", &got[0], &got[1]); err != nil {
		tb.Fatalf("%s calls itself %q", node, version)
	}
	if got[0] < nodeOldest[0] || got[0] == nodeOldest[0] && got[1] < nodeOldest[1] {
		Missing(tb, NeedNode, fmt.Errorf("%s is older than v%d.%d", strings.TrimSpace(string(version)), nodeOldest[0], nodeOldest[1]))
	}
	n := &NPM{Folder: tb.TempDir(), tb: tb}
	if len(names) == 0 {
		names = repositoryFiles(tb, from)
	}
	for _, name := range names {
		// Read by the test itself, which go test then runs again whenever one of them has changed.
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			tb.Fatal(err)
		}
		to := filepath.Join(n.Folder, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return n
}

// repositoryFiles are the files of a folder and those below it, but for what somebody installed or built there.
func repositoryFiles(tb testing.TB, from string) (names []string) {
	tb.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{"node_modules", "build", "generated"}, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(from, path)
		names = append(names, name)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return names
}

// Install installs what the folder's lock file says, without running the packages' scripts.
func (n *NPM) Install() {
	n.tb.Helper()
	n.Run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
}

// npmPatience bounds a command. The slowest is an installation over a slow line.
const npmPatience = 5 * time.Minute

// Run runs a command in the folder and answers what it wrote to its standard output. One that fails, or takes more than 5 minutes, fails the test with all it wrote.
func (n *NPM) Run(name string, args ...string) []byte {
	n.tb.Helper()
	out, err := n.Try(name, args...)
	if err != nil {
		n.tb.Fatal(err)
	}
	return out
}

// Try is Run for a command that may fail, also beside the test in a goroutine: the error has all it wrote.
func (n *NPM) Try(name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(n.tb.Context(), npmPatience)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = n.Folder, append(os.Environ(), n.Env...)
	c.WaitDelay = time.Second // what it started may hold its output open
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s\n%s", filepath.Base(name), err, out, errs.String())
	}
	return out, nil
}
