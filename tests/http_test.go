package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure a token is refused for whatever is wrong with it, over HTTP and over WebSocket alike
// (rules V1, V6).
func TestTokens(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	w.clock.Set(time.Now()) // sockets live by the machine's clock
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	now := w.clock.Now()
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{
			"iss": "clientele", "aud": "clientele", "sub": "openid:anna", "role": "ADVISOR", "acc": a.account.String(),
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		if change != nil {
			change(c)
		}
		return c
	}
	signed := func(method jwt.SigningMethod, kid string, key any, c jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, c)
		if kid != "" {
			token.Header["kid"] = kid
		}
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	hs := func(change func(jwt.MapClaims)) string {
		return signed(jwt.SigningMethodHS256, "test", []byte(tokenSecret), claims(change))
	}
	set := func(name string, v any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[name] = v } }
	good := hs(nil)
	if code := w.ask(good, `{ viewer { role } }`, nil).code(); code != "" {
		t.Fatalf("a good token: %s", code)
	}
	w.subscribe(good, `subscription { notifications { __typename } }`, nil).close()
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"malformed":            "rubbish",
		"two parts":            parts[0] + "." + parts[1],
		"changed":              parts[0] + "." + parts[1] + "x." + parts[2],
		"none":                 signed(jwt.SigningMethodNone, "test", jwt.UnsafeAllowNoneSignatureType, claims(nil)),
		"another algorithm":    signed(jwt.SigningMethodHS512, "test", []byte(tokenSecret), claims(nil)),
		"another secret":       signed(jwt.SigningMethodHS256, "test", []byte(strings.Repeat("x", 32)), claims(nil)),
		"unknown kid":          signed(jwt.SigningMethodHS256, "other", []byte(tokenSecret), claims(nil)),
		"no kid":               signed(jwt.SigningMethodHS256, "", []byte(tokenSecret), claims(nil)),
		"expired":              hs(set("exp", now.Add(-time.Hour).Unix())),
		"never expires":        hs(func(c jwt.MapClaims) { delete(c, "exp") }),
		"not yet":              hs(set("nbf", now.Add(time.Hour).Unix())),
		"issued tomorrow":      hs(set("iat", now.Add(time.Minute*30).Unix())),
		"another issuer":       hs(set("iss", "somebody")),
		"another audience":     hs(set("aud", "somebody")),
		"unknown role":         hs(set("role", "ROOT")),
		"unknown account":      hs(set("acc", models.NewKey().String())),
		"account in capitals":  hs(set("acc", strings.ToUpper(a.account.String()))),
		"no account":           hs(func(c jwt.MapClaims) { delete(c, "acc") }),
		"PLATFORM of account":  hs(set("role", "PLATFORM")),
		"unknown advisor":      hs(set("sub", "openid:nobody")),
		"advisor of no kind":   hs(set("sub", "anna")),
		"no subject":           hs(func(c jwt.MapClaims) { delete(c, "sub") }),
		"admin of unknown acc": signed(jwt.SigningMethodHS256, "test", []byte(tokenSecret), claims(func(c jwt.MapClaims) { c["role"], c["sub"], c["acc"] = "ADMIN", "x", models.NewKey().String() })),
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.ask(token, `{ viewer { role } inbox { nodes { id } } advisors { nodes { id } } }`, nil)
			if code := w.ask(token, `{ viewer { role } }`, nil).code(); code != "UNAUTHENTICATED" {
				t.Errorf("answered %q: %s", code, answer.body)
			}
			if strings.Contains(string(answer.body), token) {
				t.Error("the answer quotes the token")
			}
			// Whom a good signature names is asked with the first operation, all else at the opening.
			if strings.Contains(name, "unknown acc") || name == "unknown advisor" {
				s := w.subscribe(token, `subscription { notifications { __typename } }`, nil)
				want := "UNAUTHENTICATED"
				if name == "admin of unknown acc" {
					want = "FORBIDDEN" // the role is looked at first
				}
				if code := s.refused(); code != want {
					t.Errorf("a subscription is answered %q", code)
				}
			} else if code := w.dial(token).closed(); code != 4403 {
				t.Errorf("a socket is closed with %d", code)
			}
		})
	}
	t.Run("expires with the clock", func(t *testing.T) {
		w.clock.Advance(time.Hour + auth.Leeway + time.Second)
		defer w.clock.Set(now)
		if code := w.ask(good, `{ viewer { role } }`, nil).code(); code != "UNAUTHENTICATED" {
			t.Errorf("answered %q", code)
		}
	})
}

