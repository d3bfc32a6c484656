package jobs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/auth"
	"clientele/events"
	"clientele/internal/relay"
	"clientele/internal/seal"
	"clientele/internal/testkit"
	"clientele/internal/webcall"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

// taken is one call that a receiver got.
type taken struct {
	path, id, signature string
	seconds             int64
	raw                 []byte
	body                struct {
		Type, AccountID, WebhookID, Cursor string
		Timestamp                          time.Time
		Sequence                           int64
		IsReplay                           bool
		Data                               map[string]any
	}
}

// receiver is a merchant's system on this machine. It answers 204 unless answer says else.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []taken
	answer func(w http.ResponseWriter, t taken)
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		got := taken{path: q.URL.Path, id: q.Header.Get("webhook-id"), signature: q.Header.Get("webhook-signature")}
		got.seconds, _ = strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
		got.raw, _ = io.ReadAll(q.Body)
		if err := json.Unmarshal(got.raw, &got.body); err != nil || q.Method != http.MethodPost || q.Header.Get("content-type") != "application/json" {
			t.Errorf("%s %q: %v", q.Method, got.raw, err)
		}
		r.mu.Lock()
		r.calls = append(r.calls, got)
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, got)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(answer func(w http.ResponseWriter, t taken)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// status has it answer a status to all.
func (r *receiver) status(code int) {
	r.answers(func(w http.ResponseWriter, _ taken) { w.WriteHeader(code) })
}

// take is what it got since it was last asked.
func (r *receiver) take() []taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// hooks is an account with webhooks on a node.
type hooks struct {
	*shop
	n     *node
	clock *testkit.Clock
}

var hookCaller = webcall.NewGuarded(webcall.GuardedOptions{Private: true, ConnectTime: limits.WebhookConnectTime, AnswerBytes: limits.WebhookAnswerBytes})

func hookNode(tb testing.TB, s *store.Store, caller services.WebhookCaller) *node {
	tb.Helper()
	key, err := seal.NewKey("k", bytes.Repeat([]byte{7}, seal.KeyBytes))
	if err != nil {
		tb.Fatal(err)
	}
	ring, err := seal.NewRing(key)
	if err != nil {
		tb.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return &node{store: s, Services: services.New(services.Deps{
		Store: s, Hub: events.New(s.Log(), events.Options{Log: log}), Log: log, Ring: ring, Webhooks: caller, WebhookPrivate: caller == hookCaller,
	})}
}

func newHooks(t *testing.T, dsn string) *hooks {
	t.Helper()
	clock := testkit.NewClock()
	n := hookNode(t, testkit.Store(t, dsn, clock), hookCaller)
	return &hooks{shop: newShop(t, n.store, 2), n: n, clock: clock}
}

func (h *hooks) asAdmin() context.Context {
	return services.WithScope(context.Background(), &services.Scope{
		Viewer: &auth.Viewer{Role: auth.RoleAdmin, Account: h.account.Key.String(), Subject: "admin"}, Account: h.account,
	})
}

// hook makes a webhook.
func (h *hooks) hook(url string, kinds ...models.AccountEventKind) (*models.Webhook, string) {
	h.tb.Helper()
	w, secret, err := h.n.CreateWebhook(h.asAdmin(), services.WebhookChange{URL: &url, Kinds: &kinds})
	if err != nil {
		h.tb.Fatal(err)
	}
	return w, secret
}

// change changes the nickname of the i-th customer so often, and has the events be numbered.
func (h *hooks) change(i, times int) {
	h.tb.Helper()
	for range times {
		testkit.Write(h.tb, h.store, h.account.Key, func(tx *store.Tx) error {
			return tx.InsertCustomerChanges([]*models.CustomerChange{{
				AccountID: tx.Account, Key: models.NewKey(), CustomerID: h.customers[i], Field: models.FieldNickname, Was: models.Lines{"Secret Was"}, Became: models.Lines{"Secret Is"}, By: "ADMIN:x", At: tx.Now,
			}})
		})
	}
	h.relay()
}

func (h *hooks) relay() {
	h.tb.Helper()
	if _, err := h.n.RelayEvents(h.tb.Context()); err != nil {
		h.tb.Fatal(err)
	}
}

// turn has a turn at each webhook that is due, and answers what was told of the calls.
func (h *hooks) turn() (calls []services.WebhookCall) {
	h.tb.Helper()
	claimed, err := h.n.ClaimWebhooks(h.tb.Context(), services.WebhookDemand{Most: 8, Trying: 8})
	if err != nil {
		h.tb.Fatal(err)
	}
	for _, w := range claimed {
		if err := h.n.WorkWebhook(h.tb.Context(), w, func(c services.WebhookCall) { calls = append(calls, c) }); err != nil {
			h.tb.Fatal(err)
		}
	}
	return calls
}

// row is a webhook as it is.
func (h *hooks) row(w *models.Webhook) *models.Webhook {
	h.tb.Helper()
	all, err := h.n.Webhooks(h.asAdmin())
	if err != nil {
		h.tb.Fatal(err)
	}
	i := slices.IndexFunc(all, func(o *models.Webhook) bool { return o.Key == w.Key })
	if i < 0 {
		h.tb.Fatal("the webhook is gone")
	}
	return all[i]
}

// letters is a webhook's dead letters, newest first.
func (h *hooks) letters(w *models.Webhook) []*models.DeadLetter {
	h.tb.Helper()
	rows, err := h.store.View(h.tb.Context()).DeadLetterPage(h.account.Key, w.Key, relay.Page{First: limits.DeadLetters})
	if err != nil {
		h.tb.Fatal(err)
	}
	return rows
}

// told is the types and numbers of calls.
func told(calls []taken) (of []string) {
	for _, c := range calls {
		of = append(of, fmt.Sprintf("%s %d", c.body.Type, c.body.Sequence))
	}
	return of
}

func numbered(of string, from, to int) (want []string) {
	for i := from; i <= to; i++ {
		want = append(want, fmt.Sprintf("%s %d", of, i))
	}
	return want
}

// verified is how many of a call's signatures are made with a secret.
func (c taken) verified(t *testing.T, secret string) (n int) {
	t.Helper()
	plain, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || !strings.HasPrefix(secret, "whsec_") || len(plain) != limits.WebhookSecretBytes {
		t.Fatalf("the secret is %q: %v", secret, err)
	}
	for _, s := range strings.Fields(c.signature) {
		if s == models.SignWebhook([][]byte{plain}, c.id, c.seconds, c.raw) {
			n++
		}
	}
	return n
}

const changed = "customer.changed"

// Ensure a receiver is sent what happens after its webhook was made, in order, signed, with ids and small facts and no text, and that the cursor goes on
// where it says (rules N6, N7).
func TestWebhookSends(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		h.change(0, 2) // before it was made
		w, secret := h.hook(r.URL + "/in")
		if calls := h.turn(); calls != nil {
			t.Errorf("nothing happened, and %d calls", len(calls))
		}
		h.change(0, limits.WebhookBatch+3)
		h.clock.Advance(time.Second)
		if calls := h.turn(); len(calls) != limits.WebhookBatch+3 {
			t.Errorf("%d calls were told", len(calls))
		}
		got := r.take()
		if want := numbered(changed, 3, limits.WebhookBatch+5); !slices.Equal(told(got), want) {
			t.Fatalf("got  %v\nwant %v", told(got), want)
		}
		ids := map[string]bool{}
		for _, c := range got {
			ids[c.id] = true
			if c.verified(t, secret) != 1 || c.seconds != h.clock.Now().Unix() || c.path != "/in" {
				t.Errorf("%s to %s, signed %q at %d", c.id, c.path, c.signature, c.seconds)
			}
			customer := (&models.Customer{Key: h.customers[0]}).ID().String()
			if c.body.AccountID != h.account.ID().String() || c.body.WebhookID != w.ID().String() || !c.body.Timestamp.Equal(testkit.Start) ||
				len(c.body.Data) != 3 || c.body.Data["customerId"] != customer || c.body.Data["openid"] != "customer-0" || c.body.Data["field"] != "NICKNAME" {
				t.Errorf("the body is %s", c.raw)
			}
			if strings.Contains(string(c.raw), "Secret") {
				t.Errorf("a text was sent: %s", c.raw)
			}
		}
		if len(ids) != len(got) {
			t.Errorf("%d ids for %d events", len(ids), len(got))
		}
		feed, err := h.n.CustomerChangeFeed(h.asAdmin(), &got[0].body.Cursor, 1)
		if err != nil || len(feed.Events) != 1 || feed.Events[0].Meta().Sequence != 4 {
			t.Errorf("behind the first: %+v, %v", feed, err)
		}
		now := h.row(w)
		if h.n.WebhookCursor(now) != got[len(got)-1].body.Cursor || now.SucceededAt != h.clock.Time() || !now.FailingSince.IsZero() {
			t.Errorf("the webhook is %+v", now)
		}
		if h.turn() != nil || r.take() != nil {
			t.Error("something was sent again")
		}
	})
}

