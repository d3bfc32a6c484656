package services

import (
	"math/rand/v2"

	"clientele/models"
	"clientele/store"
)

// bindBatch is one transaction's worth of bindings that the merchant changes: the rows it locked,
// and what is to be written. Its statements are as many for one customer as for limits.BindBatch. It
// lives for one attempt.
type bindBatch struct {
	tx    *store.Tx
	order models.BindingOrder
	// by is who changes them, as rows name them.
	by string
	// audits: items tell what they changed. What a job binds is in the history alone.
	audits bool
	// leaving: they leave a removed advisor, whatever becomes of who should get them.
	leaving bool

	customers     map[models.Key]*models.Customer
	conversations map[models.Key]*models.Conversation
	advisors      map[models.Key]*models.Advisor
	target        models.BindTarget
	members       map[models.Key]bool
	free          []*models.Advisor // of the group: whom there may be room at

	seen     map[models.Key]bool // customers of the call so far
	changed  []*models.Customer
	counted  map[models.Key]bool // advisors whose customer count changed
	bindings []*models.Binding
	log      customerLog
	// having and library are the tags of customers, where the order takes them off; cleared are the
	// customers who lose them.
	having  map[models.Key]map[models.Key]bool
	library models.TagLibrary
	cleared []models.Key
}

// lock reads and locks, phase by phase, the customers with their conversations, then whoever has
// them or may get them. CAPABILITY_NOT_ENABLED when the account was closed meanwhile (rule A1),
// NOT_FOUND or STATE when the advisor that the order names may not have customers.
func (b *bindBatch) lock(keys []models.Key) error {
	account, err := b.tx.Reader.Account(b.tx.Account)
	if err != nil {
		return err
	}
	if !account.IsOpen() {
		return models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
	}
	customers, conversations, err := b.tx.LockCustomers(keys)
	if err != nil {
		return err
	}
	b.customers = make(map[models.Key]*models.Customer, len(customers))
	b.conversations = make(map[models.Key]*models.Conversation, len(customers))
	b.seen, b.counted = make(map[models.Key]bool, len(customers)), map[models.Key]bool{}
	want := map[models.Key]bool{}
	for i, c := range customers {
		b.customers[c.Key], b.conversations[c.Key] = c, conversations[i]
		want[c.AdvisorID] = true
	}
	want[b.order.Advisor] = true
	if err := b.loadMembers(want); err != nil {
		return err
	}
	delete(want, models.Key{})
	if err := b.lockAdvisors(want); err != nil || b.order.Operation != models.OperationRebind || b.order.Keep.Tags {
		return err
	}
	b.having, b.library, err = tagsOf(&b.tx.Reader, b.tx.Account, models.Key{}, keys)
	return err
}

// loadMembers adds the members of the group that the order names to who is wanted.
func (b *bindBatch) loadMembers(want map[models.Key]bool) error {
	if b.order.Group.IsZero() {
		return nil
	}
	rows, err := b.tx.Members(b.tx.Account, []models.Key{b.order.Group})
	if err != nil {
		return err
	}
	b.members = make(map[models.Key]bool, len(rows))
	for _, m := range rows {
		b.members[m.AdvisorID], want[m.AdvisorID] = true, true
	}
	return nil
}

func (b *bindBatch) lockAdvisors(want map[models.Key]bool) error {
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
		if b.members[a.Key] && a.StateAt(b.tx.Now) == models.AdvisorActive {
			b.free = append(b.free, a)
		}
	}
	// Who is leaving an advisor leaves them also where the advisor is a member again, having been invited again.
	b.target = models.BindTarget{IsMember: func(k models.Key) bool { return !b.leaving && b.members[k] }, Draw: b.draw}
	if b.order.Advisor.IsZero() {
		return nil
	}
	a := b.advisors[b.order.Advisor]
	if b.leaving && (a == nil || a.StateAt(b.tx.Now) != models.AdvisorActive) {
		return nil // nobody is drawn of nobody
	}
	if a == nil {
		return models.NotFound("advisor", "input.to.advisor")
	}
	if st := a.StateAt(b.tx.Now); st != models.AdvisorActive {
		return &models.Error{Code: models.CodeState, Field: "input.to.advisor", Message: "the advisor is " + string(st)}
	}
	b.target.Advisor = a
	return nil
}

