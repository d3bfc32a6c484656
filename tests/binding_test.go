package tests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

const (
	assignText = `mutation($c: CustomerSelection!, $to: BindingTarget!, $key: String) {
		assignCustomers(input: {customers: $c, to: $to, idempotencyKey: $key}) { isRepeated results { isChanged customer { openid advisor { nickname } } error { code } } } }`
	rebindText = `mutation($c: CustomerSelection!, $to: BindingTarget!, $keep: RebindKeepInput, $key: String) {
		rebindCustomers(input: {customers: $c, to: $to, keep: $keep, idempotencyKey: $key}) { isRepeated results { isChanged customer { openid advisor { nickname } } error { code } } } }`
	unbindText = `mutation($c: CustomerSelection!, $key: String) {
		unbindCustomers(input: {customers: $c, idempotencyKey: $key}) { isRepeated results { isChanged error { code } } } }`
)

// theseOf selects customers by openid.
func theseOf(openids ...string) map[string]any {
	refs := make([]map[string]any, len(openids))
	for i, o := range openids {
		refs[i] = map[string]any{"openid": o}
	}
	return map[string]any{"these": refs}
}

func toAdvisor(openid string) map[string]any {
	return map[string]any{"advisor": map[string]any{"openid": openid}}
}

func (t *tenant) toGroup(name string) map[string]any {
	return map[string]any{"groupId": t.names["id "+name]}
}

// crowd has many people follow at once.
func (t *tenant) crowd(prefix string, n int) []string {
	t.tb.Helper()
	openids := named(prefix, n)
	var all sync.WaitGroup
	for part := range slices.Chunk(openids, 100) {
		all.Go(func() {
			var each sync.WaitGroup
			for _, o := range part {
				each.Go(func() {
					if got := t.scanned(o, ""); got != "" {
						t.tb.Errorf("%s follows: %s", o, got)
					}
				})
			}
			each.Wait()
		})
	}
	all.Wait()
	return openids
}

// outcomes counts what came of each item of a bulk call's answer.
func outcomes(tb testing.TB, a *answer, field string) map[string]int {
	tb.Helper()
	results, ok := a.field(field + ".results").([]any)
	if !ok {
		tb.Fatalf("no results: %.500s", a.body)
	}
	counted := map[string]int{}
	for _, r := range results {
		one := &answer{Data: r}
		switch {
		case one.text("error.code") != "":
			counted[one.text("error.code")]++
		case one.field("isChanged") == true:
			counted["OK"]++
		default:
			counted["UNCHANGED"]++
		}
	}
	return counted
}

