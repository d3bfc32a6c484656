package tests

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"clientele/auth"
	"clientele/internal/testkit"
)

// Ensure the audits of graphql-http are passed, every one; that graphql-ws, graphql-sse and a browser's EventSource query, subscribe,
// and go on behind what they have after a disconnect, on a stream for each operation and on one for all; that graphql-ws comes back to a server that restarts, and that the usual clients do the main job against the program as it ships.
func TestUsualClients(t *testing.T) {
	t.Parallel()
	npm := testkit.NewNPM(t, "clients")
	npm.Install()
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
		out := npm.Run(testkit.NeedNode.Program(), "run.mjs", w.url+"/graphql", w.token(auth.RoleAdmin, a.account, "admin"), w.bearer("anna", a.account))
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
	t.Run("one stream", func(t *testing.T) { oneStream(t, npm) })
	// With the variables that it keeps holding the last cursor (ADR 0046).
	t.Run("graphql-ws over a restart", func(t *testing.T) {
		var came struct {
			Codes []int
			Texts []string
		}
		out, err := npm.Try(testkit.NeedNode.Program(), "restart.mjs", program(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &came); err != nil {
			t.Fatal(err)
		}
		if want := []int{1012}; !slices.Equal(came.Codes, want) {
			t.Errorf("its connections are closed with %d, want %d", came.Codes, want)
		}
		if want := []string{"before", "while it was away", "after"}; !slices.Equal(came.Texts, want) {
			t.Errorf("what came: %q", came.Texts)
		}
	})
	clients := []string{"Apollo Client", "Apollo Client with persisted queries", "urql", "urql over graphql-ws", "graphql-ws", "graphql-sse"}
	binary := program(t)
	documents, err := filepath.Abs(filepath.Join("schema", "persisted", "codegen.json"))
	if err != nil {
		t.Fatal(err)
	}
	job := func(t *testing.T, m *merchant, want []string, more ...string) {
		t.Helper()
		args := append([]string{"main.mjs", m.url + "/graphql", m.advisor, m.followers(), string(answerEnds), documents}, more...)
		out, err := npm.Try(testkit.NeedNode.Program(), args...)
		if err != nil {
			t.Fatal(err)
		}
		var did []string
		if err := json.Unmarshal(out, &did); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(did, want) {
			t.Errorf("these clients did the job: %q", did)
		}
	}
	t.Run("main job", func(t *testing.T) {
		testkit.Engines(t, func(t *testing.T, dsn string) { job(t, newMerchant(t, binary, dsn), clients) })
	})
	// Those of the same documents that codegen persisted, and of nothing else (rule V8).
	t.Run("main job with trusted documents", func(t *testing.T) {
		m := newMerchant(t, binary, testkit.SQLite(t), "--trusted-documents=enforce", "--trusted-files="+documents)
		job(t, m, []string{"Apollo Client with trusted documents", "graphql-ws with trusted documents"}, "trusted")
	})
}

// Ensure the example in TypeScript is as the schema has it, without an error of its strict compiler, and passes its own tests against the
// program as it ships.
func TestTypeScriptExample(t *testing.T) {
	t.Parallel()
	npm := testkit.NewNPM(t, filepath.Join("..", "examples", "typescript"))
	npm.Install()
	schema, err := filepath.Abs(filepath.Join("..", "schema.graphql"))
	if err != nil {
		t.Fatal(err)
	}
	npm.Env = []string{"CLIENTELE_SCHEMA=" + schema, "CLIENTELE_PROGRAM=" + program(t)}
	t.Log(string(npm.Run("npm", "test")))
}
