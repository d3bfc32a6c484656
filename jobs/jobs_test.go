package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/auth"
	"clientele/events"
	"clientele/internal/testkit"
	"clientele/jobs"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience bounds every wait; nothing that works comes near it.
const patience = time.Minute

// sending is a channel that is a function.
type sending func(ctx context.Context, a *models.Account, to models.Ident, m *models.Message) error

func (f sending) Send(ctx context.Context, a *models.Account, to models.Ident, m *models.Message) error {
	return f(ctx, a, to, m)
}

func (sending) ServiceAgents(_ context.Context, _ *models.Account, people []services.Person) ([]bool, error) {
	return make([]bool, len(people)), nil
}

func (sending) CodeURL(*models.Account, *models.QRCode) string { return "" }

// node is one process of a cluster: services on a database that other nodes may share.
type node struct {
	*services.Services
	store *store.Store
}

// newNode opens the database once more. On SQLite, which one process opens once, pass the store
// of the first node.
func newNode(tb testing.TB, s *store.Store, ch services.Channel) *node {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	return &node{store: s, Services: services.New(services.Deps{
		Store: s, Hub: events.New(s.Log(), events.Options{Log: log}), Log: log,
		Channels: map[models.ChannelKind]services.Channel{models.ChannelSandbox: ch},
	})}
}

// another is a second node on the database of the first.
func another(tb testing.TB, first *node, dsn string, clock *testkit.Clock, ch services.Channel) *node {
	tb.Helper()
	if first.store.IsEmbedded() {
		return newNode(tb, first.store, ch)
	}
	return newNode(tb, testkit.Store(tb, dsn, clock), ch)
}

// run starts a Runner on the node; it ends with the test, or with the function it answers.
func (n *node) run(tb testing.TB, workers int) (stop func()) {
	tb.Helper()
	return n.runPolling(tb, workers, 5*time.Millisecond)
}

func (n *node) runPolling(tb testing.TB, workers int, poll time.Duration) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := &jobs.Runner{Services: n.Services, Log: slog.New(slog.NewTextHandler(tb.Output(), nil)), Workers: workers, Poll: poll, Hook: poll}
		r.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	tb.Cleanup(stop)
	return stop
}

// shop is an account with one advisor and customers who may be written to.
type shop struct {
	tb        testing.TB
	store     *store.Store
	account   *models.Account
	advisor   *models.Advisor
	customers []models.Key
	sent      int
	mu        sync.Mutex
}

func newShop(tb testing.TB, s *store.Store, customers int) *shop {
	tb.Helper()
	sh := &shop{tb: tb, store: s, account: testkit.Account(tb, s)}
	sh.advisor = testkit.Advisors(tb, s, sh.account, 1)[0]
	sh.customers = testkit.Customers(tb, s, sh.account.Key, customers)
	testkit.Write(tb, s, sh.account.Key, func(tx *store.Tx) error {
		rows, _, err := tx.LockCustomers(sh.customers)
		if err != nil {
			return err
		}
		conversations, err := tx.LockConversations(sh.customers)
		if err != nil {
			return err
		}
		for i, c := range rows {
			c.FollowState, c.FollowedAt, c.AdvisorID, c.BoundAt = models.Following, tx.Now, sh.advisor.Key, tx.Now
			conv := conversations[i]
			conv.AdvisorID, conv.VisibleFrom = sh.advisor.Key, tx.Now
			conv.Contact = conv.Contact.Opened(models.ActionMessage, tx.Now, sh.account.Policy())
		}
		if err := tx.UpdateCustomers(rows, "follow_state", "followed_at", "advisor_id", "bound_at"); err != nil {
			return err
		}
		return tx.UpdateConversations(conversations)
	})
	return sh
}

// send has the advisor write to the i-th customer, on a node.
func (sh *shop) send(n *node, i int) *models.Message {
	sh.tb.Helper()
	m, err := sh.trySend(n, i)
	if err != nil {
		sh.tb.Fatalf("send: %v", err)
	}
	return m
}