// Ensure a receiver that fails is tried again after pauses that grow to an hour and no sooner, with the same id, that the rest waits behind, that Retry-After is
// honoured, and that after a day the event is a dead letter and the next one goes on (rule N6).
func TestWebhookRetries(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		h.change(0, 3)
		r.status(http.StatusInternalServerError)
		began := h.clock.Time()
		id, last := "", models.Time(0)
		for n := 1; ; n++ {
			calls := h.turn()
			got := r.take()
			if len(calls) != 1 || calls[0].Failure != models.WebhookStatus || calls[0].Status != http.StatusInternalServerError || len(got) != 1 {
				t.Fatalf("attempt %d: %+v, %d calls", n, calls, len(got))
			}
			if id == "" {
				id = got[0].id
			}
			now := h.row(w)
			if calls[0].IsDead {
				last = h.clock.Time()
				break
			}
			if got[0].id != id || now.Attempts != n || now.FailingSince != began || now.Failure != models.WebhookStatus || now.FailedStatus != 500 || now.SucceededAt != 0 {
				t.Fatalf("attempt %d of %s: %+v", n, got[0].id, now)
			}
			whole := models.WebhookBackoff(n)
			if pause := now.RetryAt.Sub(h.clock.Time()); pause < whole/2 || pause > whole || n > 12 && whole != limits.WebhookBackoffMax {
				t.Fatalf("the pause after %d failures is %s of %s", n, pause, whole)
			}
			h.clock.Set(now.RetryAt.Add(-time.Microsecond).Go())
			if h.turn() != nil {
				t.Fatal("it was tried sooner")
			}
			h.clock.Advance(time.Microsecond)
		}
		if age := last.Sub(began); age < limits.WebhookPatience || age > limits.WebhookPatience+limits.WebhookBackoffMax {
			t.Errorf("the event was dead after %s", age)
		}
		dead := h.letters(w)
		if len(dead) != 1 || dead[0].Cause != models.DeadLetterFailed || dead[0].FirstSeq != 1 || dead[0].LastSeq != 1 || dead[0].Kind != models.EventKind(models.AccountCustomerChanged) ||
			dead[0].TriedAt != began || dead[0].FailedAt != last || dead[0].FailedStatus != 500 || dead[0].Attempts < 24 {
			t.Fatalf("the dead letters are %+v", dead[0])
		}
		// What comes next is not asked for sooner, waits as long as the receiver says, and goes when it is back.
		now := h.row(w)
		if now.Position != 1 || now.TriedAt != 0 || now.DeadLetters != 1 || now.RetryAt.Sub(last) < limits.WebhookBackoffMax/2 {
			t.Errorf("then the webhook is %+v", now)
		}
		r.answers(func(w http.ResponseWriter, _ taken) {
			w.Header().Set("Retry-After", "100000")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		h.clock.Set(now.RetryAt.Go())
		h.turn()
		if now = h.row(w); now.RetryAt.Sub(h.clock.Time()) != limits.WebhookBackoffMax || now.Attempts != 1 {
			t.Errorf("Retry-After: %s", now.RetryAt.Sub(h.clock.Time()))
		}
		r.take()
		r.answers(nil)
		h.clock.Set(now.RetryAt.Go())
		h.turn()
		if got := told(r.take()); !slices.Equal(got, numbered(changed, 2, 3)) {
			t.Errorf("then it got %v", got)
		}
		if now = h.row(w); now.FailingSince != 0 || now.Failures != 0 || now.Failure == "" {
			t.Errorf("healthy again: %+v", now)
		}

		// Replaying: once more in vain, then with success, with the id it had, behind what is new.
		replay := func(keys []models.Key) int {
			t.Helper()
			_, n, err := h.n.ReplayDeadLetters(h.asAdmin(), w.Key, keys)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		r.status(http.StatusBadRequest)
		if n := replay([]models.Key{dead[0].Key}); n != 1 {
			t.Errorf("%d are replayed", n)
		}
		h.turn()
		if got := r.take(); len(got) != 1 || got[0].id != id || !got[0].body.IsReplay {
			t.Errorf("replayed as %v", told(got))
		}
		again := h.letters(w)
		if len(again) != 1 || again[0].IsReplaying() || again[0].Attempts != dead[0].Attempts+1 || again[0].FailedStatus != 400 {
			t.Errorf("in vain: %+v", again[0])
		}
		if now := h.row(w); now.Failures != 0 || now.RetryAt != 0 || now.FailingSince != 0 {
			t.Errorf("a replay in vain changed what is sent live: %+v", now)
		}
		r.answers(nil)
		h.change(1, 1)
		if n := replay(nil); n != 1 {
			t.Errorf("%d are replayed", n)
		}
		if n := replay(nil); n != 0 {
			t.Errorf("%d are replayed twice", n)
		}
		h.turn()
		if got := r.take(); !slices.Equal(told(got), []string{changed + " 4", changed + " 1"}) || got[1].id != id || got[0].body.IsReplay || !got[1].body.IsReplay {
			t.Errorf("replayed: %v", told(got))
		}
		if n := len(h.letters(w)); n != 0 || h.row(w).Replaying {
			h.turn()
			if n != 0 || h.row(w).Replaying {
				t.Errorf("%d dead letters are left", n)
			}
		}
		if h.turn() != nil {
			t.Error("it was replayed again")
		}
	})
}

// Ensure 410 ends sending until somebody has it go on, from where it was; that a pause does; and that a webhook is sent the kinds it asks for.
func TestWebhookStates(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		set := func(in services.WebhookChange) {
			t.Helper()
			if _, err := h.n.UpdateWebhook(h.asAdmin(), w.Key, in); err != nil {
				t.Fatal(err)
			}
		}
		yes, no := true, false
		h.change(0, 2)
		r.status(http.StatusGone)
		h.turn()
		if now := h.row(w); now.State != models.WebhookGone || now.Position != 0 || len(r.take()) != 1 {
			t.Errorf("after 410: %+v", now)
		}
		h.clock.Advance(48 * time.Hour)
		if h.turn() != nil {
			t.Error("it was called once gone")
		}
		r.answers(nil)
		set(services.WebhookChange{Paused: &no})
		h.turn()
		if got := told(r.take()); !slices.Equal(got, numbered(changed, 1, 2)) {
			t.Errorf("it went on with %v", got)
		}
		set(services.WebhookChange{Paused: &yes})
		h.change(0, 1)
		if h.turn() != nil {
			t.Error("it was called while paused")
		}
		set(services.WebhookChange{Paused: &no})
		h.turn()
		if got := told(r.take()); !slices.Equal(got, numbered(changed, 3, 3)) {
			t.Errorf("after the pause %v", got)
		}
		other := []models.AccountEventKind{"SOMETHING_ELSE"}
		set(services.WebhookChange{Kinds: &other})
		h.change(0, limits.WebhookLook+1)
		h.turn()
		if got := r.take(); got != nil || h.row(w).Position != int64(limits.WebhookLook)+4 {
			t.Errorf("of another kind it got %v and is at %d", told(got), h.row(w).Position)
		}
		set(services.WebhookChange{Kinds: &[]models.AccountEventKind{}})
		// Another address is tried at once.
		h.change(0, 1)
		r.status(http.StatusBadGateway)
		h.turn()
		r.take()
		r.answers(nil)
		url := r.URL + "/other"
		set(services.WebhookChange{URL: &url})
		h.turn()
		if got := r.take(); len(got) != 1 || got[0].path != "/other" {
			t.Errorf("at its other address: %v", told(got))
		}
		if err := h.n.DeleteWebhook(h.asAdmin(), w.Key); err != nil {
			t.Fatal(err)
		}
		h.change(0, 1)
		if h.turn() != nil {
			t.Error("it was called once deleted")
		}
	})
}

