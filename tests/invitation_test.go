package tests

import (
	"fmt"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

const inviteText = `mutation($a: [AdvisorInvitationInput!]!, $key: String) {
	inviteAdvisors(input: {advisors: $a, idempotencyKey: $key}) { isRepeated results { advisor { id } error { code limit } } } }`

// inviting is whom a call invites: by WeChat ids, who need not follow yet.
func inviting(wechatIDs ...string) []map[string]any {
	people := make([]map[string]any, len(wechatIDs))
	for i, id := range wechatIDs {
		people[i] = map[string]any{"wechatId": id, "nickname": "n"}
	}
	return people
}

// Ensure 200 people are invited by a call, and 201 by none, and that of a group too 201 advisors are put in and taken out by none (rules B2, D2).
func TestBatchesOfAdvisors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Groups: []string{"tea"}}, "main")
		refused := func(what string, got *answer, most int) {
			t.Helper()
			if got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(most) || got.Errors[0].Extensions["field"] != "input.advisors" {
				t.Errorf("%s: %.300s", what, got.body)
			}
		}
		people := named("w", limits.InviteBatch+1)
		refused("201 invitations", a.try("admin", inviteText, map[string]any{"a": inviting(people...)}), limits.InviteBatch)
		if n := w.count("SELECT COUNT(*) FROM advisor"); n != 0 {
			t.Errorf("%d were invited by a call that was refused", n)
		}
		a.do("admin", inviteText, map[string]any{"a": inviting(people[:limits.InviteBatch]...)})
		a.do("admin", inviteText, map[string]any{"a": inviting(people[limits.InviteBatch])})
		refs := make([]map[string]any, len(people))
		for i, id := range people {
			refs[i] = map[string]any{"wechatId": id}
		}
		for _, field := range []string{"addGroupAdvisors", "removeGroupAdvisors"} {
			query := fmt.Sprintf(`mutation($g: ID!, $a: [AdvisorRef!]!) { %s(input: {groupId: $g, advisors: $a}) { group { memberCount } results { error { code } } } }`, field)
			refused(field, a.try("admin", query, map[string]any{"g": a.names["id tea"], "a": refs}), limits.AdvisorsPerGroup)
			done := a.do("admin", query, map[string]any{"g": a.names["id tea"], "a": refs[:limits.AdvisorsPerGroup]})
			if got, want := done.field(field+".group.memberCount"), map[string]float64{"addGroupAdvisors": limits.AdvisorsPerGroup}[field]; got != want {
				t.Errorf("after %s of 200 the group has %v members", field, got)
			}
		}
	})
}

// Ensure an account's last places for advisors go to as many as there are, whoever comes first, also to who was an advisor before (rules B1, B3).
func TestLastAdvisor(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "gone"}}, "main")
		a.remove("gone")
		const places = 25
		tx, err := w.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range limits.AdvisorsPerAccount - places - 1 { // and anna
			key := models.NewKey()
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO advisor (account_id, id, nickname, state, presence, created_at) VALUES (?, ?, ?, 'ACTIVE', 'OFFLINE', ?)", a.account[:], key[:], fmt.Sprint("n", i), i+1); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		admin := w.bearer("admin", a.account)
		codes := make(chan string, 1_000)
		together(8, func(i int) string {
			people := inviting(named(fmt.Sprint("w", i, "-"), 4)...)
			if i == 0 {
				people = append(people, map[string]any{"openid": "gone", "nickname": "again"})
			}
			got, err := w.tryPost(admin, marshal(map[string]any{"query": inviteText, "variables": map[string]any{"a": people}}))
			if err != nil || got.code() != "" {
				t.Errorf("call %d: %v, %.300s", i, err, got.body)
				return ""
			}
			for _, r := range got.field("inviteAdvisors.results").([]any) {
				one := &answer{Data: r}
				if code := one.text("error.code"); code != "" && one.field("error.limit") != float64(limits.AdvisorsPerAccount) {
					t.Errorf("who has no place is told %v", r)
				}
				codes <- one.text("error.code")
			}
			return ""
		})
		close(codes)
		got := map[string]int{}
		for code := range codes {
			got[code]++
		}
		wantCounts(t, "33 for 25 places", got, map[string]int{"": places, "LIMIT_EXCEEDED": 33 - places})
		if n := w.count("SELECT COUNT(*) FROM advisor WHERE state IN ('PENDING', 'ACTIVE')"); n != limits.AdvisorsPerAccount {
			t.Errorf("the account has %d advisors", n)
		}
	})
}

// Ensure that of calls that invite with one key at one instant one counts, and all are told the same (rule E15).
func TestInvitationKeyAtOnce(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		admin := w.bearer("admin", a.account)
		got := together(10, func(int) string {
			variables := map[string]any{"a": inviting("w1", "w2"), "key": "one"}
			return a.told(admin, inviteText, variables, "inviteAdvisors.isRepeated")
		})
		wantCounts(t, "calls", got, map[string]int{"false": 1, "true": 9})
		if n := w.count("SELECT COUNT(*) FROM notification WHERE kind = 'ADVISOR_ADDED'"); n != 3 {
			t.Errorf("%d were told that they are invited", n)
		}
	})
}
