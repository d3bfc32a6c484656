package store

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
)

// What an erasure does with a column (rule E13).
const (
	toBlank  = "blanked"        // the value becomes ERASED, empty or zero
	toDelete = "deleted"        // the row goes
	isKey    = "kept: a key"    // says nothing once the customer's row is blank
	isStaff  = "kept: of staff" // of who works for the merchant, and what the merchant wrote about itself
	isShort  = "kept: for days" // goes by itself within limits.ImportLife or limits.IdempotencyLife
	isPublic = "kept: of nobody"
)

// ErasureMap says of every column that may hold something of a person what an erasure does with it: names of
// customers, texts, bytes. A test walks the schema: a column of that kind which is not here fails.
var ErasureMap = map[string]map[string]string{
	"customer": {
		"openid": toBlank, "unionid": toBlank, "nickname": toBlank, "avatar_url": toBlank, "info": toBlank, "folded": toBlank, "country": toBlank, "province": toBlank, "city": toBlank,
		"bound_by": toBlank, "bound_label": toBlank,
	},
	"customer_gram":   {"customer_id": toDelete, "gram": toDelete},
	"customer_tag":    {"customer_id": toDelete},
	"customer_change": {"customer_id": isKey, "was": toBlank, "became": toBlank, "made_by": isStaff},
	"message":         {"customer_id": isKey, "text": toBlank, "media_ref": toBlank, "url": toBlank, "detail": toBlank, "dedup_key": isPublic},
	"conversation":    {"customer_id": isKey},
	"binding":         {"customer_id": isKey, "made_by": isStaff, "label": isStaff},
	"scan":            {"customer_id": isKey, "scene": isPublic, "label": isStaff},
	"notification":    {"customer_id": isKey},
	"delivery":        {"customer_id": isKey},
	"outbox":          {"customer_id": isKey},
	"outreach":        {"customer_id": isKey},
	"event":           {"customer_id": isKey},
	"account_event":   {"customer_id": isKey},
	"inbound":         {"customer_id": isKey, "dedup_key": isPublic, "name": isPublic, "scene": isPublic},
	"erasure":         {"customer_id": isKey, "made_by": isStaff, "digest": isKey},
	"audit":           {"before_json": toBlank, "after_json": toBlank, "subject": isStaff, "token_id": isStaff, "request_id": isPublic, "action": isPublic},
	"audit_item":      {"before_json": toBlank, "after_json": toBlank},
	"job":             {"parameters": toBlank, "progress": toBlank, "failures": isPublic, "error_message": isPublic, "made_by": isStaff},
	"job_item":        {"message": isPublic, "field": isPublic},
	"idempotency":     {"subject": isStaff, "idem_key": isPublic, "body_hash": isShort, "results": isShort},
	"import":          {"made_by": isStaff, "census": isPublic},
	"import_part":     {"data": isShort},
	"mass_send":       {},
	"access_token":    {"sealed": isShort}, // of the account
	"channel_fault":   {"api": isPublic},
	"channel_work":    {"api": isPublic},
	"follow_waiting":  {"customer_id": isKey},
	"ticket":          {"viewer": isShort},  // of an advisor or of staff
	"image":           {"made_by": isStaff}, // one that only the person had goes with its file (SweepImages)
	"webhook":         {"name": isStaff, "epoch": isPublic, "sealed_secret": isStaff, "sealed_old": isStaff},
	"dead_letter":     {"customer_id": isKey, "epoch": isPublic},
	"account": {
		"name": isStaff, "app_id": isPublic, "original_id": isPublic, "terms_version": isStaff, "terms_by": isStaff, "rules_version": isStaff, "time_zone": isStaff,
		"conversation_link": isStaff, "task_link": isStaff, "follow_reply": isStaff, "callback_id": isPublic, "sealed_token": isStaff, "sealed_token_old": isStaff,
		"sealed_aes_key": isStaff, "sealed_aes_key_old": isStaff, "sealed_app_secret": isStaff, "sealed_url_secret": isStaff,
	},
	"advisor": {"openid": isStaff, "unionid": isStaff, "wechat_id": isStaff, "external_id": isStaff, "nickname": isStaff, "avatar_url": isStaff, "rules_version": isStaff},
}

// eraseStep blanks up to most rows of an erasure's customer behind a place, and answers how many it blanked
// and where it stopped; last: there are no more.
type eraseStep func(tx *Tx, e *models.Erasure, most int) (n int, place models.Key, last bool, err error)

