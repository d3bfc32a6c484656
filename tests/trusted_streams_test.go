package tests

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"clientele/internal/config"
	"clientele/internal/testkit"
)

// asking sends one operation over a connection of its own and gives its results, one a call: nil where the operation has ended.
type asking func(w *world, token string, request map[string]any) (next func() *answer)

// ways are the transports that carry subscriptions.
var ways = map[string]asking{
	"WebSocket": func(w *world, token string, request map[string]any) func() *answer {
		s := w.dial(token)
		if f := s.frame(); f.Type != "connection_ack" {
			w.tb.Fatalf("connection_init was answered by %s", f.Type)
		}
		s.write(map[string]any{"id": "1", "type": "subscribe", "payload": request})
		return func() *answer {
			switch f := s.frame(); f.Type {
			case "next":
				return decoded(w.tb, string(f.Payload))
			case "error":
				return decoded(w.tb, `{"errors":`+string(f.Payload)+`}`)
			}
			return nil
		}
	},
	"event stream by POST": func(w *world, token string, request map[string]any) func() *answer {
		ctx, cancel := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/graphql", strings.NewReader(encoded(w.tb, request)))
		if err != nil {
			w.tb.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Content-Type", "application/json")
		return w.streaming(r, cancel).results("")
	},
	"event stream by GET": func(w *world, token string, request map[string]any) func() *answer {
		var parameters []string
		for name, value := range request {
			text, ok := value.(string)
			if !ok {
				text = encoded(w.tb, value)
			}
			parameters = append(parameters, name, text)
		}
		return w.stream(token, "", "", parameters...).results("")
	},
	"event stream of many operations": func(w *world, token string, request map[string]any) func() *answer {
		resp, reserved := w.request(http.MethodPut, "", "", "Authorization", "Bearer "+token)
		if resp.StatusCode != http.StatusCreated {
			w.tb.Fatalf("reserved: %d %s", resp.StatusCode, reserved)
		}
		s := w.stream(token, "", "", "token", reserved)
		extensions := map[string]any{"operationId": "o"}
		if more, ok := request["extensions"].(map[string]any); ok {
			maps.Copy(extensions, more)
		}
		request = maps.Clone(request)
		request["extensions"] = extensions
		resp, body := w.request(http.MethodPost, "", encoded(w.tb, request), "Authorization", "Bearer "+token, "X-GraphQL-Event-Stream-Token", reserved)
		if resp.StatusCode != http.StatusAccepted {
			w.tb.Fatalf("executed: %d %s", resp.StatusCode, body)
		}
		return s.results("payload")
	},
}

// results reads the stream's results; they are a member of the events' data, or, "", all of it.
func (s *stream) results(member string) func() *answer {
	return func() *answer {
		e := s.next()
		if e.name != "next" {
			return nil
		}
		if member != "" {
			e.data = (&answer{Data: e.data}).field(member)
		}
		return decoded(s.tb, encoded(s.tb, e.data))
	}
}

func encoded(tb testing.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func decoded(tb testing.TB, body string) *answer {
	tb.Helper()
	a := &answer{body: []byte(body)}
	if err := json.Unmarshal(a.body, a); err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	return a
}

// Ensure documents are found by id and by hash, and trusted documents alone are an advisor's where that is enforced, over each transport of
// subscriptions as over HTTP (rule V8).
func TestTrustedDocumentsOverStreams(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) {
		s.TrustedDocuments, s.TrustedFiles = config.TrustedEnforce, persisted(t)
	}})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	anna := w.bearer("anna", a.account)
	for name, ask := range ways {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				name    string
				request map[string]any
				want    string
			}{
				{"an id", map[string]any{"documentId": "sha256:" + hashed(whoDocument)}, ""},
				{"a hash", byHash(hashed(whoDocument), ""), ""},
				{"the text", map[string]any{"query": whoDocument}, ""},
				{"an id that is none", map[string]any{"documentId": "none"}, "NOT_FOUND"},
				{"a free document", map[string]any{"query": freeDocument}, "FORBIDDEN"},
				{"a free document with its hash", byHash(hashed(freeDocument), freeDocument), "FORBIDDEN"},
				{"the hash of what was refused", byHash(hashed(freeDocument), ""), "NOT_FOUND"},
				{"a free subscription", map[string]any{"query": streamText + " "}, "FORBIDDEN"},
				{"introspection, trusted", map[string]any{"documentId": hashed(schemaDocument)}, "FORBIDDEN"},
			} {
				got := ask(w, anna, tt.request)()
				if got == nil || got.code() != tt.want || tt.want == "" && got.text("viewer.role") != "ADVISOR" {
					t.Errorf("%s: %+v, want %q", tt.name, got, tt.want)
				}
			}
			for _, request := range []map[string]any{{"documentId": "sha256:" + hashed(streamText)}, byHash(hashed(streamText), "")} {
				open := w.listening()
				next := ask(w, anna, request)
				w.await("the subscription is open", func() bool { return w.listening() > open })
				a.write("wei", "hello")
				if got := next(); got.text("messages.message.content.text") != "hello" {
					t.Errorf("%v: %s", request, got.body)
				}
			}
		})
	}
}

// Ensure a subscription that was sent with its hash over one transport is known by the hash over each, and that what is wrong with a hash is told
// as it is over HTTP (automatic persisted queries).
func TestDocumentsByHashOverStreams(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a, b := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main"), w.found(setup{}, "other")
	anna := w.bearer("anna", a.account)
	for name, ask := range ways {
		t.Run(name, func(t *testing.T) {
			document := streamText + " # " + name // of this transport alone
			hash := hashed(document)
			unknown := ask(w, anna, byHash(hash, ""))()
			if unknown == nil || unknown.code() != "NOT_FOUND" || unknown.Errors[0].Message != "PersistedQueryNotFound" {
				t.Errorf("a hash that nobody sent: %+v", unknown)
			}
			if got := ask(w, anna, byHash(hash, document+" "))(); got == nil || got.code() != "INVALID" {
				t.Errorf("another's hash: %+v", got)
			}
			open := w.listening()
			first := ask(w, anna, byHash(hash, document))
			w.await("the subscription is open", func() bool { return w.listening() > open })
			a.write("wei", "hello")
			if got := first(); got.text("messages.message.content.text") != "hello" {
				t.Errorf("with the document: %s", got.body)
			}
			for other, ask := range ways {
				open := w.listening()
				next := ask(w, anna, byHash(hash, ""))
				w.await("the subscription is open", func() bool { return w.listening() > open })
				a.write("wei", other)
				if got := next(); got.text("messages.message.content.text") != other {
					t.Errorf("without it, over %s: %s", other, got.body)
				}
			}
			if got := ask(w, w.bearer("admin", b.account), byHash(hash, ""))(); got == nil || got.code() != "NOT_FOUND" {
				t.Errorf("by another account: %+v", got)
			}
		})
	}
}