// sound holds what no bindings may break (rules E1, E2, B5, D1): counts equal rows, a conversation repeats its customer's
// advisor, and a customer's row what the history says of their binding.
func (w *world) sound() {
	w.tb.Helper()
	for what, query := range map[string]string{
		"advisors with a wrong count": `SELECT COUNT(*) FROM advisor a WHERE a.customer_count <>
			(SELECT COUNT(*) FROM customer c WHERE c.account_id = a.account_id AND c.advisor_id = a.id AND c.suspended_at = 0)`,
		"conversations of another advisor": `SELECT COUNT(*) FROM conversation v JOIN customer c ON c.account_id = v.account_id AND c.id = v.customer_id
			WHERE COALESCE(v.advisor_id, X'00') <> COALESCE(c.advisor_id, X'00')`,
		"tags of another advisor": `SELECT COUNT(*) FROM customer_tag t JOIN customer c ON c.account_id = t.account_id AND c.id = t.customer_id
			WHERE COALESCE(t.advisor_id, X'00') <> COALESCE(c.advisor_id, X'00')`,
		"changes of bindings at no instant":                           "SELECT COUNT(*) FROM binding WHERE at <= 0",
		"customers without an advisor who are bound since an instant": "SELECT COUNT(*) FROM customer WHERE advisor_id IS NULL AND bound_at <> 0",
		"customers whose history ends elsewhere": `SELECT COUNT(*) FROM customer c WHERE COALESCE(c.advisor_id, X'00') <> COALESCE((
			SELECT CASE WHEN b.change_kind = 'UNBOUND' THEN NULL ELSE b.advisor_id END FROM binding b
			WHERE b.account_id = c.account_id AND b.customer_id = c.id ORDER BY b.id DESC LIMIT 1), X'00')`,
		"customers who are bound otherwise than their history says": `SELECT COUNT(*) FROM customer c JOIN binding b ON b.account_id = c.account_id AND b.id = (
				SELECT l.id FROM binding l WHERE l.account_id = c.account_id AND l.customer_id = c.id AND l.change_kind IN ('BOUND', 'REBOUND') ORDER BY l.id DESC LIMIT 1)
			WHERE c.advisor_id IS NOT NULL AND (c.bound_at <> b.at OR c.bound_source <> b.source OR c.bound_label <> b.label OR c.bound_by <> b.made_by)`,
		"customers without an advisor whose binding is suspended, or has a label": "SELECT COUNT(*) FROM customer WHERE advisor_id IS NULL AND (suspended_at <> 0 OR bound_label <> '')",
		"customers who left and whose binding is not suspended":                   "SELECT COUNT(*) FROM customer WHERE advisor_id IS NOT NULL AND suspended_at = 0 AND follow_state <> 'FOLLOWING'",
		"unread conversations of nobody":                                          "SELECT COUNT(*) FROM conversation WHERE advisor_id IS NULL AND unread <> 0",
		"groups with a wrong count": `SELECT COUNT(*) FROM advisor_group g WHERE g.member_count <>
			(SELECT COUNT(*) FROM group_member m WHERE m.account_id = g.account_id AND m.group_id = g.id)`,
		"members who are removed, or of a group that is gone": `SELECT COUNT(*) FROM group_member m LEFT JOIN advisor a ON a.account_id = m.account_id AND a.id = m.advisor_id
			LEFT JOIN advisor_group g ON g.account_id = m.account_id AND g.id = m.group_id WHERE g.id IS NULL OR a.state = 'REMOVED'`,
	} {
		if n := w.count(query); n != 0 {
			w.tb.Errorf("%d %s", n, what)
		}
	}
	w.searchable()
}

// searchable holds that search finds each customer by what they are called and what is noted of them now,
// and by nothing else (ADR 0028).
func (w *world) searchable() {
	w.tb.Helper()
	want, got := map[string]bool{}, map[string]bool{}
	rows, err := w.db.Query("SELECT account_id, id, nickname, info, folded FROM customer")
	if err != nil {
		w.tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c models.Customer
		if err := rows.Scan(&c.AccountID, &c.Key, &c.Nickname, &c.Info, &c.Folded); err != nil {
			w.tb.Fatal(err)
		}
		if c.Folded != c.SearchText() {
			w.tb.Errorf("customer %s is folded as %q and should be as %q", c.Key, c.Folded, c.SearchText())
		}
		for gram := range c.Folded.Grams() {
			want[fmt.Sprint(c.AccountID, gram, c.Key)] = true
		}
	}
	grams, err := w.db.Query("SELECT account_id, gram, customer_id FROM customer_gram")
	if err != nil {
		w.tb.Fatal(err)
	}
	defer grams.Close()
	for grams.Next() {
		var g models.CustomerGram
		if err := grams.Scan(&g.AccountID, &g.Gram, &g.CustomerID); err != nil {
			w.tb.Fatal(err)
		}
		got[fmt.Sprint(g.AccountID, g.Gram, g.CustomerID)] = true
	}
	if err := errors.Join(rows.Err(), grams.Err()); err != nil {
		w.tb.Fatal(err)
	}
	if !maps.Equal(want, got) {
		w.tb.Errorf("%d grams are kept, %d are of what customers are called", len(got), len(want))
	}
}