// Ensure a connection ends with 4403 when its token does, and that the client goes on with a fresh
// token from its cursor (rule V6). Connections live by the machine's clock, so this test does.
func TestTokenEnds(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{now: time.Now})
	w.clock.Set(time.Now())
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	short, _, err := w.Issuer.Issue(auth.Grant{Role: auth.RoleAdvisor, Account: a.account.String(), Subject: "openid:anna", Life: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cursor := a.cursor("anna")
	s := w.subscribe(short, shared(t, "messages.graphql"), map[string]any{"after": cursor})
	if code := s.closed(); code != 4403 {
		t.Fatalf("closed with %d", code)
	}
	a.write("wei", "meanwhile")
	again := a.watchMessages("anna", cursor)
	if e := again.next(); e["__typename"] != "MessageReceived" {
		t.Fatalf("got %v", e)
	}
}

// Ensure documents at their limits pass and beyond them do not (rule X2).
func TestDocumentLimits(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	admin := w.bearer("admin", a.account)
	deep := func(n int) string {
		// node > conversation > lastMessage > conversation > … > id: n levels
		inner := "id"
		for i := n - 2; i > 0; i-- {
			if i%2 == 1 {
				inner = "lastMessage { " + inner + " }"
			} else {
				inner = "conversation { " + inner + " }"
			}
		}
		return `{ conversation(customer: {openid: "wei"}) { ` + inner + ` } }`
	}
	aliases := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " a%d: viewer { role }", i)
		}
		return "{" + b.String() + " }"
	}
	// Lists of ids, since fields would have to be repeated: twelve tokens each beside the ids, and two round all of them.
	tokens := func(n int) string {
		const parts = 19
		ids := n - 2 - 12*parts
		document := "{"
		for i := range parts {
			share := ids / parts
			if i < ids%parts {
				share++
			}
			document += fmt.Sprintf(" a%d: nodes(ids: [%s]) { id }", i, strings.Repeat(strconv.Quote(a.names["id wei"]), share))
		}
		return document + " }"
	}
	for _, tt := range []struct {
		name, document, code string
		limit                any
	}{
		{"depth 12", deep(12), "", nil},
		{"depth 13", deep(13), "LIMIT_EXCEEDED", 12.0},
		{"depth 13 in fragments", "query { ...A } fragment A on Query " + deep(13), "LIMIT_EXCEEDED", 12.0},
		{"30 aliases", aliases(30), "", nil},
		{"31 aliases", aliases(31), "LIMIT_EXCEEDED", 30.0},
		{"2000 tokens", tokens(2000), "", nil},
		{"2001 tokens", tokens(2001), "LIMIT_EXCEEDED", 2000.0},
		{"30 root fields", "{" + strings.Repeat(" viewer{role}", 30) + "}", "", nil},
		{"31 root fields", "{" + strings.Repeat(" viewer{role}", 31) + "}", "LIMIT_EXCEEDED", 30.0},
		{"31 root fields in fragments", "{ __typename ...A ...A ...A } fragment A on Query {" + strings.Repeat(" viewer{role}", 10) + "}", "LIMIT_EXCEEDED", 30.0},
		{"50 directives", "{" + strings.Repeat(" viewer @skip(if:false) {role @include(if:true)}", 25) + "}", "", nil},
		{"51 directives", "{ ...@skip(if:true){role}" + strings.Repeat(" viewer @skip(if:false) {role @include(if:true)}", 25) + "}", "LIMIT_EXCEEDED", 50.0},
		{"230 fields of one name", "{ viewer {" + strings.Repeat(" role", 230) + "} }", "", nil},
		{"400 fields of one name in two inline fragments", "{ viewer {" + strings.Repeat(" ... {"+strings.Repeat(" role", 200)+"}", 2) + "} }", "LIMIT_EXCEEDED", 30000.0},
		{"300 selections within introspection", "{ __schema { queryType {" + strings.Repeat(" name kind description", 100) + "} } }", "", nil},
		{"301 selections within introspection", "{ __schema { queryType { name" + strings.Repeat(" name kind description", 100) + "} } }", "LIMIT_EXCEEDED", 300.0},
		{"30 aliases within introspection", "{ __schema " + strings.ReplaceAll(aliases(30), "viewer { role }", "queryType { name }") + " }", "", nil},
		{"31 aliases within introspection", "{ __schema " + strings.ReplaceAll(aliases(31), "viewer { role }", "queryType { name }") + " }", "LIMIT_EXCEEDED", 30.0},
		{"51 directives within introspection", "{ __schema { queryType { name" + strings.Repeat(" @skip(if:false)", 51) + "} } }", "LIMIT_EXCEEDED", 50.0},
		{"syntax", "{ viewer", "INVALID", nil},
		{"unknown field", "{ nothing }", "INVALID", nil},
		{"empty", "", "INVALID", nil},
		{"two operations", "query A { viewer { role } } query B { viewer { role } }", "INVALID", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer := w.ask(admin, tt.document, nil)
			if answer.code() != tt.code {
				t.Fatalf("answered %d %.300s", answer.status, answer.body)
			}
			if tt.limit != nil && answer.Errors[0].Extensions["limit"] != tt.limit {
				t.Errorf("limit %v, want %v", answer.Errors[0].Extensions["limit"], tt.limit)
			}
			if len(answer.Errors) > 0 && answer.Errors[0].Extensions["requestId"] == nil {
				t.Error("the error has no requestId")
			}
		})
	}
	t.Run("errors", func(t *testing.T) {
		for n, want := range map[int]int{20: 20, 21: 21, 200: 21} {
			document := "{ viewer {"
			for i := range n {
				document += fmt.Sprintf(" x%d", i)
			}
			answer := w.ask(admin, document+" } }", nil)
			if len(answer.Errors) != want || n > 20 && answer.Errors[20].Extensions["limit"] != 20.0 {
				t.Errorf("of %d errors %d are shown: %.200s", n, len(answer.Errors), answer.body)
			}
		}
	})
	t.Run("cost", func(t *testing.T) {
		for document, want := range map[string]string{
			`{ viewer { role } }`: `"extensions":{"cost":{"limit":20000,"rows":0}}`,
			`{ groups(first: 3) { nodes { advisors(first: 5) { nodes { id } } } } }`: `"extensions":{"cost":{"limit":20000,"rows":18}}`,
			`mutation { simulateSending(input: {sending: ACCEPT}) { sending } }`:     `"extensions":{"cost":{"limit":20000,"rows":0}}`,
		} {
			if answer := w.ask(admin, document, nil); !strings.Contains(string(answer.body), want) {
				t.Errorf("%s answers %s", document, answer.body)
			}
		}
	})
	t.Run("nodes", func(t *testing.T) {
		ids := slices.Repeat([]string{a.names["id wei"]}, 101)
		const query = `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`
		if answer := w.ask(admin, query, map[string]any{"ids": ids[:100]}); answer.code() != "" || len(answer.field("nodes").([]any)) != 100 {
			t.Errorf("100 ids: %.200s", answer.body)
		}
		if answer := w.ask(admin, query, map[string]any{"ids": ids}); answer.code() != "LIMIT_EXCEEDED" {
			t.Errorf("101 ids: %.200s", answer.body)
		}
	})
	t.Run("values", func(t *testing.T) {
		// Of ten fields each has a list with so many values: one is the list itself.
		query := "query($v: [ID!]!) {"
		for i := range 10 {
			query += fmt.Sprintf(" a%d: nodes(ids: $v) { id }", i)
		}
		for n, limit := range map[int]any{4_999: 100.0, 5_000: 50_000.0} {
			answer := w.ask(admin, query+" }", map[string]any{"v": slices.Repeat([]string{"x"}, n)})
			if answer.code() != "LIMIT_EXCEEDED" || answer.Errors[0].Extensions["limit"] != limit {
				t.Errorf("%d ids for ten fields: %.300s", n, answer.body)
			}
		}
	})
	t.Run("invitations and members", func(t *testing.T) {
		for n, code := range map[int]string{200: "", 201: "LIMIT_EXCEEDED"} {
			var people []map[string]any
			for i := range n {
				people = append(people, map[string]any{"wechatId": fmt.Sprintf("w%d", i), "nickname": "x"})
			}
			answer := w.ask(admin, `mutation($a: [AdvisorInvitationInput!]!) { inviteAdvisors(input: {advisors: $a}) { results { error { code } } } }`, map[string]any{"a": people})
			if answer.code() != code {
				t.Errorf("%d invitations: %.200s", n, answer.body)
			}
		}
		a.group("tea")
		var refs []map[string]any
		for i := range 201 {
			refs = append(refs, map[string]any{"wechatId": fmt.Sprintf("w%d", i)})
		}
		add := func(refs []map[string]any) *answer {
			return w.ask(admin, `mutation($g: ID!, $a: [AdvisorRef!]!) { addGroupAdvisors(input: {groupId: $g, advisors: $a}) { group { memberCount } results { error { code limit } } } }`,
				map[string]any{"g": a.names["id tea"], "a": refs})
		}
		if answer := add(refs); answer.code() != "LIMIT_EXCEEDED" {
			t.Errorf("201 members in a call: %.200s", answer.body)
		}
		if answer := add(refs[:200]); answer.field("addGroupAdvisors.group.memberCount") != 200.0 {
			t.Errorf("200 members: %.200s", answer.body)
		}
		full := add([]map[string]any{{"openid": "anna"}}).field("addGroupAdvisors.results").([]any)
		if one := (&answer{Data: full[0]}); one.text("error.code") != "LIMIT_EXCEEDED" || one.field("error.limit") != 200.0 {
			t.Errorf("the 201st member: %v", full)
		}
	})
}

