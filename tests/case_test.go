package tests

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"gopkg.in/yaml.v3"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

var update = flag.Bool("update", false, "write the want files of the cases anew")

// script is a case: data.yml. README.md is its manual.
type script struct {
	About   string `yaml:"about"`
	Account *setup `yaml:"account"`
	Steps   []step `yaml:"steps"`
}

// step is one thing that happens. Exactly one of As (with Query or Subscribe), Customer, Callback,
// Receive, Ends, Closes, Close, Advance, Run and Wait says what.
type step struct {
	Do string `yaml:"do"` // what it is for, printed when it fails

	As        string         `yaml:"as"`
	Query     string         `yaml:"query"`
	Variables map[string]any `yaml:"variables"`
	Files     []string       `yaml:"files"` // sent as a multipart request; the query's $files
	Times     int            `yaml:"times"` // the query so many times; {n} in its variables is the number
	Want      any            `yaml:"want"`
	Error     any            `yaml:"error"`

	Subscribe string `yaml:"subscribe"` // messages, notifications, or a document
	Name      string `yaml:"name"`      // of the subscription; its field's name when absent
	After     string `yaml:"after"`
	Receive   string `yaml:"receive"` // the next events of a subscription, which Want lists
	Ends      string `yaml:"ends"`    // a subscription is ended with Error
	Closes    string `yaml:"closes"`  // a connection is closed by the server with Code
	Code      int    `yaml:"code"`
	Close     string `yaml:"close"` // the client closes a connection

	Customer string `yaml:"customer"`
	Does     string `yaml:"does"` // follow, unfollow, scan, click, write; through the sandbox
	Scans    string `yaml:"scans"`
	Text     string `yaml:"text"`
	EventID  string `yaml:"eventId"`
	Outcome  string `yaml:"outcome"`

	Callback *callback `yaml:"callback"`

	Advance string `yaml:"advance"`
	Run     string `yaml:"run"`  // a sweep, now: expire, sweep, tags
	Wait    string `yaml:"wait"` // until: delivered, worked
}

// TestCases runs every case on every engine, beside its twin.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("*/*/data.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("cases: %d, %v", len(files), err)
	}
	testkit.Engines(t, func(t *testing.T, _ string) {
		fresh := testkit.SQLite
		if strings.HasSuffix(t.Name(), "/mysql") {
			fresh = testkit.MySQL
		}
		t.Run("cases", func(t *testing.T) {
			for _, file := range files {
				dir := filepath.Dir(file)
				t.Run(filepath.ToSlash(dir), func(t *testing.T) {
					t.Parallel()
					runCase(t, fresh(t), dir)
				})
			}
		})
	})
}

// play is a case that runs.
type play struct {
	*tenant
	t     *testing.T
	dir   string
	step  int
	twin  *twin
	said  []any // every answer and event, for the search of the twin's ids
	names names
	subs  map[string]*subscription
}

func runCase(t *testing.T, dsn, dir string) {
	var s script
	text, err := os.ReadFile(filepath.Join(dir, "data.yml"))
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		t.Fatalf("data.yml: %v", err)
	}
	if s.About == "" || len(s.Steps) == 0 {
		t.Fatal("data.yml: about and steps are required")
	}
	w := start(t, dsn, options{}) // what has lapsed is swept where a step says so
	p := &play{t: t, dir: dir, twin: newTwin(w, s.Account), subs: map[string]*subscription{}}
	if s.Account != nil {
		p.tenant = w.found(*s.Account, "main")
	} else {
		p.tenant = &tenant{world: w, names: map[string]string{}}
	}
	p.names = p.tenant.names
	for i, st := range s.Steps {
		p.step = i
		if msg := p.run(st); msg != "" {
			t.Errorf("step %d (%s): %s", i+1, st.title(), msg)
			break
		}
	}
	for _, sub := range p.subs {
		p.said = append(p.said, sub.seen...)
	}
	p.delivered()
	w.sound()
	p.leave()
	p.twin.check(p.said, p.tenant)
}

// leave closes what is still subscribed, so that no app renews its lease while rows are compared.
func (p *play) leave() {
	for _, sub := range p.subs {
		_ = sub.conn.Close(websocket.StatusNormalClosure, "")
	}
	p.await("every app is closed", func() bool {
		if p.listening() == 0 && p.swept() == 0 {
			return true
		}
		p.clock.Advance(limits.AppLease) // the lease of an app that the server closed lapses
		return false
	})
}

