package tests

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/models"
)

// artifactsEnv names the folder in which what tests make to be looked at is kept. Without it, it is where go test -artifacts keeps it.
const artifactsEnv = "CLIENTELE_TEST_ARTIFACTS"

func artifacts(t *testing.T) string {
	t.Helper()
	folder := os.Getenv(artifactsEnv)
	if folder == "" {
		return t.ArtifactDir()
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	return folder
}

// The people whom the examples name.
const (
	exampleAdvisor  = "oDemoAdvisor_1"
	exampleCustomer = "oExampleCustomer"
)

// Ensure that in a browser an advisor signs in to GraphiQL, opens and runs an example, and sees an event come; that the token is remembered by its tab
// alone, until it is cleared or the browser is closed; and that the page keeps to its content security policy, which refuses what an injected script would do. Pictures are kept.
func TestGraphiQLInABrowser(t *testing.T) {
	chromium := testkit.Program(t, testkit.NeedChromium)
	npm := testkit.NewNPM(t, filepath.Join("..", "internal", "graphiql", "smoke"), "package.json", "package-lock.json", "browser.mjs", "smoke.mjs")
	npm.Install()
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.GraphiQL = true }})
	a := w.found(setup{Advisors: []string{exampleAdvisor}, Customers: []string{exampleCustomer + " of " + exampleAdvisor}}, "main")

	pictures, text := artifacts(t), "Is the oolong back?"
	ended := make(chan error, 1)
	go func() {
		out, err := npm.Try(testkit.NeedNode.Program(), "smoke.mjs", "--url", w.url+"/graphiql", "--token", w.bearer(exampleAdvisor, a.account),
			"--event", text, "--screenshots", pictures, "--chromium", chromium)
		t.Logf("%s", out)
		ended <- err
	}()
	// Opening a subscription is the server's to say: what happens from then on is pushed.
	var err error
	hasEnded := false
	w.await("the page has subscribed", func() bool {
		select {
		case err = <-ended:
			hasEnded = true
		default:
		}
		return hasEnded || w.listening() > 0
	})
	if !hasEnded {
		a.do("admin", `mutation($i: SimulateMessageInput!) { simulateMessage(input: $i) { customer { id } } }`,
			map[string]any{"i": map[string]any{"openid": exampleCustomer, "text": text}})
		err = <-ended
	}
	t.Logf("pictures in %s", pictures)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"signed-out", "query", "subscription", "explorer"} {
		picture, err := os.ReadFile(filepath.Join(pictures, "graphiql-"+name+".png"))
		if err != nil || len(picture) < 10_000 {
			t.Errorf("the picture %s has %d bytes: %v", name, len(picture), err)
		}
	}
}

// Ensure that in a demo that has just begun each role can open and run every example that GraphiQL offers it, in a browser, as the page puts it: an advisor
// before the merchant did anything.
func TestGraphiQLExamplesInTheDemo(t *testing.T) {
	chromium := testkit.Program(t, testkit.NeedChromium)
	npm := testkit.NewNPM(t, filepath.Join("..", "internal", "graphiql", "smoke"), "package.json", "package-lock.json", "browser.mjs", "examples.mjs")
	npm.Install()
	output, data := testkit.NewOutput(), t.TempDir()
	process := testkit.StartProcess(t, output, nil, program(t), "demo", "--quiet", "--customers=1", "--addr=127.0.0.1:0", "--data="+data)
	url := output.Await(t, process, time.Minute)
	var ran map[auth.Role][]string
	if err := json.Unmarshal(npm.Run(testkit.NeedNode.Program(), "examples.mjs", url+"/graphiql", filepath.Join(data, "tokens"), artifacts(t), chromium), &ran); err != nil {
		t.Fatal(err)
	}
	want := map[auth.Role][]string{}
	for _, e := range examples(t) {
		for _, role := range e.roles {
			want[role] = append(want[role], e.title)
		}
	}
	for role, titles := range want {
		if !slices.Equal(ran[role], titles) {
			t.Errorf("%s ran %q, want %q", role, ran[role], titles)
		}
	}
}

// example is one of the operations that GraphiQL offers.
type example struct {
	file, title, query string
	roles              []auth.Role
}

var exampleForm = regexp.MustCompile(`^# (.+)\n# (.+)\n# Roles: (.+)\n\n((?:query|mutation|subscription) (?s:.+))$`)

