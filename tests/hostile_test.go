package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"clientele/internal/config"
	"clientele/internal/testkit"
)

// hostileBytes is how long a request of these tests may be, hostileTime how much of a processor it may take before it is refused or
// executed (rule X2).
const (
	hostileBytes = 16 << 10
	hostileTime  = 50 * time.Millisecond
)

// repeated is a text in the middle of a document, as often as fits.
func repeated(before, text, after string) string {
	n := (hostileBytes - 200 - len(before) - len(after)) / len(text)
	return before + strings.Repeat(text, n) + after
}

// counted is repeated with a number in each text.
func counted(before, format, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for i := 0; b.Len() < hostileBytes-250-len(after); i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String() + after
}

// doubling is fragments each of which spreads the next one twice.
func doubling(levels int, leaf string) string {
	var b strings.Builder
	b.WriteString("{ ...f0 }")
	for i := range levels {
		fmt.Fprintf(&b, " fragment f%d on Query { ...f%d ...f%d }", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment f%d on Query { %s }", levels, leaf)
	return b.String()
}

// hostile are documents that cost some server or other more than their sender.
var hostile = map[string]string{
	"one field again and again":           repeated("{ viewer {", " role", "} }"),
	"fields under aliases":                counted("{", " a%d: viewer { role }", "}"),
	"root fields":                         repeated("{", " viewer{role}", "}"),
	"fields that are none":                counted("{", " x%d", "}"),
	"names close to real ones":            counted("{", " viewe%d", "}"),
	"fragments that double":               doubling(120, "viewer { role }"),
	"fragments that double, few":          doubling(24, "viewer { role account { name } }"),
	"fragments in a circle":               "{ ...a } fragment a on Query { ...b ...b } fragment b on Query { ...a ...a }",
	"one fragment spread often":           repeated("{", " ...f", "} fragment f on Query { viewer { role } }"),
	"many fragments":                      counted("{ viewer { role } }", " fragment f%d on Query { viewer { role } }", ""),
	"many fragments, all spread":          counted("{"+numberedSpreads(220)+"}", " fragment f%d on Query{viewer{role account{id}}}", ""),
	"inline fragments beside another":     repeated("{", " ...{viewer{role}}", "}"),
	"inline fragments inside another":     repeated("{", "...{", "viewer{role}"),
	"directives":                          repeated("{ viewer", " @skip(if: false)", "{ role } }"),
	"directives that are none":            counted("{ viewer", " @x%d", "{ role } }"),
	"lists in lists":                      repeated(`{ nodes(ids: `, "[", ""),
	"lists in lists, closed":              "{ nodes(ids: " + strings.Repeat("[", 900) + strings.Repeat("]", 900) + ") { id } }",
	"objects in objects":                  repeated(`{ customers(filter: `, "{a:", ""),
	"a long list":                         repeated(`{ nodes(ids: [`, `"",`, `]) { id } }`),
	"arguments":                           counted("{ nodes(", "a%d:1 ", "){ id } }"),
	"variables":                           counted("query (", "$v%d: Int ", ") { viewer { role } }"),
	"variables of types that are none":    counted("query (", "$v%d:T%[1]d ", ") { viewer { role } }"),
	"operations":                          counted("", "query q%d{viewer{role}}", ""),
	"operations without a name":           repeated("", "{viewer{role}}", ""),
	"commas":                              repeated("{ viewer { role", ",", "} }"),
	"a comment":                           repeated("{ viewer { role } } #", "x", ""),
	"a string":                            repeated(`{ nodes(ids: ["`, "x", `"]) { id } }`),
	"a string of escapes":                 repeated(`{ nodes(ids: ["`, `\u4e00`, `"]) { id } }`),
	"a block string":                      repeated(`{ nodes(ids: ["""`, "\n \\\"\"\"", `"""]) { id } }`),
	"a number":                            repeated(`{ customers(first: 1`, "0", `) { nodes { id } } }`),
	"braces":                              repeated("", "{", ""),
	"spreads without a name":              repeated("{", "... ", ""),
	"introspection, deep":                 "{ __schema { types { " + strings.Repeat("fields { type { ", 60) + "name" + strings.Repeat(" } }", 60) + " } } }",
	"introspection, wide":                 counted("{", " a%d: __schema { types { fields { args { name } } } }", "}"),
	"introspection again and again":       repeated("{", " __schema{types{name}}", "}"),
	"pages in pages":                      "{ groups(first: 200) { nodes { advisors(first: 200) { nodes { groups { advisors(first: 200) { nodes { id } } } } } } } }",
	"overlapping fields with arguments":   counted("{", " customers(first:%d){nodes{id}}", "}"),
	"a field in fragments beside another": again(6, " ... {", 280, "}"),
	"a field in fragments inside another": "{ viewer {" + strings.Repeat("...{", 500) + strings.Repeat(" role", 280) + strings.Repeat("}", 500) + "} }",
	"a field below another, twice":        "{" + strings.Repeat(" viewer{"+strings.Repeat(" role", 66)+"}", 28) + "}",
	"a field in fragments below another":  again(30, " ...{account{...{", 50, "}}}"),
	"a field and a fragment with it":      "{ viewer {" + strings.Repeat(" account{name ...F}", 150) + "} } fragment F on Account {" + strings.Repeat(" name", 280) + "}",
	"operations that spread one fragment": counted("", " query q%d{...F}", " fragment F on Query{viewer{"+strings.Repeat(" role", 280)+"}}"),
	"a hundred operations, one fragment":  numberedOperations(100) + " fragment F on Query { viewer {" + strings.Repeat(" role", 280) + "} }",
	"a hundred operations, many fields":   numberedOperations(100) + " fragment F on Query { viewer { role account {" + fieldsOfAnAccount(140) + "} } }",
	"two hundred operations, few fields":  numberedOperations(200) + " fragment F on Query { viewer { role account {" + fieldsOfAnAccount(12) + "} } }",
	"a field within introspection":        "{ __schema { types {" + strings.Repeat(" name", 1_900) + "} } }",
	"introspection under aliases":         "{ __schema " + counted("{", " a%d: types { fields { args { name } } }", "}") + " }",
	"introspection under aliases, fewer":  "{ __schema {" + countedTo(100, " a%d: types { fields { args { name } } }") + " } }",
	"__typename":                          again(4, " ... {", 280, "}", " __typename"),
	"overlapping fields, deep":            "{" + strings.Repeat(" viewer { account { advertisementGroupId policy { actions { action } } } advisor { groups { id name } } }", 90) + "}",
}

func numberedSpreads(n int) string { return countedTo(n, " ...f%d") }

func numberedOperations(n int) string { return countedTo(n, " query q%d{...F}") }

func countedTo(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// fieldsOfAnAccount is so many fields of an account, few of which are one another's.
func fieldsOfAnAccount(n int) string {
	names := []string{"id", "name", "policy{actions{action}}", "advertisementGroupId", "__typename"}
	var b strings.Builder
	for i := range n {
		b.WriteString(" " + names[i%len(names)])
	}
	return b.String()
}

// again is a field of the viewer so often in each of some fragments: `role`, unless another is named.
func again(fragments int, opens string, fields int, closes string, field ...string) string {
	name := " role"
	switch {
	case len(field) > 0:
		name = field[0]
	case strings.Contains(opens, "account"):
		name = " id"
	}
	return "{ viewer {" + strings.Repeat(opens+strings.Repeat(name, fields)+closes, fragments) + "} }"
}

// processor is how much of a processor this thread took.
func processor() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	_ = syscall.Getrusage(thread, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// costs is how much of a processor the server takes for a request, the least of some: what other tests' garbage costs is not its.
func (t *tenant) costs(who, query string) (took time.Duration, answer *httptest.ResponseRecorder) {
	t.tb.Helper()
	return t.costsOf(who, map[string]any{"query": query})
}

// costsOf is costs for a whole request.
func (t *tenant) costsOf(who string, request map[string]any) (took time.Duration, answer *httptest.ResponseRecorder) {
	t.tb.Helper()
	runtime.LockOSThread() // processor is of one thread, and each test has a goroutine of its own
	defer runtime.UnlockOSThread()
	query := request["query"]
	took = time.Hour
	for i := range 4 {
		// Another text each time, which no cache has.
		request["query"] = fmt.Sprintf("%s #%d", query, i)
		body := string(marshal(request))
		r := httptest.NewRequestWithContext(t.tb.Context(), http.MethodPost, "/graphql", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+t.bearer(who, t.account))
		answer = httptest.NewRecorder()
		before := processor()
		t.Server.ServeHTTP(answer, r)
		took = min(took, processor()-before)
	}
	return took, answer
}

// Ensure no document of 16 KB, of the worst that are known and of random ones, takes more of a processor than hostileTime before it is
// refused or answered, and that no answer is much longer than what was asked (rule X2).
func TestHostileDocuments(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Groups: []string{"tea of anna"}}, "main")
	// With GraphiQL names that are not there are compared with all that are.
	suggesting := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.GraphiQL = true }})
	b := suggesting.found(setup{Advisors: []string{"anna"}, Groups: []string{"tea of anna"}}, "main")
	for name, query := range hostile {
		t.Run("suggesting/"+name, func(t *testing.T) {
			if took, answer := b.costs("admin", query); took > hostileTime {
				t.Errorf("%v of a processor, answered %.200s", took, answer.Body)
			}
		})
	}
	check := func(t *testing.T, query string) {
		t.Helper()
		if len(query) > hostileBytes {
			t.Fatalf("it has %d bytes", len(query))
		}
		took, answer := a.costs("admin", query)
		t.Logf("%v, %d bytes answered to %d, %.100s", took, answer.Body.Len(), len(query), answer.Body)
		if took > hostileTime {
			t.Errorf("%v of a processor, answered %.200s", took, answer.Body)
		}
		if n := answer.Body.Len(); n > 4*hostileBytes && strings.Contains(answer.Body.String(), `"errors"`) {
			t.Errorf("%d bytes of errors", n)
		}
	}
	for name, query := range hostile {
		t.Run(name, func(t *testing.T) { check(t, query) })
	}
	t.Run("random", func(t *testing.T) {
		for seed := range uint64(200) {
			check(t, randomDocument(rand.New(rand.NewPCG(seed, 1))))
		}
	})
	t.Run("random, of few names", func(t *testing.T) {
		for seed := range uint64(300) {
			check(t, repetitiveDocument(rand.New(rand.NewPCG(seed, 2))))
		}
	})
}

