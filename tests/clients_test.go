package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
)

// scripts is a folder with scripts for Node and the packages they need.
type scripts struct {
	folder    string
	node, npm string
}

// nodeScripts copies the files of a folder of the repository, with those below, and installs its packages as its lock file has them. No
// package's own script is run. Without Node the test is skipped.
func nodeScripts(t *testing.T, from string) *scripts {
	t.Helper()
	s := &scripts{folder: t.TempDir(), node: testkit.Program(t, testkit.NeedNode)}
	var err error
	if s.npm, err = exec.LookPath("npm"); err != nil {
		testkit.Missing(t, testkit.NeedNode, err)
	}
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What somebody built or installed there is not the repository's.
		if entry.IsDir() && slices.Contains([]string{"node_modules", "build", "generated"}, entry.Name()) {
			return fs.SkipDir
		}
		inside, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(s.folder, inside), 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(s.folder, inside), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.run(t, nil, s.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	return s
}

// run runs a program in the folder and answers what it printed. Extra is added to the environment.
func (s *scripts) run(t *testing.T, extra []string, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = s.folder, append(os.Environ(), extra...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", filepath.Base(name), err, out, errs.String())
	}
	return out
}

// Ensure the audits of graphql-http are passed, every one; that graphql-ws, graphql-sse and a browser's EventSource query, subscribe,
// and go on behind what they have after a disconnect; and that the usual clients do the main job against the program as it ships.
func TestUsualClients(t *testing.T) {
	s := nodeScripts(t, "clients")
	t.Run("protocols", func(t *testing.T) {
		w := start(t, testkit.SQLite(t), options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		var came struct {
			Audits struct {
				OK    int
				Other []string
			}
			Ran []string
		}
		out := s.run(t, nil, s.node, "run.mjs", w.url+"/graphql", w.token(auth.RoleAdmin, a.account, "admin"), w.bearer("anna", a.account))
		if err := json.Unmarshal(out, &came); err != nil {
			t.Fatal(err)
		}
		if came.Audits.OK != 61 || len(came.Audits.Other) > 0 {
			t.Errorf("%d audits are passed, not: %q", came.Audits.OK, came.Audits.Other)
		}
		if want := []string{"graphql-ws", "graphql-sse", "EventSource"}; !slices.Equal(came.Ran, want) {
			t.Errorf("these clients ran: %q", came.Ran)
		}
	})
	t.Run("main job", func(t *testing.T) {
		m := newMerchant(t, program(t))
		var did []string
		out := s.run(t, nil, s.node, "main.mjs", m.url+"/graphql", m.advisor, m.followers(), string(answerEnds))
		if err := json.Unmarshal(out, &did); err != nil {
			t.Fatal(err)
		}
		if want := []string{"Apollo Client", "urql", "graphql-ws", "graphql-sse"}; !slices.Equal(did, want) {
			t.Errorf("these clients did the job: %q", did)
		}
	})
}

// Ensure the example in TypeScript is as the schema has it, without an error of its strict compiler, and passes its own tests against the
// program as it ships.
func TestTypeScriptExample(t *testing.T) {
	s := nodeScripts(t, filepath.Join("..", "examples", "typescript"))
	schema, err := filepath.Abs(filepath.Join("..", "schema", "*.graphql"))
	if err != nil {
		t.Fatal(err)
	}
	t.Log(string(s.run(t, []string{"CLIENTELE_SCHEMA=" + schema, "CLIENTELE_PROGRAM=" + program(t)}, s.npm, "test")))
}