// Ensure 500 customers are bound by as many statements as 50, and 501 are refused (rule E5).
func TestStatementsOfBindings(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: named("a", 12), Groups: []string{"tea of a0 a1 a2 a3 a4 a5 a6 a7 a8 a9"}}, "main")
		people := a.crowd("c", limits.BindBatch+50)
		few, many := people[:50], people[50:]
		n := 0
		count := func(query string, who []string, to any) int64 {
			t.Helper()
			n++
			return a.statements("admin", query, map[string]any{"c": theseOf(who...), "to": to, "key": fmt.Sprint("k", n)})
		}
		for _, step := range []struct {
			what, query string
			to          any
			most        int64
		}{
			{"assign to one", assignText, toAdvisor("a10"), 22},
			{"rebind over a group", rebindText, a.toGroup("tea"), 24},
			{"rebind what ten have", rebindText, toAdvisor("a11"), 22},
			{"change nothing", rebindText, toAdvisor("a11"), 22},
			{"unbind", unbindText, nil, 20},
			{"assign over a group", assignText, a.toGroup("tea"), 24},
		} {
			small, large := count(step.query, few, step.to), count(step.query, many, step.to)
			if small != large || large > step.most {
				t.Errorf("%s: %d statements for 50, %d for 500, at most %d are expected", step.what, small, large, step.most)
			}
		}
		w.sound()
		if n := w.count("SELECT COUNT(*) FROM binding WHERE change_kind = 'REBOUND'"); n != 2*550 {
			t.Errorf("%d rebindings are in the history", n)
		}
		items := w.count("SELECT COUNT(*) FROM audit_item")
		if calls := w.count("SELECT COUNT(*) FROM audit WHERE action IN ('assignCustomers', 'rebindCustomers', 'unbindCustomers')"); calls != 12 || items != 6*550 {
			t.Errorf("%d calls with %d items are in the audit log", calls, items)
		}
		if got := a.try("admin", unbindText, map[string]any{"c": theseOf(append(slices.Clone(many), "one-more")...)}); got.code() != "LIMIT_EXCEEDED" ||
			got.Errors[0].Extensions["limit"] != float64(limits.BindBatch) || got.Errors[0].Extensions["field"] != "input.customers.these" {
			t.Errorf("501 customers: %.300s", got.body)
		}
	})
}

// Ensure customers are spread at random over the free members of a group, each filled to the last
// place and none beyond (rules D3, E1, E5).
func TestSpreadOverGroup(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben", "cai", "dora"}, Groups: []string{"tea of anna ben cai"}}, "main")
		people := a.crowd("c", 330)
		got := outcomes(t, a.do("admin", assignText, map[string]any{"c": theseOf(people[:300]...), "to": a.toGroup("tea")}), "assignCustomers")
		wantCounts(t, "300", got, map[string]int{"OK": 300})
		// Of 300 over three each has 100 and seldom 50 more or less: less than once in 10⁸ runs.
		if n := w.count("SELECT COUNT(*) FROM advisor WHERE nickname <> 'dora' AND customer_count NOT BETWEEN 50 AND 150"); n != 0 {
			t.Errorf("%d advisors have too few or too many", n)
		}
		if n := w.count("SELECT customer_count FROM advisor WHERE nickname = 'dora'"); n != 0 {
			t.Errorf("who is no member has %d", n)
		}
		for nickname, count := range map[string]int{"anna": limits.CustomersPerAdvisor - 7, "ben": limits.CustomersPerAdvisor, "cai": limits.CustomersPerAdvisor - 3} {
			if _, err := w.db.ExecContext(t.Context(), "UPDATE advisor SET customer_count = ? WHERE nickname = ?", count, nickname); err != nil {
				t.Fatal(err)
			}
		}
		got = outcomes(t, a.do("admin", assignText, map[string]any{"c": theseOf(people[300:]...), "to": a.toGroup("tea")}), "assignCustomers")
		wantCounts(t, "30 for 10 places", got, map[string]int{"OK": 10, "GROUP_HAS_NO_FREE_ADVISOR": 20})
		if n := w.count("SELECT COUNT(*) FROM advisor WHERE customer_count = ?", limits.CustomersPerAdvisor); n != 3 {
			t.Errorf("%d members are full", n)
		}
	})
}

