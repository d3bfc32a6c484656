package tests

import (
	"fmt"
	"slices"
	"testing"

	"clientele/internal/testkit"
)

// Ensure a call names customers by id, openid and unionid, also one by several, and an advisor by id, openid, unionid and WeChat id, and that it is the
// same person under each; of a unionid that several customers have it is who was seen first (rule E14).
func TestNamesOfPeople(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"ben"}, Tags: []string{"level of gold"}}, "main")
		a.imported("openid,unionid\nwei,u-wei\nli,u-li\nbao,u-two\nqi,u-two\n")
		invited := a.do("admin", inviteText, map[string]any{"a": []map[string]any{{"openid": "ben", "unionid": "u-ben", "wechatId": "w-ben", "nickname": "ben"}}}).field("inviteAdvisors.results").([]any)
		a.do("ben", `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`, nil)
		ben := (&answer{Data: invited[0]}).text("advisor.id")
		wei := a.do("admin", `{ customer(by: {unionid: "u-wei"}) { id } }`, nil).text("customer.id")
		if who := a.do("admin", `{ customer(by: {unionid: "u-two"}) { openid } }`, nil).text("customer.openid"); who != "bao" {
			t.Errorf("of the two with one unionid it is %s", who)
		}
		these := func(refs ...map[string]any) map[string]any { return map[string]any{"these": refs} }
		for _, name := range []map[string]any{{"id": ben}, {"openid": "ben"}, {"unionid": "u-ben"}, {"wechatId": "w-ben"}} {
			got := outcomes(t, a.do("admin", assignText, map[string]any{"c": these(map[string]any{"unionid": "u-wei"}), "to": map[string]any{"advisor": name}}), "assignCustomers")
			wantCounts(t, fmt.Sprint(name), got, map[string]int{"OK": 1})
			if n := a.do("admin", `query($by: AdvisorRef!) { advisor(by: $by) { customerCount } }`, map[string]any{"by": name}).field("advisor.customerCount"); n != 1.0 {
				t.Errorf("%v has %v customers", name, n)
			}
			a.do("admin", unbindText, map[string]any{"c": these(map[string]any{"id": wei})})
		}
		for field, call := range map[string]struct {
			query     string
			variables map[string]any
		}{
			"rebindCustomers": {rebindText, map[string]any{"to": toAdvisor("anna"), "c": these(
				map[string]any{"unionid": "u-wei"}, map[string]any{"id": wei}, map[string]any{"openid": "wei"}, map[string]any{"unionid": "u-two"}, map[string]any{"unionid": "u-none"}, map[string]any{"unionid": "wei"},
			)}},
			"tagCustomers": {tagText, map[string]any{"c": []map[string]any{
				{"customer": map[string]any{"unionid": "u-wei"}, "add": []any{map[string]any{"name": "gold"}}},
				{"customer": map[string]any{"id": wei}},
				{"customer": map[string]any{"openid": "wei"}},
				{"customer": map[string]any{"unionid": "u-two"}, "add": []any{map[string]any{"name": "gold"}}},
				{"customer": map[string]any{"unionid": "u-none"}},
				{"customer": map[string]any{"unionid": "wei"}},
			}}},
		} {
			var got []string
			for _, r := range a.do("admin", call.query, call.variables).field(field + ".results").([]any) {
				one := &answer{Data: r}
				got = append(got, one.text("error.code")+" "+one.text("customer.openid"))
			}
			if want := []string{" wei", "DUPLICATE wei", "DUPLICATE wei", " bao", "NOT_FOUND ", "NOT_FOUND "}; !slices.Equal(got, want) {
				t.Errorf("%s answers %q, want %q", field, got, want)
			}
		}
		w.sound()
	})
}
