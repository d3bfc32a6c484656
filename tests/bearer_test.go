package tests

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"clientele/internal/testkit"
	"clientele/limits"
)

// Ensure a bearer has as many connections as they may, sockets and event streams together, that nobody else is told so, and that one which
// ends makes room for another (rule X2).
func TestConnectionsOfABearer(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna", "bob"}}, "main")
	anna, bob := w.bearer("anna", a.account), w.bearer("bob", a.account)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// open is a connection that was let in, or the code it was closed with.
	open := func(token string) (*websocket.Conn, websocket.StatusCode) {
		t.Helper()
		conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(w.url, "http")+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		var f frame
		if err = wsjson.Write(ctx, conn, map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + token}}); err == nil {
			err = wsjson.Read(ctx, conn, &f)
		}
		if err == nil && f.Type != "connection_ack" {
			t.Fatalf("answered by %s %s", f.Type, f.Payload)
		}
		return conn, websocket.CloseStatus(err)
	}
	// What is asked has no document: who is let in is told so.
	streaming := func() (*http.Response, string) {
		return w.request(http.MethodGet, "", "", "Accept", "text/event-stream", "Authorization", "Bearer "+anna)
	}
	const letIn = websocket.StatusCode(-1)
	w.stream(anna, "subscription{notifications{__typename}}", "")
	first, _ := open(anna)
	for range limits.ConnectionsPerBearer - 2 {
		if _, code := open(anna); code != letIn {
			t.Fatalf("closed with %d", code)
		}
	}
	if _, code := open(anna); code != 1013 {
		t.Errorf("a connection too many is closed with %d", code)
	}
	resp, body := streaming()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, `"limit":250`) {
		t.Errorf("a stream too many: %d, Retry-After %q, %s", resp.StatusCode, resp.Header.Get("Retry-After"), body)
	}
	if _, code := open(bob); code != letIn {
		t.Errorf("another is closed with %d", code)
	}
	_ = first.CloseNow()
	w.await("there is room for another", func() bool {
		resp, _ := streaming()
		return resp.StatusCode == http.StatusBadRequest
	})
	if _, code := open(anna); code != letIn {
		t.Errorf("when one has ended, another is closed with %d", code)
	}
}