func (s step) title() string {
	for _, v := range []string{s.Do, s.As, s.Customer, s.Receive, s.Ends, s.Closes, s.Close, s.Run, s.Wait, s.Advance} {
		if v != "" {
			return v
		}
	}
	return "callback"
}

func (p *play) run(s step) string {
	switch {
	case s.Advance != "":
		d, err := time.ParseDuration(s.Advance)
		if err != nil {
			return err.Error()
		}
		p.clock.Advance(d)
	case s.Subscribe != "":
		return p.subscribes(s)
	case s.As != "":
		return p.asks(s)
	case s.Customer != "":
		return p.acts(s)
	case s.Callback != nil:
		return p.calls(s.Callback)
	case s.Receive != "":
		return p.receives(s)
	case s.Ends != "":
		code := p.subs[s.Ends].refused()
		if code != s.Error {
			return fmt.Sprintf("ended with %s, want %v", code, s.Error)
		}
	case s.Closes != "":
		if code := p.subs[s.Closes].closed(); code != s.Code {
			return fmt.Sprintf("closed with %d, want %d", code, s.Code)
		}
	case s.Close != "":
		p.subs[s.Close].close()
	case s.Run != "":
		return p.sweeps(s.Run)
	case s.Wait == "delivered":
		p.delivered()
	case s.Wait == "paused":
		p.await("the channel was found away", func() bool {
			return p.count("SELECT COUNT(*) FROM outbound_gate WHERE paused_until > ?", models.At(p.clock.Now())) == 1 && p.count("SELECT COUNT(*) FROM delivery WHERE state <> 'WAITING'") == 0
		})
	case s.Wait == "worked":
		p.worked()
	default:
		return "the step says nothing to do"
	}
	return ""
}

func (p *play) sweeps(what string) string {
	jobs := map[string]func(context.Context) (int, error){"expire": p.Services.ExpireInvitations, "sweep": p.Services.SweepApps, "tags": p.Services.SweepTags, "images": p.Services.SweepImages}
	job, ok := jobs[what]
	if !ok {
		return "no such job"
	}
	if _, err := job(context.Background()); err != nil {
		return err.Error()
	}
	return ""
}

// document is a query as written, or the file it names: beside the case, of its noun, or shared.
func (p *play) document(q string) string {
	if !strings.HasSuffix(q, ".graphql") {
		filled, _ := p.names.fill(q).(string)
		return filled
	}
	return p.file(q)
}

// file is what stands in a file beside the case, of its noun, or of shared/.
func (p *play) file(q string) string {
	for _, dir := range []string{p.dir, filepath.Dir(p.dir), "shared"} {
		if text, err := os.ReadFile(filepath.Join(dir, q)); err == nil {
			return string(text)
		} else if !errors.Is(err, fs.ErrNotExist) {
			p.t.Fatal(err)
		}
	}
	p.t.Fatalf("%s: no such file", q)
	return ""
}

func shared(tb testing.TB, file string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("shared", file))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func (p *play) as(who string) string {
	if id, ok := p.names["id account"]; ok && p.account.IsZero() {
		p.account = keyOf(p.t, id)
	}
	return p.bearer(who, p.account)
}

func (p *play) asks(s step) string {
	query, token := p.document(s.Query), p.as(s.As)
	for i := range max(s.Times, 1) {
		variables, _ := numbered(p.names.fill(mapOf(s.Variables)), i).(map[string]any)
		var a *answer
		if s.Files == nil {
			a = p.ask(token, query, variables)
		} else {
			var files [][]byte
			for _, name := range s.Files {
				files = append(files, []byte(p.file(name)))
			}
			a = p.sendFiles(token, query, variables, files...)
		}
		p.said = append(p.said, map[string]any{"data": a.Data, "errors": string(a.body)})
		if msg := p.failed(s.Error, a); msg != "" {
			return msg
		}
		if s.Want != nil {
			if msg := p.wants(s.Want, a.Data); msg != "" {
				return msg + "\nanswer: " + string(a.body)
			}
		}
	}
	return ""
}

func mapOf(m map[string]any) any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// numbered puts the number of the repetition for {n}, and n letters for {16 letters}.
func numbered(v any, n int) any {
	switch v := v.(type) {
	case string:
		v = strings.ReplaceAll(v, "{n}", strconv.Itoa(n))
		if size, rest, ok := strings.Cut(strings.TrimPrefix(v, "{"), " times "); ok && strings.HasPrefix(v, "{") {
			if k, err := strconv.Atoi(size); err == nil {
				return strings.Repeat(strings.TrimSuffix(rest, "}"), k)
			}
		}
		return v
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = numbered(e, n)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = numbered(e, n)
		}
		return out
	}
	return v
}

