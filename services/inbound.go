package services

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// InboundResult is what came of an inbound item.
type InboundResult struct {
	// Customer is who did it, after the change; nil for OTHER and for repeats.
	Customer *models.Customer
	// Outcome is what came of a scan; empty without one.
	Outcome models.ScanOutcome
	// Repeated: the item was stored before, nothing changed.
	Repeated bool
	// record is what is stored of the item, or of the one that it repeats.
	record *models.InboundRecord
}

// Ingest stores one item that a channel received and does what follows from it: the reply
// window (rule G2), the binding (rules C2, D3, E4, E12), the message (rule G1), what the advisor
// is told (rules N2, N3). It returns once all of it is committed. A repeat of a stored item is
// no error. UNAVAILABLE when too much waits, and when ctx ends first (the item may still be
// stored: the repeat is then harmless).
func (s *Services) Ingest(ctx context.Context, account models.Key, in models.Inbound) (InboundResult, error) {
	if err := checkInbound(&in); err != nil {
		return InboundResult{}, err
	}
	it := &inboundItem{account: account, in: in, done: make(chan struct{})}
	if err := s.lanes.put(it); err != nil {
		return InboundResult{}, err
	}
	select {
	case <-it.done:
		return it.result, it.err
	case <-ctx.Done():
		return InboundResult{}, models.Errorf(models.CodeUnavailable, "the item was not stored in time")
	}
}

// checkInbound holds what models.Inbound promises, whatever channel made it: one bad item must
// not fail the batch it would share.
func checkInbound(in *models.Inbound) error {
	switch {
	case len(in.DedupKey) == 0 || len(in.DedupKey) > limits.DedupKeyBytes:
		return models.Invalid("dedupKey", "has not 1 to %d bytes", limits.DedupKeyBytes)
	case len(in.Scene) > limits.SceneBytes:
		return models.Invalid("scene", "has more than %d bytes", limits.SceneBytes)
	case len(in.Name) > limits.EventNameBytes:
		return models.Invalid("name", "has more than %d bytes", limits.EventNameBytes)
	case in.Kind != models.InboundOther && (in.OpenID == "" || len(in.OpenID) > limits.OpenIDBytes):
		return models.Invalid("openid", "has not 1 to %d bytes", limits.OpenIDBytes)
	case !utf8.ValidString(in.Name):
		return models.Invalid("name", "is not valid UTF-8")
	case (in.Kind == models.InboundMessage) != (in.Content != nil):
		return models.Invalid("content", "belongs to a message, and a message has it")
	case in.Content == nil:
		return nil
	}
	for field, part := range map[string]struct {
		text string
		most int
	}{
		"content.text": {in.Content.Text, limits.InboundTextBytes}, "content.mediaRef": {in.Content.MediaRef, limits.MediaRefBytes},
		"content.url": {in.Content.URL, limits.MediaRefBytes}, "content.description": {in.Content.Description, limits.MediaRefBytes},
	} {
		if len(part.text) > part.most || !utf8.ValidString(part.text) {
			return models.Invalid(field, "is no UTF-8 of at most %d bytes", part.most)
		}
	}
	return nil
}

// processInbound writes a batch. When it fails as a whole it is split, so that one bad item
// fails alone; a database that is away fails all at once.
func (s *Services) processInbound(ctx context.Context, account models.Key, items []*inboundItem) {
	ctx, cancel := context.WithTimeout(ctx, limits.OperationTime)
	defer cancel()
	barrier := s.store.Durable()
	err := s.writeInbound(ctx, account, items)
	if len(items) == 1 && errors.Is(err, store.ErrDuplicate) {
		// Another node stored the same item between our look and our insert.
		items[0].result.Repeated, err = true, nil
	}
	if err == nil && slices.ContainsFunc(items, func(it *inboundItem) bool { return it.result.Repeated }) {
		// A batch of repeats writes nothing, so nothing was synced: what the first ones committed
		// could be seen, and may yet be lost with the database.
		err = unavailable(barrier(ctx))
	}
	switch {
	case err == nil:
	case len(items) == 1 || ctx.Err() != nil || errors.Is(err, store.ErrUnknownOutcome) || store.Unreachable(err):
		if models.CodeOf(err) == models.CodeInternal {
			s.log.ErrorContext(ctx, "inbound items not stored", "account", account.String(), "items", len(items), "error", store.Describe(err))
		}
		for _, it := range items {
			it.err = err
		}
	default:
		half := len(items) / 2
		s.processInbound(ctx, account, items[:half])
		s.processInbound(ctx, account, items[half:])
	}
}

