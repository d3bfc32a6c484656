package tests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
)

const (
	accountFields = `__typename ... on Event { sequence cursor }
		... on BindingChanged { binding { change customer { openid } advisor { nickname } formerAdvisor { nickname } source label } }
		... on CodeScanned { scan { outcome customer { openid } advisor { nickname } isFollow } }
		... on CustomerChanged { change { customer { openid } field to } }
		... on InvitationEnded { outcome advisor { nickname } }`
	accountWatch = `subscription($after: String, $kinds: [AccountEventKind!]) { accountEvents(after: $after, kinds: $kinds) { ` + accountFields + ` } }`
	accountPage  = `query($first: Int, $after: String, $kinds: [AccountEventKind!]) { accountEvents(first: $first, after: $after, kinds: $kinds) {
		cursor hasMore events { ` + accountFields + ` } } }`
)

// happened is an event of an account in a line: "BindingChanged BOUND wei anna".
func happened(e map[string]any) string {
	said := []string{fmt.Sprint(e["__typename"])}
	add := func(of any, fields ...string) {
		a := &answer{Data: of}
		for _, f := range fields {
			if v := a.field(f); v != nil && v != "" {
				said = append(said, fmt.Sprint(v))
			}
		}
	}
	add(e["binding"], "change", "customer.openid", "formerAdvisor.nickname", "advisor.nickname", "source", "label")
	add(e["scan"], "outcome", "customer.openid", "advisor.nickname", "isFollow")
	add(e["change"], "customer.openid", "field", "to")
	add(e, "outcome", "advisor.nickname")
	return strings.Join(said, " ")
}

// happenings is all that the account's stream tells behind a cursor, read so many events at a time.
func (t *tenant) happenings(after any, first int, kinds ...string) (told []string, cursor any) {
	t.tb.Helper()
	cursor = after
	for more := true; more; {
		page := &answer{Data: t.do("integration", accountPage, map[string]any{"first": first, "after": cursor, "kinds": asked(kinds)}).field("accountEvents")}
		for _, e := range page.field("events").([]any) {
			told = append(told, happened(e.(map[string]any)))
		}
		cursor, more = page.text("cursor"), page.field("hasMore").(bool)
	}
	return told, cursor
}

// asked is kinds as a variable: null for all.
func asked(kinds []string) any {
	if len(kinds) == 0 {
		return nil
	}
	return kinds
}