// Ensure 500 customers are rebound without anything that is theirs by as many statements as 50: nicknames, info, tags, and what is found by
// them are cleared, and each is in the log (rules E5, E6, F3).
func TestStatementsOfRebindingWithNothingKept(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold silver"}}, "main")
		people := a.crowd("c", limits.BindBatch+50)
		few, many := people[:50], people[50:]
		counts := map[int]int64{}
		for _, who := range [][]string{few, many} {
			a.do("admin", assignText, map[string]any{"c": theseOf(who...), "to": toAdvisor("anna")})
			a.noted(who)
			counts[len(who)] = a.statements("admin", rebindText, map[string]any{"c": theseOf(who...), "to": toAdvisor("ben"), "keep": keepNothing})
		}
		if counts[50] != counts[limits.BindBatch] || counts[50] > 32 {
			t.Errorf("statements by customers: %v, at most 32 are expected", counts)
		}
		a.nothingKept(len(people))
	})
}

var keepNothing = map[string]any{"nickname": false, "info": false, "tags": false, "history": false}

// noted has each of some customers called something, noted of, and tagged twice. It is one character, so that it takes a row of what search finds
// them by; more would take more statements.
func (t *tenant) noted(openids []string) {
	t.tb.Helper()
	items := make([]map[string]any, len(openids))
	for i, o := range openids {
		items[i] = map[string]any{"customer": map[string]any{"openid": o}, "nickname": "王", "info": []string{"王"}}
	}
	t.do("admin", updateText, map[string]any{"c": items})
	t.do("admin", tagText, map[string]any{"c": tagging(openids, []string{"gold", "silver"}, nil)})
}

// nothingKept holds that of so many customers who were noted nothing is left but three rows each in the log.
func (t *tenant) nothingKept(n int) {
	t.tb.Helper()
	t.sound()
	if left := t.count("SELECT COUNT(*) FROM customer WHERE nickname <> '' OR info <> ''") + t.count("SELECT COUNT(*) FROM customer_tag") + t.count("SELECT COUNT(*) FROM customer_gram"); left != 0 {
		t.tb.Errorf("%d rows are left of what was not kept", left)
	}
	if logged := t.count("SELECT COUNT(*) FROM customer_change"); logged != int64(6*n) {
		t.tb.Errorf("%d changes are in the log", logged)
	}
}

// Ensure 15,000 customers hold under calls that come together, whole calls and scans (rule E1).
func TestLastPlacesOfBindings(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}}, "main")
		const calls, each, places = 8, 20, 50
		people := a.crowd("c", calls*each)
		if _, err := w.db.ExecContext(t.Context(), "UPDATE advisor SET customer_count = ? WHERE nickname = 'anna'", limits.CustomersPerAdvisor-places); err != nil {
			t.Fatal(err)
		}
		admin := w.bearer("admin", a.account)
		var mu sync.Mutex
		sum := map[string]int{}
		together(calls+10, func(i int) string {
			if i >= calls {
				got := a.scanned(fmt.Sprint("s", i), a.names["scene anna"])
				mu.Lock()
				defer mu.Unlock()
				sum[map[string]string{"BOUND": "OK"}[got]+map[string]string{"ADVISOR_FULL": "ADVISOR_FULL"}[got]]++
				return got
			}
			query := []string{assignText, rebindText}[i%2]
			answer, err := w.tryPost(admin, marshal(map[string]any{"query": query, "variables": map[string]any{
				"c": theseOf(people[i*each : (i+1)*each]...), "to": toAdvisor("anna"),
			}}))
			if err != nil {
				return err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			for code, n := range outcomes(t, answer, []string{"assignCustomers", "rebindCustomers"}[i%2]) {
				sum[code] += n
			}
			return ""
		})
		wantCounts(t, "all", sum, map[string]int{"OK": places, "ADVISOR_FULL": calls*each + 10 - places})
		if n := w.count("SELECT customer_count FROM advisor WHERE nickname = 'anna'"); n != limits.CustomersPerAdvisor {
			t.Errorf("customer_count is %d", n)
		}
		if n := w.count("SELECT COUNT(*) FROM customer WHERE advisor_id IS NOT NULL"); n != places {
			t.Errorf("%d are bound", n)
		}
	})
}

