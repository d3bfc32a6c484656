package services

import (
	"math/rand/v2"
	"slices"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// drawn is how many advisors a narrow batch locks of each group, and of the account for
// auto-assign: enough that a batch rarely has to be drawn again, few enough to lock.
const drawn = 32

// targetGroup is a group whose code was scanned.
type targetGroup struct {
	members map[models.Key]bool
	free    []models.Key // drawn in random order
}

// inboundBatch is one transaction's worth of inbound items: the rows it locked, and what is to
// be written. It lives for one attempt.
type inboundBatch struct {
	s  *Services
	tx *store.Tx
	// lookUp asks the database for the customers' keys even where they are remembered.
	lookUp bool
	// wide locks every free advisor of a group, at most limits.AdvisorsPerGroup, instead of a few
	// drawn ones.
	wide    bool
	account *models.Account
	policy  models.Policy

	customers     map[models.Ident]*models.Customer
	conversations map[models.Key]*models.Conversation
	stored        map[models.Ident]bool // messages that are there already
	seen          map[models.Ident]*models.InboundRecord
	codes         map[models.Ident]*models.QRCode
	groups        map[models.Key]*targetGroup
	free          []models.Key // of the whole account, for auto-assign
	staff         staffNames
	advisors      map[models.Key]*models.Advisor
	listeners     map[models.Key]models.Listener
	inquiries     map[models.Key]*models.Notification

	// origins are what the batch knows of followers of whom the platform was asked, and waiting their rows, by customer; see origin.go.
	origins   []*origin
	waiting   map[models.Key]*models.WaitingFollow
	byUnionID map[models.Ident]models.Ident // openids
	learned   bool                          // a customer got a unionid

	// written: the batch changes conversations alone; see onlyWritten. behind: their ledgers lacked
	// mass sends.
	written, behind bool

	results       []InboundResult
	changed       map[models.Key]bool // customers whose row and conversation changed
	counted       map[models.Key]bool // advisors whose customer count changed
	bindings      []*models.Binding
	messages      []*models.Message
	deliveries    []*models.Delivery
	notifications []*models.Notification
	merged        map[models.Key]*models.Notification
	records       []*models.InboundRecord
	scans         []*models.Scan
	waits         map[models.Key]*models.WaitingFollow // followers of whom the platform is to be asked, by customer
	undecided     []*models.WaitingFollow              // of whom it is still to be asked, with nothing waiting for that any more
	answered      []*models.WaitingFollow              // of whom it is not to be asked any more
}

// staffNames are names of PENDING and ACTIVE advisors.
type staffNames struct{ openids, unionids map[models.Ident]bool }

// has reports whether a customer is one of them.
func (n staffNames) has(c *models.Customer) bool { return n.openids[c.OpenID] || n.unionids[c.UnionID] }

// lockAdvisors locks, in one statement, everyone whose row decides: the advisors of the codes,
// those drawn, and those whom the batch's customers are bound to.
func (b *inboundBatch) lockAdvisors() error {
	want := map[models.Key]bool{}
	for _, c := range b.codes {
		if c.Kind == models.QRCodeAdvisor {
			want[c.OwnerID] = true
		}
	}
	for _, g := range b.groups {
		g.free = b.draw(g.free, limits.AdvisorsPerGroup)
		for _, k := range g.free {
			want[k] = true
		}
	}
	b.free = b.draw(b.free, limits.AdvisorsPerGroup)
	for _, k := range b.free {
		want[k] = true
	}
	for _, c := range b.customers {
		if !c.AdvisorID.IsZero() {
			want[c.AdvisorID] = true
		}
	}
	keys := make([]models.Key, 0, len(want))
	for k := range want {
		keys = append(keys, k)
	}
	rows, err := b.tx.LockAdvisors(keys)
	if err != nil {
		return err
	}
	b.advisors = make(map[models.Key]*models.Advisor, len(rows))
	for _, a := range rows {
		b.advisors[a.Key] = a
	}
	open, err := b.tx.OpenApps(b.tx.Account, keys, b.tx.Now)
	b.listeners = make(map[models.Key]models.Listener, len(rows))
	for _, a := range rows {
		b.listeners[a.Key] = models.Listener{
			Online:  a.StateAt(b.tx.Now) == models.AdvisorActive && a.Presence == models.PresenceOnline,
			AppOpen: open[a.Key],
		}
	}
	return err
}

// draw takes some of the free advisors at random, or all up to most when the batch is wide.
func (b *inboundBatch) draw(free []models.Key, most int) []models.Key {
	free = slices.Clone(free)
	rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	if !b.wide {
		most = drawn
	}
	return free[:min(len(free), most)]
}

// pick is a drawn advisor, at random, who is free under the lock and is not the customer. When all
// that a narrow batch drew are taken it asks for a wider one.
func (b *inboundBatch) pick(from []models.Key, c *models.Customer) (*models.Advisor, error) {
	if len(from) == 0 {
		return nil, nil //nolint:nilnil // nobody is free: an outcome, not a fault.
	}
	start := rand.IntN(len(from)) //nolint:gosec // chance, not secrecy.
	for i := range from {
		a := b.advisors[from[(start+i)%len(from)]]
		if a != nil && a.StateAt(b.tx.Now) == models.AdvisorActive && !a.IsFull() && !c.IsPersonOf(a) {
			return a, nil
		}
	}
	if !b.wide && len(from) == drawn {
		return nil, errRedraw
	}
	return nil, nil //nolint:nilnil // nobody is free: an outcome, not a fault.
}

// loadNotices reads the open inquiries that messages may merge into; the conversations' locks
// guard them.
func (b *inboundBatch) loadNotices() error {
	var keys []models.Key
	for _, c := range b.conversations {
		if !c.InquiryID.IsZero() {
			keys = append(keys, c.InquiryID)
		}
	}
	rows, err := b.tx.Notifications(b.tx.Account, keys)
	if err != nil {
		return err
	}
	b.inquiries = make(map[models.Key]*models.Notification, len(rows))
	for _, n := range rows {
		b.inquiries[n.Key] = n
	}
	b.changed, b.counted, b.merged = map[models.Key]bool{}, map[models.Key]bool{}, map[models.Key]*models.Notification{}
	return nil
}

// apply does what follows from one item, in memory.
func (b *inboundBatch) apply(i int, in models.Inbound) error {
	key := models.Ident(in.DedupKey)
	c := b.customers[models.Ident(in.OpenID)]
	if in.Kind == models.InboundMessage {
		b.results[i] = InboundResult{Repeated: b.stored[key], Customer: c}
		if !b.stored[key] {
			b.stored[key], b.changed[c.Key] = true, true
			conv := b.conversations[c.Key]
			b.acted(c, conv, models.ActionMessage, in.At)
			b.resume(c, conv)
			b.message(c, conv, in)
		}
		return nil
	}
	if rec, again := b.seen[key]; again {
		b.results[i] = InboundResult{Repeated: true, Outcome: rec.Outcome, Customer: c, record: rec}
		return nil
	}
	rec := &models.InboundRecord{
		AccountID: b.tx.Account, DedupKey: key, Kind: in.Kind, Name: in.Name, Scene: models.Ident(in.Scene),
		At: in.At, CreatedAt: b.tx.Now,
	}
	b.seen[key] = rec
	b.records = append(b.records, rec)
	if in.Kind == models.InboundOther {
		return nil
	}
	conv := b.conversations[c.Key]
	rec.CustomerID = c.Key
	b.changed[c.Key] = true
	var err error
	switch in.Kind {
	case models.InboundFollow:
		err = b.follow(c, conv, in, rec)
	case models.InboundUnfollow:
		b.unfollow(c, conv, in)
	case models.InboundScan:
		b.acted(c, conv, models.ActionScan, in.At)
		if rec.Outcome, err = b.scan(c, conv, in); err == nil && rec.Outcome != models.ScanBound {
			b.resume(c, conv)
			b.tell(c, conv)
		}
	case models.InboundMenu:
		b.acted(c, conv, models.ActionMenu, in.At)
		b.resume(c, conv)
		b.tell(c, conv)
	case models.InboundPayment:
		// Another clock's time of it may be a little ahead of ours.
		b.acted(c, conv, models.ActionPayment, min(in.At, b.tx.Now))
		b.resume(c, conv)
		b.tell(c, conv)
	case models.InboundMessage, models.InboundOther:
	}
	rec.AdvisorID = c.BoundTo()
	b.scanned(rec)
	b.results[i] = InboundResult{Customer: c, Outcome: rec.Outcome, record: rec}
	return err
}

// acted notes an action that opens the reply window (rule G2). Whoever acts follows, unless
// what they did is older than their leaving.
func (b *inboundBatch) acted(c *models.Customer, conv *models.Conversation, a models.ContactAction, at models.Time) {
	conv.LastInteractionAt = max(conv.LastInteractionAt, at)
	c.LastInteractionAt = conv.LastInteractionAt
	conv.Contact = conv.Contact.Opened(a, at, b.policy)
	if c.FollowState != models.Following && at > c.UnfollowedAt {
		c.FollowState, c.FollowedAt = models.Following, at
	}
}

func (b *inboundBatch) follow(c *models.Customer, conv *models.Conversation, in models.Inbound, rec *models.InboundRecord) (err error) {
	if in.At < c.UnfollowedAt {
		return nil // they left again since; the platform's retries arrive in any order
	}
	c.FollowState, c.FollowedAt = models.Following, max(c.FollowedAt, in.At)
	conv.LastInteractionAt = max(conv.LastInteractionAt, in.At)
	c.LastInteractionAt = conv.LastInteractionAt
	conv.Contact = conv.Contact.Opened(models.ActionFollow, in.At, b.policy)
	waits := b.await(c, in)
	if in.Scene != "" {
		conv.Contact = conv.Contact.Opened(models.ActionScan, in.At, b.policy)
		rec.Outcome, err = b.scan(c, conv, in)
	} else if in.Ad != nil {
		rec.Outcome, err = b.advertised(c, conv, in)
	}
	if err != nil {
		return err
	}
	if rec.Outcome == models.ScanBound {
		b.greet(c, conv)
		return nil
	}
	if waits {
		b.tell(c, conv)
		return nil
	}
	if b.resume(c, conv); !c.AdvisorID.IsZero() { // restored, or waiting for the account to open
		b.tell(c, conv)
		return nil
	}
	if (in.Scene != "" || in.Ad != nil) && !b.account.AutoAssignAfterCode {
		return nil
	}
	return b.autoAssign(c, conv)
}

// greet queues the account's follow reply to a customer who follows and was just bound by a code or an advertisement
// (rule H4), and shows it to their advisor. A repeat of the callback never comes here.
func (b *inboundBatch) greet(c *models.Customer, conv *models.Conversation) {
	m := b.account.FollowReplyTo(conv, b.tx.Now)
	if m == nil {
		return
	}
	b.messages = append(b.messages, m)
	b.deliveries = append(b.deliveries, &models.Delivery{
		AccountID: m.AccountID, CustomerID: m.CustomerID, MessageID: m.Key, State: models.DeliveryWaiting, CreatedAt: b.tx.Now,
	})
	b.tx.Emit(models.Event{
		Stream: c.AdvisorID, Kind: models.EventMessageStatus, Customer: c.Key, Message: m.Key,
		Primed: &models.Primed{Customer: c, Conversation: conv, Message: m},
	})
}

// enqueue puts what the system sends into the customers' queues.
func (b *inboundBatch) enqueue() error {
	if len(b.deliveries) == 0 {
		return nil
	}
	return b.tx.Enqueue(b.deliveries...)
}

// autoAssign binds a new follower to a random free advisor of the account while the setting is
// on (rule E4). Advisors themselves are skipped (rule E1).
func (b *inboundBatch) autoAssign(c *models.Customer, conv *models.Conversation) error {
	if !b.account.AutoAssign || !b.account.IsOpen() || b.staff.has(c) {
		return nil
	}
	a, err := b.pick(b.free, c)
	if err != nil || a == nil {
		return err
	}
	b.bind(c, conv, a, models.SourceAutoAssign, "")
	return nil
}

// resume takes up the suspended binding of a customer who follows again if its advisor is ACTIVE
// and not full: source unchanged, no notification (rule E12). If not, the binding ends and the
// customer is unassigned. While the account is closed nothing is bound (rule A1): the binding
// waits for the customer's first action after it opens.
func (b *inboundBatch) resume(c *models.Customer, conv *models.Conversation) {
	if c.AdvisorID.IsZero() || c.SuspendedAt.IsZero() || c.FollowState != models.Following || !b.account.IsOpen() {
		return
	}
	a := b.advisors[c.AdvisorID]
	if a != nil && a.StateAt(b.tx.Now) == models.AdvisorActive && !a.IsFull() {
		c.SuspendedAt = 0
		a.CustomerCount++
		b.counted[a.Key] = true
		b.history(c, a.Key, models.BindingRestored, c.BoundSource)
		return
	}
	former := c.AdvisorID
	b.history(c, former, models.BindingUnbound, c.BoundSource)
	c.AdvisorID, c.BoundAt, c.BoundLabel, c.SuspendedAt = models.Key{}, 0, "", 0
	conv.AdvisorID, conv.Unread, conv.InquiryID = models.Key{}, 0, models.Key{}
	b.emit(former, models.EventCustomerLeft, &models.Primed{}, c.Key)
}

func (b *inboundBatch) unfollow(c *models.Customer, conv *models.Conversation, in models.Inbound) {
	if in.At < c.FollowedAt {
		return // they came back since
	}
	c.FollowState, c.UnfollowedAt = models.Unfollowed, max(c.UnfollowedAt, in.At)
	if bound := c.BoundTo(); !bound.IsZero() {
		c.SuspendedAt = b.tx.Now
		if a := b.advisors[bound]; a != nil {
			a.CustomerCount--
			b.counted[a.Key] = true
		}
		b.history(c, bound, models.BindingSuspended, c.BoundSource)
	}
	b.tell(c, conv)
}

// bind makes the customer the advisor's (rules E1, E2) and tells both the new advisor and,
// where a suspended binding ends by it, the former one. label is that of the code, if any.
func (b *inboundBatch) bind(c *models.Customer, conv *models.Conversation, a *models.Advisor, source models.BindingSource, label string) {
	now, former, change := b.tx.Now, c.AdvisorID, models.BindingBound
	if former == a.Key {
		former = models.Key{}
	}
	if !former.IsZero() {
		change = models.BindingRebound
		b.emit(former, models.EventCustomerLeft, &models.Primed{}, c.Key)
	}
	c.AdvisorID, c.BoundAt, c.BoundSource, c.BoundLabel, c.BoundBy, c.SuspendedAt = a.Key, now, source, label, "", 0
	a.CustomerCount++
	b.counted[a.Key] = true
	conv.AdvisorID, conv.ActiveAt, conv.Unread, conv.InquiryID = a.Key, max(conv.ActiveAt, now), 0, models.Key{}
	b.history(c, a.Key, change, source)
	b.bindings[len(b.bindings)-1].FormerID = former
	b.tell(c, conv)
	if b.account.Notifies(source) {
		b.notify(c, conv, &models.Notification{Kind: models.NotifyCustomerBound, Source: source, Count: 1})
	}
}

// history appends a change of the customer's present binding, or of the one that ends.
func (b *inboundBatch) history(c *models.Customer, advisor models.Key, change models.BindingChange, source models.BindingSource) {
	b.bindings = append(b.bindings, &models.Binding{
		AccountID: b.tx.Account, Key: models.NewKey(), CustomerID: c.Key, AdvisorID: advisor,
		Change: change, Source: source, Label: c.BoundLabel, At: b.tx.Now,
	})
}

// message records what the customer wrote and tells their advisor (rules G1, N3).
func (b *inboundBatch) message(c *models.Customer, conv *models.Conversation, in models.Inbound) {
	now := b.tx.Now
	stored := conv.WrittenAt(now)
	m := &models.Message{
		AccountID: b.tx.Account, Key: models.KeyAfter(conv.LastMessageID), CustomerID: c.Key, AdvisorID: c.BoundTo(),
		Direction: models.FromCustomer, Kind: in.Content.Kind,
		Text: in.Content.Text, MediaRef: in.Content.MediaRef, URL: in.Content.URL, Detail: in.Content.Description,
		Latitude: in.Content.Latitude, Longitude: in.Content.Longitude, DedupKey: models.Ident(in.DedupKey),
		Status: models.StatusReceived, At: in.At, StatusAt: now, CreatedAt: stored,
	}
	b.messages = append(b.messages, m)
	conv.LastMessageID, conv.ActiveAt, conv.LastCustomerAt = m.Key, max(conv.ActiveAt, stored), now
	listener, bound := b.listeners[c.BoundTo()]
	if !bound {
		// Rule E7: recorded for the merchant, answered by nobody. Whose binding is suspended is still shown to their advisor.
		b.tell(c, conv)
		return
	}
	conv.Unread++
	b.tx.Emit(models.Event{
		Stream: c.AdvisorID, Kind: models.EventMessageReceived, Customer: c.Key, Message: m.Key,
		Primed: &models.Primed{Customer: c, Conversation: conv, Message: m},
	})
	if b.account.IsOpen() && listener.Online && !listener.AppOpen {
		b.inquire(c, conv)
	}
}

// inquire makes the inquiry notification, or merges into the one that is open (rule N3).
func (b *inboundBatch) inquire(c *models.Customer, conv *models.Conversation) {
	n := b.inquiries[conv.InquiryID]
	if n == nil {
		n = &models.Notification{Kind: models.NotifyCustomerInquiry, Count: 1}
		b.notify(c, conv, n)
		conv.InquiryID = n.Key
		b.inquiries[n.Key] = n
		return
	}
	n.Count++
	n.At, n.ReadAt = b.tx.Now, 0 // there is something new in it
	b.merged[n.Key] = n
	b.emitNotification(c, conv, n)
}

// notify makes a notification for the customer's advisor.
func (b *inboundBatch) notify(c *models.Customer, conv *models.Conversation, n *models.Notification) {
	n.AccountID, n.Key, n.AdvisorID, n.CustomerID = b.tx.Account, models.NewKey(), c.AdvisorID, c.Key
	n.At, n.CreatedAt = b.tx.Now, b.tx.Now
	b.notifications = append(b.notifications, n)
	b.emitNotification(c, conv, n)
}

func (b *inboundBatch) emitNotification(c *models.Customer, conv *models.Conversation, n *models.Notification) {
	b.tx.Emit(models.Event{
		Stream: n.AdvisorID, Kind: models.EventNotificationMade, Customer: c.Key, Notification: n.Key,
		Primed: &models.Primed{Customer: c, Conversation: conv, Notification: n},
	})
}

// tell tells the customer's advisor, if any, that the conversation changed.
func (b *inboundBatch) tell(c *models.Customer, conv *models.Conversation) {
	if !c.AdvisorID.IsZero() {
		b.emit(c.AdvisorID, models.EventConversationChanged, &models.Primed{Customer: c, Conversation: conv}, c.Key)
	}
}

func (b *inboundBatch) emit(stream models.Key, kind models.EventKind, p *models.Primed, customer models.Key) {
	b.tx.Emit(models.Event{Stream: stream, Kind: kind, Customer: customer, Primed: p})
}

// save writes what changed, in the order of the lock phases.
func (b *inboundBatch) save() error {
	var customers []*models.Customer
	var conversations []*models.Conversation
	for _, c := range b.customers {
		if b.changed[c.Key] {
			customers = append(customers, c)
			conversations = append(conversations, b.conversations[c.Key])
		}
	}
	var advisors []*models.Advisor
	for k := range b.counted {
		advisors = append(advisors, b.advisors[k])
	}
	var merged []*models.Notification
	for k, n := range b.merged {
		// One made in this very batch is inserted with its merges.
		if !slices.ContainsFunc(b.notifications, func(m *models.Notification) bool { return m.Key == k }) {
			merged = append(merged, n)
		}
	}
	tx := b.tx
	if b.written {
		customers = nil
		if !b.behind {
			if err := tx.UpdateWritten(conversations); err != nil {
				return err
			}
			conversations = nil
		}
	}
	columns := []string{"follow_state", "followed_at", "unfollowed_at", "advisor_id", "bound_at", "bound_source", "bound_label", "bound_by", "suspended_at"}
	if b.learned {
		columns = append(columns, "unionid")
	}
	steps := []func() error{
		func() error { return tx.UpdateCustomers(customers, columns...) },
		func() error { return tx.UpdateConversations(conversations) },
		func() error { return tx.UpdateAdvisors(advisors, "customer_count") },
		b.enqueue,
		func() error { return tx.InsertBindings(b.bindings) },
		func() error { return tx.InsertMessages(b.messages) },
		func() error { return tx.InsertNotifications(b.notifications) },
		func() error { return tx.UpdateNotifications(merged) },
		func() error { return tx.InsertInbound(b.records) },
		func() error { return tx.InsertScans(b.scans) },
		b.saveWaiting,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
