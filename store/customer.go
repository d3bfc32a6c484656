package store

import (
	"database/sql"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/limits"
	"clientele/models"
)

// customers reads the customers that build selects, each with the time of their last interaction.
func customers(r *Reader, build func(*gorm.DB) *gorm.DB) ([]*models.Customer, error) {
	return find[models.Customer](r, func(db *gorm.DB) *gorm.DB {
		return build(db.Select(customerColumns))
	})
}

// customerColumns are a customer's with the time of their last interaction.
const customerColumns = "customer.*, (SELECT v.last_interaction_at FROM conversation v " +
	"WHERE v.account_id = customer.account_id AND v.customer_id = customer.id) AS last_interaction_at"

// Customers reads customers by key; unknown ones are left out.
func (r *Reader) Customers(account models.Key, keys []models.Key) ([]*models.Customer, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return ask[models.Customer](r, "SELECT "+customerColumns+" FROM customer WHERE account_id = ? AND id IN ("+marks(len(keys))+") ORDER BY id",
		keyArgs(account, keys)...)
}

// CustomersByOpenID reads customers by openid; unknown ones are left out.
func (r *Reader) CustomersByOpenID(account models.Key, openids []models.Ident) ([]*models.Customer, error) {
	if len(openids) == 0 {
		return nil, nil
	}
	return customers(r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND openid IN ?", account, openids)
	})
}

// CustomerByUnionID reads the customer with this unionid, the earliest if several share it.
func (r *Reader) CustomerByUnionID(account models.Key, unionid models.Ident) (*models.Customer, error) {
	rows, err := customers(r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND unionid = ?", account, unionid).Order("id").Limit(1)
	})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, ErrNotFound
	}
	return rows[0], nil
}

// CustomersByUnionID reads the customers with these unionids, the earliest where several share one, however many; unknown ones are left out.
func (r *Reader) CustomersByUnionID(account models.Key, unionids []models.Ident) ([]*models.Customer, error) {
	if len(unionids) == 0 {
		return nil, nil
	}
	return customers(r, func(db *gorm.DB) *gorm.DB {
		return db.Table("(SELECT MIN(id) AS id FROM customer WHERE account_id = ? AND unionid IN ? GROUP BY account_id, unionid) earliest", account, unionids).
			Joins("JOIN customer ON customer.account_id = ? AND customer.id = earliest.id", account)
	})
}

// EnsureCustomers makes a row, and its conversation, for each of these openids that has none,
// and answers the keys by openid. Rows of openids seen for the first time are written before
// any lock is held; two transactions that meet the same new openid agree on one row.
func (tx *Tx) EnsureCustomers(openids []models.Ident) (map[models.Ident]models.Key, error) {
	tx.enter(phaseCustomers)
	known, err := tx.customerKeys(openids)
	if err != nil {
		return nil, err
	}
	var unknown []models.Ident
	for _, o := range openids {
		if _, ok := known[o]; !ok {
			unknown = append(unknown, o)
		}
	}
	if len(unknown) == 0 {
		return known, nil
	}
	// In one order, and with keys that ascend in it, so that two transactions that meet the same
	// followers lock the same rows in the same order here and by key later.
	slices.Sort(unknown)
	unknown = slices.Compact(unknown)
	fresh := make([]*models.Customer, len(unknown))
	for i, o := range unknown {
		fresh[i] = &models.Customer{
			AccountID: tx.Account, Key: models.NewKey(), OpenID: o,
			FollowState: models.Unfollowed, CreatedAt: tx.Now, UpdatedAt: tx.Now,
		}
	}
	// A row that another transaction wrote meanwhile is left as it is.
	if err := translate(tx.db.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "account_id"}, {Name: "openid"}},
		DoUpdates: clause.AssignmentColumns([]string{"openid"}),
	}).CreateInBatches(fresh, limits.BatchRows).Error); err != nil {
		return nil, err
	}
	if known, err = tx.customerKeys(openids); err != nil {
		return nil, err
	}
	conversations := make([]*models.Conversation, 0, len(fresh))
	for _, c := range fresh {
		conversations = append(conversations, &models.Conversation{
			AccountID: tx.Account, CustomerID: known[c.OpenID], CreatedAt: tx.Now, UpdatedAt: tx.Now,
		})
	}
	return known, translate(tx.db.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "account_id"}, {Name: "customer_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"customer_id"}),
	}).CreateInBatches(conversations, limits.BatchRows).Error)
}

