package tests

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

const createHook = `mutation($url: String!) { createWebhook(input: {url: $url, isPaused: true}) { webhook { id } secret } }`

// Ensure an account never has more webhooks than it may, however many are made at once (rule N7).
func TestWebhooksRace(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{}, "main")
		var wg sync.WaitGroup
		codes := make([]string, limits.WebhooksPerAccount+6)
		for i := range codes {
			wg.Go(func() {
				url := fmt.Sprintf("https://crm.invalid/%02d/", i)
				url += strings.Repeat("x", limits.WebhookURLBytes-len(url)) // as long as may be
				codes[i] = a.try("admin", createHook, map[string]any{"url": url}).code()
			})
		}
		wg.Wait()
		made := 0
		for _, code := range codes {
			switch code {
			case "":
				made++
			case string(models.CodeLimitExceeded):
			default:
				t.Errorf("one is %s", code)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM webhook"); made != limits.WebhooksPerAccount || n != limits.WebhooksPerAccount {
			t.Errorf("%d were made, %d are there", made, n)
		}
	})
}

// Ensure the whole of it works over the API: what is changed comes to a receiver by itself, another account's does not, and the metrics tell; and that
// without the operator's leave no receiver of this machine is called.
func TestWebhookArrives(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		got := make(chan string, 100)
		receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- r.URL.Path + " " + string(body)
		}))
		t.Cleanup(receiver.Close)
		w := start(t, dsn, options{settings: func(s *config.Server) { s.WebhookPrivate = true }})
		s := setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}
		a, other := w.found(s, "main"), w.found(s, "other")
		w.relayed() // what was before has its numbers, behind which they begin
		a.do("admin", `mutation($url: String!) { createWebhook(input: {url: $url}) { secret } }`, map[string]any{"url": receiver.URL + "/a"})
		other.do("admin", `mutation($url: String!) { createWebhook(input: {url: $url}) { secret } }`, map[string]any{"url": receiver.URL + "/other"})
		a.do("admin", updateText, map[string]any{"c": []map[string]any{{"customer": map[string]any{"openid": "wei"}, "nickname": "Wei Wei"}}})
		line := testkit.Receive(t, got)
		if !strings.HasPrefix(line, "/a {") || !strings.Contains(line, `"type":"customer.changed"`) || !strings.Contains(line, `"openid":"wei"`) ||
			!strings.Contains(line, a.names["id wei"]) || strings.Contains(line, "Wei Wei") {
			t.Errorf("got %s", line)
		}
		w.await("that it came is recorded", func() bool {
			return a.do("admin", `{ webhooks { lastSuccessAt } }`, nil).field("webhooks").([]any)[0].(map[string]any)["lastSuccessAt"] != nil
		})
		if n := w.metric(`clientele_webhook_calls_total{outcome="OK"}`); n < 1 {
			t.Errorf("%v calls were counted", n)
		}
		if len(got) > 0 {
			t.Errorf("then %s", <-got)
		}
	})
}