// Ensure calls that overlap in their customers and advisors leave each customer with one advisor and
// every count right (rule E1), and none is lost to a deadlock: the locks go phase by phase.
func TestRebindsAtOnce(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		advisors := []string{"anna", "ben", "cai", "dora"}
		a := w.found(setup{Advisors: advisors, Groups: []string{"tea of ben cai"}}, "main")
		people := a.crowd("c", 60)
		admin := w.bearer("admin", a.account)
		const rounds = 6
		got := together(9, func(i int) string {
			for round := range rounds {
				// Each in an order of its own.
				mine := slices.Clone(people)
				if (i+round)%2 == 0 {
					slices.Reverse(mine)
				}
				mine = mine[i : len(mine)-i]
				query, field, to := rebindText, "rebindCustomers", toAdvisor(advisors[(i+round)%len(advisors)])
				switch i {
				case 6:
					query, field = unbindText, "unbindCustomers"
				case 7:
					to = a.toGroup("tea")
				case 8: // customers act, follow and leave beside it
					for _, o := range mine[:10] {
						for _, kind := range []models.InboundKind{models.InboundUnfollow, models.InboundFollow} {
							if _, err := w.Services.Ingest(context.Background(), a.account, models.Inbound{
								Kind: kind, OpenID: o, Scene: map[models.InboundKind]string{models.InboundFollow: a.names["scene anna"]}[kind],
								At: w.clock.Time().Add(time.Duration(round) * time.Microsecond), DedupKey: models.NewKey().String(),
							}); err != nil {
								return err.Error()
							}
						}
					}
					continue
				}
				answer, err := w.tryPost(admin, marshal(map[string]any{"query": query, "variables": map[string]any{"c": theseOf(mine...), "to": to}}))
				if err != nil {
					return err.Error()
				}
				if answer.code() != "" {
					return string(answer.body)
				}
				for code := range outcomes(t, answer, field) {
					if !slices.Contains([]string{"OK", "UNCHANGED", "NOT_FOLLOWING", "DUPLICATE"}, code) {
						return code
					}
				}
			}
			return ""
		})
		wantCounts(t, "calls", got, map[string]int{"": 9})
		w.sound()
	})
}

// Ensure two rebinds of one customer come one after the other: the last one has them, and each
// advisor was told what happened, in order (rules E1, V5).
func TestTwoRebindsOfOne(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben", "cai"}, Customers: []string{"wei of anna"}}, "main")
		admin := w.bearer("admin", a.account)
		for round := range 20 {
			got := together(2, func(i int) string {
				return a.told(admin, rebindText, map[string]any{"c": theseOf("wei"), "to": toAdvisor([]string{"ben", "cai"}[i])}, "rebindCustomers.isRepeated")
			})
			wantCounts(t, fmt.Sprint("round ", round), got, map[string]int{"false": 2})
			w.sound()
			a.do("admin", rebindText, map[string]any{"c": theseOf("wei"), "to": toAdvisor("anna")})
		}
		// Of each stream the last word on the customer is that they left, but for who has them.
		for who, want := range map[string]string{"anna": "CONVERSATION_CHANGED", "ben": "CUSTOMER_LEFT", "cai": "CUSTOMER_LEFT"} {
			key := keyOf(t, a.names["id "+who])
			var last string
			if err := w.db.QueryRowContext(t.Context(), "SELECT kind FROM event WHERE stream_id = ? AND customer_id IS NOT NULL ORDER BY seq DESC LIMIT 1", key[:]).Scan(&last); err != nil {
				t.Fatal(err)
			}
			if last != want {
				t.Errorf("%s's stream ends with %s", who, last)
			}
		}
	})
}