func (sh *shop) trySend(n *node, i int) (*models.Message, error) {
	sh.mu.Lock()
	sh.sent++
	key := fmt.Sprintf("k%d", sh.sent)
	sh.mu.Unlock()
	return n.Send(sh.asAdvisor(), services.Outgoing{To: services.CustomerRef{Key: sh.customers[i]}, Text: key, IdempotencyKey: key})
}

// asAdvisor is the context of a request of the advisor.
func (sh *shop) asAdvisor() context.Context {
	return services.WithScope(context.Background(), &services.Scope{
		Viewer:  &auth.Viewer{Role: auth.RoleAdvisor, Account: sh.account.Key.String(), Subject: auth.AdvisorSubject(auth.SubjectOpenID, "advisor-0")},
		Account: sh.account, Advisor: sh.advisor,
	})
}

// queue is the outbound queue of the i-th customer.
func (sh *shop) queue(i int) models.StreamID {
	return models.StreamID{Account: sh.account.Key, Stream: sh.customers[i]}
}

// claim takes the head of the i-th customer's queue; nil when it may not.
func (sh *shop) claim(n *node, i int) *services.Claim {
	sh.tb.Helper()
	c, err := n.Claim(sh.tb.Context(), sh.queue(i), models.NewKey())
	if err != nil {
		sh.tb.Fatalf("claim: %v", err)
	}
	return c
}

// deliver hands it over.
func (sh *shop) deliver(n *node, c *services.Claim) (services.Handover, *services.Claim) {
	sh.tb.Helper()
	if c == nil {
		sh.tb.Fatal("nothing was claimed")
	}
	done, next, err := n.Deliver(sh.tb.Context(), c)
	if err != nil {
		sh.tb.Fatalf("deliver: %v", err)
	}
	return done, next
}

// status is how far a message has come, with why it failed.
func (sh *shop) status(m *models.Message) string {
	sh.tb.Helper()
	rows, err := sh.store.View(sh.tb.Context()).Messages(sh.account.Key, []models.Key{m.Key})
	if err != nil || len(rows) != 1 {
		sh.tb.Fatalf("messages %v, %v", rows, err)
	}
	return strings.TrimSpace(string(rows[0].Status) + " " + string(rows[0].FailureReason))
}

// left is how many free replies the i-th customer may still get.
func (sh *shop) left(i int) int {
	sh.tb.Helper()
	rows, err := sh.store.View(sh.tb.Context()).Conversations(sh.account.Key, []models.Key{sh.customers[i]})
	if err != nil || len(rows) != 1 {
		sh.tb.Fatalf("conversations %v, %v", rows, err)
	}
	return rows[0].MayWrite(sh.store.Now(), sh.account.Policy()).Left
}

// gate is the account's gate.
func (sh *shop) gate() (g *models.Gate) {
	sh.tb.Helper()
	testkit.Write(sh.tb, sh.store, sh.account.Key, func(tx *store.Tx) (err error) {
		_, g, err = tx.Outbound()
		return err
	})
	return g
}

// setGate changes the account's gate.
func (sh *shop) setGate(change func(*models.Gate)) {
	sh.tb.Helper()
	testkit.Write(sh.tb, sh.store, sh.account.Key, func(tx *store.Tx) error {
		g, err := tx.LockGate()
		if err != nil {
			return err
		}
		change(g)
		return tx.UpdateGate(g)
	})
}

// exec changes rows as the product does not.
func (sh *shop) exec(statement string, args ...any) {
	sh.tb.Helper()
	db, err := sh.store.SQL()
	if err == nil {
		_, err = db.ExecContext(context.Background(), statement, args...)
	}
	if err != nil {
		sh.tb.Fatalf("%s: %v", statement, err)
	}
}

func (sh *shop) count(query string, args ...any) (n int) {
	sh.tb.Helper()
	db, err := sh.store.SQL()
	if err == nil {
		err = db.QueryRowContext(context.Background(), query, args...).Scan(&n)
	}
	if err != nil {
		sh.tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// waiting is how many messages of the account have not left.
func (sh *shop) waiting() int {
	return sh.count("SELECT COUNT(*) FROM delivery WHERE account_id = ?", sh.account.Key)
}

// await returns once something is so. It asks again and again, where nothing tells.
func await(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline.C:
			tb.Fatalf("waited in vain until %s", what)
		}
	}
}