// What makes a batch run once more, with more of the database.
var (
	// errRedraw: an advisor drawn at random was not free under the lock; draw among all, locked.
	errRedraw = errors.New("the drawn advisor is not free")
	// errForgotten: a customer whose key was remembered is gone; look all of them up.
	errForgotten = errors.New("a remembered customer is gone")
)

func (s *Services) writeInbound(ctx context.Context, account models.Key, items []*inboundItem) error {
	var wide, lookUp bool
	for {
		var b *inboundBatch
		err := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
			b = &inboundBatch{s: s, tx: tx, wide: wide, lookUp: lookUp}
			return b.write(items)
		})
		switch {
		case errors.Is(err, errRedraw) && !wide:
			wide = true
		case errors.Is(err, errForgotten) && !lookUp:
			lookUp = true
		default:
			if err == nil {
				b.finish(items)
			}
			return err
		}
	}
}

// write runs one batch in its transaction. Rows are read and locked phase by phase, the pure
// rules run over them, then all that changed is written, so that the number of statements does
// not depend on the number of items.
func (b *inboundBatch) write(items []*inboundItem) error {
	if err := b.load(items); err != nil {
		return err
	}
	for i, it := range items {
		var err error
		if it.origin != nil {
			err = b.settle(i, it.origin)
		} else {
			err = b.apply(i, it.in)
		}
		if err != nil {
			return err
		}
	}
	return b.save()
}

// load reads and locks everything the batch may touch.
func (b *inboundBatch) load(items []*inboundItem) (err error) {
	tx := b.tx
	if b.account, err = tx.Reader.Account(tx.Account); err != nil {
		return err
	}
	b.policy = b.account.Policy()
	b.results = make([]InboundResult, len(items))
	var openids, messages, others, scenes []models.Ident
	var ads []models.Key
	wantsAny := false
	for _, it := range items {
		if it.origin != nil {
			b.origins = append(b.origins, it.origin)
			continue
		}
		if key := models.Ident(it.in.DedupKey); it.in.Kind == models.InboundMessage {
			messages = append(messages, key)
		} else {
			others = append(others, key)
		}
		if it.in.Kind == models.InboundOther {
			continue // it may name no follower at all
		}
		openids = append(openids, models.Ident(it.in.OpenID))
		if it.in.Scene != "" {
			scenes = append(scenes, models.Ident(it.in.Scene))
		}
		if it.in.Ad != nil {
			ads = append(ads, cmp.Or(it.in.Ad.Group, b.account.AdGroup))
		}
		wantsAny = wantsAny || it.in.Kind == models.InboundFollow
	}
	slices.Sort(openids)
	openids = slices.Compact(openids)
	if err := b.loadCustomers(openids); err != nil {
		return err
	}
	if len(b.origins) > 0 {
		decides, group, err := b.loadOrigins()
		if err != nil {
			return err
		}
		wantsAny = wantsAny || decides
		ads = append(ads, group...)
		openids = slices.Collect(maps.Keys(b.customers))
	}
	if b.stored, err = tx.SeenMessages(tx.Account, messages); err != nil {
		return err
	}
	if b.seen, err = tx.SeenInbound(tx.Account, others); err != nil {
		return err
	}
	if b.onlyWritten(items) {
		err = b.lockListeners()
	} else {
		if err = b.loadTargets(scenes, openids, ads, wantsAny); err == nil {
			err = b.lockAdvisors()
		}
	}
	if err != nil {
		return err
	}
	return b.loadNotices()
}

// onlyWritten reports whether all the batch can change is conversations: its customers follow,
// no binding of theirs waits to be taken up, and none of them follows, leaves or scans. That is
// nearly every batch, and it needs no advisor's row.
func (b *inboundBatch) onlyWritten(items []*inboundItem) bool {
	for _, it := range items {
		switch it.in.Kind {
		case models.InboundMessage, models.InboundMenu, models.InboundOther:
		default:
			return false
		}
	}
	for _, c := range b.customers {
		if c.FollowState != models.Following || !c.SuspendedAt.IsZero() {
			return false
		}
	}
	return true
}

// lockListeners locks the streams of those whom the batch's customers are bound to.
func (b *inboundBatch) lockListeners() (err error) {
	b.written = true
	keys := make([]models.Key, 0, len(b.customers))
	for _, c := range b.customers {
		if !c.AdvisorID.IsZero() {
			keys = append(keys, c.AdvisorID)
		}
	}
	b.listeners, err = b.tx.LockListeners(keys)
	return err
}