// Ensure a test is sent whatever the webhook's state, that what came of it is told, and that it changes nothing of what waits.
func TestWebhookTest(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, secret := h.hook(r.URL)
		h.change(0, 1)
		r.status(http.StatusTeapot)
		h.turn()
		r.take()
		retry := h.row(w).RetryAt
		test := func() error {
			_, err := h.n.TestWebhook(h.asAdmin(), w.Key)
			return err
		}
		if err := test(); err != nil {
			t.Fatal(err)
		}
		asked := h.clock.Time()
		if got := h.row(w).Test(); got == nil || got.RequestedAt != asked || got.FinishedAt != 0 || test() != nil {
			t.Errorf("the test that waits is %+v", got)
		}
		h.turn()
		got := r.take()
		if len(got) != 1 || got[0].body.Type != "test" || got[0].verified(t, secret) != 1 || got[0].body.Sequence != 0 {
			t.Fatalf("got %v", told(got))
		}
		now := h.row(w)
		if f := now.Test(); f.Fault == nil || f.Fault.Failure != models.WebhookStatus || *f.Fault.Status != http.StatusTeapot || f.FinishedAt != asked || now.RetryAt != retry || now.Attempts != 1 {
			t.Errorf("after a test in vain %+v, %+v", f, now)
		}
		if err := test(); models.CodeOf(err) != models.CodeRateLimited || models.RetryAtOf(err) != asked.Add(limits.WebhookTestPause) {
			t.Errorf("at once again: %v", err)
		}
		if h.turn() != nil {
			t.Error("the event was sent sooner for the test")
		}
		h.clock.Advance(limits.WebhookTestPause)
		r.answers(nil)
		yes := true
		if _, err := h.n.UpdateWebhook(h.asAdmin(), w.Key, services.WebhookChange{Paused: &yes}); err != nil {
			t.Fatal(err)
		}
		if err := test(); err != nil {
			t.Fatal(err)
		}
		h.turn()
		if got := r.take(); len(got) != 1 || got[0].body.Type != "test" {
			t.Errorf("paused, it got %v", told(got))
		}
		if f := h.row(w).Test(); f.Fault != nil || f.FinishedAt != h.clock.Time() {
			t.Errorf("after a test with success %+v", f)
		}
	})
}

