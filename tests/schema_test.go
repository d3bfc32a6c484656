package tests

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/schema"
)

// introspection is the query of graphql-js's getIntrospectionQuery, with all that graphql 16 knows.
const introspection = `query { __schema { description queryType { name } mutationType { name } subscriptionType { name } types { ...T }
  directives { name description isRepeatable locations args(includeDeprecated: true) { ...I } } } }
fragment T on __Type { kind name description specifiedByURL isOneOf fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...I }
  type { ...R } isDeprecated deprecationReason } inputFields(includeDeprecated: true) { ...I } interfaces { ...R }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...R } }
fragment I on __InputValue { name description type { ...R } defaultValue isDeprecated deprecationReason }
fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }`

// Ensure the printed schema is given to everybody who may introspect, whole and once, and to nobody else.
func TestSchemaIsServed(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.AllowedOrigins = []string{"https://app.example.com"} }})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	bearer := func(who string) map[string]string {
		return map[string]string{"Authorization": "Bearer " + w.bearer(who, a.account)}
	}
	var tag string
	for _, who := range []string{"admin", "integration", "analyst", "platform", "anna"} {
		answer, body := get(t, w, http.MethodGet, "/schema.graphql", bearer(who))
		if answer.StatusCode != http.StatusOK || body != schema.Printed() {
			t.Errorf("%s gets %d, %d bytes of %d", who, answer.StatusCode, len(body), len(schema.Printed()))
		}
		for name, want := range map[string]string{
			"Content-Type": "application/graphql; charset=utf-8", "Cache-Control": "private, no-cache", "Vary": "Authorization", "X-Content-Type-Options": "nosniff",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		tag = answer.Header.Get("ETag")
	}
	with := func(header map[string]string, more ...string) map[string]string {
		header = maps.Clone(header)
		for i := 0; i < len(more); i += 2 {
			header[more[i]] = more[i+1]
		}
		return header
	}
	if answer, body := get(t, w, http.MethodGet, "/schema.graphql", with(bearer("admin"), "If-None-Match", tag)); tag == "" || answer.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("who has %q is answered %d with %d bytes", tag, answer.StatusCode, len(body))
	}
	if answer, body := get(t, w, http.MethodGet, "/schema.graphql", with(bearer("admin"), "If-None-Match", `"another"`)); answer.StatusCode != http.StatusOK || body != schema.Printed() {
		t.Errorf("who has another is answered %d", answer.StatusCode)
	}
	if answer, body := get(t, w, http.MethodHead, "/schema.graphql", bearer("admin")); answer.StatusCode != http.StatusOK || body != "" || answer.ContentLength != int64(len(schema.Printed())) || answer.Header.Get("ETag") != tag {
		t.Errorf("HEAD answers %d, length %d, %d bytes", answer.StatusCode, answer.ContentLength, len(body))
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		if answer, _ := get(t, w, method, "/schema.graphql", bearer("admin")); answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s answers %d, Allow: %q", method, answer.StatusCode, answer.Header.Get("Allow"))
		}
	}
	ticket, _ := w.ticket(http.MethodPost, w.bearer("anna", a.account))
	revoked, v, err := w.Issuer.Issue(auth.Grant{Role: auth.RoleAnalyst, Account: a.account.String(), Subject: "gone", Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	a.do("admin", `mutation($t: String!) { revokeToken(input: {tokenId: $t}) { rememberedUntil } }`, map[string]any{"t": v.TokenID})
	for name, tt := range map[string]struct {
		path   string
		header map[string]string
	}{
		"no token":                 {"", nil},
		"no token, but the ETag":   {"", map[string]string{"If-None-Match": tag}},
		"rubbish":                  {"", map[string]string{"Authorization": "Bearer rubbish", "If-None-Match": tag}},
		"revoked":                  {"", map[string]string{"Authorization": "Bearer " + revoked}},
		"a token in the address":   {"?token=" + w.bearer("admin", a.account), nil},
		"a ticket":                 {"?ticket=" + ticket, nil},
		"a ticket, as a stream":    {"?ticket=" + ticket, map[string]string{"Accept": "text/event-stream"}},
		"no token, from the pages": {"", map[string]string{"Origin": "https://app.example.com"}},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			answer, body := get(t, w, method, "/schema.graphql"+tt.path, tt.header)
			if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("ETag") != "" || strings.Contains(body, "Conversation") ||
				method == http.MethodGet && !strings.Contains(body, `"code":"UNAUTHENTICATED"`) {
				t.Errorf("%s, %s: %d %q %.200s", method, name, answer.StatusCode, answer.Header.Get("ETag"), body)
			}
		}
	}
	if code := w.ask(revoked, `{ __schema { queryType { name } } }`, nil).code(); code != "UNAUTHENTICATED" {
		t.Errorf("introspection with a revoked token: %q", code) // the rule of the two is one
	}
	if answer, _ := get(t, w, http.MethodGet, "/schema.graphql", with(bearer("admin"), "Origin", "https://app.example.com")); answer.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Error("a page of an allowed origin may not read it")
	}
	if s := w.stream("", streamText, "", "ticket", ticket); s.resp.StatusCode != http.StatusOK {
		t.Errorf("the ticket was taken: %d", s.resp.StatusCode)
	}
	unused, _ := w.ticket(http.MethodPost, w.bearer("anna", a.account))
	header := map[string]string{"Accept": "text/event-stream", "Content-Type": "application/json"}
	if answer, body := get(t, w, http.MethodPost, "/graphql/ticket?ticket="+unused, header); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a ticket makes another: %d %s", answer.StatusCode, body)
	}
}

