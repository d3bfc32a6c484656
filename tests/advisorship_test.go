package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

// personal is the token of an advisor whose sign-in knows their unionid; empty: it does not.
func (t *tenant) personal(openid, unionid string) string {
	t.tb.Helper()
	token, _, err := t.Issuer.Issue(auth.Grant{
		Role: auth.RoleAdvisor, Account: t.account.String(), Subject: auth.AdvisorSubject(auth.SubjectOpenID, openid), UnionID: unionid, Life: tokenLife,
	})
	if err != nil {
		t.tb.Fatal(err)
	}
	return token
}

// advisorships is what a token shows its bearer to be an advisor of: "account state", with a star for the
// token's own.
func (t *tenant) advisorships(token string) string {
	t.tb.Helper()
	var all []string
	for _, v := range t.must(token, `{ viewerAdvisorships { accountName state isViewer accountId advisorId } }`, nil).field("viewerAdvisorships").([]any) {
		a := &answer{Data: v}
		one := a.text("accountName") + " " + a.text("state")
		if a.field("isViewer") == true {
			one += "*"
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}

// Ensure a person is shown what they are an advisor of by a token that says who they are, by no other, and
// nothing of it once they are no advisor there (rules V1, V4, ADR 0031).
func TestAPersonSeesWhatTheyAreAnAdvisorOf(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		at := map[string]*tenant{}
		for _, name := range []string{"shop", "tea", "book"} {
			at[name] = w.found(setup{Advisors: []string{"anna", "ben"}}, name)
			if _, err := w.db.Exec("UPDATE account SET name = ? WHERE id = ?", name, at[name].account[:]); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Second)
		}
		// Everybody of the openid anna is one person, but at the bookshop, which does not know it.
		for _, name := range []string{"shop", "tea"} {
			if _, err := w.db.Exec("UPDATE advisor SET unionid = ? WHERE account_id = ? AND openid = ?", []byte("u-anna"), at[name].account[:], []byte("anna")); err != nil {
				t.Fatal(err)
			}
		}
		shop, tea, book := at["shop"], at["tea"], at["book"]
		for _, tt := range []struct{ what, got, want string }{
			{"who the token does not know", shop.advisorships(shop.personal("anna", "")), "shop ACTIVE*"},
			{"the person", shop.advisorships(shop.personal("anna", "u-anna")), "shop ACTIVE*, tea ACTIVE"},
			{"the person elsewhere", tea.advisorships(tea.personal("anna", "u-anna")), "tea ACTIVE*, shop ACTIVE"},
			{"whose row does not say it", book.advisorships(book.personal("anna", "u-anna")), "book ACTIVE*, tea ACTIVE, shop ACTIVE"},
			{"another person", shop.advisorships(shop.personal("ben", "u-ben")), "shop ACTIVE*"},
			{"another case of letters", shop.advisorships(shop.personal("ben", "U-ANNA")), "shop ACTIVE*"},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: %s, want %s", tt.what, tt.got, tt.want)
			}
		}
		// A merchant who writes somebody's unionid to an advisor of theirs, and makes tokens for them, learns nothing.
		issued := book.do("admin", `mutation { issueAdvisorToken(input: {advisor: {openid: "ben"}}) { token } }`, nil).text("issueAdvisorToken.token")
		if _, err := w.db.Exec("UPDATE advisor SET unionid = ? WHERE account_id = ? AND openid = ?", []byte("u-anna"), book.account[:], []byte("ben")); err != nil {
			t.Fatal(err)
		}
		if got := book.advisorships(issued); got != "book ACTIVE*" {
			t.Errorf("a token that the merchant made: %s", got)
		}
		if _, err := w.db.Exec("UPDATE advisor SET unionid = NULL WHERE account_id = ?", book.account[:]); err != nil {
			t.Fatal(err)
		}
		tea.remove("anna")
		if got := shop.advisorships(shop.personal("anna", "u-anna")); got != "shop ACTIVE*" {
			t.Errorf("removed elsewhere: %s", got)
		}
		tea.do("admin", `mutation { inviteAdvisors(input: {advisors: [{openid: "anna", unionid: "u-anna", nickname: "n"}]}) { results { error { code } } } }`, nil)
		if got := shop.advisorships(shop.personal("anna", "u-anna")); got != "shop ACTIVE*, tea PENDING" {
			t.Errorf("invited elsewhere: %s", got)
		}
		w.clock.Advance(limits.InvitationLife)
		if got := shop.advisorships(shop.personal("anna", "u-anna")); got != "shop ACTIVE*" {
			t.Errorf("an invitation that lapsed: %s", got)
		}
		if got := tea.advisorships(tea.personal("anna", "u-anna")); got != "tea EXPIRED*, shop ACTIVE" {
			t.Errorf("an invitation of the token's own that lapsed: %s", got)
		}
	})
}

// Ensure a person is told of limits.Advisorships accounts, and of no more, by an index.
func TestAPersonIsToldOfSoManyAccounts(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		first := w.found(setup{Advisors: []string{"anna"}}, "first")
		join := func(n int) {
			for range n {
				account := testkit.Account(t, w.Store, func(a *models.Account) { a.Name = "more" })
				a := testkit.Advisors(t, w.Store, account, 1)[0]
				if _, err := w.db.Exec("UPDATE advisor SET unionid = ? WHERE account_id = ? AND id = ?", []byte("u-anna"), account.Key[:], a.Key[:]); err != nil {
					t.Fatal(err)
				}
			}
		}
		token := first.personal("anna", "u-anna")
		join(limits.Advisorships - 2)
		for _, want := range []int{limits.Advisorships - 1, limits.Advisorships, limits.Advisorships} {
			if n := strings.Count(first.advisorships(token), ",") + 1; n != want {
				t.Errorf("%d advisorships, want %d", n, want)
			}
			join(1)
		}
		if n := first.statements("anna", `{ viewerAdvisorships { accountName } }`, nil); n > 4 {
			t.Errorf("%d statements", n)
		}
		explain := "EXPLAIN "
		if strings.HasSuffix(t.Name(), "/sqlite") {
			explain = "EXPLAIN QUERY PLAN "
		}
		rows, err := w.db.Query(explain + "SELECT a.id FROM advisor a WHERE a.unionid = 'u-other'")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var plan strings.Builder
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&plan, "%s", values)
		}
		if err := rows.Err(); err != nil || !strings.Contains(plan.String(), "advisor_person") {
			t.Errorf("the plan is %s (%v)", plan.String(), err)
		}
	})
}