// failed reports how the answer's errors differ from the one that is wanted: a code, or a code
// with field, limit or retryAt. Without one there must be none.
func (p *play) failed(want any, a *answer) string {
	if want == nil {
		if len(a.Errors) > 0 {
			return "failed: " + string(a.body)
		}
		return ""
	}
	if len(a.Errors) == 0 {
		return fmt.Sprintf("want the error %v, got %s", want, a.body)
	}
	if code, ok := want.(string); ok {
		want = map[string]any{"code": code}
	}
	if msg := p.names.match(want, a.Errors[0].Extensions, p.clock.Now(), "error"); msg != "" {
		return msg + "\nanswer: " + string(a.body)
	}
	return ""
}

// wants compares with what is wanted, or with the file that says it; -update writes the file.
func (p *play) wants(want, got any) string {
	if file, ok := want.(string); ok && strings.HasSuffix(file, ".json") {
		path := filepath.Join(p.dir, file)
		if *update {
			text, err := json.MarshalIndent(p.names.plain(got), "", "  ")
			if err == nil {
				err = os.WriteFile(path, append(text, '\n'), 0o600)
			}
			if err != nil {
				return err.Error()
			}
			return ""
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		if err := json.Unmarshal(text, &want); err != nil {
			return file + ": " + err.Error()
		}
	}
	return p.names.match(normal(want), got, p.clock.Now(), "data")
}

// normal is a YAML value as JSON would have it.
func normal(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	_ = json.Unmarshal(text, &out)
	return out
}

func (p *play) subscribes(s step) string {
	name, query := s.Name, s.Subscribe
	if query == "messages" || query == "notifications" {
		if name == "" {
			name = query
		}
		query += ".graphql"
	}
	variables := map[string]any{}
	if s.After != "" {
		variables["after"] = p.names.fill(s.After)
	}
	p.subs[name] = p.subscribe(p.as(s.As), p.document(query), variables)
	return ""
}

func (p *play) receives(s step) string {
	sub := p.subs[s.Receive]
	if sub == nil {
		return "no subscription has this name"
	}
	events, isList := s.Want.([]any)
	if !isList {
		events = []any{s.Want}
	}
	for i, want := range events {
		event, err := sub.decode(sub.frame())
		if err != nil {
			return fmt.Sprintf("event %d: %v", i+1, err)
		}
		if msg := p.names.match(normal(want), event, p.clock.Now(), "event"); msg != "" {
			text, _ := json.Marshal(event)
			return fmt.Sprintf("event %d: %s\nevent: %s", i+1, msg, text)
		}
	}
	return ""
}

// acts has a follower of the sandbox do something.
func (p *play) acts(s step) string {
	names := map[string]string{
		"follow": "Follow", "unfollow": "Unfollow", "scan": "Scan", "click": "MenuClick", "write": "Message",
	}
	name, ok := names[s.Does]
	if !ok {
		return "a customer does follow, unfollow, scan, click or write"
	}
	input := map[string]any{"openid": s.Customer}
	if s.Scans != "" {
		scene, known := p.names["scene "+s.Scans]
		if !known {
			scene = s.Scans
		}
		input["scene"] = scene
	}
	if s.Does == "write" {
		input["text"] = s.Text
	}
	if s.EventID != "" {
		input["eventId"] = s.EventID
	}
	selection := "customer { id openid }"
	if s.Does == "follow" || s.Does == "scan" {
		selection += " outcome"
	}
	a := p.ask(p.as("integration"), fmt.Sprintf(`mutation($i: Simulate%sInput!) { simulate%s(input: $i) { %s } }`, name, name, selection), map[string]any{"i": input})
	p.said = append(p.said, a.Data)
	if msg := p.failed(s.Error, a); msg != "" || s.Error != nil {
		return msg
	}
	p.names["id customer "+s.Customer] = a.text("simulate" + name + ".customer.id")
	if _, taken := p.names["id "+s.Customer]; !taken && !slices.Contains(p.setup.Followers, s.Customer) {
		p.names["id "+s.Customer] = p.names["id customer "+s.Customer]
	}
	if got := a.text("simulate" + name + ".outcome"); got != s.Outcome {
		return fmt.Sprintf("outcome %q, want %q", got, s.Outcome)
	}
	return ""
}