// eraseSteps are done one after the other; the numbers of Erasure.Step.
var eraseSteps = []eraseStep{
	func(tx *Tx, e *models.Erasure, most int) (int, models.Key, bool, error) {
		n, place, last, err := tx.eraseBehind(e, "message", "text = ?, media_ref = '', url = '', detail = '', latitude = 0, longitude = 0", []any{models.Erased}, most)
		e.Messages += int64(n)
		return n, place, last, err
	},
	func(tx *Tx, e *models.Erasure, most int) (int, models.Key, bool, error) {
		n, place, last, err := tx.eraseBehind(e, "customer_change", "was = ?, became = ?", []any{models.Erased, models.Erased}, most)
		e.Changes += int64(n)
		return n, place, last, err
	},
	func(tx *Tx, e *models.Erasure, _ int) (int, models.Key, bool, error) {
		done := tx.db.Exec("UPDATE audit SET before_json = ?, after_json = ? WHERE account_id = ? AND target_id = ? AND target_kind = ? AND action <> ?",
			models.Erased, models.Erased, tx.Account, e.CustomerID, "Customer", "eraseCustomer")
		e.Entries += done.RowsAffected
		return int(done.RowsAffected), models.Key{}, true, translate(done.Error)
	},
	func(tx *Tx, e *models.Erasure, _ int) (int, models.Key, bool, error) {
		done := tx.db.Exec("UPDATE audit_item SET before_json = ?, after_json = ? WHERE account_id = ? AND target_id = ? AND (before_json <> '' OR after_json <> '')",
			models.Erased, models.Erased, tx.Account, e.CustomerID)
		e.Entries += done.RowsAffected
		return int(done.RowsAffected), models.Key{}, true, translate(done.Error)
	},
}

// eraseBehind blanks rows of the customer in a table by key.
func (tx *Tx) eraseBehind(e *models.Erasure, table, set string, values []any, most int) (n int, place models.Key, last bool, err error) {
	keys, err := scan[models.Key](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return behind(db.Table(table).Select("id").Where("account_id = ? AND customer_id = ?", tx.Account, e.CustomerID), e.Place).Order("id").Limit(most)
	})
	if err != nil || len(keys) == 0 {
		return 0, place, true, err
	}
	err = tx.exec("UPDATE "+table+" SET "+set+" WHERE account_id = ? AND id IN ("+marks(len(keys))+")", append(values, keyArgs(tx.Account, keys)...))
	return len(keys), keys[len(keys)-1], len(keys) < most, err
}

// EraseSome does the next of a locked erasure: at most limits.EraseRows rows. At the end it is finished, or it waits for the file of an image that
// the person alone had.
func (tx *Tx) EraseSome(e *models.Erasure) error {
	tx.enter(phaseRows)
	if e.Step < len(eraseSteps) {
		_, place, last, err := eraseSteps[e.Step](tx, e, limits.EraseRows)
		if err != nil {
			return err
		}
		if e.Place = place; last {
			e.Step, e.Place = e.Step+1, models.Key{}
		}
	}
	if e.Step == len(eraseSteps) {
		waits, err := tx.isForgotten(e.AvatarID)
		if err != nil {
			return err
		}
		if e.RetryAt = tx.Now.Add(limits.EraseRetry); !waits {
			e.FinishedAt, e.RetryAt = tx.Now, 0
		}
	}
	columns, err := tx.store.sabotage.progress(tx, e.Step == len(eraseSteps), "step", "place", "messages", "changes", "entries", "retry_at", "finished_at")
	if err != nil {
		return err
	}
	return upsert(tx, []*models.Erasure{e}, columns...)
}

// EraseNames takes the names of a person who is being erased out of what jobs of the account that have not ended are asked
// for, which may list them, and out of where a job is that goes through a list. An account has few jobs.
func (tx *Tx) EraseNames(names ...models.Ident) error {
	tx.enter(phaseRows)
	for _, name := range names {
		if name == "" {
			continue
		}
		quoted, err := compact(name) // as it stands in them
		if err != nil {
			return err
		}
		for _, column := range []string{"parameters", "progress"} {
			err := tx.db.Exec("UPDATE job SET "+column+" = REPLACE("+column+", ?, ?) WHERE account_id = ? AND INSTR("+column+", ?) > 0",
				quoted, `"`+models.Erased+`"`, tx.Account, quoted).Error
			if err != nil {
				return translate(err)
			}
		}
	}
	return nil
}

// InsertErasure begins an erasure.
func (tx *Tx) InsertErasure(e *models.Erasure) error { return insert(tx, []*models.Erasure{e}) }