// hostileVariables are variables that cost more than their sender, each for a document.
var hostileVariables = map[string]struct{ query, variables string }{
	"many ids":                   {`query($v: [ID!]!) { nodes(ids: $v) { id } }`, listed(`"x"`)},
	"lists in a list":            {`query($v: [ID!]!) { nodes(ids: $v) { id } }`, nestedIn("[", "]")},
	"objects in objects":         {`query($v: CustomerRef!) { customer(by: $v) { id } }`, nestedIn(`{"openid":`, "}")},
	"many of one of":             {`mutation($v: [CustomerRef!]!) { assignCustomers(input: {customers: {these: $v}, to: {advisor: {openid: "a"}}}) { results { customer { id } } } }`, listed(`{}`)},
	"many of one of, all right":  {`mutation($v: [CustomerRef!]!) { assignCustomers(input: {customers: {these: $v}, to: {advisor: {openid: "a"}}}) { results { customer { id } } } }`, listed(`{"id":"x"}`)},
	"names of an object":         {`query($v: CustomerRef!) { customer(by: $v) { id } }`, membered(`"a%d":1`)},
	"a long number":              {`query($v: Int!) { customers(first: $v) { nodes { id } } }`, strings.Repeat("9", hostileBytes-400)},
	"a large exponent":           {`query($v: Int!) { customers(first: $v) { nodes { id } } }`, "1e999999999"},
	"a long text":                {`query($v: String!) { customers(filter: {search: $v}) { nodes { id } } }`, `"` + strings.Repeat("x", hostileBytes-400) + `"`},
	"a long Chinese text":        {`query($v: String!) { customers(filter: {search: $v}) { nodes { id } } }`, `"` + strings.Repeat("茶", (hostileBytes-400)/3) + `"`},
	"a long id":                  {`query($v: ID!) { node(id: $v) { id } }`, `"` + strings.Repeat("A", hostileBytes-400) + `"`},
	"a long cursor":              {`query($v: String!) { customers(after: $v) { nodes { id } } }`, `"` + strings.Repeat("A", hostileBytes-400) + `"`},
	"many ids for many fields":   {"query($v: [ID!]!) {" + countedTo(30, " a%d: nodes(ids: $v) { id }") + " }", listed(`""`)},
	"many ids, numbers":          {"query($v: [ID!]!) {" + countedTo(30, " a%d: nodes(ids: $v) { id }") + " }", listed(`123456`)},
	"many customers, many times": {"mutation($v: [CustomerRef!]!) {" + countedTo(30, ` a%d: assignCustomers(input: {customers: {these: $v}, to: {advisor: {openid: "a"}}}) { results { customer { id } } }`) + " }", listed(`{"id":"x"}`)},
	"many members, many times":   {"mutation($v: [AdvisorRef!]!) {" + countedTo(30, ` a%d: addGroupAdvisors(input: {groupId: "x", advisors: $v}) { results { error { code } } }`) + " }", listed(`{"openid":""}`)},
	"many openids, many times":   {"query($v: CustomerFilter!) {" + countedTo(30, ` a%d: customers(first: 1, filter: $v) { nodes { id } }`) + " }", `{"openids":` + listed(`""`) + `}`},
	"variables that are not any": {`{ viewer { role } }`, membered(`"a%d":1`)},
}