func examples(t *testing.T) (all []example) {
	t.Helper()
	files, err := filepath.Glob("../internal/graphiql/web/src/examples/*.graphql")
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := exampleForm.FindStringSubmatch(string(text))
		if parts == nil {
			t.Fatalf("%s does not begin with a title, what it is for, and roles", file)
		}
		e := example{file: strings.TrimSuffix(filepath.Base(file), ".graphql"), title: parts[1], query: parts[4]}
		for role := range strings.SplitSeq(parts[3], ", ") {
			e.roles = append(e.roles, auth.Role(role))
		}
		if titles[e.title] {
			t.Errorf("two examples have the title %q", e.title)
		}
		titles[e.title] = true
		all = append(all, e)
	}
	return all
}

// Ensure every example that GraphiQL offers to a role can be run by it as it stands, in the order in which they are offered, and that every role has
// some of its own, an advisor and the merchant a subscription too.
func TestGraphiQLExamples(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{exampleAdvisor}, Tags: []string{"level of gold silver"}, Groups: []string{"tea of " + exampleAdvisor}}, "main")
	all := examples(t)
	if len(all) == 0 || len(all[0].roles) != 5 {
		t.Error("the first example, which a first visit shows, is not for every role")
	}
	// The merchant first: whom its examples let follow and assign, those of others are about.
	for _, role := range []auth.Role{auth.RoleAdmin, auth.RoleIntegration, auth.RoleAdvisor, auth.RoleAnalyst, auth.RolePlatform} {
		offered, pushed := 0, 0
		for _, e := range all {
			if !slices.Contains(e.roles, role) {
				continue
			}
			offered++
			t.Run(string(role)+"/"+e.file, func(t *testing.T) {
				who := strings.ToLower(string(role))
				if role == auth.RoleAdvisor {
					who = exampleAdvisor
				}
				token := w.bearer(who, a.account)
				if strings.HasPrefix(e.query, "subscription") {
					a.exampleIsPushed(t, token, e)
					pushed++
					return
				}
				answered := w.ask(token, e.query, exampleVariables(a, role, e))
				if len(answered.Errors) > 0 || hasItemError(answered.Data) {
					t.Errorf("answered %s", answered.body)
				}
				data, _ := answered.Data.(map[string]any)
				for field, value := range data {
					if value == nil {
						t.Errorf("%s is null", field)
					}
				}
			})
		}
		wantPushed := map[auth.Role]int{auth.RoleAdmin: 1, auth.RoleIntegration: 1, auth.RoleAdvisor: 2}[role]
		if offered < 4 || pushed != wantPushed {
			t.Errorf("%s is offered %d examples, %d subscriptions among them, want 4 at least and %d", role, offered, pushed, wantPushed)
		}
	}
}

// exampleVariables are those that the example asks for, of what a reader would put in.
func exampleVariables(a *tenant, role auth.Role, e example) map[string]any {
	values := map[string]any{
		"openid": exampleCustomer, "advisorOpenid": exampleAdvisor, "accountId": a.names["id account"],
		"idempotencyKey": e.file, "transactionId": e.file + string(role), "at": a.clock.Now().Format(timeForm),
	}
	maps.DeleteFunc(values, func(name string, _ any) bool { return !strings.Contains(e.query, "$"+name+":") })
	return values
}

// exampleIsPushed opens a subscription, makes happen what it is about, and takes the event.
func (t *tenant) exampleIsPushed(tb *testing.T, token string, e example) {
	tb.Helper()
	acts := map[string]func(){
		"messages": func() {
			t.do("admin", `mutation($o: Identifier!) { simulateMessage(input: {openid: $o, text: "hello"}) { customer { id } } }`, map[string]any{"o": exampleCustomer})
		},
		"notifications": func() { t.follow("oAnother", t.names["scene "+exampleAdvisor]) },
		"accountEvents": func() {
			t.do("admin", `mutation($o: Identifier!, $n: String!) { updateCustomers(input: {customers: [{customer: {openid: $o}, nickname: $n}]}) { isRepeated } }`,
				map[string]any{"o": exampleCustomer, "n": models.NewKey().String()})
		},
	}
	fields := regexp.MustCompile(`(?m)^  (\w+)`).FindStringSubmatch(e.query)
	act, ok := acts[fields[1]]
	if !ok {
		tb.Fatalf("nothing is known that %s pushes", fields[1])
	}
	s := t.subscribe(token, e.query, nil)
	act()
	f := s.frame()
	var pushed answer
	if err := json.Unmarshal(f.Payload, &pushed); f.Type != "next" || err != nil || len(pushed.Errors) > 0 || pushed.text(fields[1]+".__typename") == "" {
		tb.Errorf("%s came: %s", f.Type, f.Payload)
	}
	_ = s.conn.CloseNow()
	t.await("the subscription has ended", func() bool { return t.listening() == 0 })
}

// hasItemError looks for an error of an item of a call for many.
func hasItemError(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if v["error"] != nil {
			return true
		}
		for _, one := range v {
			if hasItemError(one) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasItemError)
	}
	return false
}