// Ensure the merchant's systems are told of every binding, scan, answered, refused and lapsed invitation, change of a customer and import, once and in order, by
// the subscription and by the query, of the kinds they ask for, and nothing of another account (rules N7, B3, C2, E2, E11, N4, V4).
func TestAccountEvents(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		s := setup{Advisors: []string{"anna", "ben"}, Followers: []string{"cai", "dan", "eve"}}
		a, other := w.found(s, "main"), w.found(s, "other")
		w.relayed()
		begin := a.do("admin", `{ eventCursor }`, nil).text("eventCursor")
		live := w.subscribe(w.bearer("integration", a.account), accountWatch, nil)
		scans := w.subscribe(w.bearer("admin", a.account), accountWatch, map[string]any{"kinds": []string{"CODE_SCANNED", "INVITATION_EXPIRED"}})
		foreign := w.subscribe(w.bearer("admin", other.account), accountWatch, nil)

		a.follow("wei", a.names["scene anna"])
		a.do("integration", `mutation { rebindCustomers(input: {customers: {these: [{openid: "wei"}]}, to: {advisor: {openid: "ben"}}}) { isRepeated } }`, nil)
		a.nicknamed("wei", "Wei")
		a.follow("wei", a.names["scene anna"]) // a retry of the platform, or a scan: theirs is another
		a.do("admin", `mutation { unbindCustomers(input: {customers: {these: [{openid: "wei"}]}}) { isRepeated } }`, nil)
		invite := func(openid string) {
			a.do("admin", `mutation($o: Identifier!, $n: String!) { inviteAdvisors(input: {advisors: [{openid: $o, nickname: $n}]}) { results { error { code } } } }`,
				map[string]any{"o": openid, "n": openid})
		}
		for _, openid := range []string{"cai", "dan", "eve"} {
			invite(openid)
		}
		a.do("cai", `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`, nil)
		a.do("dan", `mutation { answerInvitation(input: {accept: false}) { advisor { id } } }`, nil)
		w.clock.Advance(limits.InvitationLife)
		invite("eve") // before a sweep has noticed that the first one ran out
		w.clock.Advance(limits.InvitationLife)
		for range 2 {
			if _, err := w.Services.ExpireInvitations(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		a.imported("openid,advisor_openid\nxia,anna\nyu,\n")
		other.follow("wei", other.names["scene anna"])

		want := []string{
			"BindingChanged BOUND wei anna ADVISOR_QR",
			"CodeScanned BOUND wei anna true",
			"BindingChanged REBOUND wei anna ben API",
			"CustomerChanged wei NICKNAME [Wei]",
			"CodeScanned BOUND_TO_ANOTHER_ADVISOR wei ben true",
			"BindingChanged UNBOUND wei ben CONSOLE",
			"InvitationEnded ACTIVE cai",
			"InvitationEnded REFUSED dan",
			"InvitationEnded EXPIRED eve",
			"InvitationEnded EXPIRED eve",
			"CustomersImported",
		}
		var cursors []string
		for i, line := range want {
			e := live.next()
			if happened(e) != line {
				t.Errorf("event %d is %q, want %q", i, happened(e), line)
			}
			cursors = append(cursors, e["cursor"].(string))
		}
		for _, line := range []string{want[1], want[4], want[8], want[9]} {
			if e := scans.next(); happened(e) != line {
				t.Errorf("of scans and lapsed invitations was told %q, want %q", happened(e), line)
			}
		}
		for _, line := range want[:2] {
			if e := foreign.next(); happened(e) != line {
				t.Errorf("the other account was told %q, want %q", happened(e), line)
			}
		}
		for _, first := range []int{1, 4, limits.PageMax} {
			if told, cursor := a.happenings(begin, first); !slices.Equal(told, want) || cursor != cursors[len(cursors)-1] {
				t.Errorf("read %d at a time the query tells %q", first, told)
			}
			if told, _ := a.happenings(begin, first, "BINDING_CHANGED", "CUSTOMERS_IMPORTED"); !slices.Equal(told, []string{want[0], want[2], want[5], want[10]}) {
				t.Errorf("of bindings and imports, read %d at a time, the query tells %q", first, told)
			}
		}
		behind := w.subscribe(w.bearer("admin", a.account), accountWatch, map[string]any{"after": cursors[5], "kinds": []string{"INVITATION_REFUSED"}})
		if e := behind.next(); happened(e) != want[7] {
			t.Errorf("behind a cursor was told %q", happened(e))
		}

		// What tells of somebody who was erased keeps its number, and says nothing.
		a.do("admin", eraseText, map[string]any{"c": map[string]any{"openid": "wei"}})
		told, _ := a.happenings(begin, limits.PageMax)
		for i := range 6 {
			if told[i] != "Withdrawn" {
				t.Errorf("of an erased customer is told %q", told[i])
			}
		}
		if !slices.Equal(told[6:11], want[6:]) {
			t.Errorf("of others is told %q", told[6:])
		}
		for what, variables := range map[string]map[string]any{
			"kinds": {"kinds": []string{}}, "after": {"after": other.do("admin", `{ eventCursor }`, nil).text("eventCursor")}, "first": {"first": 0},
		} {
			refused := a.try("admin", accountPage, variables)
			if refused.code() != "INVALID" || refused.Errors[0].Extensions["field"] != what {
				t.Errorf("with a bad %s: %.300s", what, refused.body)
			}
		}
		if code := w.subscribe(w.bearer("admin", a.account), accountWatch, map[string]any{"kinds": []string{}}).refused(); code != "INVALID" {
			t.Errorf("a subscription of no kind is %q", code)
		}
		if code := a.try("admin", accountPage, map[string]any{"first": limits.PageMax + 1}).code(); code != "LIMIT_EXCEEDED" {
			t.Errorf("more than a page is %q", code)
		}
		w.settled()
		w.clock.Advance(limits.EventRetention + limits.ClockSkew + limits.RetentionInterval + time.Second)
		w.retain()
		if code := a.try("admin", accountPage, map[string]any{"after": begin}).code(); code != "CURSOR_EXPIRED" {
			t.Errorf("a cursor of what is not kept is %q", code)
		}
	})
}

