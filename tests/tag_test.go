package tests

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
)

const (
	tagText = `mutation($c: [CustomerTagsInput!]!, $key: String) {
		tagCustomers(input: {customers: $c, idempotencyKey: $key}) { isRepeated results { isChanged customer { openid tags { name tag { name } } } error { code } } } }`
	updateText = `mutation($c: [CustomerUpdateInput!]!, $key: String) {
		updateCustomers(input: {customers: $c, idempotencyKey: $key}) { isRepeated results { isChanged customer { openid nickname info } error { code } } } }`
)

// tagging puts and takes the same options on and off many.
func tagging(openids, add, remove []string) []map[string]any {
	refs := func(names []string) []map[string]any {
		all := make([]map[string]any, len(names))
		for i, n := range names {
			all[i] = map[string]any{"name": n}
		}
		return all
	}
	items := make([]map[string]any, len(openids))
	for i, o := range openids {
		items[i] = map[string]any{"customer": map[string]any{"openid": o}, "add": refs(add), "remove": refs(remove)}
	}
	return items
}

// Ensure 500 customers are tagged and written by as many statements as 50, and that 501, and more than
// 5,000 options, are refused (rules F2, E8).
func TestStatementsOfTagging(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold silver", "taste of green"}}, "main")
		people := a.crowd("c", limits.EditBatch+50)
		a.do("admin", assignText, map[string]any{"c": theseOf(people[:300]...), "to": toAdvisor("anna")})
		a.do("admin", assignText, map[string]any{"c": theseOf(people[300:]...), "to": toAdvisor("ben")})
		few, many := people[:50], people[50:]
		fields := func(openids []string, nickname string) []map[string]any {
			items := make([]map[string]any, len(openids))
			for i, o := range openids {
				items[i] = map[string]any{"customer": map[string]any{"openid": o}, "nickname": nickname, "info": []string{nickname}}
			}
			return items
		}
		n := 0
		count := func(query string, items any) int64 {
			t.Helper()
			n++
			return a.statements("admin", query, map[string]any{"c": items, "key": fmt.Sprint("k", n)})
		}
		for _, step := range []struct {
			what, query string
			items       func(openids []string) []map[string]any
			most        int64
		}{
			{"put on", tagText, func(o []string) []map[string]any { return tagging(o, []string{"gold"}, nil) }, 24},
			{"put on and off", tagText, func(o []string) []map[string]any { return tagging(o, []string{"green", "silver"}, []string{"gold"}) }, 26},
			{"change nothing", tagText, func(o []string) []map[string]any { return tagging(o, []string{"green"}, []string{"gold"}) }, 24},
			{"write", updateText, func(o []string) []map[string]any { return fields(o, "x") }, 22},
		} {
			small, large := count(step.query, step.items(few)), count(step.query, step.items(many))
			if small != large || large > step.most {
				t.Errorf("%s: %d statements for 50, %d for 500, at most %d are expected", step.what, small, large, step.most)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM customer_tag g JOIN customer c ON c.account_id = g.account_id AND c.id = g.customer_id WHERE g.advisor_id = c.advisor_id"); n != 2*550 {
			t.Errorf("%d options are on customers", n)
		}
		if n := w.count("SELECT COUNT(*) FROM customer_change"); n != 4*550 {
			t.Errorf("%d changes are in the log", n)
		}
		if calls, items := w.count("SELECT COUNT(*) FROM audit WHERE action IN ('tagCustomers', 'updateCustomers')"), w.count("SELECT COUNT(*) FROM audit_item i JOIN audit u ON u.account_id = i.account_id AND u.id = i.audit_id WHERE u.action IN ('tagCustomers', 'updateCustomers')"); calls != 8 || items != 4*550 {
			t.Errorf("%d calls with %d items are in the audit log", calls, items)
		}
		over := append(slices.Clone(many), "one-more")
		for _, got := range []*answer{
			a.try("admin", tagText, map[string]any{"c": tagging(over, nil, nil)}), a.try("admin", updateText, map[string]any{"c": fields(over, "y")}),
		} {
			if got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(limits.EditBatch) || got.Errors[0].Extensions["field"] != "input.customers" {
				t.Errorf("501 customers: %.300s", got.body)
			}
		}
		each := slices.Repeat([]string{"gold"}, 10)
		if got := a.try("admin", tagText, map[string]any{"c": tagging(many, each, nil)}); got.code() != "" {
			t.Errorf("5,000 options: %.300s", got.body)
		}
		most := tagging(many, each, nil)
		most[0]["remove"] = []map[string]any{{"name": "silver"}}
		if got := a.try("admin", tagText, map[string]any{"c": most}); got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(limits.TagChanges) {
			t.Errorf("5,001 options: %.300s", got.body)
		}
		// What is shown of a page does not cost a statement a customer.
		page := `query($n: Int!) { customers(first: $n) { nodes { openid tags { name tag { name options { name } } } advisor { nickname } } } }`
		if small, large := a.statements("admin", page, map[string]any{"n": 5}), a.statements("admin", page, map[string]any{"n": 200}); small != large {
			t.Errorf("a page of 5 with tags takes %d statements, of 200 %d", small, large)
		}
		changes := `query($n: Int!) { customerChanges(first: $n) { nodes { customer { openid tags { name } advisor { nickname } } from to } } }`
		if small, large := a.statements("admin", changes, map[string]any{"n": 5}), a.statements("admin", changes, map[string]any{"n": 200}); small != large {
			t.Errorf("a page of 5 changes takes %d statements, of 200 %d", small, large)
		}
		for who, query := range map[string]string{"anna": `query($n: Int!) { inbox(first: $n) { nodes { customer { tags { name } } } } }`} {
			if small, large := a.statements(who, query, map[string]any{"n": 5}), a.statements(who, query, map[string]any{"n": 200}); small != large {
				t.Errorf("an inbox of 5 with tags takes %d statements, of 200 %d", small, large)
			}
		}
	})
}

