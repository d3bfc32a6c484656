package tests

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"clientele/graph"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/models"
)

// all selects everything of a type, a type once on the way to it: what is nested deeper is reached by another
// way. Of a list below it two items; a field that must be told something is left out.
func all(schema *ast.Schema, of *ast.Definition, within []string) string {
	if of.Kind == ast.Scalar || of.Kind == ast.Enum {
		return ""
	}
	var b strings.Builder
	b.WriteString(" { __typename")
	types := []*ast.Definition{of}
	if of.IsAbstractType() {
		types = schema.PossibleTypes[of.Name]
	}
	for _, t := range types {
		if slices.Contains(within, t.Name) {
			continue
		}
		if of.IsAbstractType() {
			b.WriteString(" ... on " + t.Name + " {")
		}
		for _, f := range t.Fields {
			below := schema.Types[f.Type.Name()]
			needs := slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil })
			if needs || strings.HasPrefix(f.Name, "__") || below.IsCompositeType() && slices.Contains(within, below.Name) {
				continue
			}
			b.WriteString(" ")
			if of.IsAbstractType() && slices.ContainsFunc(types, func(o *ast.Definition) bool {
				same := o.Fields.ForName(f.Name)
				return same != nil && same.Type.String() != f.Type.String()
			}) {
				b.WriteString(t.Name + "_" + f.Name + ": ")
			}
			b.WriteString(f.Name)
			if f.Arguments.ForName("first") != nil {
				b.WriteString("(first: 2)")
			}
			b.WriteString(all(schema, below, append(slices.Clone(within), t.Name)))
		}
		if of.IsAbstractType() {
			b.WriteString(" }")
		}
	}
	b.WriteString(" }")
	return b.String()
}

