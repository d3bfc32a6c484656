package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/internal/config"
	"clientele/internal/demo"
	"clientele/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// paper keeps what is printed, and wakes who waits for it.
type paper struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newPaper() *paper { return &paper{changed: make(chan struct{})} }

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
	return p.text.Write(b)
}

func (p *paper) read() (text string, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String(), p.changed
}

// run is a demo under way.
type run struct {
	t        *testing.T
	out, err *paper
	end      context.CancelFunc
	ended    chan error
	address  string // http://HOST:PORT
	data     string
}

func settings(data string, customers int) config.Demo {
	s := config.DefaultDemo()
	s.Addr, s.Data, s.Customers = "127.0.0.1:0", data, customers
	return s
}

// start returns when the demo is ready.
func start(t *testing.T, s config.Demo) *run {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &run{t: t, out: newPaper(), err: newPaper(), end: cancel, ended: make(chan error, 1), data: s.Data}
	go func() { r.ended <- (&demo.Demo{Settings: s, Out: r.out, Err: r.err}).Run(ctx) }()
	t.Cleanup(cancel)
	r.await("ready http://")
	text, _ := r.out.read()
	for line := range strings.Lines(text) {
		if address, ok := strings.CutPrefix(strings.TrimSpace(line), "ready "); ok {
			r.address = address
		}
	}
	return r
}

// await returns when every word was printed.
func (r *run) await(words ...string) {
	r.t.Helper()
	late := time.After(patience)
	for {
		text, changed := r.out.read()
		missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.Contains(text, w) })
		if len(missing) == 0 {
			return
		}
		select {
		case <-changed:
		case err := <-r.ended:
			r.t.Fatalf("the demo ended (%v) without %q; it printed\n%s", err, missing, text)
		case <-late:
			r.t.Fatalf("%q did not come; it printed\n%s", missing, text)
		}
	}
}

// stop ends the demo, which must do so cleanly and soon, and without anything in the log.
func (r *run) stop() {
	r.t.Helper()
	r.end()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("the demo ended with %v", err)
		}
	case <-time.After(patience):
		r.t.Fatal("the demo does not end")
	}
	if log, _ := r.err.read(); log != "" {
		r.t.Errorf("log: %s", log)
	}
}

func (r *run) token(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.data, "tokens", name+".jwt"))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// ask asks the API and reads the data, which must come without errors.
func (r *run) ask(token, document string, variables map[string]any, out any) {
	r.t.Helper()
	body, _ := json.Marshal(map[string]any{"query": document, "variables": variables})
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.address+"/graphql", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	var whole struct{ Data, Errors json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&whole); err != nil {
		r.t.Fatal(err)
	}
	if whole.Errors != nil {
		r.t.Fatalf("%s: %s", document, whole.Errors)
	}
	if err := json.Unmarshal(whole.Data, out); err != nil {
		r.t.Fatal(err)
	}
}

func advisorName(n int) string { return fmt.Sprintf("advisor-%d", n) }

// roles is every token file with its role.
func roles() map[string]string {
	all := map[string]string{"platform": "PLATFORM", "admin": "ADMIN", "integration": "INTEGRATION", "analyst": "ANALYST"}
	for n := 1; n <= 5; n++ {
		all[advisorName(n)] = "ADVISOR"
	}
	return all
}

