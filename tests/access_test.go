package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"clientele/auth"
	"clientele/graph"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/services"
)

// asker is one column of the table of access.
type asker struct {
	// who is a name for bearer.
	who string
	// at is whose token it is: of the account that documents name things of, of a twin with the same
	// names, or of a third such account, closed, that documents name the things of instead.
	at string
}

// askers are the columns of access, in the order of its letters. anna serves wei, ben serves li,
// cara is ACTIVE and has not accepted the service rules (rule V7).
var askers = []asker{
	{"nobody", "here"},
	{"admin", "here"},
	{"integration", "here"},
	{"analyst", "here"},
	{"platform", "here"},
	{"anna", "here"},
	{"ben", "here"},
	{"cara", "here"},
	{"admin", "elsewhere"},
	{"integration", "elsewhere"},
	{"analyst", "elsewhere"},
	{"anna", "elsewhere"},
	{"cara", "elsewhere"},
	{"admin", "closed"},
	{"integration", "closed"},
	{"analyst", "closed"},
	{"anna", "closed"},
	{"cara", "closed"},
}

// The classes of answers that are no codes.
const (
	aValue = 'V' // something of the viewer's own account, or the operator's
	empty  = 'E' // a list without an item
)

// letters are the codes of the table. An item's code counts as the call's; null counts as N.
var letters = map[models.Code]rune{
	models.CodeUnauthenticated: 'U', models.CodeForbidden: 'F', models.CodeNotFound: 'N', models.CodeInvalid: 'I', models.CodeState: 'S',
	models.CodeRulesNotAccepted: 'R', models.CodeCapabilityNotEnabled: 'C', models.CodeMustFollowAccount: 'M',
}

// lettersOf are who is meant by rule V2: a letter a role.
func lettersOf(of []auth.Role) string {
	var b strings.Builder
	for i, r := range auth.Roles() {
		if slices.Contains(of, r) {
			b.WriteByte("AINPS"[i])
		}
	}
	return b.String()
}

// may is who of the five roles is not refused by a row's root field.
func may(want string) string {
	answers := []rune(strings.ReplaceAll(want, " ", ""))
	var b strings.Builder
	for i, letter := range "AINPS" { // the columns from admin to anna
		if len(answers) == len(askers) && answers[i+1] != letters[models.CodeForbidden] {
			b.WriteRune(letter)
		}
	}
	return b.String()
}

// Ensure every root field and every type of a node has one row in access, that no row is of anything
// else, and that the schema's @allow and the services' permissions say the same as the row.
func TestAccessIsComplete(t *testing.T) {
	rows := map[string]string{}
	for _, row := range access {
		if _, twice := rows[row.of]; twice {
			t.Errorf("%s has two rows", row.of)
		}
		rows[row.of] = may(row.want)
	}
	permitted := map[string]string{}
	for _, p := range services.Permissions() {
		permitted[p.Field] = lettersOf(p.Roles)
	}
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription} {
		for _, f := range root.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			name := root.Name + "." + f.Name
			want, found := rows[name]
			delete(rows, name)
			var allowed []auth.Role
			if d := f.Directives.ForName("allow"); d != nil {
				for _, c := range d.Arguments.ForName("roles").Value.Children {
					allowed = append(allowed, auth.Role(c.Value.Raw))
				}
			}
			if got := lettersOf(allowed); !found || got != want || permitted[f.Name] != want {
				t.Errorf("%s: by the table for %q (%t), by @allow for %q, by services for %q", name, want, found, got, permitted[f.Name])
			}
		}
	}
	for _, of := range schema.PossibleTypes["Node"] {
		if _, found := rows["Node."+of.Name]; !found {
			t.Errorf("Node.%s has no row", of.Name)
		}
		delete(rows, "Node."+of.Name)
	}
	for name := range rows {
		t.Errorf("%s stands in the table and not in the schema", name)
	}
}

