package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/internal/transport"
	"clientele/limits"
)

// pieces are a multipart request whose body comes in two.
type pieces struct {
	*world
	rest   []byte
	to     *io.PipeWriter
	answer chan *sent
}

// sent is what came of it.
type sent struct {
	*answer
	header http.Header
	err    error
}

// begin sends a request but for the second half of its body, and returns at once.
func (w *world) begin(token string, body []byte, contentType string, headers ...string) *pieces {
	w.tb.Helper()
	from, to := io.Pipe()
	s := &pieces{world: w, rest: body[len(body)/2:], to: to, answer: make(chan *sent, 1)}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+"/graphql", io.MultiReader(bytes.NewReader(body[:len(body)/2]), from))
	if err != nil {
		w.tb.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set(preflight, "1")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w.tb.Cleanup(func() { _ = to.CloseWithError(errLine) })
	go func() {
		resp, err := w.http.Do(r)
		if err != nil {
			s.answer <- &sent{err: err}
			return
		}
		defer resp.Body.Close()
		a := &sent{answer: &answer{status: resp.StatusCode}, header: resp.Header}
		if a.body, a.err = io.ReadAll(resp.Body); a.err == nil {
			a.err = json.Unmarshal(a.body, a.answer)
		}
		s.answer <- a
	}()
	return s
}

// finish sends the rest of the body.
func (s *pieces) finish() {
	go func() {
		_, _ = s.to.Write(s.rest)
		_ = s.to.Close()
	}()
}

// breakOff has the line die.
func (s *pieces) breakOff() { _ = s.to.CloseWithError(errLine) }

// is waits for the answer and checks it; no code: the files were kept.
func (s *pieces) is(what string, status int, code string) *sent {
	s.tb.Helper()
	a := testkit.Receive(s.tb, s.answer)
	if a.err != nil || a.status != status || a.code() != code {
		s.tb.Fatalf("%s: %v, %+v", what, a.err, a.answer)
	}
	return a
}

// bodies and line wait until so many bodies are held, or wait.
func (w *world) bodies(n int) {
	w.tb.Helper()
	w.await(fmt.Sprint(n, " bodies are held"), func() bool { return w.metric(`clientele_uploads{state="held"}`) == float64(n) })
}

func (w *world) line(n int) {
	w.tb.Helper()
	w.await(fmt.Sprint(n, " bodies wait"), func() bool { return w.metric(`clientele_uploads{state="waiting"}`) == float64(n) })
}

// Ensure a token and an account have their places for bodies, that others of both wait, and no further account does; and that who is done, breaks off or dies
// gives the place to who waits (ADR 0042).
func TestUploadsAtOnce(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), func(s *config.Server) { s.OperationTime = patience })
	a, b := w.found(setup{Advisors: []string{"anna", "ben", "cai"}}, "main"), w.found(setup{}, "other")
	anna, ben, cai := w.bearer("anna", a.account), w.bearer("ben", a.account), w.bearer("cai", a.account)
	body, contentType := uploadForm(t, uploadText, nil, imageOf(t, "PNG", 4, 3))
	var all []*pieces
	begin := func(token string, held, waiting int) *pieces {
		t.Helper()
		s := w.begin(token, body, contentType)
		all = append(all, s)
		w.bodies(held)
		w.line(waiting)
		return s
	}
	for n := range limits.UploadsPerToken {
		begin(anna, n+1, 0)
	}
	third := begin(anna, limits.UploadsPerToken, 1) // a place of the account is free, and not for this token
	bens := begin(ben, limits.UploadsPerAccount, 1)
	cais := begin(cai, limits.UploadsPerAccount, 2)
	if ids := b.upload("admin", imageOf(t, "PNG", 5, 3)); len(ids) != 1 {
		t.Error("another account is kept out")
	}
	all[0].finish()
	all[0].is("the first", 200, "")
	w.line(1) // anna's third is in
	third.finish()
	third.is("the third", 200, "")
	w.bodies(limits.UploadsPerAccount)
	w.line(0) // and cai

	next := begin(cai, limits.UploadsPerAccount, 1)
	bens.breakOff()
	w.line(0)
	if broken := testkit.Receive(t, bens.answer); !errors.Is(broken.err, errLine) {
		t.Errorf("broken off: %v", broken.err)
	}
	next.finish()
	next.is("after one that broke off", 200, "")

	begin(ben, limits.UploadsPerAccount, 0)
	last := begin(ben, limits.UploadsPerAccount, 1)
	cais.rest = []byte("\r\n--x")
	cais.finish()
	cais.is("a body that is malformed", 400, "INVALID")
	w.line(0)
	last.finish()
	last.is("after one that was malformed", 200, "")
	for _, s := range all {
		s.breakOff()
	}
	w.bodies(0)
}

