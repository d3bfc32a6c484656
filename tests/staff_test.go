package tests

import (
	"fmt"
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