// LockErasure reads and locks an erasure; ErrNotFound when there is none.
func (tx *Tx) LockErasure(key models.Key) (*models.Erasure, error) {
	tx.enter(phaseRows)
	return first[models.Erasure](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND id = ?", tx.Account, key)
	})
}

// Erasure reads an erasure; ErrNotFound when there is none.
func (r *Reader) Erasure(account, key models.Key) (*models.Erasure, error) {
	return first[models.Erasure](r, func(db *gorm.DB) *gorm.DB { return db.Where("account_id = ? AND id = ?", account, key) })
}

// ErasureOf reads the erasure of a customer; ErrNotFound when there is none.
func (r *Reader) ErasureOf(account, customer models.Key) (*models.Erasure, error) {
	return first[models.Erasure](r, func(db *gorm.DB) *gorm.DB { return db.Where("account_id = ? AND customer_id = ?", account, customer) })
}

// ErasurePage reads a page of erasures, latest first; with a digest only those of that person.
func (r *Reader) ErasurePage(account models.Key, digest models.Ident, p relay.Page) ([]*models.Erasure, error) {
	return find[models.Erasure](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("account_id = ?", account)
		if digest != "" {
			db = db.Where("digest = ?", digest)
		}
		if p.After != nil {
			db = db.Where("id < ?", models.Key(p.After.Key))
		}
		return db.Order("id DESC").Limit(p.First + 1)
	})
}

// OpenErasures reads erasures, of any account, with which to go on at an instant, the longest waiting first; those that wait for a file come behind
// the others. It is one of the named exceptions to "every query takes the account".
func (r *Reader) OpenErasures(now models.Time, most int) ([]*models.Erasure, error) {
	return find[models.Erasure](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("finished_at = 0 AND retry_at <= ?", now).Order("retry_at, begun_at").Limit(most)
	})
}

// EraseCustomer writes a locked customer who was erased, their conversation and tags, and answers how many tags
// they had.
func (tx *Tx) EraseCustomer(c *models.Customer, v *models.Conversation) (tags int, err error) {
	had, err := tx.CustomerTags(tx.Account, models.Key{}, []models.Key{c.Key})
	if err != nil {
		return 0, err
	}
	err = tx.UpdateCustomers([]*models.Customer{c}, "unionid", "nickname", "avatar_url", "avatar_id", "info", "country", "province", "city", "follow_state", "unfollowed_at",
		"advisor_id", "bound_at", "bound_source", "bound_label", "bound_by", "suspended_at", "erased_at")
	if err != nil {
		return 0, err
	}
	if err := tx.UpdateBound([]*models.Conversation{v}); err != nil {
		return 0, err
	}
	return len(had), tx.ClearCustomerTags([]models.Key{c.Key})
}

// UnfollowedBefore reads keys of customers of an account who stopped following at an instant or before, and
// have not come back, the earliest first.
func (r *Reader) UnfollowedBefore(account models.Key, until models.Time, most int) ([]models.Key, error) {
	return scan[models.Key](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Customer{}).Select("id").
			Where("account_id = ? AND unfollowed_at > 0 AND unfollowed_at <= ? AND follow_state = ?", account, until, models.Unfollowed).
			Order("unfollowed_at, id").Limit(most)
	})
}

// PersonalBindings, PersonalChanges and PersonalMessages read a customer's rows behind a key, in the order of
// their keys, for export.
func (r *Reader) PersonalBindings(account, customer, after models.Key, most int) ([]*models.Binding, error) {
	return personal[models.Binding](r, account, customer, after, most)
}

// PersonalChanges is as PersonalBindings.
func (r *Reader) PersonalChanges(account, customer, after models.Key, most int) ([]*models.CustomerChange, error) {
	return personal[models.CustomerChange](r, account, customer, after, most)
}

// PersonalScans is as PersonalBindings.
func (r *Reader) PersonalScans(account, customer, after models.Key, most int) ([]*models.Scan, error) {
	return personal[models.Scan](r, account, customer, after, most)
}

// PersonalMessages is as PersonalBindings.
func (r *Reader) PersonalMessages(account, customer, after models.Key, most int) ([]*models.Message, error) {
	return personal[models.Message](r, account, customer, after, most)
}

func personal[T any](r *Reader, account, customer, after models.Key, most int) ([]*T, error) {
	return find[T](r, func(db *gorm.DB) *gorm.DB {
		return behind(db.Where("account_id = ? AND customer_id = ?", account, customer), after).Order("id").Limit(most)
	})
}
