package tests

import (
	"fmt"
	"slices"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

// Ensure auto-assign and advertisements pass over who is an advisor, or is invited, by whichever name the account knows them (rules E1, E3, E4);
// and that who is none any more is dealt with like others.
func TestStaffIsPassedOver(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Groups: []string{"tea of anna"}, Settings: map[string]any{"isAutoAssignOn": true}}, "main")
		a.imported("openid,unionid\nmei,u-mei\nlin,u-lin\nbao,\nqi,u-qi\n")
		a.do("admin", inviteText, map[string]any{"a": []map[string]any{{"unionid": "u-mei", "nickname": "Mei"}, {"openid": "bao", "nickname": "Bao"}, {"unionid": "u-else", "nickname": "else"}}})
		group := keyOf(t, a.names["id tea"])
		comes := func(who string, ad *models.InboundAd) string {
			t.Helper()
			a.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: who})
			a.arrive(models.Inbound{Kind: models.InboundFollow, OpenID: who, Ad: ad})
			got := a.person(who)["advisor"]
			if got != nil {
				a.do("admin", unbindText, map[string]any{"c": theseOf(who)})
			}
			return fmt.Sprint(got)
		}
		const hers = "map[nickname:anna]"
		for _, tt := range []struct{ who, want string }{{"mei", "<nil>"}, {"bao", "<nil>"}, {"lin", hers}, {"qi", hers}} {
			if got := comes(tt.who, nil); got != tt.want {
				t.Errorf("%s, by auto-assign: %s, want %s", tt.who, got, tt.want)
			}
			if got := comes(tt.who, &models.InboundAd{Group: group}); got != tt.want {
				t.Errorf("%s, by an advertisement: %s, want %s", tt.who, got, tt.want)
			}
		}
		w.clock.Advance(limits.InvitationLife) // nobody has answered
		for _, who := range []string{"mei", "bao"} {
			if got := comes(who, nil); got != hers {
				t.Errorf("%s, whose invitation ran out: %s", who, got)
			}
		}
		// Whether they follow is known by the unionid, too (rule B2).
		a.do("admin", inviteText, map[string]any{"a": []map[string]any{{"unionid": "u-mei", "externalId": "mei", "nickname": "Mei"}, {"unionid": "u-else", "externalId": "else", "nickname": "else"}}})
		for who, want := range map[string]string{"ext:mei": "", "ext:else": "MUST_FOLLOW_ACCOUNT"} {
			if got := a.try(who, `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`, nil).code(); got != want {
				t.Errorf("%s answers: %q, want %q", who, got, want)
			}
		}
		w.sound()
	})
}

// Ensure no import gives a customer the unionid of the advisor whose they are, or were until they left, also not where one record binds them and the next
// says it; then nothing of the record is written (rules E1, E11).
func TestImportMakesNobodyTheirOwnCustomer(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"ben"}}, "main")
		a.do("admin", inviteText, map[string]any{"a": []map[string]any{{"openid": "ben", "unionid": "u-ben", "nickname": "ben"}}})
		a.do("ben", `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`, nil)
		a.imported("openid,unionid,advisor_openid\nwei,u-wei,ben\nleft,,ben\nli,,anna\nown,,\n")
		a.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: "left"})
		job := a.imported("openid,unionid,nickname,advisor_openid\n" +
			"wei,u-ben,Wei,\n" + "wei,u-ben,Wei,ben\n" + "left,u-ben,Left,\n" + "new,,,ben\n" + "new,u-ben,New,\n" + // 1 to 5
			"own,u-ben,,ben\n" + "own,u-ben,Own,\n" + "li,u-ben,Li,\n" + "wei,u-else,,\n" + "wei,u-no,No,anna\n" + "wei,,Still,\n")
		if got, want := a.failed(job), []string{"1 unionid SELF", "2 unionid SELF", "3 unionid SELF", "5 unionid SELF", "6 advisor_openid SELF", "10 advisor_openid BOUND_TO_ANOTHER_ADVISOR"}; !slices.Equal(got, want) {
			t.Errorf("what failed: %q, want %q", got, want)
		}
		for who, want := range map[string]string{"wei": "u-else Still", "left": "<nil> <nil>", "new": "<nil> <nil>", "own": "u-ben Own", "li": "u-ben Li"} {
			if p := a.person(who); fmt.Sprint(p["unionid"], " ", p["nickname"]) != want {
				t.Errorf("%s is %v, want %s", who, p, want)
			}
		}
		w.sound()
	})
}
