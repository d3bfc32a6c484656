package tests

import (
	"path/filepath"
	"testing"

	"clientele/internal/config"
	"clientele/internal/testkit"
)

// Ensure the setting --sandbox-url has another program stand for the platform: what it took is what
// the API calls SENT, under the same ids.
func TestSandboxURL(t *testing.T) {
	sb := testkit.StartSandbox(t, filepath.Join(t.TempDir(), "taken"))
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.SandboxURL = sb.URL }})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	sent := w.must(a.bearer("anna", a.account), sendText, sending("wei", "hello", "k1"))
	w.delivered()
	want := testkit.Taken{
		Account: a.names["id account"], OpenID: "wei", MessageID: sent.text("sendMessage.message.id"), Kind: "TEXT", Text: "hello",
	}
	if lines := sb.Lines(t); len(lines) != 1 || lines[0] != want {
		t.Errorf("it took %+v, want %+v", lines, want)
	}
	status := w.must(a.bearer("anna", a.account), `query($m: ID!) { node(id: $m) { ... on Message { status } } }`, map[string]any{"m": want.MessageID})
	if got := status.text("node.status"); got != "SENT" {
		t.Errorf("it is %s", got)
	}
	// The platform goes away, and nothing is lost or said to have left.
	if err := sb.Stop(); err != nil {
		t.Fatal(err)
	}
	w.must(a.bearer("anna", a.account), sendText, sending("wei", "again", "k2"))
	w.await("its gate is shut", func() bool { return w.count("SELECT COUNT(*) FROM outbound_gate") == 1 })
	// A connection kept from before may take the message and then break: then nobody knows.
	if n := w.count("SELECT COUNT(*) FROM message WHERE status IN ('QUEUED', 'UNKNOWN')"); n != 1 {
		t.Errorf("%d messages are QUEUED or UNKNOWN", n)
	}
}
