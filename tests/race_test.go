package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"clientele/channels/wechat/wechattest"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

// together runs n functions at one instant and answers what each returned, counted.
func together(n int, fn func(i int) string) map[string]int {
	var all sync.WaitGroup
	begin := make(chan struct{})
	results := make([]string, n)
	for i := range n {
		all.Go(func() {
			<-begin
			results[i] = fn(i)
		})
	}
	close(begin)
	all.Wait()
	counted := map[string]int{}
	for _, r := range results {
		counted[r]++
	}
	return counted
}

func wantCounts(t *testing.T, what string, got, want map[string]int) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// scanned is a follow through a code, without a test to fail: for goroutines.
func (t *tenant) scanned(openid, scene string) string {
	r, err := t.Services.Ingest(context.Background(), t.account, models.Inbound{
		Kind: models.InboundFollow, OpenID: openid, Scene: scene, At: t.clock.Time(), DedupKey: "race:" + models.NewKey().String(),
	})
	if err != nil {
		return err.Error()
	}
	return string(r.Outcome)
}

// sent is the outcome of a send: the message's id, or the error's code.
func (t *tenant) sent(token string, variables map[string]any, id bool) string {
	body := marshal(map[string]any{"query": sendText, "variables": variables})
	a, err := t.tryPost(token, body)
	switch {
	case err != nil:
		return err.Error()
	case a.code() != "":
		return a.code()
	case id:
		return a.text("sendMessage.message.id")
	}
	return "sent"
}

// Ensure a customer who scans two codes at one instant has one advisor (rule E1).
func TestTwoScansAtOnce(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}}, "main")
		for round := range 20 {
			who := fmt.Sprintf("wei%d", round)
			wantCounts(t, who, together(2, func(i int) string { return a.scanned(who, a.names["scene "+a.setup.Advisors[i]]) }),
				map[string]int{"BOUND": 1, "BOUND_TO_ANOTHER_ADVISOR": 1})
		}
		if n := w.count("SELECT SUM(customer_count) FROM advisor"); n != 20 {
			t.Errorf("%d customers are counted, 20 are bound", n)
		}
	})
}

// Ensure an advisor never has more than 15,000 customers (rule E1).
func TestLastPlace(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		if _, err := w.db.ExecContext(t.Context(), "UPDATE advisor SET customer_count = 14999"); err != nil {
			t.Fatal(err)
		}
		wantCounts(t, "50 scans", together(50, func(i int) string { return a.scanned(fmt.Sprintf("c%d", i), a.names["scene anna"]) }),
			map[string]int{"BOUND": 1, "ADVISOR_FULL": 49})
		if n := w.count("SELECT customer_count FROM advisor"); n != 15_000 {
			t.Errorf("customer_count is %d", n)
		}
		if n := w.count("SELECT COUNT(*) FROM customer WHERE advisor_id IS NOT NULL"); n != 1 {
			t.Errorf("%d are bound", n)
		}
	})
}

// Ensure who scans a group's code gets another member while the one who was drawn is taken by others (rules D3, E1).
func TestLastPlacesInAGroup(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Groups: []string{"tea of anna ben"}}, "main")
		if _, err := w.db.ExecContext(t.Context(), "UPDATE advisor SET customer_count = ? WHERE nickname = 'anna'", limits.CustomersPerAdvisor-5); err != nil {
			t.Fatal(err)
		}
		wantCounts(t, "50 scans", together(50, func(i int) string { return a.scanned(fmt.Sprintf("c%d", i), a.names["scene tea"]) }), map[string]int{"BOUND": 50})
	})
}

// Ensure the last free reply is taken once (rule G4).
func TestLastReply(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		for range 19 {
			a.send("anna", "wei", "x")
		}
		token := w.bearer("anna", a.account)
		wantCounts(t, "20 senders", together(20, func(i int) string { return a.sent(token, sending("wei", "x", fmt.Sprintf("k%d", i)), false) }),
			map[string]int{"sent": 1, "REPLY_WINDOW_CLOSED": 19})
		w.delivered()
		if n := w.count("SELECT COUNT(*) FROM message WHERE status = 'SENT'"); n != 20 {
			t.Errorf("%d messages were sent", n)
		}
	})
}

