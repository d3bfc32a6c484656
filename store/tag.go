package store

import (
	"clientele/models"
)

// TagLibrary reads the account's tags with their options, without those that were removed.
func (r *Reader) TagLibrary(account models.Key) (models.TagLibrary, error) {
	tags, err := ask[models.Tag](r, "SELECT * FROM tag WHERE account_id = ? ORDER BY created_at, id", account[:])
	if err != nil || len(tags) == 0 {
		return models.TagLibrary{}, err
	}
	options, err := ask[models.TagOption](r, "SELECT * FROM tag_option WHERE account_id = ? AND removed_at = 0 ORDER BY created_at, id", account[:])
	return models.NewTagLibrary(tags, options), err
}

// InsertTag writes a new tag of an account that is locked; ErrDuplicate when the name is taken.
func (tx *Tx) InsertTag(t *models.Tag) error { return insert(tx, []*models.Tag{t}) }

// RenameTag writes the name of a tag.
func (tx *Tx) RenameTag(t *models.Tag) error {
	tx.enter(phaseRows)
	t.UpdatedAt = tx.Now
	return upsert(tx, []*models.Tag{t}, "name", "folded_name", "updated_at")
}

// DeleteTag deletes a tag whose options were removed.
func (tx *Tx) DeleteTag(key models.Key) error {
	tx.enter(phaseRows)
	return translate(tx.db.Where("account_id = ? AND id = ?", tx.Account, key).Delete(&models.Tag{}).Error)
}

// InsertTagOption writes a new option of an account that is locked; ErrDuplicate when the text is taken.
func (tx *Tx) InsertTagOption(o *models.TagOption) error { return insert(tx, []*models.TagOption{o}) }

// UpdateTagOptions writes options whose name changed, or that were removed. It waits for those who put
// them on customers: see ShareTagOptions.
func (tx *Tx) UpdateTagOptions(rows []*models.TagOption) error {
	tx.enter(phaseRows)
	for _, o := range rows {
		o.UpdatedAt = tx.Now
	}
	return upsert(tx, rows, "name", "folded_name", "removed_at", "updated_at")
}

// ShareTagOptions reads which of these options the library has, and keeps them from being removed
// until the transaction ends; others may share them. So nothing puts an option on a customer once the
// sweep of a removed one has begun.
func (tx *Tx) ShareTagOptions(keys []models.Key) (map[models.Key]*models.TagOption, error) {
	tx.enter(phaseRows)
	found := make(map[models.Key]*models.TagOption, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	lock := " LOCK IN SHARE MODE" // MariaDB knows no FOR SHARE
	if tx.store.IsEmbedded() {
		lock = ""
	}
	keys = sorted(keys)
	rows, err := ask[models.TagOption](&tx.Reader, "SELECT * FROM tag_option WHERE account_id = ? AND id IN ("+marks(len(keys))+") ORDER BY id"+lock,
		keyArgs(tx.Account, keys)...)
	for _, o := range rows {
		if o.RemovedAt.IsZero() {
			found[o.Key] = o
		}
	}
	return found, err
}

// CustomerTags reads the options that customers have, removed ones too; of an advisor's customers only,
// unless that is zero.
func (r *Reader) CustomerTags(account, advisor models.Key, customers []models.Key) ([]*models.CustomerTag, error) {
	if len(customers) == 0 {
		return nil, nil
	}
	statement, args := "SELECT * FROM customer_tag WHERE account_id = ? AND customer_id IN ("+marks(len(customers))+")", keyArgs(account, customers)
	if !advisor.IsZero() {
		statement, args = statement+" AND advisor_id = ?", append(args, advisor[:])
	}
	return ask[models.CustomerTag](r, statement, args...)
}

// InsertCustomerTags puts options on locked customers who do not have them.
func (tx *Tx) InsertCustomerTags(rows []*models.CustomerTag) error { return insert(tx, rows) }

// DeleteCustomerTags takes an option off customers, in one statement.
func (tx *Tx) DeleteCustomerTags(option models.Key, customers []models.Key) error {
	tx.enter(phaseRows)
	if len(customers) == 0 {
		return nil
	}
	customers = sorted(customers)
	return tx.exec("DELETE FROM customer_tag WHERE account_id = ? AND customer_id IN ("+marks(len(customers))+") AND option_id = ?",
		append(keyArgs(tx.Account, customers), option[:]))
}

// ClearCustomerTags takes all options off locked customers, in one statement.
func (tx *Tx) ClearCustomerTags(customers []models.Key) error {
	tx.enter(phaseRows)
	if len(customers) == 0 {
		return nil
	}
	customers = sorted(customers)
	return tx.exec("DELETE FROM customer_tag WHERE account_id = ? AND customer_id IN ("+marks(len(customers))+")", keyArgs(tx.Account, customers))
}

// moveTags has the tags of locked customers name the advisor whom their customers have now, in one
// statement.
func (tx *Tx) moveTags(customers []*models.Customer) error {
	if len(customers) == 0 {
		return nil
	}
	keys := make([]models.Key, len(customers))
	for i, c := range customers {
		keys[i] = c.Key
	}
	keys = sorted(keys)
	return tx.exec("UPDATE customer_tag SET advisor_id = (SELECT c.advisor_id FROM customer c WHERE c.account_id = customer_tag.account_id AND c.id = customer_tag.customer_id)"+
		" WHERE account_id = ? AND customer_id IN ("+marks(len(keys))+")", keyArgs(tx.Account, keys))
}

// RemovedTagOptions reads options, of any account, that were removed and not forgotten yet, the
// earliest first. It is one of the named exceptions to "every query takes the account".
func (r *Reader) RemovedTagOptions(most int) ([]*models.TagOption, error) {
	return ask[models.TagOption](r, "SELECT * FROM tag_option WHERE removed_at > 0 ORDER BY removed_at LIMIT ?", most)
}

// HavingTagOption reads the keys of up to most customers who have an option.
func (r *Reader) HavingTagOption(account, option models.Key, most int) ([]models.Key, error) {
	rows, err := ask[models.CustomerTag](r, "SELECT customer_id FROM customer_tag WHERE account_id = ? AND option_id = ? ORDER BY customer_id LIMIT ?",
		account[:], option[:], most)
	keys := make([]models.Key, len(rows))
	for i, row := range rows {
		keys[i] = row.CustomerID
	}
	return keys, err
}

// ForgetTagOption deletes a removed option that no customer has any more.
func (tx *Tx) ForgetTagOption(key models.Key) error {
	tx.enter(phaseRows)
	return translate(tx.db.Where("account_id = ? AND id = ? AND removed_at > 0", tx.Account, key).Delete(&models.TagOption{}).Error)
}