func (r *run) checkTokens() {
	r.t.Helper()
	for name, role := range roles() {
		var out struct{ Viewer struct{ Role string } }
		r.ask(r.token(name), `query { viewer { role } }`, nil, &out)
		if out.Viewer.Role != role {
			r.t.Errorf("%s is %s", name, out.Viewer.Role)
		}
		if info, err := os.Stat(filepath.Join(r.data, "tokens", name+".jwt")); err != nil || info.Mode().Perm() != 0o600 {
			r.t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	for _, name := range []string{"tokens", "token-secret", "master-key", "demo.json"} {
		if info, err := os.Stat(filepath.Join(r.data, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
			r.t.Errorf("%s: %v %v", name, info, err)
		}
	}
}

func (r *run) account() (id, capability string) {
	r.t.Helper()
	var out struct {
		Account struct{ ID, Capability string }
	}
	r.ask(r.token("admin"), `{ account { id capability } }`, nil, &out)
	return out.Account.ID, out.Account.Capability
}

func steps(t *testing.T, data string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Step int }
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p.Step
}

// Ensure the demo shows everything that an advisor may be told, and goes on where it was stopped.
func TestDemo(t *testing.T) {
	s := settings(t.TempDir(), 30)
	everything := []string{
		"CUSTOMER_BOUND", "CUSTOMER_INQUIRY", "MESSAGE_RECEIVED", "MESSAGE_QUEUED", "MESSAGE_SENT", "CONVERSATION_CHANGED",
	}
	first := start(t, s)
	first.checkTokens()
	account, capability := first.account()
	if capability != "OPEN" {
		t.Errorf("the account is %s", capability)
	}
	first.await(append(everything, "/graphiql", filepath.Join(s.Data, "tokens"), "subscription Messages", "advisor-1", "advisor-5")...)
	old := first.token("admin")
	var tagged struct {
		Tags      []struct{ Options []struct{ Name string } }
		Customers struct{ TotalCount int }
	}
	first.ask(old, `{ tags { options { name } } customers(filter: {tags: {any: [{name: "服饰"}, {name: "家居"}, {name: "礼物"}]}}) { totalCount } }`, nil, &tagged)
	if len(tagged.Tags) != 2 || len(tagged.Tags[0].Options) == 0 || len(tagged.Tags[1].Options) == 0 || tagged.Customers.TotalCount == 0 {
		t.Errorf("the demo's advisors tag nobody: %+v", tagged)
	}
	var labelled struct {
		Customers struct {
			Nodes []struct{ Label, Source string }
		}
		Scans struct {
			Nodes []struct{ Label, Outcome string }
		}
	}
	first.ask(old, `{ customers(filter: {label: "橱窗海报"}) { nodes { label source } } scans(filter: {label: "橱窗海报"}) { nodes { label outcome } } }`, nil, &labelled)
	if len(labelled.Customers.Nodes) == 0 || len(labelled.Scans.Nodes) == 0 || labelled.Customers.Nodes[0].Label != "橱窗海报" {
		t.Errorf("nobody came by a code with a label: %+v", labelled)
	}
	if svg, err := os.ReadFile(filepath.Join(s.Data, "poster-advisor-1.svg")); err != nil || !bytes.HasPrefix(svg, []byte("<svg ")) {
		t.Errorf("picture of a code: %.20s, %v", svg, err)
	}
	first.stop()

	text, _ := first.out.read()
	for n := 1; n <= s.Customers; n++ {
		if id := demo.OpenID(s.Seed, n); strings.Contains(text, id) {
			t.Errorf("a whole openid is printed: %s", id)
		}
	}
	for _, step := range story(s.Seed, s.Customers, 2_000) {
		if step.Text != "" && strings.Contains(text, step.Text) {
			t.Errorf("what somebody wrote is printed: %s", step.Text)
		}
	}

	before := steps(t, s.Data)
	second := start(t, s)
	second.checkTokens()
	if id, _ := second.account(); id != account {
		t.Error("the second start made another account")
	}
	var out struct{ Viewer struct{ Role string } }
	second.ask(old, `query { viewer { role } }`, nil, &out) // tokens outlive the run that made them
	second.await(everything...)
	second.stop()
	if after := steps(t, s.Data); before < demo.Regulars(s.Customers) || after <= before {
		t.Errorf("the story went from step %d to %d", before, after)
	}
}

// state is what would move if anything did.
func (r *run) state() string {
	r.t.Helper()
	all := ""
	for n := 1; n <= 5; n++ {
		var out json.RawMessage
		r.ask(r.token(advisorName(n)), `{ eventCursor inbox(first: 200) { nodes { unreadCount lastMessage { id } } } }`, nil, &out)
		all += string(out)
	}
	var out json.RawMessage
	r.ask(r.token("admin"), `{ customers(first: 200) { nodes { openid followState boundAt lastInteractionAt } } }`, nil, &out)
	return all + string(out)
}

// Ensure --quiet sets everything up and moves nothing, and that whoever moves something is seen.
func TestQuietDemo(t *testing.T) {
	s := settings(t.TempDir(), 12)
	s.Quiet = true
	r := start(t, s)
	r.checkTokens()
	before := r.state()
	for n := 1; n <= s.Customers; n++ {
		if !strings.Contains(before, demo.OpenID(s.Seed, n)) {
			t.Errorf("customer %d is not there", n)
		}
	}
	if strings.Contains(before, `"lastMessage":{`) {
		t.Error("somebody wrote")
	}
	printed, _ := r.out.read()
	for range 20 {
		if r.state() != before {
			t.Fatal("something moved")
		}
	}
	if now, _ := r.out.read(); now != printed {
		t.Errorf("printed by itself:\n%s", strings.TrimPrefix(now, printed))
	}

	bound := 0
	for n := 1; n <= s.Customers && bound == 0; n++ {
		if demo.Arrival(s.Seed, n).Code != "" {
			bound = n
		}
	}
	var out json.RawMessage
	r.ask(r.token("admin"), `mutation($input: SimulateMessageInput!) { simulateMessage(input: $input) { customer { id } } }`,
		map[string]any{"input": map[string]any{"openid": demo.OpenID(s.Seed, bound), "text": "在吗？"}}, &out)
	r.await("CUSTOMER_INQUIRY") // nobody's app is open
	r.stop()

	// The same folder with a story: those who are there do not come twice.
	s.Quiet = false
	lively := start(t, s)
	lively.await("MESSAGE_SENT")
	lively.stop()
}

// Ensure a folder whose account is in another database gets a new one, and a story of its own.
func TestDemoWithoutItsAccount(t *testing.T) {
	s := settings(t.TempDir(), 3)
	s.Quiet = true
	lost := `{"account":"YWMBogi0VnZ6uYKjwF-eXXmm","seed":1,"customers":3,"step":500,"arrived":3}`
	if err := os.WriteFile(filepath.Join(s.Data, "demo.json"), []byte(lost), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, s)
	if id, capability := r.account(); id == "YWMBogi0VnZ6uYKjwF-eXXmm" || capability != "OPEN" {
		t.Errorf("account %s is %s", id, capability)
	}
	r.stop()
	if n := steps(t, s.Data); n != 0 {
		t.Errorf("the story stands at step %d", n)
	}
}

// Ensure a demo without a folder leaves none behind, not even when it cannot start.
func TestTemporaryDemo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := settings("", 2)
	r := start(t, s)
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d folders", len(entries))
	}
	s.Addr = strings.TrimPrefix(r.address, "http://")
	if err := (&demo.Demo{Settings: s, Out: newPaper(), Err: newPaper()}).Run(t.Context()); err == nil {
		t.Error("two demos listen on one port")
	} else if !strings.Contains(err.Error(), s.Addr) {
		t.Errorf("%v does not name the address", err)
	}
	r.stop()
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// Ensure the demo runs on every interface, where its own address cannot be dialled.
func TestDemoOnEveryInterface(t *testing.T) {
	s := settings(t.TempDir(), 2)
	s.Addr, s.Quiet = ":0", true
	r := start(t, s)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(r.address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	r.await("http://localhost:" + port + "/graphiql")
	r.stop()
}

// Ensure the demo runs on an empty MySQL database, which it migrates, and on one that has it.
func TestDemoOnMySQL(t *testing.T) {
	s := settings(t.TempDir(), 8)
	s.DB = config.DSN(testkit.EmptyMySQL(t))
	first := start(t, s)
	first.await("MESSAGE_SENT", "MESSAGE_RECEIVED")
	account, _ := first.account()
	first.stop()
	second := start(t, s)
	second.await("MESSAGE_SENT")
	if id, _ := second.account(); id != account {
		t.Error("the second start made another account")
	}
	second.stop()
	s.Data, s.Quiet = t.TempDir(), true
	third := start(t, s) // another folder: an account of its own beside the first
	if id, _ := third.account(); id == account {
		t.Error("another folder took over the account")
	}
	third.stop()
}