// Ensure one idempotency key makes one message, whoever comes first (rule G5).
func TestOneKeyAtOnce(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		token := w.bearer("anna", a.account)
		if got := together(10, func(int) string { return a.sent(token, sending("wei", "x", "one"), true) }); len(got) != 1 {
			t.Errorf("answers: %v", got)
		}
		wantCounts(t, "two customers", together(10, func(i int) string {
			return a.sent(token, sending([]string{"wei", "li"}[i%2], "x", "two"), false)
		}), map[string]int{"sent": 5, "IDEMPOTENCY_CONFLICT": 5})
		if n := w.count("SELECT COUNT(*) FROM message"); n != 2 {
			t.Errorf("%d messages were stored", n)
		}
	})
}

// Ensure two nodes that receive the same callback at once store it once (rule K1).
func TestCallbackOnTwoNodes(t *testing.T) {
	dsn := testkit.MySQL(t)
	clock := testkit.NewClock()
	one, two := start(t, dsn, options{clock: clock}), start(t, dsn, options{clock: clock})
	a := one.found(setup{Channel: "WECHAT", Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	path := a.do("admin", `mutation($t: String!) { setCallbackCredentials(input: {mode: PLAIN, token: $t}) { account { callbackPath } } }`,
		map[string]any{"t": callbackToken}).text("setCallbackCredentials.account.callbackPath")
	for round := range 20 {
		got := together(6, func(i int) string {
			node := []*world{one, two}[i%2]
			p := wechattest.Platform{URL: node.url + path, Token: callbackToken, OriginalID: "gh_main", Now: clock.Now, Client: node.http}
			resp, err := p.Post(context.Background(), p.Text("wei", int64(1000+round), "hello"))
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			return http.StatusText(resp.StatusCode)
		})
		wantCounts(t, "answers", got, map[string]int{"OK": 6})
	}
	if n := one.count("SELECT COUNT(*) FROM message"); n != 20 {
		t.Errorf("%d messages were stored, 20 were written", n)
	}
	if n := one.count("SELECT unread FROM conversation WHERE advisor_id IS NOT NULL"); n != 20 {
		t.Errorf("%d are unread", n)
	}
}

// Ensure an advisor's events are the same list on both nodes, whoever wrote them (rule N4).
func TestEventsOnTwoNodes(t *testing.T) {
	dsn := testkit.MySQL(t)
	clock := testkit.NewClock()
	nodes := []*world{start(t, dsn, options{clock: clock}), start(t, dsn, options{clock: clock})}
	a := nodes[0].found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
	cursor := a.cursor("anna")
	var subs []*subscription
	for _, n := range nodes {
		other := *a
		other.world = n
		subs = append(subs, other.watchMessages("anna", cursor))
	}
	const each = 40
	if got := together(4, func(i int) string {
		for range each {
			_, err := nodes[i%2].Services.Ingest(context.Background(), a.account, models.Inbound{
				Kind: models.InboundMessage, OpenID: []string{"wei", "li"}[i/2], At: clock.Time(), DedupKey: models.NewKey().String(),
				Content: &models.InboundContent{Kind: models.ContentText, Text: "x"},
			})
			if err != nil {
				return err.Error()
			}
		}
		return ""
	}); got[""] != 4 {
		t.Fatal(got)
	}
	var lists [2]string
	for i, s := range subs {
		last := 0.0
		for range 4 * each {
			e := s.next()
			sequence, _ := e["sequence"].(float64)
			if last != 0 && sequence != last+1 {
				t.Errorf("node %d: %v comes after %v", i, sequence, last)
			}
			last = sequence
			message, _ := e["message"].(map[string]any)
			lists[i] += fmt.Sprintln(e["cursor"], e["__typename"], message["id"])
		}
	}
	if lists[0] != lists[1] {
		t.Errorf("the nodes told different lists:\n%s\n%s", lists[0], lists[1])
	}
}

// Ensure that messages to an app whose node hangs become an inquiry once its lease has lapsed
// (rule N3).
func TestLapsedApp(t *testing.T) {
	dsn := testkit.MySQL(t)
	stopped, clock := testkit.NewClock(), testkit.NewClock()
	hung, alive := start(t, dsn, options{clock: stopped}), start(t, dsn, options{clock: clock})
	a := alive.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	onHung := *a
	onHung.world = hung
	onHung.watchMessages("anna", nil)
	notices := a.watchNotifications("anna", nil)
	clock.Advance(time.Second)
	a.write("wei", "one")
	a.write("wei", "two")
	sweep := func() {
		if _, err := alive.Services.SweepApps(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	clock.Advance(29*time.Second - time.Microsecond)
	sweep()
	if n := alive.count("SELECT COUNT(*) FROM notification WHERE kind = 'CUSTOMER_INQUIRY'"); n != 0 {
		t.Fatalf("%d inquiries while the lease holds", n)
	}
	clock.Advance(time.Microsecond)
	sweep()
	e := notices.next()
	n, _ := e["notification"].(map[string]any)
	if n["kind"] != "CUSTOMER_INQUIRY" || n["count"] != 2.0 {
		t.Errorf("notified %v", e)
	}
	sweep()
	if n := alive.count("SELECT COUNT(*) FROM notification WHERE kind = 'CUSTOMER_INQUIRY'"); n != 1 {
		t.Errorf("%d inquiries", n)
	}
}

// Ensure nodes whose clocks differ by a little lose no inquiry (rule N3): what came since the last
// renewal is that, whoever's clock says when.
func TestLapsedAppWithSkewedClocks(t *testing.T) {
	dsn := testkit.MySQL(t)
	ahead, clock := testkit.NewClock(), testkit.NewClock()
	ahead.Advance(2 * time.Second)
	hung, alive := start(t, dsn, options{clock: ahead}), start(t, dsn, options{clock: clock})
	a := alive.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	onHung := *a
	onHung.world = hung
	onHung.watchMessages("anna", nil)
	clock.Advance(time.Second)
	a.write("wei", "one")
	clock.Advance(time.Minute)
	if _, err := alive.Services.SweepApps(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := alive.count("SELECT COUNT(*) FROM notification WHERE kind = 'CUSTOMER_INQUIRY'"); n != 1 {
		t.Errorf("%d inquiries for a message that nobody was told of", n)
	}
}

func marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// Ensure the answer to a repeat is on disk like the first one (rules E15, K1). A transaction that
// only finds that all is there already writes nothing, so nothing but the heartbeat syncs it.
func TestRepeatsAreDurable(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		if w.Store.IsEmbedded() {
			return // its readers see what is on disk.
		}
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		written := models.Inbound{
			Kind: models.InboundMessage, OpenID: "wei", At: w.clock.Time(), DedupKey: "once", Content: &models.InboundContent{Kind: models.ContentText, Text: "hello"},
		}
		for name, do := range map[string]func(){
			"sendMessage": func() { a.do("anna", sendText, sending("wei", "welcome", "once")) },
			"a callback": func() {
				if _, err := w.Services.Ingest(t.Context(), a.account, written); err != nil {
					t.Fatal(err)
				}
			},
		} {
			for repeat, want := range []int64{0, 1} {
				if _, err := w.db.ExecContext(t.Context(), "DELETE FROM node"); err != nil {
					t.Fatal(err)
				}
				do()
				if n := w.count("SELECT COUNT(*) FROM node WHERE id = ?", w.Store.Node()); n != want {
					t.Errorf("%s, repeat %d: %d heartbeats, want %d", name, repeat, n, want)
				}
			}
		}
	})
}