// Ensure that without leave an ANALYST is shown no free text by any field that answers them, whatever is
// selected below it, and with leave all of it; and that what names or searches people by it is FORBIDDEN until
// then (rule V8). A field that is added is asked without anybody's doing.
func TestAnAnalystReadsFreeTextByLeaveAlone(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{settings: func(s *config.Server) { s.PageDefault = 3 }}) // all there is to ask of pages of 50 costs too much
		a := w.accessible("here")
		a.other = a
		marks := map[string]string{ // by what is marked
			"a customer's nickname": "mark-nickname", "a customer's info": "mark-info", "a customer's picture": "mark-avatar", "a customer's unionid": "mark-unionid",
			"a customer's openid": "mark-openid", "a message": "mark-message",
			"an advisor's unionid": "mark-union-of-anna", "an advisor's WeChat id": "mark-wechat-of-anna", "an advisor's avatar": "https://mark.example/anna.png",
		}
		a.do("anna", `mutation($c: ID!) { updateCustomers(input: {customers: [{customer: {id: $c}, nickname: "mark-nickname", avatarUrl: "https://mark-avatar", info: ["mark-info"]}]}) { isRepeated } }`,
			map[string]any{"c": a.names["id wei"]})
		a.write("wei", "mark-message")
		for set, values := range map[string][]any{
			`UPDATE customer SET unionid = ?, openid = ? WHERE openid = ?`:                   {[]byte("mark-unionid"), []byte("mark-openid"), []byte("wei")},
			`UPDATE advisor SET unionid = ?, wechat_id = ?, avatar_url = ? WHERE openid = ?`: {[]byte("mark-union-of-anna"), []byte("mark-wechat-of-anna"), "https://mark.example/anna.png", []byte("anna")},
		} {
			if _, err := w.db.Exec(set, values...); err != nil {
				t.Fatal(err)
			}
		}
		schema := graph.NewExecutableSchema(graph.Config{}).Schema()
		read := func() string {
			var answers strings.Builder
			for _, row := range access {
				root, name, _ := strings.Cut(row.of, ".")
				if root == "Mutation" || root == "Subscription" || !strings.Contains(may(row.want), "N") && name != "conversation" && root != "Node" {
					continue
				}
				document := a.document(row.document)
				of := schema.Types["Query"].Fields.ForName("node")
				if root == "Query" {
					of = schema.Types["Query"].Fields.ForName(name)
				}
				within := []string{"Query", "PageInfo"}
				selection := all(schema, schema.Types[of.Type.Name()], within)
				if root == "Node" {
					selection = " { ... on " + name + all(schema, schema.Types[name], within) + " }"
				} else if name == "node" || name == "nodes" {
					continue // Node.… ask by every type
				}
				// The document up to its root field's selection.
				end := strings.LastIndex(document[:selectionAt(document)], "{")
				got := a.try("analyst", document[:end]+selection+" }", nil)
				if got.Data == nil && len(got.Errors) > 0 && got.code() != string(models.CodeForbidden) && got.code() != string(models.CodeNotFound) {
					t.Errorf("%s: %v", row.of, got.Errors)
				}
				fmt.Fprintf(&answers, "%v\n", got.Data)
			}
			return answers.String()
		}
		refused := map[string]string{
			"customer by openid":   `{ customer(by: {openid: "mark-openid"}) { id } }`,
			"customer by unionid":  `{ customer(by: {unionid: "mark-unionid"}) { id } }`,
			"filter openids":       `{ customers(filter: {openids: ["mark-openid"]}) { nodes { id } } }`,
			"filter unionids":      `{ customers(filter: {unionids: ["mark-unionid"]}) { nodes { id } } }`,
			"search":               `{ customers(filter: {search: "mark-nick"}) { nodes { id } } }`,
			"history by openid":    `{ bindings(filter: {customer: {openid: "mark-openid"}}) { nodes { at } } }`,
			"scans by openid":      `{ scans(filter: {customer: {openid: "mark-openid"}}) { nodes { outcome } } }`,
			"advisor by openid":    `{ advisor(by: {openid: "anna"}) { id } }`,
			"advisor by unionid":   `{ advisor(by: {unionid: "mark-union-of-anna"}) { id } }`,
			"advisor by WeChat id": `{ advisor(by: {wechatId: "mark-wechat-of-anna"}) { id } }`,
			"customers by advisor": `{ customers(filter: {advisor: {openid: "anna"}}) { nodes { id } } }`,
			"new customers":        `{ newCustomers(advisor: {openid: "anna"}) { id } }`,
			"history by advisor":   `{ bindings(filter: {advisor: {openid: "anna"}}) { nodes { at } } }`,
			"codes by advisor":     `{ qrCodes(filter: {owner: {advisor: {openid: "anna"}}}) { nodes { id } } }`,
			"conversation":         `{ conversation(customer: {id: "<id wei>"}) { id } }`,
		}
		names := slices.Sorted(maps.Keys(refused))
		without := read()
		for what, mark := range marks {
			if strings.Contains(without, mark) {
				t.Errorf("an ANALYST without leave is shown %s", what)
			}
		}
		for _, name := range names {
			if got := a.try("analyst", a.document(refused[name]), nil); got.code() != string(models.CodeForbidden) {
				t.Errorf("%s: %q for an ANALYST without leave", name, got.code())
			}
		}
		a.do("admin", `mutation { updateAccountSettings(input: {mayAnalystsReadFreeText: true}) { account { mayAnalystsReadFreeText } } }`, nil)
		with := read()
		for what, mark := range marks {
			if !strings.Contains(with, mark) {
				t.Errorf("an ANALYST with leave is not shown %s", what)
			}
		}
		for _, name := range names {
			if got := a.try("analyst", a.document(refused[name]), nil); got.code() != "" {
				t.Errorf("%s: %q for an ANALYST with leave", name, got.code())
			}
		}
		if n := w.count(`SELECT COUNT(*) FROM audit WHERE action = 'readConversation' AND role = 'ANALYST'`); n == 0 {
			t.Error("an ANALYST's reading of a conversation is not in the audit log (rule G12)")
		}
		a.do("admin", `mutation { updateAccountSettings(input: {mayAnalystsReadFreeText: false}) { account { id } } }`, nil)
		if strings.Contains(read(), "mark-") {
			t.Error("leave that was taken back is still leave")
		}
	})
}

// selectionAt is behind the brace that opens the selection of a document's one root field.
func selectionAt(document string) int {
	parens := 0
	quoted := false
	for i, c := range document {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			parens++
		case c == ')':
			parens--
		case c == '{' && parens == 0 && i > 0:
			return i + 1
		}
	}
	return len(document)
}
