package crash

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// patience bounds every wait for something that must come; nothing that works comes near it.
const patience = time.Minute

// atOnce is how many tests run at the same time, unless the command line says so.
const atOnce = "4"

// The credentials of every run.
const (
	tokenSecret   = "crash=a-secret-of-thirty-two-bytes-or-more"
	tokenLife     = 24 * time.Hour
	callbackToken = "tokenOfTheTests"
)

// The size of a run.
const (
	advisorsEach  = 3 // of each of the two accounts
	customersEach = 4 // of each advisor
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "clientele-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries.dir = dir
	// Much of what a test does is waiting for servers, which are processes of their own.
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testkit.Main(m, func() error { return os.RemoveAll(dir) })
}

// binaries are the programs under test, built once a process.
var binaries struct {
	sync.Mutex
	dir string
}

// binary builds clientele with these build tags, without the race detector, as it is shipped.
func binary(tb testing.TB, tags string) string {
	tb.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	path := filepath.Join(binaries.dir, "clientele-"+tags)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	build := exec.Command("go", "build", "-tags="+tags, "-o", path, "clientele/cmd/clientele")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build clientele: %v\n%s", err, out)
	}
	return path
}

// rig is one run: a database, nodes on it, who writes, and who listens.
type rig struct {
	*testing.T
	dsn   string
	nodes []*node
	// platform is what stands for the sandbox account's platform, and keeps what it takes in a file.
	platform *testkit.Sandbox
	issuer   *auth.Issuer
	http     *http.Client
	admin    map[models.Key]string // tokens by account

	accounts  []*models.Account // the first is of the sandbox, the second of WECHAT
	advisors  []*advisor
	people    []*person
	listeners []*listener

	senders, clients sync.WaitGroup
	stopSenders      context.CancelFunc
	stopClients      context.CancelFunc
	acks             atomic.Int64
	repeats          atomic.Int64 // requests that were sent again

	// spoiled says that the run was spoiled on purpose: how its nodes end is not judged.
	spoiled bool

	mu     sync.Mutex
	sends  []Send
	writes []Write
	faults []string
}

// advisor is whose stream is listened to.
type advisor struct {
	key     models.Key
	account *models.Account
	scene   models.Ident
	token   string
	start   string // the cursor before anything happened
}

// newRig founds the accounts on an empty database and starts so many nodes of a binary, each with
// these variables in its environment.
func newRig(t *testing.T, dsn, binary string, nodes int, environment ...string) *rig {
	t.Helper()
	r := foundRig(t, dsn)
	r.startNodes(binary, nodes, environment...)
	r.credentials()
	for _, a := range r.advisors {
		a.start = r.cursor(a)
	}
	return r
}