// Ensure both secrets sign for seven days after a rotation, the new one alone after them, and that no secret is in the database in the clear (rule A4).
func TestWebhookRotates(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, first := h.hook(r.URL)
		next := func() string {
			t.Helper()
			_, secret, err := h.n.RotateWebhookSecret(h.asAdmin(), w.Key)
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
		signed := func(what string, want string, secrets ...string) {
			t.Helper()
			h.change(0, 1)
			h.turn()
			got := r.take()
			if len(got) != 1 {
				t.Fatalf("%s: %v", what, told(got))
			}
			plain := make([][]byte, len(secrets))
			all := ""
			for i, s := range secrets {
				plain[i], _ = base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
				if strings.Contains(got[0].signature, models.SignWebhook(plain[i:i+1], got[0].id, got[0].seconds, got[0].raw)) {
					all += "y"
				} else {
					all += "n"
				}
			}
			if all != want || len(strings.Fields(got[0].signature)) != strings.Count(want, "y") {
				t.Errorf("%s: %s, want %s: %q", what, all, want, got[0].signature)
			}
		}
		second := next()
		until := h.row(w).OldSecretUntil()
		signed("at once", "yyn", first, second, "whsec_")
		h.clock.Set(until.Add(-time.Microsecond).Go())
		signed("just before the end", "yy", first, second)
		h.clock.Set(until.Go())
		signed("at the end", "ny", first, second)
		if now := h.row(w); len(now.SealedOld) > 0 || now.OldSecretUntil() != 0 {
			t.Error("the old secret is kept")
		}
		third := next()
		fourth := next()
		signed("twice", "nnyy", first, second, third, fourth)
		for _, secret := range []string{first, second, third, fourth} {
			plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			if places := testkit.Holding(t, h.store, secret, strings.TrimPrefix(secret, "whsec_"), string(plain)); places != nil {
				t.Errorf("a secret is in %v", places)
			}
		}
	})
}

// pass has the pauses of receivers that failed be over, and no more time pass: leases go on, however slow this machine is.
func (h *hooks) pass() {
	h.tb.Helper()
	rows, err := h.store.View(h.tb.Context()).Webhooks(h.account.Key)
	if err != nil {
		h.tb.Fatal(err)
	}
	for _, w := range rows {
		if w.LeasedBy.IsZero() && w.RetryAt > h.clock.Time() && !w.FailingSince.IsZero() {
			h.clock.Set(w.RetryAt.Go())
		}
	}
}