// draw is a member of the group, at random, who has room and is not the customer; nil: none.
func (b *bindBatch) draw(c *models.Customer) *models.Advisor {
	for n := len(b.free); n > 0; n-- {
		// Who was passed over stands behind n.
		i := rand.IntN(n) //nolint:gosec // chance, not secrecy.
		a, last := b.free[i], n-1
		if !a.IsFull() && !c.IsPersonOf(a) {
			return a
		}
		b.free[i], b.free[last] = b.free[last], a
		if a.IsFull() {
			end := len(b.free) - 1
			b.free[last], b.free[end] = b.free[end], b.free[last]
			b.free = b.free[:end]
		}
	}
	return nil
}

// item does the order for one customer, in memory; nil is one who is unknown. A customer who stands
// in a call twice is DUPLICATE the second time.
func (b *bindBatch) item(row *models.Customer) models.ItemResult {
	if row == nil || b.customers[row.Key] == nil {
		return models.ItemResult{Err: models.NotFound("customer", "")}
	}
	result := models.ItemResult{Target: row.Key}
	if b.seen[row.Key] {
		result.Err = models.Errorf(models.CodeDuplicate, "stands earlier in the same call")
		return result
	}
	b.seen[row.Key] = true
	c := b.customers[row.Key]
	was := told(c, b.tagsOf(c))
	if b.order.Operation == models.OperationUnbind {
		result.Changed = b.unbind(c)
	} else {
		var a *models.Advisor
		if a, result.Err = b.target.Bind(c, b.order.Operation); a != nil {
			b.bind(c, a)
			result.Changed = true
		}
	}
	if result.Changed && b.audits {
		result.Before, result.After = was.changes(told(c, nil))
	}
	return result
}

// tagsOf are the names of the tags that the order takes off a customer.
func (b *bindBatch) tagsOf(c *models.Customer) []string {
	if !b.audits || b.library == nil {
		return nil
	}
	return models.OptionNames(b.library.Having(b.having[c.Key]))
}

// bind makes the customer the advisor's, and tells both the new and the former one (rules E2, E6, V5).
// Nobody is notified (rule N2).
func (b *bindBatch) bind(c *models.Customer, a *models.Advisor) {
	now, conv := b.tx.Now, b.conversations[c.Key]
	former := b.leave(c)
	if former == a.Key { // their suspended binding begins anew
		former = models.Key{}
	}
	change := models.BindingBound
	if former.IsZero() {
		conv.Unread = 0
	} else {
		change = models.BindingRebound
		b.emit(former, models.EventCustomerLeft, c, &models.Primed{})
	}
	if b.order.Operation == models.OperationRebind {
		b.clear(c)
		if !b.order.Keep.History {
			conv.HideHistory(now)
			conv.Unread = 0
		}
	}
	c.AdvisorID, c.BoundAt, c.BoundSource, c.BoundLabel, c.BoundBy = a.Key, now, b.order.Source, "", b.by
	a.CustomerCount++
	b.counted[a.Key] = true
	conv.AdvisorID, conv.ActiveAt = a.Key, max(conv.ActiveAt, now)
	b.record(c, change, a.Key, former, b.order.Source)
	b.emit(a.Key, models.EventConversationChanged, c, &models.Primed{Customer: c, Conversation: conv})
}