// Ensure every root field that takes an id of something, however deep, is among the probes, which
// compare its answers to another account's id with those to an unknown one byte by byte (rule V4).
func TestProbesAreComplete(t *testing.T) {
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	seen := map[string]bool{}
	var takesID func(name string) bool
	takesID = func(name string) bool {
		d := schema.Types[name]
		if name == "ID" || d.Kind != ast.InputObject || seen[name] {
			return name == "ID"
		}
		seen[name] = true
		return slices.ContainsFunc(d.Fields, func(f *ast.FieldDefinition) bool { return takesID(f.Type.Name()) })
	}
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation} {
		for _, f := range root.Fields {
			clear(seen)
			if !slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return takesID(a.Type.Name()) }) ||
				strings.HasPrefix(f.Name, "__") || may(wanted(root.Name+"."+f.Name)) == "P" {
				continue
			}
			if !slices.ContainsFunc(probes, func(p struct{ who, name, query string }) bool { return strings.Contains(p.query, " "+f.Name+"(") }) {
				t.Errorf("%s.%s takes an id and is not among the probes", root.Name, f.Name)
			}
		}
	}
}

func wanted(of string) string {
	for _, row := range access {
		if row.of == of {
			return row.want
		}
	}
	return ""
}

// Ensure each answer is of the class that the table says, that a field which is refused is refused
// inside fragments too, and that who comes from elsewhere is shown nothing and changes nothing.
func TestAccess(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{sweep: time.Hour})
		at := map[string]*accessible{}
		for _, name := range []string{"here", "elsewhere", "closed"} {
			at[name] = w.accessible(name)
		}
		at["elsewhere"].other, at["here"].other, at["closed"].other = at["here"], at["here"], at["closed"]
		secret := &twin{tenant: at["here"].tenant, keys: map[models.Key]bool{}}
		for _, row := range access { // what they are offered, before it is counted
			at["here"].document(row.document)
		}
		secret.remember()
		before := secret.rows
		// Who comes from elsewhere comes first: nothing of what is here may have changed then.
		order := []string{"elsewhere", "here", "closed"}
		got := map[string][]rune{}
		for _, row := range access {
			got[row.of] = []rune(strings.Repeat("?", len(askers)))
		}
		for _, name := range order {
			for _, row := range access {
				for i, k := range askers {
					if k.at != name {
						continue
					}
					a := at[name]
					class, answers := a.classOf(k.who, a.other.document(row.document), row.document)
					got[row.of][i] = class
					if class == letters[models.CodeForbidden] && !strings.HasPrefix(row.document, "subscription") {
						if hidden, _ := a.classOf(k.who, inFragment(a.other.document(row.document)), row.document); hidden != class {
							t.Errorf("%s in a fragment: %q to %s", row.of, hidden, k.who)
						}
					}
					if class == aValue && a.other == a {
						a.used(row.document)
					}
					for _, text := range texts(answers, nil) {
						if leak := secret.leaks(text); name == "elsewhere" && leak != "" {
							t.Errorf("%s shows %s of elsewhere a %s: %s", row.of, k.who, leak, text)
						}
					}
				}
			}
			if name == "elsewhere" {
				if changed := w.checksum(secret.account).changed(before); changed != "" {
					t.Errorf("who came from elsewhere changed rows: %s", changed)
				}
			}
		}
		for _, row := range access {
			if g := inGroups(got[row.of]); g != strings.ReplaceAll(row.want, "L", "F") {
				t.Errorf("%-40s answers %s, the table says %s", row.of, g, row.want)
			}
		}
	})
}

// inGroups writes answers as the table does.
func inGroups(answers []rune) string {
	var b strings.Builder
	for i, a := range answers {
		if i == 1 || i > 0 && askers[i].at != askers[i-1].at {
			b.WriteByte(' ')
		}
		b.WriteRune(a)
	}
	return b.String()
}

// accessible is an account with one of everything, and makers of what can be used but once.
type accessible struct {
	*tenant
	// other is whose things documents name.
	other *accessible
	n     int
	fresh map[string]string
}

