package services

import (
	"context"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
)

// inboundItem waits in a lane for its batch to be committed.
type inboundItem struct {
	account models.Key
	in      models.Inbound
	// origin, if there is one, is what is done instead of in, of which it is only told who it is about.
	origin *origin
	// owner is whose items do not go into two transactions at a time: the customer's advisor as last
	// seen, else the customer.
	owner owner
	// result and err are set before done is closed.
	result InboundResult
	err    error
	done   chan struct{}
}

// owner is an advisor, or an openid of which none is known.
type owner struct {
	account models.Key
	advisor models.Key
	openid  models.Ident
}

// lanes write what arrives by the thousand. A lane is a transaction under way; there are at most
// so many. What waits meanwhile goes together into the next, and it is begun at once while there
// is no other; beside another when enough has gathered to be worth it, or something has waited
// for limits.LaneWait (docs/architecture.md). So few arrive together in one transaction, many in
// full ones beside each other, and one that hangs holds up nobody else for longer than that. Items
// of one owner never go into two at a time, so that lanes do not wait for each other's rows; that
// is a matter of speed only, the rows' locks keep the rules.
type lanes struct {
	most  int
	write func(ctx context.Context, account models.Key, items []*inboundItem)

	mu      sync.Mutex
	working context.Context // nil until run
	stopped bool
	waiting []*inboundItem // in the order in which they came
	busy    map[owner]bool // of items under way
	open    int            // transactions under way
	// timer runs while something waits that need not wait for more than limits.LaneWait; late is set
	// while it has run out.
	timer       *time.Timer
	armed, late bool
	idle        chan struct{} // closed once stopped and nothing is left

	// known remembers customers by openid: the key, which never changes while the row is there,
	// and the advisor. Either may be out of date.
	knownMu sync.Mutex
	known   map[person]remembered
}

type person struct {
	account models.Key
	openid  models.Ident
}

type remembered struct{ customer, advisor models.Key }

// knownKept bounds the memory of known, some 15 MB; when it is full it starts anew.
const knownKept = 100_000

func newLanes(n int, write func(context.Context, models.Key, []*inboundItem)) *lanes {
	if n <= 0 {
		n = limits.Lanes
	}
	l := &lanes{most: n, write: write, busy: map[owner]bool{}, idle: make(chan struct{}), known: map[person]remembered{}}
	l.timer = time.AfterFunc(time.Hour, l.waited)
	l.timer.Stop()
	return l
}

// put queues an item; UNAVAILABLE when too much waits, or the lanes are stopped.
func (l *lanes) put(it *inboundItem) error {
	l.knownMu.Lock()
	advisor := l.known[person{it.account, models.Ident(it.in.OpenID)}].advisor
	l.knownMu.Unlock()
	it.owner = owner{account: it.account, advisor: advisor}
	if advisor.IsZero() {
		it.owner.openid = models.Ident(it.in.OpenID)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || len(l.waiting) >= limits.LaneQueue*l.most {
		return models.Errorf(models.CodeUnavailable, "too much is coming in; try again")
	}
	l.waiting = append(l.waiting, it)
	l.begin()
	return nil
}

// run works until ctx ends, finishes what waits, and refuses what comes after.
func (l *lanes) run(ctx context.Context) {
	l.mu.Lock()
	// What was accepted is written even while the process stops.
	l.working = context.WithoutCancel(ctx)
	l.begin()
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock()
	l.stopped = true
	l.begin()
	l.mu.Unlock()
	<-l.idle
}

// waited begins a transaction for what has waited long enough.
func (l *lanes) waited() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.late = false, true
	l.begin()
	l.late = false
}

// begin begins what transactions may begin now. mu must be held.
func (l *lanes) begin() {
	for l.working != nil {
		batch := l.take()
		if len(batch) == 0 {
			break
		}
		l.open++
		go l.work(batch)
	}
	if l.stopped && l.open == 0 && len(l.waiting) == 0 {
		select {
		case <-l.idle:
		default:
			close(l.idle)
		}
	}
}

// take takes a transaction's worth of what waits, all of one account: the first one's that has an
// owner with nothing under way. What stays keeps its order. mu must be held.
func (l *lanes) take() []*inboundItem {
	if len(l.waiting) == 0 || l.open >= l.most {
		return nil
	}
	if l.open > 0 && len(l.waiting) < limits.LaneBatch && !l.late && !l.stopped {
		if !l.armed {
			l.armed = true
			l.timer.Reset(limits.LaneWait)
		}
		return nil
	}
	var batch, rest []*inboundItem
	mine := map[owner]bool{}
	for i, it := range l.waiting {
		if len(batch) == limits.BatchRows {
			rest = append(rest, l.waiting[i:]...)
			break
		}
		if l.busy[it.owner] || len(batch) > 0 && it.account != batch[0].account {
			rest = append(rest, it)
			continue
		}
		batch = append(batch, it)
		mine[it.owner] = true
	}
	for o := range mine {
		l.busy[o] = true
	}
	if l.waiting = rest; len(rest) == 0 && l.armed {
		l.armed = false
		l.timer.Stop()
	}
	return batch
}

// work writes a batch, answers who waits for it, and makes room.
func (l *lanes) work(batch []*inboundItem) {
	l.write(l.working, batch[0].account, batch)
	for _, it := range batch {
		close(it.done)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range batch {
		delete(l.busy, it.owner)
	}
	l.open--
	l.begin()
}

// remember notes the key and the advisor of a customer.
func (l *lanes) remember(account models.Key, c *models.Customer) {
	l.knownMu.Lock()
	defer l.knownMu.Unlock()
	if len(l.known) >= knownKept {
		clear(l.known)
	}
	l.known[person{account, c.OpenID}] = remembered{customer: c.Key, advisor: c.AdvisorID}
}

// customers is the keys of these openids, if all of them are remembered.
func (l *lanes) customers(account models.Key, openids []models.Ident) ([]models.Key, bool) {
	l.knownMu.Lock()
	defer l.knownMu.Unlock()
	keys := make([]models.Key, len(openids))
	for i, o := range openids {
		k, ok := l.known[person{account, o}]
		if !ok {
			return nil, false
		}
		keys[i] = k.customer
	}
	return keys, true
}