func (b *inboundBatch) loadCustomers(openids []models.Ident) error {
	b.customers = map[models.Ident]*models.Customer{}
	b.conversations = map[models.Key]*models.Conversation{}
	if len(openids)+len(b.origins) == 0 {
		return nil
	}
	keys, ok := b.s.lanes.customers(b.tx.Account, openids)
	if len(openids) > 0 && (!ok || b.lookUp) {
		byOpenID, err := b.tx.EnsureCustomers(openids)
		if err != nil {
			return err
		}
		keys = slices.Collect(maps.Values(byOpenID))
	}
	for _, o := range b.origins {
		keys = append(keys, o.customer)
	}
	if len(b.origins) > 0 {
		keys = distinct(keys)
	}
	customers, conversations, err := b.tx.LockCustomers(keys)
	if err != nil {
		return err
	}
	for i, c := range customers {
		b.customers[c.OpenID], b.conversations[c.Key] = c, conversations[i]
	}
	for _, o := range openids {
		if b.customers[o] == nil {
			return errForgotten
		}
	}
	return b.catchUp()
}

// catchUp counts into the batch's ledgers the mass sends to all followers that they lack, by who
// followed before the batch changes it.
func (b *inboundBatch) catchUp() error {
	for _, conv := range b.conversations {
		b.behind = b.behind || conv.MassSeen < b.account.MassHead
	}
	if !b.behind {
		return nil
	}
	all, err := massSends(&b.tx.Reader, b.account, b.tx.Now)
	if err != nil {
		return err
	}
	for _, c := range b.customers {
		conv := b.conversations[c.Key]
		conv.Contact = conv.Contact.CaughtUp(all, c)
	}
	return nil
}

// loadTargets reads what the scanned codes and the advertisements lead to, and draws.
func (b *inboundBatch) loadTargets(scenes, openids []models.Ident, ads []models.Key, wantsAny bool) error {
	tx := b.tx
	b.codes = map[models.Ident]*models.QRCode{}
	b.groups = map[models.Key]*targetGroup{}
	codes, err := tx.QRCodesByScene(tx.Account, scenes)
	if err != nil {
		return err
	}
	groupKeys := slices.DeleteFunc(slices.Clone(ads), models.Key.IsZero)
	for _, c := range codes {
		b.codes[c.Scene] = c
		if c.Kind == models.QRCodeGroup {
			groupKeys = append(groupKeys, c.OwnerID)
		}
	}
	if len(groupKeys) > 0 {
		if err := b.loadGroups(groupKeys); err != nil {
			return err
		}
	}
	assigns := wantsAny && b.account.AutoAssign && b.account.IsOpen()
	if assigns || len(ads) > 0 {
		if err := b.loadStaff(openids); err != nil {
			return err
		}
	}
	if !assigns {
		return nil
	}
	b.free, err = tx.FreeAdvisors(tx.Account)
	return err
}

// loadStaff reads who of the batch is an advisor, by either name; of unionids also those that the platform has just told.
func (b *inboundBatch) loadStaff(openids []models.Ident) (err error) {
	var unionids []models.Ident
	for _, c := range b.customers {
		if c.UnionID != "" {
			unionids = append(unionids, c.UnionID)
		}
	}
	for _, o := range b.origins {
		if o.info.UnionID != "" {
			unionids = append(unionids, o.info.UnionID)
		}
	}
	b.staff.openids, b.staff.unionids, err = b.tx.StaffAmong(b.tx.Account, openids, unionids, b.tx.Now)
	return err
}

func (b *inboundBatch) loadGroups(keys []models.Key) error {
	groups, err := b.tx.Groups(b.tx.Account, keys)
	if err != nil {
		return err
	}
	members, err := b.tx.Members(b.tx.Account, keys)
	if err != nil {
		return err
	}
	free, err := b.tx.FreeMembers(b.tx.Account, keys)
	if err != nil {
		return err
	}
	for _, g := range groups {
		b.groups[g.Key] = &targetGroup{members: map[models.Key]bool{}, free: free[g.Key]}
	}
	for _, m := range members {
		if g := b.groups[m.GroupID]; g != nil {
			g.members[m.AdvisorID] = true
		}
	}
	return nil
}

// finish hands out the results of a committed batch.
func (b *inboundBatch) finish(items []*inboundItem) {
	for i, it := range items {
		it.result = b.results[i]
	}
	for _, c := range b.customers {
		b.s.lanes.remember(b.tx.Account, c)
	}
	if len(b.deliveries) > 0 {
		b.s.wakeDeliveries()
	}
	if len(b.waits) > 0 {
		b.s.wakeChannelWork()
	}
}
