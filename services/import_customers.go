package services

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"clientele/models"
	"clientele/store"
)

// importRecord is a customer of a file, with what it changes of them.
type importRecord struct {
	models.ImportRow
	update CustomerUpdate
}

// importBatch is a chunk of a file of customers (rule E11): the rows it locked, and what is to be written. Its
// statements are as many for one record as for limits.ImportRecords.
type importBatch struct {
	tx     *store.Tx
	by     string
	header models.ImportHeader
	zone   *time.Location

	records []*importRecord

	customers     map[models.Ident]*models.Customer
	conversations map[models.Key]*models.Conversation
	isNew         map[models.Key]bool
	advisors      map[models.ImportAdvisor]*models.Advisor
	owners        map[models.Key]*models.Advisor // whose are, or may become, customers of whom a record says another unionid
	options       map[string]*models.TagOption   // by folded text; those that the library keeps until the transaction ends
	library       models.TagLibrary
	having        map[models.Key]map[models.Key]bool

	changed  map[models.Key]bool // customers
	counted  map[models.Key]*models.Advisor
	told     map[models.Key]bool // advisors who have something new
	bindings []*models.Binding
	tags     []*models.CustomerTag
	log      customerLog
	uses     imageUses
}

// openCustomers begins a chunk of a file of customers.
func openCustomers(tx *store.Tx, job *models.Job, work *importWork) (importChunk, *models.Account, error) {
	account, err := tx.Reader.Account(tx.Account)
	if err != nil {
		return nil, nil, err
	}
	return &importBatch{tx: tx, uses: imageUses{}, by: job.By, header: work.Header, zone: account.Location()}, account, nil
}

// take implements importChunk.
func (b *importBatch) take(fields []string) *models.Error {
	row, bad := b.header.Row(fields, b.zone, b.tx.Now)
	if bad != nil {
		return bad
	}
	record := &importRecord{ImportRow: row}
	if bad := record.check(); bad != nil {
		return bad
	}
	b.records = append(b.records, record)
	return nil
}

// check makes the update of what the record says of a customer.
func (r *importRecord) check() *models.Error {
	if r.Nickname != "" {
		r.update.Nickname = &r.Nickname
	}
	if r.AvatarURL != "" {
		r.update.AvatarURL = &r.AvatarURL
	}
	if r.Info != nil {
		r.update.Info = &r.Info
	}
	if r.Region != (models.Region{}) {
		r.update.Region = &r.Region
	}
	checked, err := r.update.checked()
	if err != nil {
		bad := *models.AsItemError(err)
		bad.Field = strings.TrimPrefix(strings.TrimPrefix(bad.Field, ".region"), ".")
		if column, named := columnsOf["."+bad.Field]; named {
			bad.Field = column
		}
		return &bad
	}
	r.update = checked
	return nil
}

// write implements importChunk, in the order of the lock phases.
func (b *importBatch) write() ([]models.ItemResult, error) {
	if len(b.records) == 0 {
		return nil, nil
	}
	for _, step := range []func() error{b.lockCustomers, b.lockAdvisors, b.shareTags} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.log.by = b.by
	results := make([]models.ItemResult, len(b.records))
	for i, r := range b.records {
		results[i] = b.apply(r)
	}
	return results, b.save()
}

// lockCustomers locks those of the records who are known.
func (b *importBatch) lockCustomers() error {
	openids := make([]models.Ident, len(b.records))
	for i, r := range b.records {
		openids[i] = r.OpenID
	}
	known, err := b.tx.CustomerKeys(openids)
	if err != nil {
		return err
	}
	keys := slices.Collect(maps.Values(known))
	customers, conversations, err := b.tx.LockCustomers(keys)
	if err != nil {
		return err
	}
	b.customers, b.conversations = make(map[models.Ident]*models.Customer, len(b.records)), make(map[models.Key]*models.Conversation, len(b.records))
	b.isNew, b.changed = map[models.Key]bool{}, map[models.Key]bool{}
	for i, c := range customers {
		b.customers[c.OpenID], b.conversations[c.Key] = c, conversations[i]
	}
	b.having, b.library, err = tagsOf(&b.tx.Reader, b.tx.Account, models.Key{}, keys)
	if b.having == nil {
		b.having = map[models.Key]map[models.Key]bool{}
	}
	return err
}

// lockAdvisors finds and locks the advisors whom the records name.
func (b *importBatch) lockAdvisors() error {
	names := advisorNames{}
	for _, r := range b.records {
		names.add(r.Advisor)
	}
	found, err := names.read(&b.tx.Reader, b.tx.Account)
	if err != nil {
		return err
	}
	keys := make([]models.Key, 0, len(found))
	for _, a := range found {
		keys = append(keys, a.Key)
	}
	rows, err := b.tx.LockAdvisors(keys)
	b.advisors, b.counted, b.told = names.of(rows), map[models.Key]*models.Advisor{}, map[models.Key]bool{}
	if err != nil {
		return err
	}
	return b.readOwners(rows)
}

