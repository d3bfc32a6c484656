package crash

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// The size of what is sent while servers are killed: each kill meets some of it.
const (
	hookCustomers = 3_000
	hookKills     = 4
)

// Ensure a receiver is sent everything, in order and with the same id whenever it comes again, though the servers that call it are killed between its answers and what they record of
// them: only what was not recorded comes again (rule N6).
func TestWebhookKilled(t *testing.T) {
	for name, of := range map[string]struct {
		empty func(testing.TB) string
		nodes int
	}{"sqlite": {testkit.EmptySQLite, 1}, "mysql": {testkit.EmptyMySQL, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killWebhook(t, of.empty(t), of.nodes)
		})
	}
}

func killWebhook(t *testing.T, dsn string, nodes int) {
	var mu sync.Mutex
	var got []int64
	ids := map[int64]string{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		var body struct {
			Type     string
			Sequence int64
		}
		if err := json.NewDecoder(q.Body).Decode(&body); err != nil { // of a server that died in the middle
			return
		}
		_, _ = io.Copy(io.Discard, q.Body)
		mu.Lock()
		defer mu.Unlock()
		id := q.Header.Get("webhook-id")
		if was := ids[body.Sequence]; was != "" && was != id || body.Type != "customer.changed" {
			t.Errorf("%s %d came as %s and as %s", body.Type, body.Sequence, was, id)
		}
		ids[body.Sequence] = id
		got = append(got, body.Sequence)
	}))
	t.Cleanup(receiver.Close)
	taken := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(ids)
	}

	r := foundRig(t, dsn)
	account := r.accounts[0]
	names := make([]models.Ident, hookCustomers)
	for i := range names {
		names[i] = models.Ident(fmt.Sprint("hooked-", i))
	}
	r.opened(func(s *store.Store) {
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			_, err := tx.EnsureCustomers(names)
			return err
		})
	})
	r.startNodes(binary(t, ""), nodes)
	admin := r.admin[account.Key]
	do := func(query string, variables map[string]any) {
		t.Helper()
		if _, err := r.ask(r.nodes[0], admin, query, variables); err != nil {
			t.Fatal(err)
		}
	}
	do(`mutation($url: String!) { createWebhook(input: {url: $url, kinds: [CUSTOMER_CHANGED]}) { webhook { id } } }`, map[string]any{"url": receiver.URL})
	for from := 0; from < hookCustomers; from += limits.EditBatch {
		var customers []map[string]any
		for _, name := range names[from : from+limits.EditBatch] {
			customers = append(customers, map[string]any{"customer": map[string]any{"openid": name}, "nickname": "n" + string(name)})
		}
		do(`mutation($c: [CustomerUpdateInput!]!) { updateCustomers(input: {customers: $c}) { isRepeated } }`, map[string]any{"c": customers})
	}
	var met []int
	for n := range hookKills {
		goal := (n + 1) * hookCustomers / (hookKills + 4)
		r.await(fmt.Sprint(goal, " were sent"), func() bool { return taken() >= goal })
		r.killAll(func(db *sql.DB) {
			met = append(met, r.count(db, "SELECT position FROM webhook"))
			r.exec(db, "UPDATE webhook SET due_at = 0") // as if the lease of the dead had ended
		})
	}
	r.await("all were sent", func() bool { return taken() == hookCustomers })
	r.stop()
	mu.Lock()
	defer mu.Unlock()
	highest, again := int64(0), 0
	first := got[0]
	for _, seq := range got {
		switch {
		case seq <= highest:
			again++
		case highest > 0 && seq != highest+1:
			t.Errorf("%d came after %d", seq, highest)
		default:
			highest = seq
		}
	}
	t.Logf("killed at %v of %d; %d came again", met, hookCustomers, again)
	if highest != first+hookCustomers-1 || again > hookKills*(limits.WebhookBatch+1) {
		t.Errorf("from %d to %d came, %d again", first, highest, again)
	}
}