// foundRig founds the accounts on an empty database.
func foundRig(t *testing.T, dsn string) *rig {
	t.Helper()
	r := &rig{T: t, dsn: dsn, admin: map[models.Key]string{}}
	r.http = &http.Client{Timeout: patience / 6, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(r.http.CloseIdleConnections)
	set := config.Default()
	set.TokenSecrets = []config.Secret{tokenSecret}
	var err error
	if r.issuer, err = set.NewIssuer(time.Now); err != nil {
		t.Fatal(err)
	}
	r.found()
	r.startPlatform(filepath.Join(t.TempDir(), "taken"))
	return r
}

// startNodes starts so many nodes of a binary.
func (r *rig) startNodes(binary string, nodes int, environment ...string) {
	r.Helper()
	for i := range nodes {
		n := &node{rig: r, name: fmt.Sprintf("node %d", i), binary: binary, dsn: r.dsn, data: r.TempDir(), environment: environment}
		n.start(r.T)
		r.nodes = append(r.nodes, n)
	}
}

// startPlatform starts what stands for the platform, which appends to a file. It is slow to answer,
// so that messages are in hand whenever something is killed; now and then it refuses one, cannot
// take one, or takes one and does not say so.
func (r *rig) startPlatform(file string) {
	r.Helper()
	seed := rand.Uint64()
	r.platform = testkit.StartSandbox(r, file, "-max-delay=200ms", "-refuse=0.02", "-unavailable=0.005", "-silent=0.005", fmt.Sprintf("-seed=%d", seed))
}

// handed is what the platform took so far.
func (r *rig) handed() []Handed {
	r.Helper()
	customers := map[string]models.Key{}
	for _, p := range r.people {
		customers[p.openid] = p.key
	}
	lines := r.platform.Lines(r)
	all := make([]Handed, len(lines))
	for i, line := range lines {
		message, err := keyOf(line.MessageID)
		if err != nil {
			r.Fatalf("the platform received %+v: %v", line, err)
		}
		all[i] = Handed{Message: message, Customer: customers[line.OpenID], Text: line.Text}
	}
	return all
}

// lapse kills every node with what it has in hand, and starts them again as if the leases of the
// dead had lapsed meanwhile. The platform, too, starts again on its file: what a dead node handed
// over has arrived or does not arrive any more, as it is after a lease, which is longer than any
// call.
func (r *rig) lapse() {
	r.Helper()
	for _, n := range r.nodes {
		n.process.Kill()
	}
	if err := r.platform.Stop(); err != nil {
		r.Fatalf("stop the platform: %v", err)
	}
	r.opened(func(s *store.Store) {
		db, err := s.SQL()
		if err != nil {
			r.Fatal(err)
		}
		if _, err := db.ExecContext(r.Context(), "UPDATE outbox SET due_at = ?, leased_until = ? WHERE leased_until > 0", s.Now(), s.Now()); err != nil {
			r.Fatalf("end the leases: %v", err)
		}
		if _, err := db.ExecContext(r.Context(), "UPDATE outbound_gate SET paused_until = ?", s.Now()); err != nil {
			r.Fatalf("end the pause of a gate, which lasts as long as a lease while a message tries the channel: %v", err)
		}
	})
	r.startPlatform(r.platform.File)
	for _, n := range r.nodes {
		n.start(r.T)
	}
}

// drained waits until what was sent last to each customer has left its queue, and so all before it.
func (r *rig) drained() {
	r.Helper()
	last := map[models.Key]Send{}
	for _, s := range r.sends {
		last[s.Customer] = s
	}
	for _, p := range r.people {
		s, ok := last[p.key]
		if !ok {
			continue
		}
		left := func() bool {
			_, status, err := p.request(r.nodes[0], s.Key, s.Text)
			if err != nil && !passing(err) {
				r.Fatalf("key %s, which was acknowledged, is answered with %v", s.Key, err)
			}
			return err == nil && status != models.StatusQueued
		}
		if !r.within(rest, left) {
			r.dump()
			r.Fatalf("message %s to %s is still QUEUED; faults: %v", s.Message, p.openid, r.told())
		}
	}
}

// found writes the accounts and their advisors.
func (r *rig) found() {
	r.Helper()
	r.opened(func(s *store.Store) {
		if _, err := s.Migrate(r.Context()); err != nil {
			r.Fatalf("migrate: %v", err)
		}
		for _, channel := range []models.ChannelKind{models.ChannelSandbox, models.ChannelWechat} {
			account := testkit.Account(r, s, func(a *models.Account) { a.Channel = channel })
			r.accounts = append(r.accounts, account)
			r.admin[account.Key] = r.token(auth.RoleAdmin, account.Key, "console")
			for _, row := range testkit.Advisors(r, s, account, advisorsEach) {
				a := &advisor{key: row.Key, account: account, scene: models.Ident("scene-" + row.Key.String())}
				a.token = r.token(auth.RoleAdvisor, account.Key, auth.AdvisorSubject(auth.SubjectID, row.Key.String()))
				r.advisors = append(r.advisors, a)
				code := &models.QRCode{AccountID: account.Key, Key: models.NewKey(), Scene: a.scene, Kind: models.QRCodeAdvisor, OwnerID: a.key, CreatedAt: s.Now()}
				testkit.Write(r, s, account.Key, func(tx *store.Tx) error { return tx.InsertQRCodes([]*models.QRCode{code}) })
			}
		}
	})
}

// opened runs fn on the database while no node has it.
func (r *rig) opened(fn func(*store.Store)) {
	r.Helper()
	s, err := store.Open(r.Context(), store.Options{DSN: r.dsn, Strict: true})
	if err != nil {
		r.Fatalf("open the database: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			r.Errorf("close the database: %v", err)
		}
	}()
	fn(s)
}

func (r *rig) token(role auth.Role, account models.Key, subject string) string {
	r.Helper()
	token, _, err := r.issuer.Issue(auth.Grant{Role: role, Account: account.String(), Subject: subject, Life: tokenLife})
	if err != nil {
		r.Fatalf("issue a token: %v", err)
	}
	return token
}

// credentials sets what the platform of the second account signs with.
func (r *rig) credentials() {
	r.Helper()
	const mutation = `mutation($token: String!) { setCallbackCredentials(input: {mode: PLAIN, token: $token}) { account { id } } }`
	if _, err := r.ask(r.nodes[0], r.admin[r.accounts[1].Key], mutation, map[string]any{"token": callbackToken}); err != nil {
		r.Fatalf("set the callback's credentials: %v", err)
	}
}

// cursor is the cursor at the head of an advisor's stream.
func (r *rig) cursor(a *advisor) string {
	r.Helper()
	var cursor string
	r.await("the head is told", func() bool {
		data, err := r.ask(r.nodes[0], a.token, `{ eventCursor }`, nil)
		if err != nil && !passing(err) {
			r.Fatalf("eventCursor: %v", err)
		}
		_ = json.Unmarshal(data["eventCursor"], &cursor)
		return err == nil
	})
	return cursor
}

// run begins the traffic: every customer writes and is answered, every client listens.
func (r *rig) run() {
	r.Helper()
	var listening, sending context.Context
	listening, r.stopClients = context.WithCancel(context.Background())
	sending, r.stopSenders = context.WithCancel(context.Background())
	r.Cleanup(func() {
		r.stopSenders()
		r.senders.Wait()
		r.stopClients()
		r.clients.Wait()
	})
	for i, a := range r.advisors {
		// The last advisor of an account has no messages subscription: to them inquiries are notified.
		topics := []Topic{TopicMessages, TopicMessages, TopicNotifications}
		if i%advisorsEach == advisorsEach-1 {
			topics = []Topic{TopicNotifications, TopicNotifications}
		}
		for n, topic := range topics {
			r.listen(listening, a, topic, fmt.Sprintf("client %d of advisor %d", n, i), n, n == 1)
		}
		for n := range customersEach {
			const apart = 1_000_000
			p := &person{rig: r, advisor: a, openid: fmt.Sprintf("c-%d-%d", i, n), first: int64(1+len(r.people)) * apart, random: rand.New(rand.NewPCG(rand.Uint64(), uint64(n)))}
			r.people = append(r.people, p)
			r.senders.Go(func() { p.live(sending) })
		}
	}
}

// listen starts a client. A flaky one leaves by itself at random.
func (r *rig) listen(ctx context.Context, a *advisor, topic Topic, name string, first int, flaky bool) {
	l := &listener{rig: r, advisor: a, cursor: a.start, turn: first, flaky: flaky, seen: map[models.Key]int64{}}
	l.record = Listener{Name: name + ", " + string(topic), Stream: a.key, Topic: topic, Start: number(r, a.start)}
	r.listeners = append(r.listeners, l)
	r.clients.Go(func() { l.run(ctx) })
}

// traffic returns when so many more requests were acknowledged. That they are, whatever was killed
// just before, is what a service owes that comes back.
func (r *rig) traffic(more int) {
	r.Helper()
	goal := r.acks.Load() + int64(more)
	r.await(fmt.Sprintf("%d more requests were acknowledged", more), func() bool { return r.acks.Load() >= goal })
}

// await returns once something is so. It asks again and again, where nothing tells.
func (r *rig) await(what string, is func() bool) {
	r.Helper()
	if !r.within(patience, is) {
		r.dump()
		r.Fatalf("waited in vain until %s; faults: %v", what, r.told())
	}
}

// within reports whether something becomes so in time. A fault ends the wait: what it was for does
// not come any more.
func (r *rig) within(bound time.Duration, is func() bool) bool {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	deadline := time.NewTimer(bound)
	defer deadline.Stop()
	for !is() {
		select {
		case <-again.C:
			if len(r.told()) > 0 {
				return is()
			}
		case <-deadline.C:
			return is()
		}
	}
	return true
}

// fault records what no crash excuses, from any goroutine.
func (r *rig) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// told is the faults so far.
func (r *rig) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.faults)
}

