package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

// scanners are who may scan a code, in the order of the letters of scanTable.
var scanners = []string{
	"new",         // never followed, and follows by the code
	"returning",   // followed once, was never bound, and follows again by the code
	"unbound",     // follows, is nobody's
	"own",         // is the advisor's, or a member's of the group
	"other's",     // is another advisor's
	"own again",   // was the advisor's, left, and follows again by the code
	"other again", // was another's, left, and follows again by the code
	"self",        // is the advisor, or the one member of the group
	"self again",  // is, left, and follows again by the code
	"colleague",   // is another advisor, who follows and is nobody's customer
}

// scanOutcomes are the outcomes by letter.
var scanOutcomes = map[byte]models.ScanOutcome{
	'B': models.ScanBound, 'A': models.ScanAlreadyBound, 'O': models.ScanBoundToAnother, 'I': models.ScanAdvisorInvalid, 'F': models.ScanAdvisorFull,
	'G': models.ScanGroupInvalid, 'N': models.ScanGroupHasNoFree, 'S': models.ScanSelf, 'C': models.ScanAccountClosed,
}

// scanTable is what rule C2 says of every scanner, by what the code leads to: a letter for each of scanners.
var scanTable = []struct {
	owner   string
	isGroup bool
	// member is who has, or had, the customers that are the owner's own.
	member string
	// outcomes of the own code, of one with a label, and of a temporary one.
	outcomes string
}{
	{"active", false, "active", "BBBAOBBSSB"},
	{"full", false, "full", "FFFAOFFSSF"},
	{"pending", false, "pending", "IIIIIIISSI"},
	{"lapsed", false, "lapsed", "IIIIIIISSI"},
	{"removed", false, "removed", "IIIIIIISSI"},
	{"tea", true, "green", "BBBAOBBNNB"},
	{"crowded", true, "full", "NNNAONNNNN"},
	{"empty", true, "active", "NNNOONNNNN"},
	{"deleted", true, "green", "GGGGGGGGGG"},
}

// scanCell is one scan of the table.
type scanCell struct {
	who, scene, label string
	scanner, owner    string
	want              models.ScanOutcome
	// advisor is whose the scanner is to be after it; "": nobody's.
	advisor string
}

// Ensure each kind of code has the outcome that rule C2 says for each scanner, whatever its owner's state;
// that only BOUND binds, with the code's label, and everything else leaves the customer as they were or
// takes up the binding they had (rule E12); and that every scan opens the reply window (rule G2) and is in
// the record of scans.
func TestScanTable(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1}) // who was removed still has their customers
		a := w.found(setup{
			Advisors: []string{"active", "full", "pending", "lapsed", "removed", "green", "else"},
			Groups:   []string{"tea of green", "crowded of full", "empty", "deleted of green"},
		}, "main")
		const life = 60
		for _, row := range scanTable {
			owner := toAdvisor(row.owner)
			if row.isGroup {
				owner = a.toGroup(row.owner)
			}
			a.label("shop "+row.owner, owner)
			a.label("brief "+row.owner, owner, int(limits.CodeLifeMax/time.Second))
			a.label("expired "+row.owner, owner, life)
		}
		var cells []scanCell
		for _, row := range scanTable {
			for _, kind := range []string{"", "shop ", "brief ", "expired "} {
				for i, scanner := range scanners {
					want := scanOutcomes[row.outcomes[i]]
					if kind == "expired " {
						want = map[bool]models.ScanOutcome{false: models.ScanAdvisorInvalid, true: models.ScanGroupInvalid}[row.isGroup]
					}
					cells = append(cells, a.scanCell(row.owner, row.member, kind, scanner, want))
				}
			}
			for _, scanner := range scanners {
				cells = append(cells, a.scanCell(row.owner, row.member, "no ", scanner, models.ScanAdvisorInvalid))
			}
		}
		a.remove("lapsed")
		a.invite("lapsed")
		w.clock.Advance(limits.ReplyWindow + limits.InvitationLife) // all windows are over
		a.remove("pending")
		a.invite("pending")
		a.remove("removed")
		a.do("admin", `mutation($g: ID!) { deleteGroup(input: {groupId: $g}) { memberCount } }`, map[string]any{"g": a.names["id deleted"]})
		if _, err := w.db.ExecContext(t.Context(), "UPDATE advisor SET customer_count = ? WHERE nickname = 'full'", limits.CustomersPerAdvisor); err != nil {
			t.Fatal(err)
		}
		a.scanAll(cells)
	})
}