// retain has one pass of retention be made, now.
func (h *hooks) retain() services.Retained {
	h.tb.Helper()
	h.exec("UPDATE sweep SET leased_until = 0")
	done, err := h.n.Retain(h.tb.Context(), func(context.Context) error { return nil })
	if err != nil {
		h.tb.Fatal(err)
	}
	return done
}

// Ensure a replaced secret leaves the database when its time is over and not before, whatever the webhook's state and though nothing is sent; that one which was replaced anew
// meanwhile stays (rule A4).
func TestWebhookSecretsKept(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h := newHooks(t, dsn)
		other := &hooks{shop: newShop(t, h.store, 1), n: h.n, clock: h.clock}
		const url = "http://crm.invalid"
		active, _ := h.hook(url)
		paused, _ := h.hook(url)
		again, _ := h.hook(url)
		foreign, _ := other.hook(url)
		never, _ := h.hook(url)
		yes := true
		h.update(paused, services.WebhookChange{Paused: &yes})
		rotate := func(h *hooks, w *models.Webhook) {
			t.Helper()
			if _, _, err := h.n.RotateWebhookSecret(h.asAdmin(), w.Key); err != nil {
				t.Fatal(err)
			}
		}
		rotate(h, active)
		rotate(h, paused)
		rotate(h, again)
		rotate(other, foreign)
		ends := h.clock.Time().Add(limits.WebhookSecretOverlap)
		h.clock.Advance(time.Second)
		rotate(h, again)
		h.clock.Set(ends.Add(-time.Microsecond).Go())
		if n := h.retain().Secrets; n != 0 || h.row(active).OldSecretUntil() != ends || len(other.row(foreign).SealedOld) == 0 {
			t.Errorf("%d were dropped before their time", n)
		}
		before := h.row(active)
		h.clock.Set(ends.Go())
		if n := h.retain().Secrets; n != 3 {
			t.Errorf("%d were dropped at their time", n)
		}
		for _, w := range []*models.Webhook{h.row(active), h.row(paused), other.row(foreign), h.row(never)} {
			if len(w.SealedOld) > 0 || len(w.SealedSecret) == 0 || w.RotatedAt != 0 || w.OldSecretUntil() != 0 {
				t.Errorf("after its time: %+v", w)
			}
		}
		if now := h.row(active); now.Revision != before.Revision || !bytes.Equal(now.SealedSecret, before.SealedSecret) {
			t.Error("dropping one changed another thing")
		}
		if now := h.row(again); now.OldSecretUntil() != ends.Add(time.Second) {
			t.Errorf("of the one that was replaced anew: %s", now.OldSecretUntil().Go())
		}
		h.clock.Advance(time.Second)
		if n := h.retain().Secrets; n != 1 || h.retain().Secrets != 0 {
			t.Errorf("then %d", n)
		}
	})
}

// Ensure several nodes with many workers never call one webhook at the same time, and that each is sent everything once and in order while nobody dies.
func TestWebhookOneAtATime(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const hooksEach, events = 3, 120
		h, r := newHooks(t, dsn), newReceiver(t)
		second := h.n
		if !h.store.IsEmbedded() {
			second = hookNode(t, testkit.Store(t, dsn, h.clock), hookCaller)
		}
		var mu sync.Mutex
		under, calls, got := map[string]int{}, map[string]int{}, map[string][]string{}
		r.answers(func(w http.ResponseWriter, c taken) {
			mu.Lock()
			if under[c.path]++; under[c.path] > 1 {
				t.Errorf("%s was called twice at once", c.path)
			}
			mu.Unlock()
			mu.Lock()
			defer mu.Unlock()
			under[c.path]--
			if calls[c.path]++; calls[c.path]%17 == 0 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			got[c.path] = append(got[c.path], told([]taken{c})...)
		})
		for i := range hooksEach {
			h.hook(fmt.Sprintf("%s/%d", r.URL, i))
		}
		h.n.run(t, 2)
		second.run(t, 2)
		var wg sync.WaitGroup
		for i := range h.customers {
			wg.Go(func() {
				for range events / len(h.customers) {
					h.change(i, 1)
				}
			})
		}
		wg.Wait()
		await(t, "all was sent", func() bool {
			h.pass()
			mu.Lock()
			defer mu.Unlock()
			n := 0
			for _, of := range got {
				n += len(of)
			}
			return n >= hooksEach*events
		})
		for path, of := range got {
			if !slices.Equal(of, numbered(changed, 1, events)) {
				t.Errorf("%s got %v", path, of)
			}
		}
	})
}

// Ensure an event whose node stops between the receiver's answer and the commit comes again with the same id, and that the node, should it come back, changes nothing.
func TestWebhookNodeDies(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		h.change(0, 2)
		claimed, err := h.n.ClaimWebhooks(t.Context(), services.WebhookDemand{Most: 1, Trying: 1})
		if err != nil || len(claimed) != 1 {
			t.Fatalf("claimed %d, %v", len(claimed), err)
		}
		var late atomic.Bool
		r.answers(func(http.ResponseWriter, taken) {
			if late.CompareAndSwap(false, true) { // while the first call is answered, its lease ends, and another node does it all
				h.clock.Advance(limits.WebhookLease)
				h.turn()
			}
		})
		if err := h.n.WorkWebhook(t.Context(), claimed[0], func(services.WebhookCall) {}); err != services.ErrWorkLost { //nolint:errorlint // it is that one.
			t.Errorf("the late node: %v", err)
		}
		got := r.take()
		if want := []string{changed + " 1", changed + " 1", changed + " 2"}; !slices.Equal(told(got), want) || got[0].id != got[1].id {
			t.Errorf("got %v", told(got))
		}
		if now := h.row(w); now.Position != 2 || !now.LeasedBy.IsZero() {
			t.Errorf("the webhook is %+v", now)
		}
	})
}