// listed is a list of one value, as long as fits; nestedIn is a value that opens as often as fits; membered is an object of as many members as fit.
func listed(value string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(value+",", (hostileBytes-500)/(len(value)+1)), ",") + "]"
}

func nestedIn(opens, closes string) string {
	n := (hostileBytes - 500) / (len(opens) + len(closes))
	return strings.Repeat(opens, n) + "1" + strings.Repeat(closes, n)
}

func membered(format string) string { return counted("{", format+",", `"z":1}`) }

// Ensure the same of variables.
func TestHostileVariables(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	for name, tt := range hostileVariables {
		t.Run(name, func(t *testing.T) {
			took, answer := a.costsOf("admin", map[string]any{"query": tt.query, "variables": json.RawMessage(`{"v":` + tt.variables + `}`)})
			t.Logf("%v, answered %.200s", took, answer.Body)
			if took > hostileTime {
				t.Errorf("%v of a processor, answered %.200s", took, answer.Body)
			}
			if n := answer.Body.Len(); n > 4*hostileBytes && strings.Contains(answer.Body.String(), `"errors"`) {
				t.Errorf("%d bytes of errors", n)
			}
		})
	}
}

// randomDocument is a document of random pieces of the grammar with names of the schema.
func randomDocument(r *rand.Rand) string {
	var b strings.Builder
	names := []string{"viewer", "account", "advisor", "groups", "nodes", "customers", "id", "role", "name", "edges", "node", "__typename", "policy", "advisors", "tags", "options"}
	name := func() string { return names[r.IntN(len(names))] }
	limit := 200 + r.IntN(hostileBytes-1000)
	fragments := 1 + r.IntN(40)
	var set func(depth int)
	set = func(depth int) {
		b.WriteString("{")
		for range 1 + r.IntN(12) {
			if b.Len() > limit {
				break
			}
			switch r.IntN(8) {
			case 0:
				fmt.Fprintf(&b, " ...f%d", r.IntN(fragments))
			case 1:
				b.WriteString(" ... on Query ")
				if depth < 14 {
					set(depth + 1)
				} else {
					b.WriteString("{id}")
				}
			case 2:
				fmt.Fprintf(&b, " a%d: %s(first: %d)", r.IntN(3), name(), r.IntN(300))
			case 3:
				fmt.Fprintf(&b, " %s @include(if: true)", name())
			default:
				b.WriteString(" " + name())
				if depth < 14 && r.IntN(2) == 0 {
					set(depth + 1)
				}
			}
		}
		b.WriteString(" id}")
	}
	set(0)
	for i := range fragments {
		types := []string{"Query", "Account", "Advisor", "Customer", "Viewer"}
		fmt.Fprintf(&b, " fragment f%d on %s ", i, types[r.IntN(len(types))])
		if b.Len() > limit {
			b.WriteString("{id}")
		} else {
			set(8)
		}
		if b.Len() > hostileBytes-600 {
			break
		}
	}
	return b.String()
}

