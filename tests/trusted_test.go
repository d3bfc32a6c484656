package tests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clientele/internal/config"
	"clientele/internal/testkit"
)

const (
	whoDocument    = `query Who { viewer { role } }`
	schemaDocument = `query Shape { __schema { queryType { name } } }`
	freeDocument   = `query Free { viewer { role } }`
	// What an advisor of these tests joins with.
	answerDocument = `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`
	acceptDocument = `mutation($v: String!) { acceptServiceRules(input: {version: $v}) { advisor { id } } }`
)

func hashed(document string) string {
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:])
}

// byHash is a request that names its document as Apollo's clients do, and sends it unless it is empty.
func byHash(hash, document string) map[string]any {
	body := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}}
	if document != "" {
		body["query"] = document
	}
	return body
}

// posted is the code of what a request comes to, "" for an answer with data, and the whole answer.
func (w *world) posted(tb testing.TB, token string, request map[string]any) (code, body string) {
	tb.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		tb.Fatal(err)
	}
	_, body = w.request(http.MethodPost, "", string(text), "Authorization", "Bearer "+token, "Content-Type", "application/json")
	return codeIn(tb, body), body
}

func codeIn(tb testing.TB, body string) string {
	tb.Helper()
	var answer struct {
		Data   map[string]any
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	if len(answer.Errors) > 0 {
		return answer.Errors[0].Extensions.Code
	}
	if answer.Data == nil {
		tb.Errorf("no data: %s", body)
	}
	return ""
}

// untrusted is how many documents were counted with a result.
func untrusted(t *testing.T, w *world, result string) (n int) {
	t.Helper()
	_, body := get(t, w, http.MethodGet, "/metrics", nil)
	if _, value, counted := strings.Cut(body, `clientele_untrusted_documents_total{result="`+result+`"} `); counted {
		if _, err := fmt.Sscan(value, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// persisted writes the files of a codegen and of a Relay, and is the setting that names them.
func persisted(tb testing.TB) []string {
	tb.Helper()
	var files []string
	for name, documents := range map[string]map[string]string{
		"codegen.json": {"sha256:" + hashed(whoDocument): whoDocument, "sha256:" + hashed(schemaDocument): schemaDocument, "sha256:" + hashed(streamText): streamText, hashed(answerDocument): answerDocument, hashed(acceptDocument): acceptDocument},
		"relay.json":   {"5d41402abc4b2a76b9719d911017c592": whoDocument},
	} {
		text, err := json.Marshal(documents)
		if err != nil {
			tb.Fatal(err)
		}
		file := filepath.Join(tb.TempDir(), name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			tb.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// Ensure an advisor sends trusted documents alone where that is enforced, by id, by hash and by their text; everybody else sends what they like
// (rule V8).
func TestTrustedDocumentsEnforced(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) {
		s.TrustedDocuments, s.TrustedFiles = config.TrustedEnforce, persisted(t)
	}})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	anna, admin := w.bearer("anna", a.account), w.bearer("admin", a.account)
	refused, free := untrusted(t, w, "refused"), untrusted(t, w, "free")
	for _, tt := range []struct {
		name    string
		token   string
		request map[string]any
		want    string
	}{
		{"an id of codegen's", anna, map[string]any{"documentId": "sha256:" + hashed(whoDocument)}, ""},
		{"an id without the hash's name", anna, map[string]any{"documentId": hashed(whoDocument)}, ""},
		{"an id of Relay's", anna, map[string]any{"documentId": "5d41402abc4b2a76b9719d911017c592"}, ""},
		{"a hash", anna, byHash(hashed(whoDocument), ""), ""},
		{"an id that is no SHA-256, as a hash", anna, byHash("5d41402abc4b2a76b9719d911017c592", ""), ""},
		{"the same with the document", anna, byHash("5d41402abc4b2a76b9719d911017c592", whoDocument), ""},
		{"the same with another document", anna, byHash("5d41402abc4b2a76b9719d911017c592", answerDocument), "INVALID"},
		{"what is no id and no SHA-256", anna, byHash("5d41402abc4b2a76b9719d911017c593", ""), "INVALID"},
		{"an empty hash", anna, byHash("", whoDocument), "INVALID"},
		{"the text", anna, map[string]any{"query": whoDocument}, ""},
		{"a free document", anna, map[string]any{"query": freeDocument}, "FORBIDDEN"},
		{"a trusted document with a space", anna, map[string]any{"query": whoDocument + " "}, "FORBIDDEN"},
		{"a free document with its hash", anna, byHash(hashed(freeDocument), freeDocument), "FORBIDDEN"},
		{"the hash of what was refused", anna, byHash(hashed(freeDocument), ""), "NOT_FOUND"},
		{"introspection, free", anna, map[string]any{"query": `{ __schema { queryType { name } } }`}, "FORBIDDEN"},
		{"introspection, trusted", anna, map[string]any{"query": schemaDocument}, "FORBIDDEN"},
		{"an id that is none", anna, map[string]any{"documentId": "none"}, "NOT_FOUND"},
		{"both", anna, map[string]any{"documentId": hashed(whoDocument), "query": whoDocument}, "INVALID"},
		{"an empty id", anna, map[string]any{"documentId": ""}, "INVALID"},
		{"an id as an extension", anna, map[string]any{"extensions": map[string]any{"documentId": hashed(whoDocument)}}, "INVALID"},
		{"an admin's free document", admin, map[string]any{"query": freeDocument}, ""},
		{"an admin's introspection", admin, map[string]any{"query": schemaDocument}, ""},
		{"an admin's free document with its hash", admin, byHash(hashed(freeDocument), freeDocument), ""},
		{"an admin's hash", admin, byHash(hashed(freeDocument), ""), ""},
		{"an advisor with that hash", anna, byHash(hashed(freeDocument), ""), "FORBIDDEN"},
		{"no token", "", map[string]any{"documentId": hashed(whoDocument)}, "UNAUTHENTICATED"},
	} {
		if code, body := w.posted(t, tt.token, tt.request); code != tt.want {
			t.Errorf("%s: %q, want %q: %s", tt.name, code, tt.want, body)
		}
	}
	_, body := w.request(http.MethodGet, "?documentId="+url.QueryEscape("sha256:"+hashed(whoDocument)), "", "Authorization", "Bearer "+anna)
	if code := codeIn(t, body); code != "" {
		t.Errorf("an id in the address: %s", body)
	}
	if answer, body := get(t, w, http.MethodGet, "/schema.graphql", map[string]string{"Authorization": "Bearer " + anna}); answer.StatusCode != http.StatusForbidden || strings.Contains(body, "Conversation") {
		t.Errorf("the printed schema: %d, %d bytes", answer.StatusCode, len(body))
	}
	if answer, _ := get(t, w, http.MethodGet, "/schema.graphql", map[string]string{"Authorization": "Bearer " + admin}); answer.StatusCode != http.StatusOK {
		t.Errorf("the printed schema, of an admin: %d", answer.StatusCode)
	}
	if got, more := untrusted(t, w, "refused")-refused, untrusted(t, w, "free")-free; got != 5 || more != 3 {
		t.Errorf("%d are counted as refused, %d as free", got, more)
	}
}

// Ensure log lets everybody send what they like, and counts it.
func TestTrustedDocumentsLogged(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) {
		s.TrustedDocuments, s.TrustedFiles = config.TrustedLog, persisted(t)
	}})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	anna, free := w.bearer("anna", a.account), untrusted(t, w, "free")
	for _, document := range []string{whoDocument, freeDocument, schemaDocument} {
		if code, body := w.posted(t, anna, map[string]any{"query": document}); code != "" {
			t.Errorf("%s: %s", document, body)
		}
	}
	if got := untrusted(t, w, "free") - free; got != 1 {
		t.Errorf("%d are counted as free", got)
	}
}

// Ensure a document that was sent with its hash is known by the hash after, to its account alone (automatic persisted queries).
func TestDocumentsByHash(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a, b := w.found(setup{Advisors: []string{"anna"}}, "main"), w.found(setup{}, "other")
	anna, elsewhere := w.bearer("anna", a.account), w.bearer("admin", b.account)
	hash := hashed(whoDocument)
	code, body := w.posted(t, anna, byHash(hash, ""))
	if code != "NOT_FOUND" || !strings.Contains(body, `"message":"PersistedQueryNotFound"`) {
		t.Errorf("a hash that nobody sent: %s", body)
	}
	long := "query Who { viewer { role } }" + strings.Repeat(" ", 16<<10)
	for _, tt := range []struct {
		name    string
		token   string
		request map[string]any
		want    string
	}{
		{"with the document", anna, byHash(hash, whoDocument), ""},
		{"without it", anna, byHash(hash, ""), ""},
		{"in capitals", anna, byHash(strings.ToUpper(hash), ""), ""},
		{"by another account", elsewhere, byHash(hash, ""), "NOT_FOUND"},
		{"another's hash", anna, byHash(hash, freeDocument), "INVALID"},
		{"no hash", anna, byHash("abc", whoDocument), "INVALID"},
		{"another version", anna, map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 2, "sha256Hash": hash}}}, "INVALID"},
		{"a long document", anna, byHash(hashed(long), long), ""},
		{"a long document, which is not kept", anna, byHash(hashed(long), ""), "NOT_FOUND"},
	} {
		if code, body := w.posted(t, tt.token, tt.request); code != tt.want {
			t.Errorf("%s: %q, want %q: %s", tt.name, code, tt.want, body)
		}
	}
}