// Ensure that while the account is closed every scan is ACCOUNT_CLOSED, binds nobody and takes up nothing,
// and opens the window all the same (rules A1, C2).
func TestScanTableClosed(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"active", "green", "else"}, Groups: []string{"tea of green"}}, "main")
		var cells []scanCell
		for owner, member := range map[string]string{"active": "active", "tea": "green"} {
			ref := toAdvisor(owner)
			if owner == "tea" {
				ref = a.toGroup(owner)
			}
			a.label("shop "+owner, ref)
			a.label("brief "+owner, ref, int(limits.CodeLifeMax/time.Second))
			a.label("expired "+owner, ref, 60)
			for _, kind := range []string{"", "shop ", "brief ", "expired ", "no "} {
				for _, scanner := range scanners {
					c := a.scanCell(owner, member, kind, scanner, models.ScanAccountClosed)
					c.advisor = map[string]string{"own again": member, "other again": "else", "own": member, "other's": "else"}[scanner] // suspended ones stay so
					cells = append(cells, c)
				}
			}
		}
		w.clock.Advance(limits.ReplyWindow + time.Hour)
		a.do("admin", `mutation { closeAccount(input: {confirm: true}) { account { id } } }`, nil)
		a.scanAll(cells)
	})
}

// scanCell makes the scanner of a cell.
func (t *tenant) scanCell(owner, member, kind, scanner string, want models.ScanOutcome) scanCell {
	c := scanCell{
		who: strings.ReplaceAll(kind+owner+"-"+scanner, " ", "-"), scene: t.names["scene "+kind+owner], scanner: scanner,
		owner: kind + owner, want: want,
	}
	switch kind {
	case "no ":
		c.scene = "nowhere-" + owner
	case "":
	default:
		c.label = kind + owner
	}
	serves := map[string]bool{"active": true, "green": true} // who takes a suspended binding up again
	switch scanner {
	case "returning":
		t.follow(c.who, "")
		t.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: c.who})
	case "unbound":
		t.follow(c.who, "")
	case "own":
		t.follow(c.who, t.names["scene "+member])
		c.advisor = member
	case "other's":
		t.follow(c.who, t.names["scene else"])
		c.advisor = "else"
	case "own again":
		t.follow(c.who, t.names["scene "+member])
		t.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: c.who})
		if serves[member] {
			c.advisor = member
		}
	case "other again":
		t.follow(c.who, t.names["scene else"])
		t.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: c.who})
		c.advisor = "else"
	case "self", "self again":
		c.who = member
	case "colleague":
		c.who = "else"
	}
	if want == models.ScanBound {
		c.advisor = member
	}
	return c
}

// scanAll scans each cell and holds what came of it.
func (t *tenant) scanAll(cells []scanCell) {
	t.tb.Helper()
	for _, c := range cells {
		kind := models.InboundFollow
		if slices.Contains([]string{"unbound", "own", "other's", "self", "colleague"}, c.scanner) {
			kind = models.InboundScan
		}
		switch c.scanner {
		case "self again":
			t.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: c.who})
		case "colleague": // one person in all rows
			if t.isClosed() {
				break
			}
			t.do("admin", unbindText, map[string]any{"c": theseOf(c.who)})
		}
		before := t.count("SELECT COUNT(*) FROM scan")
		if got := t.arrive(models.Inbound{Kind: kind, OpenID: c.who, Scene: c.scene}); got != c.want {
			t.tb.Errorf("%s scans the code of %q: %s, want %s", c.scanner, c.owner, got, c.want)
			continue
		}
		var advisor, label, outcome, recorded, source string
		var windowEnd, windowLeft, follows int64
		err := t.db.QueryRowContext(t.tb.Context(), `SELECT COALESCE(a.nickname, ''), c.bound_label, c.bound_source, v.window_end, v.window_left, s.outcome, s.label, s.follows
			FROM customer c JOIN conversation v ON v.account_id = c.account_id AND v.customer_id = c.id
			JOIN scan s ON s.account_id = c.account_id AND s.customer_id = c.id
			LEFT JOIN advisor a ON a.account_id = c.account_id AND a.id = c.advisor_id
			WHERE c.account_id = ? AND c.openid = ? ORDER BY s.id DESC LIMIT 1`, t.account[:], []byte(c.who)).
			Scan(&advisor, &label, &source, &windowEnd, &windowLeft, &outcome, &recorded, &follows)
		if err != nil || t.count("SELECT COUNT(*) FROM scan") != before+1 {
			t.tb.Errorf("%s, the code of %q: is not recorded, %v", c.scanner, c.owner, err)
			continue
		}
		if outcome != string(c.want) || recorded != c.label || (follows == 1) != (kind == models.InboundFollow) {
			t.tb.Errorf("%s, the code of %q: recorded as %s by %q, %d", c.scanner, c.owner, outcome, recorded, follows)
		}
		if advisor != c.advisor {
			t.tb.Errorf("%s, the code of %q: is %q's, want %q's", c.scanner, c.owner, advisor, c.advisor)
		}
		if c.want == models.ScanBound && (label != c.label || source != map[bool]string{true: "GROUP_QR", false: "ADVISOR_QR"}[strings.HasSuffix(c.owner, "tea")]) {
			t.tb.Errorf("%s, the code of %q: bound by %s with the label %q", c.scanner, c.owner, source, label)
		}
		if windowEnd != int64(t.clock.Time().Add(limits.ReplyWindow)) || windowLeft != limits.ReplyMessages {
			t.tb.Errorf("%s, the code of %q: the window has %d messages until %d", c.scanner, c.owner, windowLeft, windowEnd)
		}
	}
}