// readOwners reads the advisors of those customers of whom a record says another unionid than they have, besides those who are locked.
func (b *importBatch) readOwners(locked []*models.Advisor) error {
	keys := map[models.Key]bool{}
	for _, r := range b.records {
		if c := b.customers[r.OpenID]; c != nil && !c.AdvisorID.IsZero() && r.UnionID != "" && r.UnionID != c.UnionID {
			keys[c.AdvisorID] = true
		}
	}
	rows, err := b.tx.Reader.Advisors(b.tx.Account, keysIn(keys))
	b.owners = make(map[models.Key]*models.Advisor, len(rows)+len(locked))
	for _, a := range append(rows, locked...) {
		b.owners[a.Key] = a
	}
	return err
}

// shareTags has the library keep the options that the records name.
func (b *importBatch) shareTags() error {
	b.options = map[string]*models.TagOption{}
	byText := map[string]models.Key{}
	for _, o := range b.library.Options() {
		byText[string(o.FoldedName)] = o.Key
	}
	named := map[models.Key]bool{}
	for _, r := range b.records {
		for _, tag := range r.Tags {
			if key := byText[models.Fold(tag)]; !key.IsZero() {
				named[key] = true
			}
		}
	}
	kept, err := b.tx.ShareTagOptions(keysIn(named))
	for _, o := range kept {
		b.options[string(o.FoldedName)] = o
	}
	return err
}

// apply does what a record says, in memory: all of it or nothing.
func (b *importBatch) apply(r *importRecord) (result models.ItemResult) {
	c, isNew := b.customers[r.OpenID], false
	if c == nil {
		isNew = true
		c = &models.Customer{
			AccountID: b.tx.Account, Key: models.NewKey(), OpenID: r.OpenID, FollowState: models.Following,
			FollowedAt: cmp.Or(r.FollowedAt, b.tx.Now), CreatedAt: b.tx.Now, UpdatedAt: b.tx.Now,
		}
	} else {
		result.Target = c.Key
	}
	options := make(map[models.Key]bool, len(r.Tags))
	for _, tag := range r.Tags {
		o := b.options[models.Fold(tag)]
		if o == nil {
			result.Err = models.NotFound("option", "tags")
			return result
		}
		options[o.Key] = true
	}
	advisor, bad := b.target(c, r)
	if a := b.owners[c.AdvisorID]; bad == nil && advisor == nil && a != nil && r.UnionID != "" && r.UnionID != c.UnionID && r.UnionID == a.UnionID {
		bad = errOwnUnionID() // they stay that advisor's
	}
	if bad != nil {
		result.Err = bad
		return result
	}
	if isNew {
		b.customers[c.OpenID], b.isNew[c.Key] = c, true
		b.conversations[c.Key] = &models.Conversation{AccountID: b.tx.Account, CustomerID: c.Key, CreatedAt: b.tx.Now, UpdatedAt: b.tx.Now}
		result.Target, result.Changed = c.Key, true
	}
	if r.UnionID != "" && r.UnionID != c.UnionID {
		c.UnionID, result.Changed = r.UnionID, true
	}
	if advisor != nil {
		b.bind(c, advisor, r)
		result.Changed = true
	}
	if b.logOf(c).update(b.tx, c, r.update, b.uses) {
		result.Changed = true
	}
	if b.tag(c, options) {
		result.Changed = true
	}
	if result.Changed {
		b.changed[c.Key] = true
		if !c.AdvisorID.IsZero() {
			b.told[c.AdvisorID] = true
		}
	}
	return result
}

// logOf is where changes of a customer are logged: of one who is new nothing was before.
func (b *importBatch) logOf(c *models.Customer) *customerLog {
	if b.isNew[c.Key] {
		return &customerLog{}
	}
	return &b.log
}

// target is the advisor whom a record gives the customer to; nil: none, or they are theirs already.
func (b *importBatch) target(c *models.Customer, r *importRecord) (*models.Advisor, *models.Error) {
	if r.Advisor.IsZero() {
		return nil, nil // nobody is named.
	}
	a := b.advisors[r.Advisor]
	if a == nil {
		return nil, models.NotFound("advisor", r.Advisor.Column())
	}
	if st := a.StateAt(b.tx.Now); st != models.AdvisorActive {
		return nil, &models.Error{Code: models.CodeState, Field: r.Advisor.Column(), Message: fmt.Sprintf("the advisor is %s", st)}
	}
	unionid := c.UnionID
	c.UnionID = cmp.Or(r.UnionID, unionid) // by which they may be the advisor themself
	got, bad := models.BindTarget{Advisor: a}.Bind(c, models.OperationAssign)
	if c.UnionID = unionid; bad != nil {
		bad.Field = r.Advisor.Column()
	}
	return got, bad
}

