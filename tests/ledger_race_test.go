package tests

import (
	"fmt"
	"testing"
	"time"

	"clientele/internal/testkit"
)

const (
	confirmText = `mutation($o: Identifier!) { confirmOutreach(input: {customer: {openid: $o}}) { isConsumed conversation { contactability { answer left } } } }`
	resendText  = `mutation($id: ID!, $key: String!) { resendMessage(input: {messageId: $id, idempotencyKey: $key}) { message { id status } } }`
	payText     = `mutation($p: [PaymentInput!]!) { recordPayment(input: {payments: $p}) { results { isRepeated error { code } } } }`
	massText    = `mutation($key: String!, $at: DateTime!, $to: MassSendAudience!) {
		recordMassSend(input: {key: $key, at: $at, audience: $to}) { isRepeated massSend { customerCount unknownCount } } }`
)

// told asks without a test to fail, for goroutines: a code, or the field of the answer.
func (t *tenant) told(token, query string, variables map[string]any, field string) string {
	a, err := t.tryPost(token, marshal(map[string]any{"query": query, "variables": variables}))
	switch {
	case err != nil:
		return err.Error()
	case a.code() != "":
		return a.code()
	}
	return fmt.Sprint(a.field(field))
}

func (t *tenant) outreachLeft(advisor, openid string) float64 {
	t.tb.Helper()
	left, _ := t.do(advisor, `query($o: Identifier!) { contactability(customer: {openid: $o}) { outreachLeft } }`, map[string]any{"o": openid}).
		field("contactability.outreachLeft").(float64)
	return left
}

// Ensure that of 50 who send for the last message of an allowance exactly one wins: the window's
// last, and an outreach's (rule G4).
func TestLastAllowance(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		token := w.bearer("anna", a.account)
		race := func(what, prefix string) {
			wantCounts(t, what, together(50, func(i int) string { return a.sent(token, sending("wei", "x", fmt.Sprint(prefix, i)), false) }),
				map[string]int{"sent": 1, "REPLY_WINDOW_CLOSED": 49})
		}
		for range 19 {
			a.send("anna", "wei", "x")
		}
		race("the window's last", "w")
		w.clock.Advance(48 * time.Hour)
		a.do("anna", confirmText, map[string]any{"o": "wei"})
		for range 2 {
			a.send("anna", "wei", "x")
		}
		race("the outreach's last", "o")
		w.delivered()
		if n := w.count("SELECT COUNT(*) FROM message WHERE status = 'SENT'"); n != 23 {
			t.Errorf("%d messages were sent, 20 and 3 were allowed", n)
		}
		if n := w.count("SELECT session_out + session_sent * 10 + session_left * 100 FROM conversation WHERE session_no > 0"); n != 30 {
			t.Errorf("the session's counts are %d", n)
		}
	})
}

// Ensure that 50 devices that confirm at once consume the month's last outreach once, and all have
// its session (rule G3).
func TestLastOutreach(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		w.clock.Advance(48 * time.Hour)
		for range 3 {
			a.do("anna", confirmText, map[string]any{"o": "wei"})
			w.clock.Advance(time.Minute)
		}
		token := w.bearer("anna", a.account)
		confirm := func(field string) map[string]int {
			return together(50, func(int) string { return a.told(token, confirmText, map[string]any{"o": "wei"}, field) })
		}
		wantCounts(t, "consumed", confirm("confirmOutreach.isConsumed"), map[string]int{"true": 1, "false": 49})
		wantCounts(t, "sessions", confirm("confirmOutreach.conversation.contactability.left"), map[string]int{"3": 50})
		if left := a.outreachLeft("anna", "wei"); left != 0 {
			t.Errorf("%v are left", left)
		}
		w.clock.Advance(time.Minute)
		wantCounts(t, "a fifth", confirm("confirmOutreach.isConsumed"), map[string]int{"LIMIT_EXCEEDED": 50})
		if n := w.count("SELECT COUNT(*) FROM outreach"); n != 4 {
			t.Errorf("%d outreaches are on record", n)
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action = 'confirmOutreach'"); n != 3+50+50 {
			t.Errorf("%d confirmations are in the audit log", n) // the second fifty only asked for the session
		}
	})
}

// Ensure that of many who resend one message at once one attempt is made (rule G6), and one key
// makes one (rule G5).
func TestResendsAtOnce(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		token := w.bearer("anna", a.account)
		behave := func(how string) {
			a.do("admin", fmt.Sprintf(`mutation { simulateSending(input: {sending: %s}) { sending } }`, how), nil)
		}
		resend := func(id string, key func(i int) string) map[string]int {
			return together(20, func(i int) string {
				return a.told(token, resendText, map[string]any{"id": id, "key": key(i)}, "resendMessage.message.id")
			})
		}
		behave("REFUSE_CUSTOMER")
		one, two := a.send("anna", "wei", "one"), a.send("anna", "wei", "two")
		w.delivered()
		behave("UNREACHABLE") // the attempts stay QUEUED while others come
		wantCounts(t, "20 keys", resend(one, func(i int) string { return fmt.Sprint("r", i) }), map[string]int{one: 1, "STATE": 19})
		wantCounts(t, "one key", resend(two, func(int) string { return "one" }), map[string]int{two: 20})
		if n := w.count("SELECT COUNT(*) FROM delivery"); n != 2 {
			t.Errorf("%d attempts are queued", n)
		}
		behave("ACCEPT")
		w.clock.Advance(time.Hour)
		w.delivered()
		if n := w.count("SELECT window_left FROM conversation WHERE advisor_id IS NOT NULL"); n != 18 {
			t.Errorf("%d replies are left, two of 20 were taken", n)
		}
	})
}