func (w *world) accessible(tag string) *accessible {
	w.tb.Helper()
	a := &accessible{fresh: map[string]string{}}
	a.tenant = w.found(setup{
		Advisors: []string{"anna", "ben"}, Groups: []string{"tea of anna ben"}, Tags: []string{"level of gold"},
		Followers: []string{"mei", "cara"}, Customers: []string{"wei of anna", "li of ben"},
		Settings: map[string]any{"mayAdvisorsEditProfile": true},
	}, tag)
	a.invite("cara")
	a.do("anna", `mutation($c: ID!) { updateCustomers(input: {customers: [{customer: {id: $c}, nickname: "Wei"}]}) { isRepeated } }`, map[string]any{"c": a.names["id wei"]})
	a.write("wei", secretText)
	a.name("id sent", a.send("anna", "wei", secretText))
	a.delivered()
	read := a.do("admin", `query($c: ID!) { conversation(customer: {id: $c}) { id messages(first: 2) { nodes { id direction } } } }`, map[string]any{"c": a.names["id wei"]})
	a.name("id conversation", read.text("conversation.id"))
	for _, m := range read.field("conversation.messages.nodes").([]any) {
		if m := m.(map[string]any); m["direction"] == "FROM_CUSTOMER" {
			a.name("id message", m["id"].(string))
		}
	}
	notices := a.do("anna", `{ notifications { nodes { id } } }`, nil).field("notifications.nodes").([]any)
	a.name("id notification", (&answer{Data: notices[0]}).text("id"))
	entries := a.do("admin", `{ auditLog { nodes { id } } }`, nil).field("auditLog.nodes").([]any)
	a.name("id audit", (&answer{Data: entries[0]}).text("id"))
	a.name("id job", a.do("admin", `mutation { unbindCustomers(input: {customers: {matching: {openids: ["nobody"]}}}) { job { id } } }`, nil).text("unbindCustomers.job.id"))
	a.worked()
	a.label("spring", toAdvisor("anna"))
	a.name("id image", a.upload("anna", imageOf(a.tb, "PNG", 3, 2))[0])
	a.name("id import", a.uploading("openid\n", 100))
	a.name("id webhook", a.webhook())
	a.follow("zhao", "")
	a.name("id erasure", a.do("admin", eraseText, map[string]any{"c": map[string]any{"openid": "zhao"}}).text("eraseCustomer.erasure.id"))
	a.erased()
	a.relayed()
	if tag == "closed" {
		a.document("<new import> <new follower> <new advisor> <new group> <new tag> <new option>") // nothing can be made later
		a.do("admin", `mutation { closeAccount(input: {confirm: true}) { account { id } } }`, nil)
	}
	return a
}

// invite makes an ACTIVE advisor who has not accepted the service rules.
func (a *accessible) invite(openid string) string {
	a.tb.Helper()
	results := a.do("admin", `mutation($o: Identifier!) { inviteAdvisors(input: {advisors: [{openid: $o, nickname: "n"}]}) { results { advisor { id } } } }`,
		map[string]any{"o": openid}).field("inviteAdvisors.results").([]any)
	a.do(openid, `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`, nil)
	return (&answer{Data: results[0]}).text("advisor.id")
}

// webhook makes one that is paused: nobody is called.
func (a *accessible) webhook() string {
	a.tb.Helper()
	return a.do("admin", `mutation { createWebhook(input: {url: "https://crm.invalid/y", isPaused: true}) { webhook { id } } }`, nil).text("createWebhook.webhook.id")
}

