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