// bind makes the customer the advisor's. Who had them while the binding was suspended is told (rule V5);
// nobody is notified (rule E11).
func (b *importBatch) bind(c *models.Customer, a *models.Advisor, r *importRecord) {
	conv, at := b.conversations[c.Key], cmp.Or(r.BoundAt, b.tx.Now)
	former, change := c.AdvisorID, models.BindingBound
	if former == a.Key {
		former = models.Key{}
	}
	if !former.IsZero() {
		change = models.BindingRebound
		b.tx.Emit(models.Event{Stream: former, Kind: models.EventCustomerLeft, Customer: c.Key, Primed: &models.Primed{}})
	}
	c.AdvisorID, c.BoundAt, c.BoundSource, c.BoundLabel, c.BoundBy, c.SuspendedAt = a.Key, at, r.Source, r.Label, b.by, 0
	a.CustomerCount++
	b.counted[a.Key] = a
	conv.AdvisorID, conv.ActiveAt, conv.Unread, conv.InquiryID = a.Key, max(conv.ActiveAt, at), 0, models.Key{}
	b.bindings = append(b.bindings, &models.Binding{
		AccountID: b.tx.Account, Key: models.NewKey(), CustomerID: c.Key, AdvisorID: a.Key, FormerID: former,
		Change: change, Source: r.Source, Label: r.Label, By: b.by, At: at,
	})
}

// tag puts options on a customer, and reports whether they lacked one.
func (b *importBatch) tag(c *models.Customer, options map[models.Key]bool) bool {
	has := b.having[c.Key]
	if has == nil {
		has = map[models.Key]bool{}
		b.having[c.Key] = has
	}
	became := map[models.Key]bool{}
	for key := range options {
		if !has[key] {
			has[key], became[key] = true, true
			b.tags = append(b.tags, &models.CustomerTag{AccountID: b.tx.Account, CustomerID: c.Key, OptionID: key, CreatedAt: b.tx.Now})
		}
	}
	if len(became) == 0 {
		return false
	}
	b.logOf(c).add(b.tx, c.Key, models.FieldTags, models.Lines{}, models.OptionNames(b.library.Having(became)))
	return true
}

// save writes what changed.
func (b *importBatch) save() error {
	var fresh, known []*models.Customer
	var begun, bound []*models.Conversation
	byKey := make(map[models.Key]*models.Customer, len(b.changed))
	for _, c := range b.customers {
		switch {
		case !b.changed[c.Key]:
			continue
		case b.isNew[c.Key]:
			fresh = append(fresh, c)
		default:
			known, bound = append(known, c), append(bound, b.conversations[c.Key])
		}
		byKey[c.Key] = c
	}
	// In the order of the index that is unique, so that two imports of the same people wait for each other
	// and do not go round in a circle.
	slices.SortFunc(fresh, func(x, y *models.Customer) int { return cmp.Compare(x.OpenID, y.OpenID) })
	for _, c := range fresh {
		begun = append(begun, b.conversations[c.Key])
	}
	for _, tag := range b.tags {
		tag.AdvisorID = byKey[tag.CustomerID].AdvisorID
	}
	for _, advisor := range keysIn(b.told) {
		b.tx.Emit(models.Event{Stream: advisor, Kind: models.EventCustomersImported})
	}
	if len(byKey) > 0 {
		b.tx.EmitToAccount(models.AccountCustomersImported, models.Key{}, models.Key{})
	}
	tx := b.tx
	for _, step := range []func() error{
		func() error {
			return tx.UpdateCustomers(known, "unionid", "nickname", "avatar_url", "avatar_id", "info", "country", "province", "city", "advisor_id", "bound_at", "bound_source", "bound_label", "bound_by", "suspended_at")
		},
		func() error { return tx.UpdateBound(bound) },
		func() error {
			return tx.UpdateAdvisors(slices.Collect(maps.Values(b.counted)), "customer_count")
		},
		func() error { return tx.InsertCustomers(fresh, begun) },
		func() error { return tx.InsertCustomerTags(b.tags) },
		func() error { return tx.InsertImportedBindings(b.bindings) },
		func() error { return tx.InsertCustomerChanges(b.log.rows) },
		func() error { return b.uses.save(tx, tx.Now) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