// Ensure of many who make the last tag and the last option at one instant one does, and of many who
// give a name one has it (rule F1).
func TestLastTag(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Tags: []string{"a", "b", "c"}}, "main")
		admin := w.bearer("admin", a.account)
		post := func(query string, variables map[string]any) string {
			got, err := w.tryPost(admin, marshal(map[string]any{"query": query, "variables": variables}))
			if err != nil {
				return err.Error()
			}
			return got.code()
		}
		const createTag = `mutation($n: String!) { createTag(input: {name: $n}) { tag { id } } }`
		wantCounts(t, "the last tag", together(10, func(i int) string { return post(createTag, map[string]any{"n": fmt.Sprint("t", i)}) }),
			map[string]int{"": 1, "LIMIT_EXCEEDED": 9})
		const createOption = `mutation($t: ID!, $n: String!) { createTagOption(input: {tagId: $t, name: $n}) { option { id } } }`
		for i := range limits.OptionsPerTag - 1 {
			if got := post(createOption, map[string]any{"t": a.names["id a"], "n": fmt.Sprint("o", i)}); got != "" {
				t.Fatal(got)
			}
		}
		wantCounts(t, "the last option", together(10, func(i int) string {
			return post(createOption, map[string]any{"t": a.names["id a"], "n": fmt.Sprint("p", i)})
		}), map[string]int{"": 1, "LIMIT_EXCEEDED": 9})
		wantCounts(t, "one text", together(10, func(i int) string {
			return post(createOption, map[string]any{"t": a.names[[]string{"id b", "id c"}[i%2]], "n": []string{"one", "ONE"}[i%2]})
		}), map[string]int{"": 1, "NAME_TAKEN": 9})
		if n := w.count("SELECT COUNT(*) FROM tag_option"); n != limits.OptionsPerTag+1 {
			t.Errorf("%d options", n)
		}
	})
}