// repetitiveDocument is a valid document that selects a few fields again and again, below one another, in inline fragments and in
// fragments that others spread.
func repetitiveDocument(r *rand.Rand) string {
	types := map[string]struct {
		leaf   string
		object []string // a field and its type
	}{
		"Query": {"__typename", []string{"viewer", "Viewer"}}, "Viewer": {"role", []string{"account", "Account"}}, "Account": {"name", nil},
	}
	var b strings.Builder
	tokens, fragments := 300+r.IntN(1_600), r.IntN(12)
	names := []string{"Query", "Viewer", "Account"}
	var set func(of string, depth, width, fragment int)
	set = func(of string, depth, width, fragment int) {
		b.WriteString("{" + types[of].leaf)
		tokens -= 3
		for range 1 + r.IntN(width) {
			switch object := types[of].object; {
			case tokens < 20:
			case depth > 0 && object != nil && r.IntN(3) == 0:
				tokens--
				b.WriteString(" " + object[0])
				set(object[1], depth-1, width, fragment)
			case depth > 0 && r.IntN(4) == 0:
				tokens--
				b.WriteString(" ...")
				set(of, depth-1, width, fragment)
			case r.IntN(4) == 0:
				// Those that come later alone, or they would be circles.
				for f := fragment + 1 + r.IntN(3); f < fragments; f++ {
					if names[f%3] == of {
						tokens -= 2
						fmt.Fprintf(&b, " ...f%d", f)
						break
					}
				}
			default:
				tokens--
				b.WriteString(" " + types[of].leaf)
			}
		}
		b.WriteString("}")
	}
	width := 2 + r.IntN(100)
	for i := range 1 + r.IntN(20) {
		tokens -= 2
		fmt.Fprintf(&b, "query q%d", i)
		set("Query", 1+r.IntN(9), width, -1)
	}
	for f := range fragments {
		tokens = max(tokens, r.IntN(200))
		fmt.Fprintf(&b, " fragment f%d on %s", f, names[f%3])
		set(names[f%3], 1+r.IntN(9), width, f)
	}
	return b.String()
}