// clear takes from a customer what the order does not keep, and logs it (rules E6, F3).
func (b *bindBatch) clear(c *models.Customer) {
	b.log.by = b.by
	if !b.order.Keep.Nickname && c.Nickname != "" {
		b.log.add(b.tx, c.Key, models.FieldNickname, models.LinesOf(c.Nickname), models.Lines{})
		c.Nickname = ""
	}
	if !b.order.Keep.Info && len(c.Info) > 0 {
		b.log.add(b.tx, c.Key, models.FieldInfo, c.Info, models.Lines{})
		c.Info = models.Lines{}
	}
	if has := b.library.Having(b.having[c.Key]); len(has) > 0 {
		b.log.add(b.tx, c.Key, models.FieldTags, models.OptionNames(has), models.Lines{})
		b.cleared = append(b.cleared, c.Key)
	}
}

// unbind leaves the customer without an advisor; false when they had none. A suspended binding ends
// too.
func (b *bindBatch) unbind(c *models.Customer) bool {
	if c.AdvisorID.IsZero() {
		return false
	}
	former, conv := b.leave(c), b.conversations[c.Key]
	c.AdvisorID, c.BoundAt, c.BoundLabel = models.Key{}, 0, ""
	conv.AdvisorID, conv.Unread = models.Key{}, 0
	b.record(c, models.BindingUnbound, former, models.Key{}, b.order.Source)
	b.emit(former, models.EventCustomerLeft, c, &models.Primed{})
	return true
}

// leave ends the customer's present binding, if any, and answers whose it was.
func (b *bindBatch) leave(c *models.Customer) (former models.Key) {
	if a := b.advisors[c.BoundTo()]; a != nil {
		a.CustomerCount--
		b.counted[a.Key] = true
	}
	former, c.SuspendedAt = c.AdvisorID, 0
	// What the former advisor is notified of says nothing to the next one.
	b.conversations[c.Key].InquiryID = models.Key{}
	b.changed = append(b.changed, c)
	return former
}

func (b *bindBatch) record(c *models.Customer, change models.BindingChange, advisor, former models.Key, source models.BindingSource) {
	b.bindings = append(b.bindings, &models.Binding{
		AccountID: b.tx.Account, Key: models.NewKey(), CustomerID: c.Key, AdvisorID: advisor, FormerID: former,
		Change: change, Source: source, By: b.by, At: b.tx.Now,
	})
}

func (b *bindBatch) emit(stream models.Key, kind models.EventKind, c *models.Customer, p *models.Primed) {
	b.tx.Emit(models.Event{Stream: stream, Kind: kind, Customer: c.Key, Primed: p})
}

// save writes what changed, in the order of the lock phases.
func (b *bindBatch) save() error {
	conversations := make([]*models.Conversation, len(b.changed))
	for i, c := range b.changed {
		conversations[i] = b.conversations[c.Key]
	}
	advisors := make([]*models.Advisor, 0, len(b.counted))
	for k := range b.counted {
		advisors = append(advisors, b.advisors[k])
	}
	columns := []string{"advisor_id", "bound_at", "bound_source", "bound_label", "bound_by", "suspended_at"}
	if len(b.log.rows) > 0 {
		columns = append(columns, "nickname", "info")
	}
	if err := b.tx.UpdateCustomers(b.changed, columns...); err != nil {
		return err
	}
	if err := b.tx.UpdateBound(conversations); err != nil {
		return err
	}
	if err := b.tx.UpdateAdvisors(advisors, "customer_count"); err != nil {
		return err
	}
	if err := b.tx.ClearCustomerTags(b.cleared); err != nil {
		return err
	}
	if err := b.tx.InsertBindings(b.bindings); err != nil {
		return err
	}
	return b.tx.InsertCustomerChanges(b.log.rows)
}

// change is the call as the audit log tells it.
func (b *bindBatch) change(items []models.ItemResult) store.Change {
	change := store.Change{
		Action: bindingPermission(b.order.Operation).Field, TargetKind: "Account", Target: b.tx.Account,
		After: auditedOrder(b.order), Items: items,
	}
	switch {
	case !b.order.Advisor.IsZero():
		change.TargetKind, change.Target = "Advisor", b.order.Advisor
	case !b.order.Group.IsZero():
		change.TargetKind, change.Target = "Group", b.order.Group
	}
	return change
}