// Ensure an assignment beside a scan of the same customer binds once, to whoever came first.
func TestScanAgainstAssign(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}}, "main")
		admin := w.bearer("admin", a.account)
		both := map[string]int{}
		for round := range 30 {
			who := fmt.Sprint("wei", round)
			a.follow(who, "")
			results := make([]string, 2)
			together(2, func(i int) string {
				if i == 0 {
					results[0] = a.scanned(who, a.names["scene anna"])
					return ""
				}
				answer, err := w.tryPost(admin, marshal(map[string]any{"query": assignText, "variables": map[string]any{"c": theseOf(who), "to": toAdvisor("ben")}}))
				if err != nil {
					t.Error(err)
					return ""
				}
				for code := range outcomes(t, answer, "assignCustomers") {
					results[1] = code
				}
				return ""
			})
			both[strings.Join(results, " ")]++
		}
		if len(both) == 0 || both["BOUND BOUND_TO_ANOTHER_ADVISOR"]+both["BOUND_TO_ANOTHER_ADVISOR OK"] != 30 {
			t.Errorf("outcomes: %v", both)
		}
		w.sound()
	})
}

// Ensure nobody is bound to an advisor who was removed before (rules B5, E1): of calls that assign, rebind, or spread over a group at the instant of
// the removal either the binding comes first, and the removal's job takes the customer on, or the call is told.
func TestBindAgainstRemoval(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		const rounds, each = 12, 4
		advisors := named("a", rounds)
		a := w.found(setup{Advisors: append([]string{"heir"}, advisors...), Groups: []string{"tea of " + strings.Join(advisors, " ")}}, "main")
		people := a.crowd("c", rounds*each)
		admin := w.bearer("admin", a.account)
		came := map[string]int{}
		for i, who := range advisors {
			mine := people[i*each : (i+1)*each]
			codes := make([]string, 4)
			together(4, func(n int) string {
				switch n {
				case 0:
					codes[n] = a.told(admin, `mutation($o: Identifier!) { removeAdvisor(input: {advisor: {openid: $o}, handOver: {advisor: {openid: "heir"}}}) { advisor { state } } }`, map[string]any{"o": who}, "removeAdvisor.advisor.state")
				case 1:
					codes[n] = a.told(admin, assignText, map[string]any{"c": theseOf(mine[0], mine[1]), "to": toAdvisor(who)}, "assignCustomers.isRepeated")
				case 2:
					codes[n] = a.told(admin, rebindText, map[string]any{"c": theseOf(mine[2]), "to": toAdvisor(who)}, "rebindCustomers.isRepeated")
				case 3:
					codes[n] = a.told(admin, assignText, map[string]any{"c": theseOf(mine[3]), "to": a.toGroup("tea")}, "assignCustomers.isRepeated")
				}
				return ""
			})
			for n, allowed := range [][]string{{"REMOVED"}, {"false", "STATE"}, {"false", "STATE"}, {"false"}} {
				if !slices.Contains(allowed, codes[n]) {
					t.Errorf("%s: call %d is told %q", who, n, codes[n])
				}
			}
			w.worked()
			if n := w.count("SELECT COUNT(*) FROM customer c JOIN advisor a ON a.account_id = c.account_id AND a.id = c.advisor_id WHERE a.state = 'REMOVED'"); n != 0 {
				t.Errorf("%s: %d customers are left with who was removed", who, n)
			}
			for m, o := range mine[:3] {
				want := int64(0)
				if codes[1+m/2] == "false" {
					want = 1
				}
				if n := w.count("SELECT COUNT(*) FROM customer WHERE openid = ? AND advisor_id IS NOT NULL", []byte(o)); n != want {
					t.Errorf("%s: %s has %d advisors, of a call that was told %q", who, o, n, codes[1+m/2])
				}
			}
			came[codes[1]]++
			came[codes[2]]++
			w.sound()
		}
		t.Logf("calls were told %v", came)
	})
}