// Ensure who asks for the schema too often is told to wait, as with operations (rule X2).
func TestSchemaIsCharged(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.RatePerToken = 1 }})
	a := w.found(setup{}, "main")
	token := w.bearer("analyst", a.account)
	for range 30 {
		answer, body := get(t, w, http.MethodGet, "/schema.graphql", map[string]string{"Authorization": "Bearer " + token})
		if answer.StatusCode == http.StatusTooManyRequests {
			if answer.Header.Get("Retry-After") == "" || !strings.Contains(body, "RATE_LIMITED") || answer.Header.Get("ETag") != "" {
				t.Errorf("Retry-After %q: %.200s", answer.Header.Get("Retry-After"), body)
			}
			return
		}
	}
	t.Error("thirty at once are let in")
}

// Ensure the tools of front ends take the published schema: graphql-eslint finds nothing, graphql-inspector nothing that breaks clients of the last
// release, and relay-compiler and graphql-codegen, under tsc --strict, make code of the operations of an advisor's app, a console, an analyst's page and a merchant's system. Each finds
// a fault that is planted. What they persist is kept in tests/schema/persisted, for -update to write.
func TestFrontEndTools(t *testing.T) {
	t.Parallel()
	parts, err := filepath.Glob("schema/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"operations", "relay"} {
		more, err := filepath.Glob("schema/" + folder + "/*")
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, more...)
	}
	for i, part := range parts {
		if parts[i], err = filepath.Rel("schema", part); err != nil {
			t.Fatal(err)
		}
	}
	// What is kept of a run before, persisted documents or packages, must not stand for what this one makes.
	npm := testkit.NewNPM(t, "schema", parts...)
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	admin := w.bearer("admin", a.account)
	_, sdl := get(t, w, http.MethodGet, "/schema.graphql", map[string]string{"Authorization": "Bearer " + admin})
	told, err := json.Marshal(w.must(admin, introspection, nil).Data)
	if err != nil {
		t.Fatal(err)
	}
	released, err := os.ReadFile(filepath.Join("..", "schema", "testdata", "released.graphql"))
	if err != nil {
		t.Fatal(err)
	}
	breaks, err := os.ReadFile(filepath.Join("..", "schema", "testdata", "breaking.txt"))
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := json.Marshal(meant(string(breaks)))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"schema.graphql": []byte(sdl), "introspection.json": told, "released.graphql": released, "accepted.json": accepted} {
		if err := os.WriteFile(filepath.Join(npm.Folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	npm.Install()
	installed := time.Since(began)
	var came struct {
		Findings []string
		Counts   struct {
			Exceptions, CodegenDocuments, RelayDocuments int
			Relay                                        string
		}
	}
	if err := json.Unmarshal(npm.Run(testkit.NeedNode.Program(), "run.mjs"), &came); err != nil {
		t.Fatal(err)
	}
	t.Logf("installed in %s, run in %s: %+v", installed, time.Since(began)-installed, came.Counts)
	for _, f := range came.Findings {
		t.Error(f)
	}
	for _, name := range []string{"codegen.json", "relay.json"} {
		made, err := os.ReadFile(filepath.Join(npm.Folder, "persisted", name))
		if err != nil {
			t.Fatal(err)
		}
		kept := filepath.Join("schema", "persisted", name)
		if *update {
			if err := os.WriteFile(kept, made, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if old, err := os.ReadFile(kept); err != nil || !bytes.Equal(old, made) {
			t.Errorf("%s is not what is made now (%v); go test ./tests -run TestFrontEndTools -update writes it", kept, err)
		}
	}
}

// meant is the coordinates of breaking.txt as graphql-inspector writes them: Type.field.argument.
func meant(text string) []string {
	found := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			found = append(found, strings.NewReplacer("(", ".", ")", "").Replace(strings.Fields(line)[0]))
		}
	}
	return found
}

// frontEnds are the programs whose operations stand in tests/schema/operations, a file each, and who each signs in as.
var frontEnds = map[string]auth.Role{"advisor": auth.RoleAdvisor, "console": auth.RoleAdmin, "analyst": auth.RoleAnalyst, "system": auth.RoleIntegration}

// frontEndOperations are the documents of the front ends, by the name of the program.
func frontEndOperations(t *testing.T) map[string]*ast.QueryDocument {
	t.Helper()
	files, err := filepath.Glob("schema/operations/*.graphql")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*ast.QueryDocument{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := parser.ParseQuery(&ast.Source{Name: file, Input: string(text)})
		if err != nil {
			t.Fatal(err)
		}
		program := strings.TrimSuffix(filepath.Base(file), ".graphql")
		if _, ok := frontEnds[program]; !ok {
			t.Errorf("%s: of no front end that is known", file)
		}
		all[program] = doc
	}
	return all
}

// Ensure the operations are a real set: an advisor's app and an analyst's page ask for every root field that is open to their role, and the merchant's
// console and system for what their work consists of.
func TestOperationsCoverTheirRoles(t *testing.T) {
	s := gqlparser.MustLoadSchema(&ast.Source{Name: "schema", Input: schema.SDL()})
	// What the console and the system share out between them.
	merchants := []string{
		"query account", "query advisors", "query groups", "query tags", "query customers", "query customer", "query conversation", "query import", "query jobs", "query job", "query webhooks",
		"query auditLog", "query accountEvents", "query eventCursor", "query nodes", "subscription jobChanges", "subscription accountEvents",
		"mutation updateAccountSettings", "mutation inviteAdvisors", "mutation createGroup", "mutation addGroupAdvisors", "mutation createTag", "mutation tagCustomers", "mutation createQRCodes",
		"mutation updateCustomers", "mutation assignCustomers", "mutation rebindCustomers", "mutation unbindCustomers", "mutation createImport", "mutation cancelJob", "mutation createWebhook",
		"mutation issueAdvisorToken", "mutation revokeToken", "mutation recordPayment", "mutation recordMassSend",
	}
	asked := map[auth.Role]map[string]bool{}
	for program, doc := range frontEndOperations(t) {
		role := frontEnds[program]
		if asked[role] == nil {
			asked[role] = map[string]bool{}
		}
		for _, op := range doc.Operations {
			for _, selection := range op.SelectionSet {
				asked[role][string(op.Operation)+" "+selection.(*ast.Field).Name] = true
			}
		}
	}
	for operation, root := range map[string]*ast.Definition{"query": s.Query, "mutation": s.Mutation, "subscription": s.Subscription} {
		for _, f := range root.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			name := operation + " " + f.Name
			allowed := f.Directives.ForName("allow").Arguments.ForName("roles").Value.Children
			for _, role := range []auth.Role{auth.RoleAdvisor, auth.RoleAnalyst} {
				open := slices.ContainsFunc(allowed, func(c *ast.ChildValue) bool { return c.Value.Raw == string(role) })
				if open != asked[role][name] {
					t.Errorf("%s: open to %s: %t, asked for by them: %t", name, role, open, asked[role][name])
				}
			}
		}
	}
	for _, name := range merchants {
		if !asked[auth.RoleAdmin][name] && !asked[auth.RoleIntegration][name] {
			t.Errorf("neither the console nor the system asks for %s", name)
		}
	}
}

// Ensure the server executes the documents that front ends persist, as they stand in tests/schema/persisted: each is in its limits, and is
// answered without an error to whom it is of.
func TestPersistedOperations(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{
		Settings: map[string]any{"mayAdvisorsEditProfile": true},
		Advisors: []string{"anna"}, Groups: []string{"tea of anna"}, Tags: []string{"level of gold silver"}, Followers: []string{"mei"}, Customers: []string{"wei of anna"},
	}, "main")
	a.write("wei", "hello")
	wei := map[string]any{"openid": "wei"}
	ids := a.do("anna", `{ viewer { advisor { qrCode { id } } } conversation(customer: {openid: "wei"}) { id lastMessage { id } } notifications { nodes { id } } }`, nil)
	id, code := ids.text("conversation.id"), ids.text("viewer.advisor.qrCode.id")
	made := a.do("admin", `mutation { unbindCustomers(input: {customers: {matching: {isAssigned: false}}}) { job { id } } createImport(input: {kind: CUSTOMERS}) { import { id } } }`, nil)
	job := made.text("unbindCustomers.job.id")
	signedIn := a.do("admin", `mutation { issueAdvisorToken(input: {advisor: {openid: "anna"}}) { tokenId } }`, nil).text("issueAdvisorToken.tokenId")
	w.worked()
	notification := ids.field("notifications.nodes").([]any)[0].(map[string]any)["id"]
	at := w.clock.Now().Format(timeForm)
	toAnna := map[string]any{"advisor": map[string]any{"openid": "anna"}}
	these := func(to ...map[string]any) map[string]any {
		input := map[string]any{"customers": map[string]any{"these": []any{wei}}}
		for _, t := range to {
			input["to"] = t
		}
		return map[string]any{"input": input}
	}
	input := func(pairs ...any) map[string]any {
		in := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			in[pairs[i].(string)] = pairs[i+1]
		}
		return map[string]any{"input": in}
	}
	noted := input("customers", []any{map[string]any{"customer": wei, "nickname": "Mrs Wei"}})
	tagged := input("customers", []any{map[string]any{"customer": wei, "add": []any{map[string]any{"name": "gold"}}}})
	variables := map[string]map[string]any{
		"Conversation":          {"customer": wei},
		"Refetch":               {"id": id},
		"SendMessage":           input("customer", wei, "text", "you are welcome", "idempotencyKey", "k1"),
		"MarkRead":              input("customer", wei),
		"MarkNotificationsRead": input("notificationIds", []any{notification}),
		"ResendMessage":         input("messageId", ids.text("conversation.lastMessage.id"), "idempotencyKey", "k3"),
		"Colleague":             {"by": map[string]any{"openid": "anna"}},
		"MyCustomer":            {"by": wei},
		"Several":               {"ids": []any{id}},
		"CodePicture":           {"codeId": code},
		"ConfirmOutreach":       input("customer", wei),
		"SetPresence":           input("presence", "ONLINE"),
		"AnswerInvitation":      input("accept", true),
		"AcceptServiceRules":    input("version", "1"),
		"UpdateMe":              input("nickname", "Anna"),
		"NoteCustomers":         noted,
		"TagMyCustomers":        tagged,
		"UploadImages":          input("files", []any{nil}),

		"UpdateSettings":   input("messageReadableDays", 60),
		"InviteAdvisors":   input("advisors", []any{map[string]any{"openid": "mei", "nickname": "Mei"}}),
		"CreateGroup":      input("name", "oolong"),
		"AddGroupAdvisors": input("groupId", a.names["id tea"], "advisors", []any{map[string]any{"openid": "anna"}}),
		"CreateQRCodes":    input("codes", []any{map[string]any{"owner": toAnna, "label": "poster"}}),
		"Read":             {"customer": wei},
		"Customer":         {"by": wei},
		"Nodes":            {"ids": []any{id}},
		"TagCustomers":     tagged,
		"AssignCustomers":  these(toAnna),
		"RebindCustomers":  these(toAnna),
		"UnbindCustomers":  input("customers", map[string]any{"these": []any{map[string]any{"openid": "mei"}}}),
		"Job":              {"jobId": job},
		"JobChanges":       {"jobId": job},
		"CancelJob":        input("jobId", job),
		"CreateTag":        input("name", "region"),
		"CreateImport":     input("kind", "CUSTOMERS"),
		"Import":           {"importId": made.text("createImport.import.id")},
		"CreateWebhook":    input("url", "https://crm.example.com/clientele"),

		"OneAdvisor": {"by": map[string]any{"id": a.names["id anna"]}},
		"Campaign":   {"label": "poster"},
		"Profile":    {"by": map[string]any{"id": a.names["id wei"]}},
		"Spoken":     {"customer": wei},
		"Picture":    {"codeId": code},
		"Again":      {"id": code, "ids": []any{code, a.names["id anna"]}},

		"SignIn":          input("advisor", map[string]any{"openid": "anna"}),
		"SignOut":         input("tokenId", signedIn),
		"RecordPayment":   input("payments", []any{map[string]any{"customer": wei, "transactionId": "t1", "at": at}}),
		"RecordMassSend":  input("key", "spring", "at", at, "audience", map[string]any{"openids": []any{"wei"}}),
		"UpdateCustomers": noted,

		"conversationQuery":         {"customer": wei},
		"conversationMessagesQuery": {"id": id},
		"conversationSendMutation":  input("customer", wei, "text", "welcome again", "idempotencyKey", "k2"),
		"inboxQuery":                {"count": 10},
		"inboxRowQuery":             {"id": id},
		"customersAssignMutation":   these(toAnna),
	}
	// Both have ended well; she has accepted already; and analysts have no leave to read what was said.
	refused := map[string]string{"CancelJob": "STATE", "ResendMessage": "STATE", "AnswerInvitation": "STATE", "Spoken": "FORBIDDEN"}
	programs := map[string]string{}
	for program, doc := range frontEndOperations(t) {
		for _, op := range doc.Operations {
			programs[op.Name] = program
		}
	}
	who := map[auth.Role]string{auth.RoleAdvisor: "anna", auth.RoleAdmin: "admin", auth.RoleAnalyst: "analyst", auth.RoleIntegration: "integration"}
	ran := 0
	for _, name := range []string{"codegen.json", "relay.json"} {
		text, err := os.ReadFile(filepath.Join("schema", "persisted", name))
		if err != nil {
			t.Fatal(err)
		}
		var documents map[string]string
		if err := json.Unmarshal(text, &documents); err != nil {
			t.Fatal(err)
		}
		for _, key := range slices.Sorted(maps.Keys(documents)) {
			doc, err := parser.ParseQuery(&ast.Source{Input: documents[key]})
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			op := doc.Operations[0]
			program := programs[op.Name]
			switch {
			case program != "":
			case strings.HasPrefix(op.Name, "customers"): // Relay calls operations by their file
				program = "console"
			default:
				program = "advisor"
			}
			token := w.bearer(who[frontEnds[program]], a.account)
			switch {
			case op.Operation == ast.Subscription:
				// Of an error it is told at once; events come later, if any.
				if s := w.subscribe(token, documents[key], variables[op.Name]); len(s.frames) > 0 {
					if f := s.frame(); f.Type == "error" || f.closed != 0 {
						t.Errorf("%s of %s is answered %s %s %d", op.Name, name, f.Type, f.Payload, f.closed)
					}
				}
			case op.Name == "UploadImages":
				operations, err := json.Marshal(map[string]any{"query": documents[key], "variables": variables[op.Name]})
				if err != nil {
					t.Fatal(err)
				}
				body, contentType := form(t, string(operations), `{"0": ["variables.input.files.0"]}`, imageOf(t, "PNG", 2, 2))
				if answer := w.postForm(token, body, contentType, preflight, "1"); answer.code() != "" || hasItemError(answer.Data) {
					t.Errorf("%s of %s: %s", op.Name, name, answer.body)
				}
			default:
				if answer := w.ask(token, documents[key], variables[op.Name]); answer.code() != refused[op.Name] || refused[op.Name] == "" && hasItemError(answer.Data) {
					t.Errorf("%s of %s: %s", op.Name, name, answer.body)
				}
			}
			ran++
		}
	}
	if ran < 75 {
		t.Errorf("only %d operations ran", ran)
	}
}
