// Package tests holds the product to its rules from outside: GraphQL cases as files, run over the
// real server on a real database (README.md), and tests in Go of what a file cannot say: races,
// several nodes, statements, raw HTTP.
package tests

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/app"
	"clientele/internal/config"
	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/internal/transport"
	"clientele/jobs"
	"clientele/models"
	"clientele/store"
)

func TestMain(m *testing.M) { testkit.Main(m, func() error { return removeBuilt() }) }

// tokenLife makes tokens that no test outlives, by its own clock or by the machine's.
const tokenLife = 100 * 365 * 24 * time.Hour

// tokenSecret signs the tokens of tests.
const tokenSecret = "a-secret-of-thirty-two-bytes-or-more"

// patience bounds every wait; nothing that works comes near it.
const patience = 2 * time.Minute

// slack is what is added to a promise of the clock's before a test calls it broken, since it runs beside
// others: what was to come by itself came, and long before patience ran out.
const slack = 10 * time.Second

// world is one running product with its database, its clock and its address.
type world struct {
	logged *faults
	*app.App
	tb    testing.TB
	clock *testkit.Clock
	url   string
	dsn   string
	db    *sql.DB
	http  *http.Client
	stop  func()
}

// options changes what a world is made of.
type options struct {
	// sweep is how often what has lapsed is looked for; 0: no test lives so long. By itself: rows change while
	// nobody does anything.
	sweep time.Duration
	// jobs is how many jobs are worked at, at the same time; 0: as shipped, below 0: none.
	jobs int
	// ask is how often it is looked for what is to be asked of platforms, 0: as shipped.
	ask      time.Duration
	clock    *testkit.Clock
	now      func() time.Time
	settings func(*config.Server)
	sockets  func(*transport.WebSocketOptions)
	forms    func(*transport.Multipart)
	serving  func(*http.Server)
}

// start opens the product on a migrated database and serves it on a port of its own.
func start(tb testing.TB, dsn string, o options) *world {
	tb.Helper()
	if o.clock == nil {
		o.clock = testkit.NewClock()
	}
	if o.now == nil {
		o.now = o.clock.Now
	}
	if o.sweep == 0 {
		o.sweep = time.Hour
	}
	set := config.Default()
	set.DB, set.DBMaxOpen, set.DBMaxIdle = config.DSN(dsn), 16, 16
	set.Data = tb.TempDir()
	set.TokenSecrets = []config.Secret{config.Secret("test=" + tokenSecret)}
	set.MasterKeys = []config.Secret{config.Secret("test=" + strings.Repeat("5a", 32))}
	if o.settings != nil {
		o.settings(&set)
	}
	if err := set.Validate(); err != nil {
		tb.Fatalf("settings: %v", err)
	}
	logged := &faults{}
	log := slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := app.Open(context.Background(), app.Options{
		Settings: set, Log: log, Now: o.now, Migrate: true, Store: func(so *store.Options) { so.Strict, so.Relaxed = true, true },
		Sockets: o.sockets, Forms: o.forms, HTTP: o.serving, Jobs: func(r *jobs.Runner) { r.Sweep, r.Jobs, r.Ask = o.sweep, o.jobs, o.ask },
	})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen: %v", err)
	}
	db, err := a.Store.SQL()
	if err != nil {
		tb.Fatalf("database: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, listener, nil) }()
	w := &world{
		App: a, tb: tb, clock: o.clock, url: "http://" + listener.Addr().String(), dsn: dsn, db: db, logged: logged,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
	}
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			tb.Errorf("serve: %v", err)
		}
		if err := a.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
		w.http.CloseIdleConnections()
		// What the server calls a failure is a defect, whatever the client was told.
		if text := logged.String(); text != "" {
			tb.Errorf("the server logged faults:\n%s", text)
		}
	})
	tb.Cleanup(w.stop)
	return w
}

// faults is what the server logged as an error.
type faults struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (f *faults) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(`msg="wechat callback refused"`)) {
		return len(p), nil // a forger's doing, and no fault
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.Write(p)
}

// forget takes out lines that hold a text, and reports whether there was one.
func (f *faults) forget(text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	var kept []string
	found := false
	for line := range strings.Lines(f.text.String()) {
		if strings.Contains(line, text) {
			found = true
		} else {
			kept = append(kept, line)
		}
	}
	f.text.Reset()
	f.text.WriteString(strings.Join(kept, ""))
	return found
}

func (f *faults) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}

// answer is a GraphQL response.
type answer struct {
	status int
	body   []byte
	Data   any         `json:"data"`
	Errors []gqlFailed `json:"errors"`
}

type gqlFailed struct {
	Message    string         `json:"message"`
	Path       []any          `json:"path"`
	Extensions map[string]any `json:"extensions"`
}