// Ensure that of many calls with one key at one instant one counts, and all are told the same
// (rule E15); also where nothing is locked that they could wait for each other at. What others call alike is another key.
func TestBulkKeyAtOnce(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"wei"}}, "main")
		admin := w.bearer("admin", a.account)
		wantCounts(t, "calls that lock", together(10, func(int) string {
			return a.told(admin, assignText, map[string]any{"c": theseOf("wei"), "to": toAdvisor("anna"), "key": "one"}, "assignCustomers.isRepeated")
		}), map[string]int{"false": 1, "true": 9})
		for round := range 5 {
			wantCounts(t, "calls that lock nothing", together(20, func(int) string {
				return a.told(admin, unbindText, map[string]any{"c": theseOf("nobody"), "key": fmt.Sprint("none", round)}, "unbindCustomers.isRepeated")
			}), map[string]int{"false": 1, "true": 19})
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action IN ('assignCustomers', 'unbindCustomers')"); n != 6 {
			t.Errorf("%d calls are in the audit log", n)
		}
		// Keys are the role's and the subject's, however long that is.
		long := strings.Repeat("s", auth.SubjectBytes-1)
		for _, want := range []string{"false", "true"} {
			for i, token := range []string{
				w.token(auth.RoleIntegration, a.account, "admin"), w.token(auth.RoleAdmin, a.account, long+"1"), w.token(auth.RoleAdmin, a.account, long+"2"), w.token(auth.RoleIntegration, a.account, long+"1"),
				w.token(auth.RoleAdmin, a.account, long[:100]),
			} {
				if got := a.told(token, unbindText, map[string]any{"c": theseOf(fmt.Sprint("nobody", i)), "key": "one"}, "unbindCustomers.isRepeated"); got != want {
					t.Errorf("token %d is told %s, want %s", i, got, want)
				}
			}
		}
	})
}

// Ensure a key belongs to role and subject, however long the subject is (rule E15).
func TestBulkKeyOfEachSubject(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"wei"}}, "main")
		long := strings.Repeat("s", auth.SubjectBytes-1)
		for _, want := range []string{"false", "true"} {
			for _, role := range []auth.Role{auth.RoleAdmin, auth.RoleIntegration} {
				for _, subject := range []string{"s", long + "a", long + "b"} {
					got := a.told(w.token(role, a.account, subject), assignText, map[string]any{"c": theseOf("wei"), "to": toAdvisor("anna"), "key": "k"}, "assignCustomers.isRepeated")
					if got != want {
						t.Errorf("a call of %s by %d bytes is told isRepeated %s, want %s", role, len(subject), got, want)
					}
				}
			}
		}
	})
}

// Ensure a key is new again after 7 days (rule E15).
func TestBulkKeyIsForgotten(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"wei"}}, "main")
		w.settled()
		call := func() any {
			return a.do("admin", assignText, map[string]any{"c": theseOf("wei"), "to": toAdvisor("anna"), "key": "k"}).field("assignCustomers.isRepeated")
		}
		if call() != false || call() != true {
			t.Error("the key is not kept")
		}
		w.clock.Advance(limits.IdempotencyLife + limits.ClockSkew - limits.RetentionInterval)
		w.retain()
		if call() != true {
			t.Error("the key is not kept for its time")
		}
		w.clock.Advance(limits.RetentionInterval + time.Microsecond)
		w.retain()
		if call() != false {
			t.Error("the key is kept after its time")
		}
	})
}
