package tests

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"

	"clientele/graph"
	"clientele/internal/relay"
	"clientele/models"
)

// probesOfKind is how many ids of one noun are asked for: others of it answer alike.
const probesOfKind = 2

// probesAtOnce is how many probes of one person are one document, which takes a fraction of the
// time that a document each does.
const probesAtOnce = 12

// bundle is a document of probes, each under an alias that is its place in probes: p0, p1 and so on.
type bundle struct {
	who, document string
	of            []int
}

// bundles are all probes. A field that may not be null is alone in its document: its failure would
// take away what others answer.
var bundles = sync.OnceValue(func() (all []*bundle) {
	type kind struct {
		who string
		of  ast.Operation
	}
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	operations, open := map[*bundle]*ast.OperationDefinition{}, map[kind]*bundle{}
	for i, p := range probes {
		document, err := parser.ParseQuery(&ast.Source{Input: p.query})
		if err != nil {
			panic(fmt.Sprintf("%s: %v", p.query, err))
		}
		operation := document.Operations[0]
		field, _ := operation.SelectionSet[0].(*ast.Field)
		root := schema.Query
		if operation.Operation == ast.Mutation {
			root = schema.Mutation
		}
		field.Alias = fmt.Sprintf("p%d", i)
		isAlone := root.Fields.ForName(field.Name).Type.NonNull
		k := kind{p.who, operation.Operation}
		b := open[k]
		if b == nil || len(b.of) == probesAtOnce || isAlone {
			b = &bundle{who: p.who}
			all = append(all, b)
			operations[b] = &ast.OperationDefinition{Operation: operation.Operation}
			if !isAlone {
				open[k] = b
			}
		}
		o := operations[b]
		b.of, o.SelectionSet = append(b.of, i), append(o.SelectionSet, field)
		for _, v := range operation.VariableDefinitions {
			if o.VariableDefinitions.ForName(v.Variable) == nil {
				o.VariableDefinitions = append(o.VariableDefinitions, v)
			}
		}
	}
	for b, o := range operations {
		var text strings.Builder
		formatter.NewFormatter(&text, formatter.WithIndent("")).FormatQueryDocument(&ast.QueryDocument{Operations: ast.OperationList{o}})
		b.document = text.String()
	}
	return all
})

// parted takes an answer apart: what stands under each alias, and in errors of it, byte for byte. Under "" is all else.
func (b *bundle) parted(body string) (map[string]string, error) {
	var rest map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &rest); err != nil {
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	parts, errors := map[string]string{}, []json.RawMessage{}
	var data map[string]json.RawMessage
	if err := json.Unmarshal(rest["data"], &data); rest["data"] != nil && err != nil {
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	for alias, text := range data {
		parts[alias] = string(text)
	}
	if err := json.Unmarshal(rest["errors"], &errors); rest["errors"] != nil && err != nil {
		return nil, fmt.Errorf("%w: %s", err, body)
	}
	lines := map[string][]string{}
	for _, text := range errors {
		var e struct{ Path []any }
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("%w: %s", err, body)
		}
		alias := ""
		if len(e.Path) > 0 {
			alias, _ = e.Path[0].(string)
		}
		lines[alias] = append(lines[alias], string(text))
	}
	for alias, of := range lines { // fields of a query are answered at once, in no order
		slices.Sort(of)
		parts[alias] += strings.Join(of, "\n")
	}
	delete(rest, "data")
	delete(rest, "errors")
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		parts[""] += name + string(rest[name])
	}
	return parts, nil
}

// reply is the body of an answer, with the id that was asked for left out, and what parted makes of it, once that was needed.
type reply struct {
	text  string
	parts map[string]string
}

// probe asks as the twin's people for the ids of the case. Each answer must equal, byte for byte,
// that to an id of the same noun that nobody has; and the case's rows must stay as they are.
func (t *twin) probe(ids map[string]relay.ID, main *tenant) {
	t.tb.Helper()
	before := main.checksum(main.account)
	group, _ := parted(t.setup.Groups[0])
	customer, of := parted(t.setup.Customers[0])
	advisor := of[0]
	if !slices.Contains(t.setup.Advisors, advisor) {
		advisor = t.setup.Advisors[0]
	}
	tokens := map[string]string{}
	for _, b := range bundles() {
		if tokens[b.who] == "" {
			who := b.who
			if who == "advisor" {
				who = advisor
			}
			tokens[b.who] = t.bearer(who, t.account)
		}
	}
	ask := func(b *bundle, id string) reply {
		body, err := json.Marshal(map[string]any{"query": b.document, "variables": map[string]any{"id": id, "group": t.names["id "+group], "customer": t.names["id "+customer]}})
		if err != nil {
			t.tb.Fatal(err)
		}
		_, text, err := t.exchange(tokens[b.who], body)
		if err != nil {
			t.tb.Fatalf("post: %v", err)
		}
		return reply{text: strings.ReplaceAll(string(text), id, "ID")}
	}
	part := func(b *bundle, r *reply) {
		var err error
		if r.parts, err = b.parted(r.text); err != nil || len(r.parts) < len(b.of) {
			t.tb.Fatalf("%s\nanswered %s, %v", b.document, r.text, err)
		}
	}
	perKind := map[relay.Kind]int{}
	nobodys := map[relay.Kind][]reply{} // the replies to an id that nobody has, one for each bundle
	for _, text := range slices.Sorted(maps.Keys(ids)) {
		kind := ids[text].Kind
		if perKind[kind]++; perKind[kind] > probesOfKind {
			continue
		}
		unknown := relay.ID{Kind: kind}
		_, _ = rand.Read(unknown.Key[:])
		isFirst := nobodys[kind] == nil
		if isFirst {
			nobodys[kind] = make([]reply, len(bundles()))
		}
		for i, b := range bundles() {
			if b.who == "platform" && kind == models.KindAccount {
				continue // PLATFORM spans accounts
			}
			got, want := ask(b, text), &nobodys[kind][i]
			if isFirst {
				*want = ask(b, unknown.String())
				part(b, want)
			}
			if got.text == want.text {
				continue
			}
			part(b, &got)
			for _, alias := range slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(slices.Collect(maps.Keys(got.parts)), maps.Keys(want.parts))))) {
				if got.parts[alias] != want.parts[alias] {
					t.tb.Errorf("%s as the twin's %s tells a %q of the case from an unknown one:\n%s\n%s", b.name(alias), b.who, kind, got.parts[alias], want.parts[alias])
				}
			}
		}
	}
	if changed := main.checksum(main.account).changed(before); changed != "" {
		t.tb.Errorf("the twin's people changed rows of the case: %s", changed)
	}
}

// name is that of the probe under an alias.
func (b *bundle) name(alias string) string {
	for _, i := range b.of {
		if alias == fmt.Sprintf("p%d", i) {
			return probes[i].name
		}
	}
	return "the whole of " + b.document
}