// Ensure nothing is left of an option that is removed while it is put on customers, whoever comes first,
// and that the sweep takes off as many as there are, a thousand a statement (rule F1).
func TestRemovalAgainstTagging(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Tags: []string{"level of gold silver"}}, "main")
		people := a.crowd("c", 80)
		admin := w.bearer("admin", a.account)
		swept := func() {
			t.Helper()
			if _, err := w.Services.SweepTags(context.Background()); err != nil {
				t.Error(err)
			}
		}
		for round := range 5 {
			name := fmt.Sprint("x", round)
			option := a.do("admin", `mutation($t: ID!, $n: String!) { createTagOption(input: {tagId: $t, name: $n}) { option { id } } }`,
				map[string]any{"t": a.names["id level"], "n": name}).text("createTagOption.option.id")
			got := together(9, func(i int) string {
				if i == 8 {
					_, err := w.tryPost(admin, marshal(map[string]any{"query": `mutation($o: ID!) { removeTagOption(input: {optionId: $o}) { optionId } }`, "variables": map[string]any{"o": option}}))
					swept()
					return fmt.Sprint(err)
				}
				mine := people[i*10 : i*10+10]
				answer, err := w.tryPost(admin, marshal(map[string]any{"query": tagText, "variables": map[string]any{"c": tagging(mine, []string{name, "silver"}, nil)}}))
				if err != nil {
					return err.Error()
				}
				return answer.code()
			})
			wantCounts(t, name, got, map[string]int{"": 8, "<nil>": 1})
			w.await("it is forgotten", func() bool { swept(); return w.count("SELECT COUNT(*) FROM tag_option WHERE removed_at > 0") == 0 })
			if n := w.count("SELECT COUNT(*) FROM customer_tag g WHERE NOT EXISTS (SELECT 1 FROM tag_option o WHERE o.account_id = g.account_id AND o.id = g.option_id)"); n != 0 {
				t.Errorf("%d customers keep an option that is gone", n)
			}
		}
		// More than a statement takes off: rows of nobody.
		gold := keyOf(t, a.names["id gold"])
		var rows []any
		statement := "INSERT INTO customer_tag (account_id, customer_id, option_id) VALUES (?,?,?)"
		const n = 2*limits.TagSweepRows + 1
		tx, err := w.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			rows = []any{a.account[:], []byte(fmt.Sprintf("%016d", i)), gold[:]}
			if _, err := tx.ExecContext(t.Context(), statement, rows...); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		a.do("admin", `mutation($o: ID!) { removeTagOption(input: {optionId: $o}) { optionId } }`, map[string]any{"o": a.names["id gold"]})
		w.await("it is forgotten", func() bool { swept(); return w.count("SELECT COUNT(*) FROM tag_option WHERE removed_at > 0") == 0 })
		if n := w.count("SELECT COUNT(*) FROM customer_tag WHERE option_id = ?", gold[:]); n != 0 {
			t.Errorf("%d customers have it still", n)
		}
	})
}

// Ensure calls that tag, write and rebind the same customers at one instant lose nothing and leave tags
// that name their customers' advisors.
func TestTaggingBesideRebinding(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold silver"}}, "main")
		people := a.crowd("c", 40)
		a.do("admin", assignText, map[string]any{"c": theseOf(people...), "to": toAdvisor("anna")})
		admin := w.bearer("admin", a.account)
		var mu sync.Mutex
		refused := map[string]int{}
		together(9, func(i int) string {
			for round := range 5 {
				mine := slices.Clone(people)
				if (i+round)%2 == 0 {
					slices.Reverse(mine)
				}
				query, variables := tagText, map[string]any{"c": tagging(mine, []string{"gold"}, []string{"silver"})}
				switch i % 3 {
				case 1:
					variables = map[string]any{"c": tagging(mine, []string{"silver"}, nil)}
				case 2:
					query, variables = rebindText, map[string]any{
						"c": theseOf(mine...), "to": toAdvisor([]string{"anna", "ben"}[(i+round)%2]), "keep": map[string]any{"tags": round != 3},
					}
				}
				answer, err := w.tryPost(admin, marshal(map[string]any{"query": query, "variables": variables}))
				mu.Lock()
				if err != nil || answer.code() != "" {
					refused[fmt.Sprint(err, answer.code())]++
				}
				mu.Unlock()
			}
			return ""
		})
		if len(refused) != 0 {
			t.Errorf("refused: %v", refused)
		}
		w.sound()
		if n := w.count(`SELECT COUNT(*) FROM customer_tag g JOIN customer c ON c.account_id = g.account_id AND c.id = g.customer_id
			WHERE COALESCE(g.advisor_id, X'00') <> COALESCE(c.advisor_id, X'00')`); n != 0 {
			t.Errorf("%d tags name another advisor than their customer", n)
		}
	})
}