func (tx *Tx) customerKeys(openids []models.Ident) (map[models.Ident]models.Key, error) {
	type row struct {
		Key    models.Key   `gorm:"column:id"`
		OpenID models.Ident `gorm:"column:openid"`
	}
	rows, err := scan[row](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Customer{}).Select("id, openid").Where("account_id = ? AND openid IN ?", tx.Account, openids)
	})
	keys := make(map[models.Ident]models.Key, len(rows))
	for _, r := range rows {
		keys[r.OpenID] = r.Key
	}
	return keys, err
}

// LockCustomers reads and locks customers with their conversations, in key order and in one
// statement; the two slices are of one length and go together. A conversation is locked right
// after its customer, and nobody who holds a conversation asks for a customer, so who locks both
// together and who locks them phase by phase cannot wait for each other in a circle.
func (tx *Tx) LockCustomers(keys []models.Key) ([]*models.Customer, []*models.Conversation, error) {
	tx.enter(phaseCustomers)
	tx.enter(phaseConversations)
	if len(keys) == 0 {
		return nil, nil, nil
	}
	keys = sorted(keys)
	join, lock := "STRAIGHT_JOIN", " FOR UPDATE" // customers first, whatever the optimizer would like better
	if tx.store.IsEmbedded() {
		join, lock = "CROSS JOIN", ""
	}
	customer, conversation := tableOf[models.Customer](), tableOf[models.Conversation]()
	statement := "SELECT " + customer.selected("c") + "," + conversation.selected("v") +
		" FROM customer c " + join + " conversation v ON v.account_id = c.account_id AND v.customer_id = c.id" +
		" WHERE c.account_id = ? AND c.id IN (" + marks(len(keys)) + ") ORDER BY c.id" + lock
	var customers []*models.Customer
	var conversations []*models.Conversation
	read := newCells(append(customer.all(), conversation.all()...))
	err := tx.query(func(rows *sql.Rows) error {
		c, v := new(models.Customer), new(models.Conversation)
		if err := read.next(rows); err != nil {
			return err
		}
		if err := read.fill(c, 0, len(customer.columns)); err != nil {
			return err
		}
		if err := read.into(v, len(customer.columns)); err != nil {
			return err
		}
		c.LastInteractionAt = v.LastInteractionAt
		customers, conversations = append(customers, c), append(conversations, v)
		return nil
	}, statement, keyArgs(tx.Account, keys)...)
	return customers, conversations, err
}

// UpdateCustomers writes these columns of locked customers; with the advisor go the tags that they have.
func (tx *Tx) UpdateCustomers(rows []*models.Customer, columns ...string) error {
	for _, c := range rows {
		c.UpdatedAt = tx.Now
	}
	if slices.Contains(columns, "nickname") || slices.Contains(columns, "info") {
		if err := tx.refold(rows); err != nil {
			return err
		}
		columns = append(slices.Clone(columns), "folded")
	}
	// The openid stays what it is; it has no default that the statement could do without.
	if err := upsertFew(tx, rows, append(columns, "openid", "updated_at")...); err != nil || !slices.Contains(columns, "advisor_id") {
		return err
	}
	return tx.moveTags(rows)
}

// InsertBindings appends to the history of bindings, and tells of each in the account's stream.
func (tx *Tx) InsertBindings(rows []*models.Binding) error {
	for _, b := range rows {
		tx.EmitToAccount(models.AccountBindingChanged, b.CustomerID, b.Key)
	}
	return tx.InsertImportedBindings(rows)
}

// InsertImportedBindings appends to the history of bindings and tells nobody: an import tells of all that it did at once.
func (tx *Tx) InsertImportedBindings(rows []*models.Binding) error {
	tx.enter(phaseRows)
	return insertUsed(tx, rows, []string{"customer_id", "advisor_id", "change_kind", "source", "at"}, "former_id", "made_by", "label")
}