// Ensure a node holds so many bodies and not one more, whoever they are of, and that so many wait for a place of an account and one more is told at once to come again.
func TestUploadsInLine(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), func(s *config.Server) { s.OperationTime = patience })
	body, contentType := uploadForm(t, uploadText, nil, imageOf(t, "PNG", 4, 3))
	a := w.found(setup{}, "main")
	var all []*pieces
	const most = limits.UploadsPerAccount * (1 + limits.UploadsWaiting)
	for n := range most {
		all = append(all, w.begin(w.token(auth.RoleIntegration, a.account, fmt.Sprint("crm", n)), body, contentType))
		w.bodies(min(n+1, limits.UploadsPerAccount))
		w.line(max(n+1-limits.UploadsPerAccount, 0))
	}
	over := w.begin(w.token(auth.RoleIntegration, a.account, "over"), body, contentType)
	over.finish()
	got := over.is("one more than may wait", 503, "UNAVAILABLE")
	if got.header.Get("Retry-After") != strconv.Itoa(int(limits.UploadRetry/time.Second)) || got.Errors[0].Extensions["retryAt"] == nil {
		t.Errorf("it is not told when to come again: %v %s", got.header, got.body)
	}
	if n := w.metric("clientele_uploads_refused_total"); n != 1 {
		t.Errorf("%v are told to be refused", n)
	}
	for n := range limits.UploadsAtOnce - limits.UploadsPerAccount + 1 {
		other := w.found(setup{}, fmt.Sprint("other ", n))
		all = append(all, w.begin(w.bearer("admin", other.account), body, contentType))
		w.bodies(min(limits.UploadsPerAccount+n+1, limits.UploadsAtOnce))
		w.line(most - limits.UploadsPerAccount + max(limits.UploadsPerAccount+n+1-limits.UploadsAtOnce, 0))
	}
	for _, s := range all {
		s.finish()
	}
	for i, s := range all {
		s.is(fmt.Sprint("request ", i), 200, "")
	}
	w.bodies(0)
}

// Ensure who waits for a place longer than an operation may take is told to come again, and waits no more.
func TestUploadWaitsInVain(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), func(s *config.Server) { s.OperationTime = time.Second })
	a := w.found(setup{}, "main")
	body, contentType := uploadForm(t, uploadText, nil, imageOf(t, "PNG", 4, 3))
	token := w.bearer("admin", a.account)
	for n := range limits.UploadsPerToken {
		w.begin(token, body, contentType)
		w.bodies(n + 1)
	}
	s := w.begin(token, body, contentType)
	s.finish()
	if got := s.is("in vain", 503, "UNAVAILABLE"); got.header.Get("Retry-After") == "" {
		t.Errorf("it is not told when to come again: %v", got.header)
	}
	w.line(0)
}

// Ensure what the headers tell is refused where no place is free, without waiting for one; and that who asks for more than they are given gets none (rules V2, X2).
func TestUploadsRefusedAtOnce(t *testing.T) {
	w, _ := withImages(t, testkit.SQLite(t), func(s *config.Server) { s.OperationTime, s.RatePerToken = patience, 1 })
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	fresh := func(subject string) string { return w.token(auth.RoleIntegration, a.account, subject) }
	body, contentType := uploadForm(t, uploadText, nil, imageOf(t, "PNG", 4, 3))
	for n := range limits.UploadsPerAccount {
		w.begin(fresh(fmt.Sprint("holder ", n)), body, contentType)
		w.bodies(n + 1)
	}
	spent := fresh("spent")
	for w.ask(spent, `{ viewer { role } }`, nil).code() == "" { // until it is refused.
	}
	for name, tt := range map[string]struct {
		token, contentType string
		headers            []string
		status             int
		code               string
	}{
		"without the header":  {fresh("1"), contentType, []string{preflight, ""}, 400, "INVALID"},
		"without a boundary":  {fresh("2"), "multipart/form-data", nil, 400, "INVALID"},
		"for another answer":  {fresh("3"), contentType, []string{"Accept", "text/html"}, 406, "INVALID"},
		"with a bad token":    {"x.y.z", contentType, nil, 401, "UNAUTHENTICATED"},
		"of an analyst":       {w.bearer("analyst", a.account), contentType, nil, 403, "FORBIDDEN"},
		"of the platform":     {w.token(auth.RolePlatform, a.account, "platform"), contentType, nil, 403, "FORBIDDEN"},
		"of who spent it all": {spent, contentType, nil, 429, "RATE_LIMITED"},
	} {
		s := w.begin(tt.token, body, tt.contentType, tt.headers...)
		s.finish()
		if got := s.is(name, tt.status, tt.code); tt.status == 429 && (got.header.Get("Retry-After") == "" || got.Errors[0].Extensions["retryAt"] == nil) {
			t.Errorf("%s: it is not told when to come again: %v", name, got.header)
		}
	}
	long := w.postForm(fresh("4"), append(bytes.Clone(body), make([]byte, limits.UploadBytes+1-len(body))...), contentType, preflight, "1")
	if long.status != 413 || long.code() != "LIMIT_EXCEEDED" {
		t.Errorf("a byte too long: %d %s", long.status, long.body)
	}
	if n := w.metric("clientele_uploads_refused_total"); n != 0 {
		t.Errorf("%v found no place", n)
	}
	// Who comes for a place is charged, also where there is none to be had.
	caller := fresh("caller")
	first := w.begin(caller, body, contentType)
	w.line(1)
	second := w.begin(caller, body, contentType)
	second.finish()
	second.is("a second within its second", 429, "RATE_LIMITED")
	first.breakOff()
}

