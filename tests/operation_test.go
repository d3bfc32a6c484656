package tests

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clientele/internal/config"
	"clientele/internal/testkit"
)

// get asks for a path and answers its response with the body read.
func get(t *testing.T, w *world, method, path string, header map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	answer, err := w.http.Transport.RoundTrip(r) // redirects are answers here
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// Ensure operators find health, readiness and metrics, and that readiness notices the database.
func TestHealthReadinessMetrics(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "clientele_websockets 0"} {
		if answer, body := get(t, w, http.MethodGet, path, nil); answer.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s answers %d %.100s", path, answer.StatusCode, body)
		}
	}
	documented, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, body := get(t, w, http.MethodGet, "/metrics", nil)
	for line := range strings.Lines(body) {
		name, isOurs := strings.CutPrefix(line, "# TYPE clientele_")
		if name, _, _ = strings.Cut(name, " "); isOurs && !strings.Contains(string(documented), "`clientele_"+name+"`") {
			t.Errorf("docs/operations.md does not list clientele_%s", name)
		}
	}
	if answer, _ := get(t, w, http.MethodPost, "/healthz", nil); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /healthz answers %d", answer.StatusCode)
	}
	if _, err := w.db.ExecContext(t.Context(), "UPDATE schema_info SET min_binary = 1000"); err != nil {
		t.Fatal(err)
	}
	answer, body := get(t, w, http.MethodGet, "/readyz", nil)
	if answer.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "1000") {
		t.Errorf("a schema for newer binaries: %d %q", answer.StatusCode, body)
	}
	if !w.logged.forget("not ready") {
		t.Error("why is not in the log")
	}
}

// Ensure every answer names its request: by the client's id where that is harmless, else a new one.
func TestRequestIDs(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	for _, tt := range []struct {
		name, id string
		kept     bool
	}{
		{"none", "", false},
		{"the client's", "a-1_b.2", true},
		{"64 bytes", strings.Repeat("x", 64), true},
		{"65 bytes", strings.Repeat("x", 65), false},
		{"white space", "a b", false},
		{"markup", "<b>", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := get(t, w, http.MethodGet, "/graphql?query=%7Bviewer%7Brole%7D%7D", map[string]string{"X-Request-Id": tt.id})
			id := answer.Header.Get("X-Request-Id")
			if id == "" || (id == tt.id) != tt.kept {
				t.Errorf("answered under %q", id)
			}
			if !strings.Contains(body, `"requestId":"`+id+`"`) {
				t.Errorf("the error does not name it: %s", body)
			}
		})
	}
}

// Ensure errors over a WebSocket name a request as well, those of a document included.
func TestRequestIDsOnSockets(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	s := w.subscribe(w.bearer("anna", a.account), "subscription { notifications { __typename } messages { __typename } }", nil)
	f := s.frame()
	if text := string(f.Payload); f.Type != "error" || !strings.Contains(text, `"requestId":"`) || strings.Contains(text, `"requestId":""`) {
		t.Errorf("answered %s %s", f.Type, text)
	}
}

// Ensure pages of allowed origins, and of no others, may call the API.
func TestOrigins(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) {
		s.AllowedOrigins = []string{"https://console.example.com", "https://*.shop.example"}
	}})
	for origin, allowed := range map[string]bool{
		"https://console.example.com":      true,
		"https://a.shop.example":           true,
		"https://evil.example":             false,
		"https://console.example.com.evil": false,
		"http://console.example.com":       false,
		"https://x/.shop.example":          false,
		"https://console.example.com:8443": false,
	} {
		answer, _ := get(t, w, http.MethodOptions, "/graphql", map[string]string{
			"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization",
		})
		got := answer.Header.Get("Access-Control-Allow-Origin")
		if allowed != (got == origin) || !allowed && got != "" {
			t.Errorf("%s: allowed %q, status %d", origin, got, answer.StatusCode)
		}
		if answer.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", origin)
		}
		// A page that is told to come back later may read when.
		if shown := answer.Header.Get("Access-Control-Expose-Headers"); allowed != strings.Contains(shown, "Retry-After") {
			t.Errorf("%s: shown are %q", origin, shown)
		}
	}
}

// Ensure GraphiQL is there when it is asked for, and not otherwise.
func TestGraphiQLIsASetting(t *testing.T) {
	for _, on := range []bool{true, false} {
		w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.GraphiQL = on }})
		answer, body := get(t, w, http.MethodGet, "/graphiql", nil)
		if found := answer.StatusCode == http.StatusOK && strings.Contains(body, "Clientele GraphiQL"); found != on {
			t.Errorf("on %t: %d", on, answer.StatusCode)
		}
	}
}

// Ensure an operation cannot ask for more rows than one may (rule X2): pages inside pages multiply,
// whether `first` is a literal, a variable or absent, through aliases and fragments.
func TestRowsOfAnOperation(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	anna := w.bearer("anna", a.account)
	for _, tt := range []struct {
		name, document string
		variables      map[string]any
		code           string
	}{
		{"20,000 rows", `{ inbox(first: 200) { nodes { messages(first: 99) { nodes { id } } } } }`, nil, ""},
		{"20,200 rows", `{ inbox(first: 200) { nodes { messages(first: 100) { nodes { id } } } } }`, nil, "LIMIT_EXCEEDED"},
		{"by a variable", `query($n: Int) { inbox(first: 200) { nodes { messages(first: $n) { nodes { id } } } } }`, map[string]any{"n": 100}, "LIMIT_EXCEEDED"},
		{"by aliases", `{ inbox(first: 200) { nodes { a: messages { nodes { id } } b: messages { nodes { id } } } } }`, nil, "LIMIT_EXCEEDED"},
		{"in a fragment", `query { inbox(first: 200) { nodes { ...M } } } fragment M on Conversation { messages(first: 1000) { nodes { id } } }`, nil, "LIMIT_EXCEEDED"},
		{"without first", `{ inbox { nodes { messages { nodes { id } } } } }`, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if answer := w.ask(anna, tt.document, tt.variables); answer.code() != tt.code {
				t.Errorf("answered %d %.300s", answer.status, answer.body)
			}
		})
	}
}