// isClosed reports whether the account was closed, in which nobody is unbound by the merchant, and nobody was bound.
func (t *tenant) isClosed() bool {
	t.tb.Helper()
	return t.do("admin", `{ account { capability } }`, nil).text("account.capability") == "CLOSED"
}

// Ensure a member of a group who scans its code is given to another member, never to themself, and to nobody where no other has room (rules D3, E1).
func TestMemberScansTheirGroup(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben", "cai"}, Groups: []string{"tea of anna ben cai"}}, "main")
		if _, err := w.db.ExecContext(t.Context(), "UPDATE advisor SET customer_count = ? WHERE nickname = 'cai'", limits.CustomersPerAdvisor); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			if got := a.arrive(models.Inbound{Kind: models.InboundScan, OpenID: "anna", Scene: a.names["scene tea"]}); got != models.ScanBound {
				t.Fatalf("a member who scans: %s", got)
			}
			if n := w.count("SELECT COUNT(*) FROM customer c JOIN advisor a ON a.account_id = c.account_id AND a.id = c.advisor_id WHERE c.openid = ? AND a.nickname = 'ben'", []byte("anna")); n != 1 {
				t.Fatal("she is not the one free member's who is not herself")
			}
			a.do("admin", unbindText, map[string]any{"c": theseOf("anna")})
		}
		a.remove("ben")
		w.worked()
		if got := a.arrive(models.Inbound{Kind: models.InboundScan, OpenID: "anna", Scene: a.names["scene tea"]}); got != models.ScanGroupHasNoFree {
			t.Errorf("with nobody else: %s", got)
		}
	})
}

// remove removes an advisor; invite invites one who follows.
func (t *tenant) remove(openid string) {
	t.tb.Helper()
	t.do("admin", `mutation($o: Identifier!) { removeAdvisor(input: {advisor: {openid: $o}}) { advisor { id } } }`, map[string]any{"o": openid})
}

func (t *tenant) invite(openid string) {
	t.tb.Helper()
	a := t.do("admin", `mutation($o: Identifier!, $n: String!) { inviteAdvisors(input: {advisors: [{openid: $o, nickname: $n}]}) { results { advisor { state } } } }`,
		map[string]any{"o": openid, "n": openid})
	if !strings.Contains(string(a.body), "PENDING") {
		t.tb.Fatalf("invite %s: %s", openid, a.body)
	}
}

// Ensure a scan that is told of after who made it has left binds nobody and is no scan, and that one of
// before a return counts (rules C2, K1: the platform's retries arrive in any order).
func TestLateScan(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"wei"}}, "main")
		scanned := w.clock.Time().Add(time.Second)
		w.clock.Advance(time.Minute)
		a.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: "wei"})
		for i, kind := range []models.InboundKind{models.InboundScan, models.InboundFollow} {
			r, err := w.Services.Ingest(t.Context(), a.account, models.Inbound{
				Kind: kind, OpenID: "wei", Scene: a.names["scene anna"], At: scanned, DedupKey: fmt.Sprint("late", i),
			})
			if err != nil || r.Outcome != "" || !r.Customer.AdvisorID.IsZero() || r.Customer.FollowState != models.Unfollowed {
				t.Errorf("%s: %q, %+v, %v", kind, r.Outcome, r.Customer, err)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM scan"); n != 0 {
			t.Errorf("%d scans are recorded", n)
		}
		w.clock.Advance(time.Minute)
		if got := a.arrive(models.Inbound{Kind: models.InboundScan, OpenID: "wei", Scene: a.names["scene anna"]}); got != models.ScanBound {
			t.Errorf("whose return was not told of: %s", got)
		}
		scanned = w.clock.Time().Add(-time.Second)
		if _, err := w.Services.Ingest(t.Context(), a.account, models.Inbound{Kind: models.InboundScan, OpenID: "wei", Scene: a.names["scene anna"], At: scanned, DedupKey: "late"}); err != nil {
			t.Fatal(err)
		}
		if n := w.count("SELECT COUNT(*) FROM scan WHERE at = ?", int64(scanned)); n != 1 {
			t.Errorf("%d scans are recorded as of when they were made", n)
		}
		w.sound()
	})
}