// Ensure nothing of a person who was erased is sent, whatever waited (rule E13).
func TestWebhookErased(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		h.change(0, 1)
		h.change(1, 1)
		h.exec("UPDATE advisor SET customer_count = 2")
		r.status(http.StatusBadGateway)
		h.turn()
		if got := r.take(); got[0].body.Data["openid"] != "customer-0" {
			t.Fatalf("at first %s", got[0].raw)
		}
		if _, err := h.n.EraseCustomer(h.asAdmin(), services.CustomerRef{Key: h.customers[0]}); err != nil {
			t.Fatal(err)
		}
		r.answers(nil)
		h.clock.Set(h.row(w).RetryAt.Go())
		h.turn()
		got := r.take()
		if !slices.Equal(told(got), []string{"withdrawn 1", changed + " 2"}) || len(got[0].body.Data) != 0 || strings.Contains(string(got[0].raw), "customer-0") {
			t.Errorf("then %v: %s", told(got), got[0].raw)
		}
	})
}

// Ensure a receiver that retention overtakes is told which events it was not sent, before the next, and the list of dead letters tells it; that what is overtaken again
// before it was told is told as one; and that a restored backup is told (rule N4).
func TestWebhookMisses(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		old := func(n int) {
			t.Helper()
			h.change(0, n)
			h.clock.Advance(limits.EventRetention + time.Hour)
			if _, err := h.n.Retain(t.Context(), func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		r.status(http.StatusBadGateway)
		old(3)
		h.turn()
		if got := told(r.take()); !slices.Equal(got, []string{"events.lost 0"}) {
			t.Fatalf("at first %v", got)
		}
		old(2)
		h.change(0, 1)
		r.answers(nil)
		h.turn()
		got := r.take()
		if !slices.Equal(told(got), []string{"events.lost 0", changed + " 6"}) || got[0].body.Data["firstSequence"] != 1.0 || got[0].body.Data["lastSequence"] != 5.0 {
			t.Fatalf("then %v: %s", told(got), got[0].raw)
		}
		dead := h.letters(w)
		if len(dead) != 1 || dead[0].Cause != models.DeadLetterNotKept || dead[0].FirstSeq != 1 || dead[0].LastSeq != 5 {
			t.Errorf("dead letters: %+v", dead[0])
		}
		if _, _, err := h.n.ReplayDeadLetters(h.asAdmin(), w.Key, []models.Key{dead[0].Key}); models.CodeOf(err) != models.CodeState {
			t.Errorf("replaying what is not kept: %v", err)
		}
		if _, err := h.n.Restored(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.change(0, 1)
		h.turn()
		got = r.take()
		if !slices.Equal(told(got), []string{"log.restored 0", changed + " 7"}) {
			t.Fatalf("restored: %v", told(got))
		}
		if feed, err := h.n.CustomerChangeFeed(h.asAdmin(), &got[0].body.Cursor, 1); err != nil || len(feed.Events) != 1 {
			t.Errorf("its cursor: %v", err)
		}
		if h.turn() != nil || len(h.letters(w)) != 2 {
			t.Error("it was told again")
		}
	})
}

// Ensure a name that leads inside is not called, and that no receiver sees what a redirect or a slow answer would have it do.
func TestWebhookFailures(t *testing.T) {
	guarded := webcall.NewGuarded(webcall.GuardedOptions{ConnectTime: limits.WebhookConnectTime, AnswerBytes: limits.WebhookAnswerBytes})
	h, r := newHooks(t, testkit.SQLite(t)), newReceiver(t)
	w, _ := h.hook(r.URL)
	try := func(what string, n *node, failure models.WebhookFailure, status int) {
		t.Helper()
		h.change(0, 1)
		h.clock.Set(max(h.row(w).RetryAt, h.clock.Time()).Go())
		was := h.n
		h.n = n
		calls := h.turn()
		h.n = was
		if len(calls) != 1 || calls[0].Failure != failure || calls[0].Status != status {
			t.Errorf("%s: %+v", what, calls)
		}
	}
	try("a private address", hookNode(t, h.store, guarded), models.WebhookAddress, 0)
	if r.take() != nil {
		t.Error("it was called")
	}
	try("a name that nobody knows", hookNode(t, h.store, posts(func(context.Context) (int, error) {
		return 0, fmt.Errorf("post: %w", &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "db.internal", IsNotFound: true}})
	})), models.WebhookAddress, 0)
	try("a name server that is slow", hookNode(t, h.store, posts(func(context.Context) (int, error) {
		return 0, fmt.Errorf("post: %w", &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "db.internal", IsTimeout: true}})
	})), models.WebhookTimeout, 0)
	r.answers(func(w http.ResponseWriter, _ taken) {
		http.Redirect(w, &http.Request{}, r.URL+"/elsewhere", http.StatusTemporaryRedirect)
	})
	try("a redirect", h.n, models.WebhookStatus, http.StatusTemporaryRedirect)
	if got := r.take(); len(got) != 1 {
		t.Errorf("%d calls", len(got))
	}
	r.answers(func(http.ResponseWriter, taken) { panic(http.ErrAbortHandler) })
	try("hanging up", h.n, models.WebhookConnection, 0)
	slow := hookNode(t, h.store, posts(func(ctx context.Context) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	try("too slow", slow, models.WebhookTimeout, 0)
}

// posts is a caller that is a function.
type posts func(ctx context.Context) (int, error)

func (f posts) Post(ctx context.Context, _ string, _ http.Header, _ []byte) (int, string, error) {
	status, err := f(ctx)
	return status, "", err
}

// Ensure no account has all workers, nor have receivers that are tried, and that others go on beside those that hang.
func TestWebhookFairness(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		other := &hooks{shop: newShop(t, h.store, 1), n: h.n, clock: h.clock}
		for i := range limits.WebhooksPerAccount {
			h.hook(fmt.Sprintf("%s/a%d", r.URL, i))
		}
		w, _ := other.hook(r.URL + "/b")
		h.exec("UPDATE webhook SET trying = 0")
		h.change(0, 1)
		h.clock.Advance(time.Second)
		other.change(0, 1)
		claim := func(d services.WebhookDemand) map[models.Key]int {
			t.Helper()
			claimed, err := h.n.ClaimWebhooks(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			n := map[models.Key]int{}
			for _, c := range claimed {
				n[c.AccountID]++
			}
			return n
		}
		if n := claim(services.WebhookDemand{Most: 3, Busy: map[models.Key]int{h.account.Key: 2}}); n[h.account.Key] != 2 || n[other.account.Key] != 1 {
			t.Errorf("claimed %v", n)
		}
		if n := claim(services.WebhookDemand{Most: 8, Busy: map[models.Key]int{h.account.Key: limits.WebhookWorkersPerAccount}}); len(n) != 0 {
			t.Errorf("beyond its share: %v", n)
		}
		h.clock.Advance(limits.WebhookLease)
		h.exec("UPDATE webhook SET trying = 1 WHERE account_id = ?", h.account.Key[:])
		if n := claim(services.WebhookDemand{Most: 8, Trying: 1}); n[h.account.Key] != 1 || n[other.account.Key] != 1 {
			t.Errorf("with one to try: %v", n)
		}
		// With workers: those that hang hold no other up.
		h.clock.Advance(limits.WebhookLease)
		goOn := make(chan struct{})
		resume := sync.OnceFunc(func() { close(goOn) })
		var hanging atomic.Int64
		r.answers(func(w http.ResponseWriter, c taken) {
			if strings.HasPrefix(c.path, "/a") {
				hanging.Add(1)
				<-goOn
			}
		})
		h.n.run(t, 2)
		t.Cleanup(resume)
		await(t, "the account has its share", func() bool { return hanging.Load() > 0 })
		other.change(0, 1)
		await(t, "the other is sent all", func() bool { return other.row(w).Position == 2 })
		if n := hanging.Load(); n > limits.WebhookWorkersPerAccount {
			t.Errorf("%d calls of one account", n)
		}
		resume()
	})
}

