package jobs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
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
