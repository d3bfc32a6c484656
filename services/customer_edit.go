package services

import (
	"context"
	"fmt"
	"slices"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// editBatch is one transaction's worth of changes of customers' tags and fields: the rows it locked,
// and what is to be written. Its statements are as many for one customer as for limits.EditBatch. It
// lives for one attempt.
type editBatch struct {
	tx *store.Tx
	c  *Scope

	customers     map[models.Key]*models.Customer
	conversations map[models.Key]*models.Conversation
	seen          map[models.Key]bool // customers of the call so far
	changed       []*models.Customer
	log           customerLog
	images        map[models.Key]*models.Image // locked
	uses          imageUses
}

// customerLog gathers rows of the log of changes (rule F3).
type customerLog struct {
	by   string
	rows []*models.CustomerChange
}

func (l *customerLog) add(tx *store.Tx, customer models.Key, field models.CustomerField, was, became models.Lines) {
	l.rows = append(l.rows, &models.CustomerChange{
		AccountID: tx.Account, Key: models.NewKey(), CustomerID: customer, Field: field, Was: was, Became: became, By: l.by, At: tx.Now,
	})
}

// editing is a bulk call that changes customers' tags or fields.
type editing struct {
	permission Permission
	key        string // of idempotency
	body       any    // what the key stands for
	refs       []CustomerRef
	// ready reads what the changes need, once the customers are locked; nil: nothing.
	ready func(*editBatch) error
	// edit changes one locked customer in memory, and reports whether anything changed; its error is the
	// item's, with a field below the item.
	edit func(b *editBatch, i int, c *models.Customer) (changed bool, why *models.Error)
	// tags are the names of a customer's, as they are by now; nil: they are not touched.
	tags func(customer models.Key) []string
	// save writes what edit left, besides the log.
	save func(*editBatch) error
}

// edit runs a bulk call on customers whom the viewer may see, with a result per item in order.
func (s *Services) edit(ctx context.Context, e editing) (BulkResult, error) {
	c, err := s.begin(ctx, e.permission)
	if err != nil {
		return BulkResult{}, err
	}
	if len(e.refs) == 0 {
		return BulkResult{}, models.Invalid("input.customers", "is empty")
	}
	if len(e.refs) > limits.EditBatch {
		return BulkResult{}, models.TooMany("input.customers", limits.EditBatch, "at most %d in a call", limits.EditBatch)
	}
	once, err := onceOf(c, e.key, e.permission.Field, e.body)
	if err != nil {
		return BulkResult{}, err
	}
	found, err := s.customerRefs(s.store.View(ctx), c, e.refs)
	if err != nil {
		return BulkResult{}, err
	}
	var b *editBatch
	items, repeated, err := s.bulk(ctx, c, once, func(tx *store.Tx, again func() (bool, error)) ([]models.ItemResult, error) {
		b = &editBatch{tx: tx, c: c, log: customerLog{by: c.by()}}
		if err := b.lock(keysOf(found)); err != nil {
			return nil, err
		}
		if repeated, err := again(); repeated || err != nil {
			return nil, err
		}
		if e.ready != nil {
			if err := e.ready(b); err != nil {
				return nil, err
			}
		}
		items := make([]models.ItemResult, len(found))
		for i, row := range found {
			items[i] = b.item(e, i, row)
		}
		if err := e.save(b); err != nil {
			return nil, err
		}
		if err := tx.InsertCustomerChanges(b.log.rows); err != nil {
			return nil, err
		}
		return items, tx.Audit(store.Change{Action: e.permission.Field, TargetKind: "Account", Target: tx.Account, Items: items})
	})
	if err != nil {
		return BulkResult{}, err
	}
	return s.customerResults(ctx, items, repeated, b.customers)
}

// customerResults is what came of the items of a bulk call on customers: of one that is repeated with
// the customers as they are now, of another with the rows it locked.
func (s *Services) customerResults(ctx context.Context, items []models.ItemResult, repeated bool, rows map[models.Key]*models.Customer) (BulkResult, error) {
	if repeated {
		var err error
		if rows, err = s.CustomersByKeys(ctx, targetsOf(items)); err != nil {
			return BulkResult{}, err
		}
	}
	results := make([]CustomerResult, len(items))
	for i, item := range items {
		results[i] = CustomerResult{Customer: rows[item.Target], Changed: item.Changed}
		if item.Err != nil {
			results[i].Err = item.Err
		}
	}
	return BulkResult{Results: results, Repeated: repeated}, nil
}

// lock reads and locks the customers with their conversations. CAPABILITY_NOT_ENABLED when the account
// was closed meanwhile (rule A1).
func (b *editBatch) lock(keys []models.Key) error {
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
	b.seen = make(map[models.Key]bool, len(customers))
	for i, c := range customers {
		// An advisor may have lost one since (rule V5).
		if b.c.sees(c) {
			b.customers[c.Key], b.conversations[c.Key] = c, conversations[i]
		}
	}
	return nil
}

// item changes one customer, in memory; nil is one who is unknown.
func (b *editBatch) item(e editing, i int, row *models.Customer) (result models.ItemResult) {
	field := fmt.Sprintf("input.customers.%d", i)
	if row == nil || b.customers[row.Key] == nil {
		result.Err = models.NotFound("customer", field)
		return result
	}
	result.Target = row.Key
	if b.seen[row.Key] {
		result.Err = &models.Error{Code: models.CodeDuplicate, Field: field, Message: "stands earlier in the same call"}
		return result
	}
	b.seen[row.Key] = true
	c := b.customers[row.Key]
	was := told(c, e.tagsOf(c))
	if result.Changed, result.Err = e.edit(b, i, c); result.Err != nil {
		result.Err.Field = field + result.Err.Field
		return result
	}
	if result.Changed {
		result.Before, result.After = was.changes(told(c, e.tagsOf(c)))
		b.changed = append(b.changed, c)
		if !c.AdvisorID.IsZero() {
			b.tx.Emit(models.Event{
				Stream: c.AdvisorID, Kind: models.EventConversationChanged, Customer: c.Key,
				Primed: &models.Primed{Customer: c, Conversation: b.conversations[c.Key]},
			})
		}
	}
	return result
}

func (e *editing) tagsOf(c *models.Customer) []string {
	if e.tags == nil {
		return nil
	}
	return e.tags(c.Key)
}

// CustomerUpdate is what to write of one customer; nil fields stay.
type CustomerUpdate struct {
	Customer CustomerRef
	// Nickname and AvatarURL: empty clears it.
	Nickname, AvatarURL *string
	// AvatarImage is one of the account's images, zero: none. It takes the place of an address, as an address takes its: both is INVALID.
	AvatarImage *models.Key `json:",omitempty"`
	Info        *[]string
	Region      *models.Region
}

// UpdateCustomers writes nickname, avatar, info and region of customers (rule E8): the last writer wins.
// Errors of items: NOT_FOUND, DUPLICATE, INVALID, LIMIT_EXCEEDED. Errors of the call: INVALID,
// LIMIT_EXCEEDED, IDEMPOTENCY_CONFLICT.
func (s *Services) UpdateCustomers(ctx context.Context, updates []CustomerUpdate, idempotencyKey string) (BulkResult, error) {
	e := editing{permission: mayUpdateCustomers, key: idempotencyKey, body: updates, refs: make([]CustomerRef, len(updates))}
	for i, u := range updates {
		e.refs[i] = u.Customer
	}
	named, touched := map[models.Key]bool{}, false
	for _, u := range updates {
		touched = touched || u.AvatarURL != nil || u.AvatarImage != nil
		if u.AvatarImage != nil {
			named[*u.AvatarImage] = true
		}
	}
	var seen map[models.Key]*models.Image
	e.ready = func(b *editBatch) (err error) {
		if b.uses = (imageUses{}); !touched {
			return nil
		}
		if seen, err = s.imagesSeen(&b.tx.Reader, b.c, keysIn(named)); err != nil {
			return err
		}
		keys := map[models.Key]bool{}
		for key := range seen {
			keys[key] = true
		}
		for _, c := range b.customers {
			keys[c.AvatarID] = true
		}
		b.images, err = lockImages(b.tx, keysIn(keys))
		return err
	}
	e.edit = func(b *editBatch, i int, c *models.Customer) (bool, *models.Error) {
		u, err := updates[i].checked()
		if err != nil {
			return false, models.AsItemError(err)
		}
		if k := u.AvatarImage; k != nil && !k.IsZero() && (seen[*k] == nil || b.images[*k] == nil) {
			return false, models.NotFound("image", ".avatarImageId")
		}
		return b.log.update(b.tx, c, u, b.uses), nil
	}
	e.save = func(b *editBatch) error {
		if err := b.tx.UpdateCustomers(b.changed, "nickname", "avatar_url", "avatar_id", "info", "country", "province", "city"); err != nil {
			return err
		}
		return b.uses.save(b.tx, b.tx.Now)
	}
	return s.edit(ctx, e)
}

// checked is the update with its texts trimmed: INVALID or LIMIT_EXCEEDED with the field below the item.
func (u CustomerUpdate) checked() (CustomerUpdate, error) {
	check := func(text *string, field string, most int) (err error) {
		if *text != "" {
			*text, err = models.CheckName(*text, field, most)
		}
		return err
	}
	if u.Nickname != nil {
		nickname := *u.Nickname
		if err := check(&nickname, ".nickname", limits.CustomerNicknameRunes); err != nil {
			return u, err
		}
		u.Nickname = &nickname
	}
	if _, err := pictureOf(u.AvatarURL, u.AvatarImage, ""); err != nil {
		return u, err
	}
	if u.Info != nil {
		lines := slices.Clone(*u.Info)
		if len(lines) > limits.InfoLines {
			return u, models.TooMany(".info", limits.InfoLines, "has %d lines, at most %d are allowed", len(lines), limits.InfoLines)
		}
		for i := range lines {
			var err error
			if lines[i], err = models.CheckName(lines[i], fmt.Sprintf(".info.%d", i), limits.InfoLineRunes); err != nil {
				return u, err
			}
		}
		u.Info = &lines
	}
	if u.Region != nil {
		r := *u.Region
		for _, part := range []struct {
			text  *string
			field string
		}{{&r.Country, ".region.country"}, {&r.Province, ".region.province"}, {&r.City, ".region.city"}} {
			if err := check(part.text, part.field, limits.RegionRunes); err != nil {
				return u, err
			}
		}
		u.Region = &r
	}
	return u, nil
}

// update writes a checked update to a customer, logs what changed, and gathers the uses of images.
func (l *customerLog) update(tx *store.Tx, c *models.Customer, u CustomerUpdate, uses imageUses) (changed bool) {
	if u.Nickname != nil && *u.Nickname != c.Nickname {
		l.add(tx, c.Key, models.FieldNickname, models.LinesOf(c.Nickname), models.LinesOf(*u.Nickname))
		c.Nickname, changed = *u.Nickname, true
	}
	if p, err := pictureOf(u.AvatarURL, u.AvatarImage, ""); err == nil && p.put(&c.AvatarURL, &c.AvatarID, uses) {
		changed = true
	}
	if u.Info != nil && !slices.Equal(c.Info, *u.Info) {
		now := append(models.Lines{}, *u.Info...)
		l.add(tx, c.Key, models.FieldInfo, c.Info, now)
		c.Info, changed = now, true
	}
	if was := (models.Region{Country: c.Country, Province: c.Province, City: c.City}); u.Region != nil && *u.Region != was {
		c.Country, c.Province, c.City, changed = u.Region.Country, u.Region.Province, u.Region.City, true
	}
	return changed
}