// Ensure names that are not there are answered with those that are close where GraphiQL is served, and nowhere else: they tell the schema to
// who may not introspect (rule V8).
func TestSuggestions(t *testing.T) {
	for _, graphiql := range []bool{true, false} {
		w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.GraphiQL = graphiql }})
		token := w.bearer("platform", models.Key{})
		for document, name := range map[string]string{
			`{ viewr { role } }`: "viewer",
			`{ viewer }`:         "viewer",
			`{ customers(firs: 1) { nodes { id } } }`:                           "first",
			`{ customers(filter: {searc: "x"}) { nodes { id } } }`:              "search",
			`mutation { simulateSending(input: {sending: ACCEP}) { sending } }`: "ACCEPT",
			`{ viewer { ... on Viewr { role } } }`:                              "", // nobody is told the names of types
		} {
			answer := w.ask(token, document, nil)
			if answer.code() != "INVALID" {
				t.Fatalf("%s answers %s", document, answer.body)
			}
			message := answer.Errors[0].Message
			if told := strings.Contains(message, "Did you mean"); told != (graphiql && name != "") || told && !strings.Contains(message, name) {
				t.Errorf("GraphiQL %t: %s answers %s", graphiql, document, message)
			}
		}
	}
}

// Ensure a body of 1 MiB is read and a larger one refused as 413 (rule X2).
func TestBodyLimit(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	token := w.bearer("platform", models.Key{})
	body := func(size int) []byte {
		frame, _ := json.Marshal(map[string]any{"query": "{ viewer { role } }", "variables": map[string]any{"x": ""}})
		return bytes.Replace(frame, []byte(`"x":""`), []byte(`"x":"`+strings.Repeat("x", size-len(frame))+`"`), 1)
	}
	if a := w.post(token, body(1<<20)); a.status != http.StatusOK || a.code() != "" {
		t.Errorf("1 MiB: %d %.200s", a.status, a.body)
	}
	if a := w.post(token, body(1<<20+1)); a.status != http.StatusRequestEntityTooLarge || a.code() != "LIMIT_EXCEEDED" {
		t.Errorf("1 MiB and a byte: %d %.200s", a.status, a.body)
	}
}