// document is a row's document with the account's ids, and with fresh things where it wants such.
func (a *accessible) document(text string) string {
	a.tb.Helper()
	for name, make := range map[string]func(unique string) string{
		"new follower": func(u string) string { a.follow(u, ""); return u },
		"new advisor":  func(u string) string { a.follow(u, ""); return a.invite(u) },
		"new webhook":  func(string) string { return a.webhook() },
		"new import":   func(string) string { return a.uploading("", 1) },
		"new group":    func(u string) string { a.group(u); return a.names["id "+u] },
		"new tag":      func(u string) string { a.tag(u); return a.names["id "+u] },
		"new option": func(u string) string {
			return a.do("admin", `mutation($t: ID!, $n: String!) { createTagOption(input: {tagId: $t, name: $n}) { option { id } } }`,
				map[string]any{"t": a.names["id level"], "n": u}).text("createTagOption.option.id")
		},
	} {
		if !strings.Contains(text, "<"+name+">") {
			continue
		}
		if a.fresh[name] == "" {
			a.n++
			a.fresh[name] = make(fmt.Sprintf("x%d", a.n))
		}
		text = strings.ReplaceAll(text, "<"+name+">", a.fresh[name])
	}
	a.n++
	text = strings.NewReplacer("<new name>", fmt.Sprintf("x%d", a.n), "<now>", a.clock.Now().UTC().Format(timeForm)).Replace(text)
	return names(a.names).fill(text).(string)
}

// used says that the fresh things of a row's document are fresh no more.
func (a *accessible) used(text string) {
	for name := range a.fresh {
		if strings.Contains(text, "<"+name+">") {
			a.fresh[name] = ""
		}
	}
}

// classOf runs a document of a row and classifies its answer; '?' is a code without a letter.
func (a *accessible) classOf(who, document, row string) (rune, any) {
	a.tb.Helper()
	if strings.HasPrefix(document, "subscription") {
		return a.listens(who, document), nil
	}
	got := a.try(who, document, nil)
	whole := []any{got.Data}
	for _, e := range got.Errors {
		whole = append(whole, e.Message)
	}
	code := got.code()
	if code == "" {
		data, _ := got.Data.(map[string]any)
		for _, v := range data {
			return ofValue(v), whole
		}
		code = string(got.body)
	}
	if letter, ok := letters[models.Code(code)]; ok {
		return letter, whole
	}
	a.tb.Errorf("%s: %s to %s", row, got.body, who)
	return '?', whole
}

func ofValue(v any) rune {
	switch v := v.(type) {
	case nil:
		return letters[models.CodeNotFound]
	case []any:
		if len(v) == 0 {
			return empty
		}
		if item, ok := v[0].(map[string]any); ok {
			if failed, ok := item["error"].(map[string]any); ok {
				return letters[models.Code(failed["code"].(string))]
			}
		}
		return ofValue(v[0])
	case map[string]any:
		for _, list := range []string{"nodes", "results"} {
			if of, ok := v[list]; ok {
				return ofValue(of)
			}
		}
	}
	return aValue
}

// listens opens a subscription: V when it is open.
func (a *accessible) listens(who, document string) rune {
	a.tb.Helper()
	if who == "nobody" {
		s := a.dial("")
		if s.closed() == 4403 {
			return letters[models.CodeUnauthenticated]
		}
		return '?'
	}
	before, feeds := a.listening(), a.metric("clientele_hub_feeds")
	s := a.subscribe(a.bearer(who, a.account), document, nil)
	// One that is refused counts as a subscription for a moment, and never has a feed.
	a.await("it is open or refused", func() bool { return len(s.frames) > 0 || a.metric("clientele_hub_feeds") > feeds })
	class := aValue
	if len(s.frames) > 0 {
		f := s.frame()
		if f.Type == "complete" { // a job that has ended
			return aValue
		}
		s.frames <- f
		class = letters[models.Code(s.refused())]
	}
	_ = s.conn.CloseNow()
	// Or the next one would count it as its own.
	a.await("the subscription has ended", func() bool { return a.listening() == before && a.metric("clientele_hub_feeds") == feeds })
	return class
}

func inFragment(document string) string {
	open, end := strings.IndexByte(document, '{'), strings.LastIndexByte(document, '}')
	kind := strings.TrimSpace(document[:open])
	on := map[string]string{"": "Query", "mutation": "Mutation", "subscription": "Subscription"}[kind]
	if kind == "" {
		kind = "query"
	}
	return fmt.Sprintf("%s { ...F } fragment F on %s { ... on %s %s }", kind, on, on, document[open:end+1])
}