// Ensure webhooks and dead letters of another account, and dead letters of another webhook, are answered as ids that were never given, letter for letter, wherever
// they are asked for; and that nothing of them, and nothing beside them in the same call, is changed (rules V4, N6).
func TestDeadLettersForeign(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a, other := w.found(setup{}, "main"), w.found(setup{}, "other")
		hook := func(of *tenant) (id string, key models.Key) {
			t.Helper()
			id = of.do("admin", createHook, map[string]any{"url": "https://crm.invalid/"}).text("createWebhook.webhook.id")
			return id, keyOf(t, id)
		}
		letter := func(of *tenant, webhook models.Key) string {
			t.Helper()
			d := &models.DeadLetter{AccountID: of.account, WebhookID: webhook, Key: models.NewKey(), Cause: models.DeadLetterFailed, Kind: models.EventKind(models.AccountCustomerChanged), FirstSeq: 1, LastSeq: 1, Failure: models.WebhookConnection}
			testkit.Write(t, w.Store, of.account, func(tx *store.Tx) error {
				d.CreatedAt = tx.Now
				return tx.InsertDeadLetter(d, limits.DeadLetters)
			})
			return d.ID().String()
		}
		mine, mineKey := hook(a)
		_, besideKey := hook(a)
		foreign, foreignKey := hook(other)
		own, beside, theirs := letter(a, mineKey), letter(a, besideKey), letter(other, foreignKey)
		noHook, noLetter := (&models.Webhook{Key: models.NewKey()}).ID().String(), (&models.DeadLetter{Key: models.NewKey()}).ID().String()
		// replaced is an answer with an id in it made another.
		replaced := func(query string, variables map[string]any, id string) string {
			t.Helper()
			got := a.try("admin", query, variables)
			if len(got.Errors) == 0 && got.field("node") != nil {
				t.Errorf("%s\nanswered %s", query, got.body)
			}
			return fmt.Sprint(got.status, " ", strings.ReplaceAll(string(got.body), id, "ID"))
		}
		same := func(query string, variables func(id string) map[string]any, unknown string, ids ...string) {
			t.Helper()
			want := replaced(query, variables(unknown), unknown)
			if !strings.Contains(want, string(models.CodeNotFound)) {
				t.Errorf("%s\nof an unknown id answered %s", query, want)
			}
			for _, id := range ids {
				if got := replaced(query, variables(id), id); got != want {
					t.Errorf("%s\nanswered   %s\nof unknown %s", query, got, want)
				}
			}
		}
		const replay = `mutation($w: ID!, $l: [ID!]) { replayDeadLetters(input: {webhookId: $w, deadLetterIds: $l}) { replayedCount webhook { id } } }`
		same(replay, func(id string) map[string]any { return map[string]any{"w": mine, "l": []string{id}} }, noLetter, theirs, beside)
		same(replay, func(id string) map[string]any { return map[string]any{"w": mine, "l": []string{own, id}} }, noLetter, theirs, beside)
		same(replay, func(id string) map[string]any { return map[string]any{"w": id, "l": []string{theirs}} }, noHook, foreign)
		same(replay, func(id string) map[string]any { return map[string]any{"w": id} }, noHook, foreign)
		for _, query := range []string{
			`query($w: ID!) { deadLetters(webhookId: $w) { nodes { id } } }`,
			`mutation($w: ID!) { updateWebhook(input: {webhookId: $w, name: "x"}) { webhook { id } } }`,
			`mutation($w: ID!) { testWebhook(input: {webhookId: $w}) { webhook { id } } }`,
			`mutation($w: ID!) { rotateWebhookSecret(input: {webhookId: $w}) { secret } }`,
			`mutation($w: ID!) { deleteWebhook(input: {webhookId: $w}) { webhookId } }`,
		} {
			same(query, func(id string) map[string]any { return map[string]any{"w": id} }, noHook, foreign)
		}
		const node = `query($w: ID!) { node(id: $w) { id } }`
		same(node, func(id string) map[string]any { return map[string]any{"w": id} }, noHook, foreign)
		for _, id := range []string{own, beside, theirs} { // no dead letter is a node, whoever's
			if got, want := replaced(node, map[string]any{"w": id}, id), replaced(node, map[string]any{"w": noLetter}, noLetter); got != want {
				t.Errorf("the node of a dead letter is %s, of none %s", got, want)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM dead_letter WHERE replay_at = 0"); n != 3 {
			t.Errorf("%d dead letters rest", n)
		}
		if n := w.count("SELECT COUNT(*) FROM webhook WHERE revision = 2 AND test_id IS NULL AND rotated_at = 0 AND name = ''"); n != 3 {
			t.Errorf("%d webhooks are as they were", n)
		}
		if n := a.do("admin", replay, map[string]any{"w": mine, "l": []string{own}}).field("replayDeadLetters.replayedCount"); n != 1.0 {
			t.Errorf("of the webhook's own %v were replayed", n)
		}
	})
}