// Ensure bytes that are no UTF-8 are refused, wherever they stand (rule G1).
func TestInvalidUTF8(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		frame, _ := json.Marshal(map[string]any{"query": sendText, "variables": sending("wei", "TEXT", "k1")})
		for _, bad := range []string{"\xff", "a\xc3", "\xed\xa0\x80"} {
			got := w.post(w.bearer("anna", a.account), bytes.Replace(frame, []byte("TEXT"), []byte("hello "+bad), 1))
			if got.code() != "INVALID" {
				t.Errorf("%q: %d %s", bad, got.status, got.body)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM message"); n != 0 {
			t.Errorf("%d messages were stored", n)
		}
	})
}

// Ensure an operation that takes too long is UNAVAILABLE, and changes nothing (rule X2).
func TestOperationTime(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.OperationTime = 300 * time.Millisecond }})
	a := w.found(setup{}, "main")
	var got *answer
	// The one writer of SQLite is taken until the answer has come.
	err := w.Store.Write(t.Context(), store.System(), a.account, func(*store.Tx) error {
		got = w.ask(w.bearer("admin", a.account), `mutation { createGroup(input: {name: "slow"}) { group { id } } }`, nil)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.code() != "UNAVAILABLE" {
		t.Errorf("answered %s", got.body)
	}
	if n := w.count("SELECT COUNT(*) FROM advisor_group"); n != 0 {
		t.Errorf("%d groups were made", n)
	}
}
