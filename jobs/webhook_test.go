package jobs_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/internal/webcall"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

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
