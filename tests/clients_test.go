package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
)

// Ensure the audits of graphql-http are passed, every one, and that graphql-ws, graphql-sse and a browser's EventSource query, subscribe,
// and go on behind what they have after a disconnect.
func TestUsualClients(t *testing.T) {
	node := testkit.Program(t, testkit.NeedNode)
	npm, err := exec.LookPath("npm")
	if err != nil {
		testkit.Missing(t, testkit.NeedNode, err)
	}
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "run.mjs"} {
		text, err := os.ReadFile(filepath.Join("clients", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	run := func(name string, args ...string) []byte {
		c := exec.CommandContext(ctx, name, args...)
		c.Dir = folder
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", filepath.Base(name), err, out, errs.String())
		}
		return out
	}
	run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	var came struct {
		Audits struct {
			OK    int
			Other []string
		}
		Ran []string
	}
	if err := json.Unmarshal(run(node, "run.mjs", w.url+"/graphql", w.token(auth.RoleAdmin, a.account, "admin"), w.bearer("anna", a.account)), &came); err != nil {
		t.Fatal(err)
	}
	if came.Audits.OK != 61 || len(came.Audits.Other) > 0 {
		t.Errorf("%d audits are passed, not: %q", came.Audits.OK, came.Audits.Other)
	}
	if want := []string{"graphql-ws", "graphql-sse", "EventSource"}; !slices.Equal(came.Ran, want) {
		t.Errorf("these clients ran: %q", came.Ran)
	}
}