// Ensure receivers that take everything, but slowly, have a part of the workers at most, of however many accounts they are: one that is slow once loses its worker, and one
// that has not answered yet counts as slow; so a quick one of another account is sent its events while they stall. Slow ones that become quick are quick.
func TestWebhookSlowReceivers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const share = limits.WebhookWorkers / limits.WebhookTryShare
		h, r := newHooks(t, dsn), newReceiver(t)
		quick, _ := h.hook(r.URL + "/quick")
		var slow []*hooks
		var at []*models.Webhook // the first of each
		for len(slow)*limits.WebhookWorkersPerAccount < limits.WebhookWorkers {
			o := &hooks{shop: newShop(t, h.store, 1), n: h.n, clock: h.clock}
			for i := range limits.WebhookWorkersPerAccount {
				w, _ := o.hook(fmt.Sprintf("%s/slow/%d", r.URL, i))
				if i == 0 {
					at = append(at, w)
				}
			}
			slow = append(slow, o)
		}
		if w := h.stored(quick); !w.Trying {
			t.Error("one that has not answered yet counts as quick")
		}
		for _, o := range append(slow, h) {
			o.change(0, 1)
		}
		h.turns()
		// One slow answer ends the turn of a quick one; in a turn of the slow ones they have their share of events.
		r.take()
		r.answers(func(_ http.ResponseWriter, c taken) {
			if c.path == "/slow/0" {
				h.clock.Advance(limits.WebhookSlow)
			}
		})
		slow[0].change(0, 2)
		if w := slow[0].stored(at[0]); w.Trying {
			t.Error("one that answered at once counts as slow")
		}
		claimed, err := h.n.ClaimWebhooks(t.Context(), services.WebhookDemand{Most: limits.WebhookWorkers})
		if err != nil || len(claimed) != limits.WebhookWorkersPerAccount {
			t.Fatal(len(claimed), err)
		}
		for _, w := range claimed {
			if err := h.n.WorkWebhook(t.Context(), w, func(services.WebhookCall) {}); err != nil {
				t.Error(err)
			}
		}
		if w := slow[0].stored(at[0]); !w.Trying || w.Position != 2 || !w.LeasedBy.IsZero() || w.FailingSince != 0 {
			t.Errorf("after a slow answer: %+v", w)
		}
		if n := len(r.take()); n != 1+2*(limits.WebhookWorkersPerAccount-1) {
			t.Errorf("%d calls", n)
		}
		r.answers(func(http.ResponseWriter, taken) { h.clock.Advance(limits.WebhookSlow - time.Microsecond) })
		h.turns()
		if w := slow[0].stored(at[0]); w.Trying || w.Position != 3 {
			t.Errorf("quick again: %+v", w)
		}
		// Now all of them are slow, and then stall.
		r.answers(func(_ http.ResponseWriter, c taken) {
			if c.path != "/quick" {
				h.clock.Advance(limits.WebhookSlow)
			}
		})
		for _, o := range slow {
			o.change(0, 1)
		}
		h.turns()
		goOn := make(chan struct{})
		resume := sync.OnceFunc(func() { close(goOn) })
		var hanging, most atomic.Int64
		r.answers(func(_ http.ResponseWriter, c taken) {
			if c.path != "/quick" {
				most.Store(max(hanging.Add(1), most.Load()))
				<-goOn
				hanging.Add(-1)
			}
		})
		for _, o := range slow {
			o.change(0, 1)
		}
		h.n.run(t, 2)
		t.Cleanup(resume)
		await(t, "the slow ones have their share", func() bool { return hanging.Load() == share })
		for range 3 {
			h.change(0, 1)
		}
		await(t, "the quick one is sent all", func() bool { return h.stored(quick).Position == 4 })
		if n := most.Load(); n != share {
			t.Errorf("%d slow ones were called at once", n)
		}
		resume()
		await(t, "the slow ones are sent all", func() bool {
			return !slices.ContainsFunc(slow, func(o *hooks) bool {
				all, err := h.store.View(t.Context()).Webhooks(o.account.Key)
				return err != nil || slices.ContainsFunc(all, func(w *models.Webhook) bool { return !w.IsIdle() })
			})
		})
	})
}