// dump prints what the nodes wrote last.
func (r *rig) dump() {
	for _, n := range r.nodes {
		r.Logf("%s wrote:\n%s", n.name, n.output.Tail())
	}
}

// history stops all and reads the log.
func (r *rig) history() *History {
	r.Helper()
	r.stopSenders()
	r.senders.Wait()
	r.stopClients()
	r.clients.Wait()
	r.stop()
	h := &History{Heads: map[models.Key]int64{}, Sends: r.sends, Writes: r.writes, Handed: r.handed()}
	r.opened(func(s *store.Store) { r.read(s, h) })
	for _, l := range r.listeners {
		h.Listeners = append(h.Listeners, l.record)
	}
	return h
}

func (r *rig) read(s *store.Store, h *History) {
	r.Helper()
	db, err := s.SQL()
	if err != nil {
		r.Fatal(err)
	}
	query := func(statement string, row func(scan func(...any) error) error) {
		r.Helper()
		rows, err := db.QueryContext(r.Context(), statement)
		if err != nil {
			r.Fatalf("%s: %v", statement, err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := row(rows.Scan); err != nil {
				r.Fatalf("%s: %v", statement, err)
			}
		}
		if err := rows.Err(); err != nil {
			r.Fatalf("%s: %v", statement, err)
		}
	}
	query("SELECT id, head FROM stream", func(scan func(...any) error) error {
		var key models.Key
		var head int64
		err := scan(&key, &head)
		h.Heads[key] = head
		return err
	})
	query("SELECT account_id, stream_id, seq, kind, customer_id, message_id, notification_id FROM event", func(scan func(...any) error) error {
		var e models.Event
		err := scan(&e.Account, &e.Stream, &e.Seq, &e.Kind, &e.Customer, &e.Message, &e.Notification)
		h.Events = append(h.Events, e)
		return err
	})
	query("SELECT id, customer_id, advisor_id, direction, text, status, failure_reason FROM message", func(scan func(...any) error) error {
		var m models.Message
		err := scan(&m.Key, &m.CustomerID, &m.AdvisorID, &m.Direction, &m.Text, &m.Status, &m.FailureReason)
		h.Messages = append(h.Messages, m)
		return err
	})
}

// tell prints what a run was.
func (r *rig) tell(h *History, kills string) {
	received, connections := 0, 0
	for _, l := range h.Listeners {
		connections += len(l.Connections)
		for _, c := range l.Connections {
			received += len(c.Received)
		}
	}
	statuses := map[models.MessageStatus]int{}
	for i := range h.Messages {
		statuses[h.Messages[i].Status]++
	}
	r.Logf("%s; %d sends and %d writes acknowledged, %d requests repeated; %d events in the log; %d clients received %d over %d connections; messages %v, of which the platform received %d",
		kills, len(h.Sends), len(h.Writes), r.repeats.Load(), len(h.Events), len(h.Listeners), received, connections, statuses, len(h.Handed))
}

// describe is a few of the violations, for people.
func describe(found []Violation) string {
	const most = 20
	var b strings.Builder
	for i, v := range found {
		if i == most {
			fmt.Fprintf(&b, "… and %d more\n", len(found)-most)
			break
		}
		b.WriteString(v.String() + "\n")
	}
	return b.String()
}