// Ensure a body that comes too slowly is cut, and that its place goes to who waits for it.
func TestSlowUploads(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{forms: func(m *transport.Multipart) { m.Grace = 200 * time.Millisecond }})
	a := w.found(setup{}, "main")
	body, contentType := uploadForm(t, uploadText, nil, imageOf(t, "PNG", 4, 3))
	var all []*pieces
	token := w.bearer("admin", a.account)
	for range limits.UploadsPerToken + 1 { // the last waits for one of the first, and is slow itself
		all = append(all, w.begin(token, body, contentType))
	}
	for i, s := range all {
		s.is(fmt.Sprint("request ", i), 408, "UNAVAILABLE")
	}
	w.bodies(0)
	w.line(0)
}

// Ensure a batch of operations is answered one by one, in order: what is wrong with one hurts no other, each is charged, and each sees what those before it did
// (rule X2, ADR 0042).
func TestUploadBatch(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const burst = 2 * int(limits.RateBurst/time.Second)
		w, _ := withImages(t, dsn, func(s *config.Server) { s.RatePerToken = 2 })
		a := w.found(setup{}, "main")
		w.clock.Advance(limits.RateBurst)
		operations := []any{
			map[string]any{"query": uploadText, "variables": map[string]any{"files": []any{nil}}},
			map[string]any{"query": "{ viewer {"},
			map[string]any{"query": "{ __typename } "},
		}
		const charged = 1 + limits.UploadCharge + 1 // what cannot be read is charged nothing
		for len(operations) < limits.UploadOperations {
			operations = append(operations, map[string]any{"query": uploadText, "variables": map[string]any{"files": []any{nil}}})
		}
		text, err := json.Marshal(operations)
		if err != nil {
			t.Fatal(err)
		}
		paths := `{"0":["0.variables.files.0"`
		for i := 3; i < limits.UploadOperations; i++ {
			paths += fmt.Sprintf(`,"%d.variables.files.0"`, i)
		}
		body, contentType := form(t, string(text), paths+`]}`, imageOf(t, "PNG", 4, 3))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/graphql", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", "Bearer "+a.bearer("admin", a.account))
		r.Header.Set(preflight, "1")
		resp, err := w.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var all []*answer
		if err := json.NewDecoder(resp.Body).Decode(&all); err != nil || resp.StatusCode != 200 || len(all) != limits.UploadOperations {
			t.Fatalf("%d, %d answers, %v", resp.StatusCode, len(all), err)
		}
		first := w.results(all[0])[0].text("image.id")
		if first == "" || all[1].code() != "INVALID" || all[2].text("__typename") != "Query" {
			t.Errorf("%v, %v, %v", all[0].Data, all[1].Errors, all[2].Data)
		}
		took := (burst - charged) / (1 + limits.UploadCharge)
		for i, got := range all[3:] {
			if i < took {
				if r := w.results(got); r[0].text("image.id") != first {
					t.Errorf("operation %d: %v", 3+i, got.Data)
				}
			} else if got.code() != "RATE_LIMITED" {
				t.Errorf("operation %d: %q, %v", 3+i, got.code(), got.Data)
			}
		}
	})
}