// Ensure the statements of a turn depend on the batches, not on the events.
func TestWebhookStatements(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		h.hook(r.URL)
		cost := func(events int) int64 {
			t.Helper()
			h.change(0, events)
			var n atomic.Int64
			ctx := store.CountStatements(t.Context(), &n)
			claimed, err := h.n.ClaimWebhooks(ctx, services.WebhookDemand{Most: 1, Trying: 1})
			if err != nil || len(claimed) != 1 {
				t.Fatalf("claimed %d, %v", len(claimed), err)
			}
			if err := h.n.WorkWebhook(ctx, claimed[0], func(services.WebhookCall) {}); err != nil {
				t.Fatal(err)
			}
			if got := len(r.take()); got != events {
				t.Fatalf("%d of %d were sent", got, events)
			}
			return n.Load()
		}
		cost(1) // it has answered
		one, batch, two := cost(1), cost(limits.WebhookBatch), cost(2*limits.WebhookBatch)
		t.Log(one, batch, two)
		if one != batch || one > 15 || two-batch > 10 {
			t.Errorf("%d statements for an event, %d for a batch, %d for two", one, batch, two)
		}
	})
}

// Ensure of a webhook's dead letters the newest are kept, and none for longer than its time.
func TestDeadLettersKept(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		other, _ := h.hook(r.URL)
		add := func(w *models.Webhook, n int) {
			t.Helper()
			testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error {
				for i := range n {
					d := &models.DeadLetter{AccountID: tx.Account, WebhookID: w.Key, Key: models.NewKey(), Cause: models.DeadLetterFailed, Kind: models.EventKind(models.AccountCustomerChanged), FirstSeq: int64(i), LastSeq: int64(i), CreatedAt: tx.Now}
					if err := tx.InsertDeadLetter(d, 3); err != nil {
						return err
					}
				}
				return nil
			})
		}
		add(other, 1)
		add(w, 3)
		oldest := h.letters(w)[2]
		add(w, 1)
		if got := h.letters(w); len(got) != 3 || got[2].Key == oldest.Key || len(h.letters(other)) != 1 {
			t.Errorf("%d are kept, the oldest is %d", len(got), got[2].FirstSeq)
		}
		h.clock.Advance(limits.DeadLetterLife + limits.ClockSkew)
		if n := h.retain().DeadLetters; n != 0 {
			t.Errorf("%d were deleted at their time", n)
		}
		h.clock.Advance(time.Microsecond)
		if n := h.retain().DeadLetters; n != 4 {
			t.Errorf("%d were deleted after their time", n)
		}
	})
}

// Ensure a receiver that is slow to refuse a test, or a replay, has its turns among those that are tried, as one that is slow to take an event (rule N6).
func TestWebhookSlowTests(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h, r := newHooks(t, dsn), newReceiver(t)
		w, _ := h.hook(r.URL)
		for of, ask := range map[string]func(){
			"test": func() {
				h.clock.Advance(limits.WebhookTestPause)
				if _, err := h.n.TestWebhook(h.asAdmin(), w.Key); err != nil {
					t.Fatal(err)
				}
			},
			"replay": func() { h.dead(w, 1) },
		} {
			r.answers(nil)
			h.change(0, 1)
			h.turns()
			if now := h.stored(w); now.Trying || !now.IsIdle() {
				t.Fatalf("before the %s: %+v", of, now)
			}
			r.answers(func(w http.ResponseWriter, _ taken) {
				h.clock.Advance(limits.WebhookSlow)
				w.WriteHeader(http.StatusInternalServerError)
			})
			ask()
			h.turns()
			if now := h.stored(w); !now.Trying {
				t.Errorf("after a slow %s: %+v", of, now)
			}
		}
	})
}