// code is the code of the first error; empty without one.
func (a *answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	code, _ := a.Errors[0].Extensions["code"].(string)
	return code
}

// field reads a place in the data, e.g. "createGroup.group.id"; nil where there is nothing.
func (a *answer) field(path string) any {
	v := a.Data
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (a *answer) text(path string) string {
	s, _ := a.field(path).(string)
	return s
}

// token is a token for a role of an account, or for one of its advisors.
func (w *world) token(role auth.Role, account models.Key, subject string) string {
	w.tb.Helper()
	g := auth.Grant{Role: role, Subject: subject, Life: tokenLife}
	if role != auth.RolePlatform {
		g.Account = account.String()
	}
	token, _, err := w.Issuer.Issue(g)
	if err != nil {
		w.tb.Fatalf("issue a token: %v", err)
	}
	return token
}

// bearer is the token of who acts in a case: admin, integration, analyst, platform, nobody, or an
// advisor by openid (anna) or another name for them (ext:7, id:…).
func (w *world) bearer(who string, account models.Key) string {
	w.tb.Helper()
	switch who {
	case "nobody":
		return ""
	case "admin", "integration", "analyst", "platform":
		return w.token(auth.Role(strings.ToUpper(who)), account, who)
	}
	if !strings.Contains(who, ":") {
		who = auth.AdvisorSubject(auth.SubjectOpenID, who)
	}
	return w.token(auth.RoleAdvisor, account, who)
}

// post sends one request as it is.
func (w *world) post(token string, body []byte) *answer {
	w.tb.Helper()
	a, err := w.tryPost(token, body)
	if err != nil {
		w.tb.Fatalf("post: %v", err)
	}
	return a
}

func (w *world) tryPost(token string, body []byte) (*answer, error) {
	a := &answer{}
	var err error
	if a.status, a.body, err = w.exchange(token, body); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(a.body, a); err != nil {
		return nil, fmt.Errorf("%d: %w: %s", a.status, err, a.body)
	}
	return a, nil
}

// exchange sends one request as it is, and answers the response as it came.
func (w *world) exchange(token string, body []byte) (status int, answered []byte, err error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Request-Id", "test")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answered, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answered, err
}

// ask runs one operation.
func (w *world) ask(token, query string, variables map[string]any) *answer {
	w.tb.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		w.tb.Fatal(err)
	}
	return w.post(token, body)
}

// must runs one operation that succeeds.
func (w *world) must(token, query string, variables map[string]any) *answer {
	w.tb.Helper()
	a := w.ask(token, query, variables)
	if len(a.Errors) > 0 {
		w.tb.Fatalf("%s\nanswered %s", query, a.body)
	}
	return a
}

// count is one number of the database.
func (w *world) count(query string, args ...any) (n int64) {
	w.tb.Helper()
	if err := w.db.QueryRowContext(context.Background(), query, args...).Scan(&n); err != nil {
		w.tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// await returns once something is so. It asks again and again, where nothing tells: soon at first, then ever more
// seldom, since what takes long takes longer when it is asked about all the time.
func (w *world) await(what string, is func() bool) {
	w.tb.Helper()
	const soonest, latest = 2 * time.Millisecond, 50 * time.Millisecond
	pause := soonest
	again := time.NewTimer(pause)
	defer again.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !is() {
		select {
		case <-again.C:
			pause = min(pause*3/2, latest)
			again.Reset(pause)
		case <-deadline.C:
			w.tb.Fatalf("waited in vain until %s", what)
		}
	}
}

// delivered returns once every queued message was handed over or refused.
func (w *world) delivered() {
	w.tb.Helper()
	w.await("all messages were handed over", func() bool {
		return w.count("SELECT (SELECT COUNT(*) FROM delivery) + (SELECT COUNT(*) FROM outbox)") == 0
	})
}

// worked returns once no job goes on. The pause of one whose part failed, as it may among others, passes.
func (w *world) worked() {
	w.tb.Helper()
	w.await("all jobs have ended", func() bool {
		if w.count("SELECT COUNT(*) FROM job WHERE finished_at = 0 AND faults > 0 AND leased_by IS NULL AND due_at > ?", int64(w.Services.Now())) > 0 {
			w.clock.Advance(time.Second)
		}
		return w.count("SELECT COUNT(*) FROM job WHERE finished_at = 0") == 0
	})
}

// contended is worked of jobs that are in each other's way: a slow machine may undo a transaction of theirs more often than it is tried at once.
func (w *world) contended() {
	w.tb.Helper()
	w.worked()
	w.logged.forget("the database is busy; try again")
}

// keyOf is the row's key inside a global id.
func keyOf(tb testing.TB, id string) models.Key {
	tb.Helper()
	parsed, ok := relay.ParseID(id)
	if !ok {
		tb.Fatalf("%q is no id", id)
	}
	return models.Key(parsed.Key)
}
