package tests

import (
	"encoding/json"
	"slices"
	"testing"

	"clientele/auth"
	"clientele/internal/testkit"
)

// Ensure the audits of graphql-http are passed, every one, and that graphql-ws, graphql-sse and a browser's EventSource query, subscribe,
// and go on behind what they have after a disconnect.
func TestUsualClients(t *testing.T) {
	npm := testkit.NewNPM(t, "clients", "package.json", "package-lock.json", "run.mjs")
	npm.Install()
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	var came struct {
		Audits struct {
			OK    int
			Other []string
		}
		Ran []string
	}
	if err := json.Unmarshal(npm.Run(testkit.NeedNode.Program(), "run.mjs", w.url+"/graphql", w.token(auth.RoleAdmin, a.account, "admin"), w.bearer("anna", a.account)), &came); err != nil {
		t.Fatal(err)
	}
	if came.Audits.OK != 61 || len(came.Audits.Other) > 0 {
		t.Errorf("%d audits are passed, not: %q", came.Audits.OK, came.Audits.Other)
	}
	if want := []string{"graphql-ws", "graphql-sse", "EventSource"}; !slices.Equal(came.Ran, want) {
		t.Errorf("these clients ran: %q", came.Ran)
	}
}
