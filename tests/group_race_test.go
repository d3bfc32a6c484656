package tests

import (
	"fmt"
	"strings"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

// Ensure the account's last group is made once, whoever comes first (rule D1).
func TestLastGroup(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		create := func(name string) string {
			made := a.try("admin", `mutation($n: String!) { createGroup(input: {name: $n}) { group { id } } }`, map[string]any{"n": name})
			if made.code() != "" {
				return made.code()
			}
			return "made"
		}
		for i := range limits.GroupsPerAccount - 1 {
			if got := create(fmt.Sprint("group ", i)); got != "made" {
				t.Fatalf("group %d: %s", i, got)
			}
		}
		wantCounts(t, "10 creators", together(10, func(i int) string { return create(fmt.Sprint("last ", i)) }), map[string]int{"made": 1, "LIMIT_EXCEEDED": 9})
		if n := w.count("SELECT COUNT(*) FROM advisor_group"); n != limits.GroupsPerAccount {
			t.Errorf("%d groups", n)
		}
	})
}

// Ensure a group's last place goes to one, and none is lost or counted twice beside removals (rules
// D1, D2).
func TestLastMember(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		people := named("p", 10)
		a := w.found(setup{Advisors: people, Groups: []string{"tea"}}, "main")
		group := keyOf(t, a.names["id tea"])
		for range limits.AdvisorsPerGroup - 1 {
			key := models.NewKey()
			if _, err := w.db.ExecContext(t.Context(), "INSERT INTO group_member (account_id, group_id, advisor_id, created_at) VALUES (?, ?, ?, 1)", a.account[:], group[:], key[:]); err != nil {
				t.Fatal(err)
			}
		}
		change := func(field, who string) string {
			query := fmt.Sprintf(`mutation($g: ID!, $who: Identifier!) { change: %s(input: {groupId: $g, advisors: [{openid: $who}]}) { results { error { code } } } }`, field)
			made := a.try("admin", query, map[string]any{"g": a.names["id tea"], "who": who})
			if made.code() != "" {
				return made.code()
			}
			results, _ := made.field("change.results").([]any)
			if failed, ok := results[0].(map[string]any)["error"].(map[string]any); ok {
				return fmt.Sprint(failed["code"])
			}
			return "done"
		}
		wantCounts(t, "10 additions", together(10, func(i int) string { return change("addGroupAdvisors", people[i]) }), map[string]int{"done": 1, "LIMIT_EXCEEDED": 9})
		together(20, func(i int) string {
			return change([]string{"addGroupAdvisors", "removeGroupAdvisors"}[i%2], people[i/2])
		})
		rows, counted := w.count("SELECT COUNT(*) FROM group_member"), w.count("SELECT member_count FROM advisor_group")
		if rows != counted || rows > limits.AdvisorsPerGroup {
			t.Errorf("%d members, %d are counted", rows, counted)
		}
	})
}

// Ensure an advisor who is removed while they are put into groups and taken out of them belongs to none afterwards, whoever comes first, and that
// what groups count is what they have (rules B5, D1, D2).
func TestRemovalAgainstGroups(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		const rounds = 12
		people := named("p", rounds)
		a := w.found(setup{Advisors: append([]string{"anna"}, people...), Groups: []string{"tea of anna " + strings.Join(people, " "), "coffee of anna", "milk of anna"}}, "main")
		change := `mutation($g: ID!, $who: Identifier!) { change: %s(input: {groupId: $g, advisors: [{openid: $who}]}) { results { error { code } } } }`
		for _, who := range people {
			got := together(5, func(i int) string {
				switch i {
				case 0:
					return a.try("admin", `mutation($o: Identifier!) { removeAdvisor(input: {advisor: {openid: $o}}) { advisor { id } } }`, map[string]any{"o": who}).code()
				case 1, 2:
					return a.try("admin", fmt.Sprintf(change, "removeGroupAdvisors"), map[string]any{"g": a.names[[]string{"id tea", "id coffee"}[i-1]], "who": who}).code()
				}
				return a.try("admin", fmt.Sprintf(change, "addGroupAdvisors"), map[string]any{"g": a.names[[]string{"id coffee", "id milk"}[i-3]], "who": who}).code()
			})
			wantCounts(t, who, got, map[string]int{"": 5})
		}
		if n := w.count("SELECT COUNT(*) FROM group_member m JOIN advisor a ON a.account_id = m.account_id AND a.id = m.advisor_id WHERE a.state = 'REMOVED'"); n != 0 {
			t.Errorf("%d who were removed belong to a group", n)
		}
		if n := w.count("SELECT COUNT(*) FROM advisor_group g WHERE g.member_count <> (SELECT COUNT(*) FROM group_member m WHERE m.account_id = g.account_id AND m.group_id = g.id)"); n != 0 {
			t.Errorf("%d groups have others than they count", n)
		}
	})
}