// Ensure a server that meets an event of a newer release's kind, while both run, tells what comes before and leaves it to the others: nobody is
// told that it was withdrawn, and nobody loses it (rules N7, N4).
func TestNewerAccountEvents(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		w.relayed()
		begin := a.do("admin", `{ eventCursor }`, nil).text("eventCursor")
		a.follow("wei", a.names["scene anna"])
		w.relayed()
		if _, err := w.db.ExecContext(t.Context(), "INSERT INTO account_event (account_id, kind, at) VALUES (?, 'NOVELTY', 1)", a.account[:]); err != nil {
			t.Fatal(err)
		}
		w.await("it has a number", func() bool {
			_, err := w.Services.RelayEvents(t.Context())
			return err == nil && w.count("SELECT COUNT(*) FROM account_event") == 0
		})
		a.nicknamed("wei", "Wei")
		w.relayed()
		page := a.do("admin", accountPage, map[string]any{"after": begin})
		told, _ := page.field("accountEvents.events").([]any)
		if len(told) != 2 || page.field("accountEvents.hasMore") != true {
			t.Errorf("before it is told %.400s", page.body)
		}
		if code := a.try("admin", accountPage, map[string]any{"after": page.text("accountEvents.cursor")}).code(); code != "UNAVAILABLE" {
			t.Errorf("then comes %q", code)
		}
		live := w.subscribe(w.bearer("integration", a.account), accountWatch, map[string]any{"after": begin})
		for _, line := range []string{"BindingChanged BOUND wei anna ADVISOR_QR", "CodeScanned BOUND wei anna true"} {
			if e := live.next(); happened(e) != line {
				t.Errorf("pushed was %q, want %q", happened(e), line)
			}
		}
		if code := live.refused(); code != "UNAVAILABLE" {
			t.Errorf("the subscription ends with %q", code)
		}
		// Who asks for kinds does not ask for this one.
		if told, _ := a.happenings(begin, limits.PageMax, "CUSTOMER_CHANGED"); !slices.Equal(told, []string{"CustomerChanged wei NICKNAME [Wei]"}) {
			t.Errorf("of changes is told %q", told)
		}
	})
}

// Ensure a page of an account's events takes as many statements for 200 events as for 5, whatever they tell.
func TestStatementsOfAccountEvents(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold"}}, "main")
		for i := range 100 {
			who := fmt.Sprint("c", i)
			a.follow(who, a.names["scene "+[]string{"anna", "ben"}[i%2]])
			if i%10 == 0 {
				a.nicknamed(who, who)
			}
		}
		w.relayed()
		page := `query($n: Int!) { accountEvents(first: $n) { events { __typename
			... on BindingChanged { binding { change customer { openid tags { name } advisor { nickname } } advisor { nickname groups { name } } } }
			... on CodeScanned { scan { customer { openid tags { name } } qrCode { scene } advisor { nickname } } }
			... on CustomerChanged { change { field customer { openid tags { name } } } }
			... on InvitationEnded { advisor { nickname qrCode { scene } } } } } }`
		if small, large := a.statements("admin", page, map[string]any{"n": 8}), a.statements("admin", page, map[string]any{"n": 200}); small != large || large > 24 {
			t.Errorf("a page of 8 takes %d statements, of 200 %d", small, large)
		}
	})
}
