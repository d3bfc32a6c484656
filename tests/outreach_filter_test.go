package tests

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure the filter by outreaches left selects exactly those whose ledger, caught up with the mass sends to all, has so many: random
// ledgers, followings and mass sends, over the turn of a month, and for accounts that have none (rules E9, G3).
func TestFilterByOutreachLeft(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: followerNames(60)}, "main")
		r := rand.New(rand.NewPCG(7, 1))
		hour := func(n int) models.Time { return models.At(w.clock.Now().Add(time.Duration(n) * time.Hour)) }
		for i, openid := range followerNames(60) {
			state, followed, left := "FOLLOWING", int64(hour(-r.IntN(200))), int64(0)
			if i%4 == 0 {
				state, left = "UNFOLLOWED", followed+int64(r.IntN(100))*int64(time.Hour/time.Microsecond)
			}
			if _, err := w.db.Exec("UPDATE customer SET follow_state = ?, followed_at = ?, unfollowed_at = ? WHERE openid = ?", state, followed, left, []byte(openid)); err != nil {
				t.Fatal(err)
			}
		}
		policy := models.PresetClassic.Policy(time.FixedZone("CST", 8*60*60), models.CarrierDirect)
		check := func(what string) {
			t.Helper()
			now := models.At(w.clock.Now())
			account, err := w.Store.View(t.Context()).Account(a.account)
			if err != nil {
				t.Fatal(err)
			}
			all := models.MassSends{Head: account.MassHead}
			if all.Sends, err = w.Store.View(t.Context()).MassSendsToAll(a.account, 0); err != nil {
				t.Fatal(err)
			}
			want := map[int][]string{}
			customers, err := w.Store.View(t.Context()).CustomersByOpenID(a.account, idents(followerNames(60)))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range customers {
				rows, err := w.Store.View(t.Context()).Conversations(a.account, []models.Key{c.Key})
				if err != nil || len(rows) != 1 {
					t.Fatalf("%v %v", rows, err)
				}
				left := rows[0].Contact.CaughtUp(all, c).MayWrite(now, policy).OutreachLeft
				for n := 1; n <= left; n++ {
					want[n] = append(want[n], string(c.OpenID))
				}
			}
			for n := 1; n <= 5; n++ {
				nodes := a.do("admin", `query($n: Int) { customers(first: 200, filter: {outreachLeft: $n}) { nodes { openid } } }`, map[string]any{"n": n}).field("customers.nodes").([]any)
				var got []string
				for _, node := range nodes {
					if openid := node.(map[string]any)["openid"].(string); openid != "anna" { // who follows, too
						got = append(got, openid)
					}
				}
				slices.Sort(got)
				slices.Sort(want[n])
				if !slices.Equal(got, want[n]) {
					t.Errorf("%s, at least %d left:\n got %q\nwant %q", what, n, got, want[n])
				}
			}
			if len(want[4]) == 0 || len(want[1]) == 60 && what != "before anything" && what != "a month later" {
				t.Errorf("%s: the ledgers say too little: %d with one, %d with four", what, len(want[1]), len(want[4]))
			}
		}
		check("before anything")
		month := policy.MonthOf(models.At(w.clock.Now()))
		for _, openid := range followerNames(60) {
			if r.IntN(3) == 0 {
				continue
			}
			if _, err := w.db.Exec("UPDATE conversation SET outreach_month = ?, outreach_used = ? WHERE customer_id = (SELECT id FROM customer WHERE openid = ?)",
				month-r.IntN(2), r.IntN(6), []byte(openid)); err != nil {
				t.Fatal(err)
			}
		}
		check("ledgers of two months")
		for i, before := range []int{1, 30, 24 * 40} {
			a.do("admin", `mutation($k: String!, $at: DateTime!) { recordMassSend(input: {key: $k, at: $at, audience: {all: true}}) { isRepeated } }`,
				map[string]any{"k": fmt.Sprint("m", i), "at": hour(-before).Go().Format(time.RFC3339)})
			check(fmt.Sprint("mass send ", i))
			// Some take it in at once.
			for _, openid := range followerNames(60)[:20*(i+1)] {
				if r.IntN(2) == 0 && a.try("anna", `query($o: Identifier!) { contactability(customer: {openid: $o}) { outreachLeft } }`, map[string]any{"o": openid}).code() == "" {
					continue
				}
			}
		}
		a.write("f01", "hello") // its ledger catches up
		check("one caught up")
		w.clock.Advance(31 * 24 * time.Hour)
		check("a month later")
		for _, bad := range []int{0, -1} {
			if got := a.try("admin", `query($n: Int) { customers(filter: {outreachLeft: $n}) { nodes { id } } }`, map[string]any{"n": bad}); got.code() != "INVALID" {
				t.Errorf("%d: %s", bad, got.body)
			}
		}
		for _, settings := range []string{`{policyOverrides: {outreachPerMonth: 0}}`, `{policyOverrides: null, outreachCarrier: NONE}`} {
			a.do("admin", `mutation { updateAccountSettings(input: `+settings+`) { account { id } } }`, nil)
			if got := a.do("admin", `{ customers(filter: {outreachLeft: 1}) { nodes { id } } }`, nil).field("customers.nodes").([]any); len(got) != 0 {
				t.Errorf("with %s %d customers have outreaches left", settings, len(got))
			}
		}
	})
}

// followerNames is n names of followers.
func followerNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("f%02d", i))
	}
	return names
}

func idents(names []string) (out []models.Ident) {
	for _, n := range names {
		out = append(out, models.Ident(n))
	}
	return out
}

// Ensure the filter answers however many mass sends to all a month has: the statement does not grow with them.
func TestFilterByOutreachLeftAmongManyMassSends(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const sends = 3_000
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		before := w.clock.Time()
		w.clock.Advance(time.Minute)
		a.follow("later", a.names["scene anna"])
		testkit.Write(t, w.Store, a.account, func(tx *store.Tx) error {
			account, err := tx.LockAccount()
			if err != nil {
				return err
			}
			for no := 1; no <= sends; no++ {
				row := &models.MassSend{AccountID: a.account, SendKey: models.Ident(fmt.Sprint(no)), No: no, At: before, Month: account.Policy().MonthOf(before), BodyHash: []byte{1}}
				if err := tx.InsertMassSend(row); err != nil {
					return err
				}
			}
			account.MassHead = sends
			return tx.UpdateAccount(account, "mass_head")
		})
		got := a.do("admin", `{ customers(filter: {outreachLeft: 1}) { nodes { openid } } }`, nil).field("customers.nodes")
		if got := fmt.Sprint(got); got != "[map[openid:later]]" {
			t.Errorf("outreaches are left for %s", got)
		}
	})
}