// Ensure one transaction, reported by 20 at once, counts once, also for two customers (rule G2).
func TestPaymentAtOnce(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		w.clock.Advance(48 * time.Hour)
		token := w.bearer("integration", a.account)
		at := w.clock.Now().Format(time.RFC3339)
		pay := func(openid, id string) string {
			p, err := a.tryPost(token, marshal(map[string]any{"query": payText, "variables": map[string]any{
				"p": []any{map[string]any{"customer": map[string]any{"openid": openid}, "transactionId": id, "at": at}},
			}}))
			if err != nil {
				return err.Error()
			}
			results, _ := p.field("recordPayment.results").([]any)
			if len(results) != 1 {
				return string(p.body)
			}
			r, _ := results[0].(map[string]any)
			if failed, ok := r["error"].(map[string]any); ok {
				return fmt.Sprint(failed["code"])
			}
			return fmt.Sprint(r["isRepeated"])
		}
		wantCounts(t, "one customer", together(20, func(int) string { return pay("wei", "t1") }), map[string]int{"false": 1, "true": 19})
		wantCounts(t, "two customers", together(20, func(i int) string { return pay([]string{"wei", "li"}[i%2], "t2") }),
			map[string]int{"false": 1, "true": 9, "IDEMPOTENCY_CONFLICT": 10})
		if n := w.count("SELECT COUNT(*) FROM inbound WHERE kind = 'PAYMENT'"); n != 2 {
			t.Errorf("%d payments are on record", n)
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action = 'recordPayment' AND target_kind = 'Customer'"); n != 2 {
			t.Errorf("%d payments are in the audit log", n)
		}
	})
}

// Ensure mass sends and confirmations that race overspend nothing and lose nothing: used is what
// was confirmed and recorded, each once (rule G3).
func TestMassSendsRaceConfirmations(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		customers := named("c", 12)
		var bound []string
		for _, c := range customers {
			bound = append(bound, c+" of anna")
		}
		a := w.found(setup{
			Advisors: []string{"anna"}, Customers: bound,
			Settings: map[string]any{"policyOverrides": map[string]any{"outreachPerMonth": 5, "outreachSessionSeconds": 1}},
		}, "main")
		w.clock.Advance(48 * time.Hour)
		at := w.clock.Now().Format(time.RFC3339)
		anna, system := w.bearer("anna", a.account), w.bearer("integration", a.account)
		for round, left := range []float64{2, 0} { // of five: in the second round two are left for three
			got := together(len(customers)+6, func(i int) string {
				if i < len(customers) {
					return a.told(anna, confirmText, map[string]any{"o": customers[i]}, "confirmOutreach.isConsumed")
				}
				// Two mass sends that each come three times: one to all, one to a list.
				to := map[string]any{"all": true}
				if i%2 == 1 {
					to = map[string]any{"openids": customers}
				}
				return "repeated " + a.told(system, massText, map[string]any{"key": fmt.Sprintf("m%d-%d", round, i%2), "at": at, "to": to}, "recordMassSend.isRepeated")
			})
			if got["repeated false"] != 2 || got["repeated true"] != 4 || got["true"]+got["LIMIT_EXCEEDED"] != len(customers) || round == 0 && got["LIMIT_EXCEEDED"] > 0 {
				t.Errorf("round %d: %v", round, got)
			}
			for _, c := range customers {
				if got := a.outreachLeft("anna", c); got != left {
					t.Errorf("round %d: %s has %v left, want %v", round, c, got, left)
				}
			}
			w.clock.Advance(time.Second)
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action = 'recordMassSend'"); n != 4 {
			t.Errorf("%d mass sends are in the audit log", n)
		}
		// What each ledger holds, once caught up, is what happened.
		for _, c := range customers {
			a.write(c, "x") // writes the ledger
		}
		if n := w.count(`SELECT COUNT(*) FROM conversation c WHERE session_no > 0 AND outreach_used <>
			(SELECT COUNT(*) FROM outreach o WHERE o.customer_id = c.customer_id) + (SELECT COUNT(*) FROM mass_send)`); n != 0 {
			t.Errorf("%d ledgers differ from what was confirmed and recorded", n)
		}
		if n := w.count("SELECT COUNT(*) FROM mass_send WHERE no > 0 AND no <> (SELECT COUNT(*) FROM mass_send b WHERE b.no > 0 AND b.no <= mass_send.no)"); n != 0 {
			t.Errorf("mass sends to all are not numbered one by one")
		}
	})
}
