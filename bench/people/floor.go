package people

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"clientele/bench/rig"
	"clientele/limits"
	"clientele/models"
)

// floor does by hand, on one connection, what the product does: the same rows, read and locked as they must
// be, by the statements that come to mind.
type floor struct {
	db       *sql.DB
	account  models.Key
	advisors map[int]models.Key
}

func newFloor(ctx context.Context, r *rig.Rig) (*floor, error) {
	db, err := r.Database.Open(r.Set.Name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	f := &floor{db: db, account: r.Set.Account, advisors: map[int]models.Key{}}
	for i := range r.Set.Advisors {
		var key models.Key
		if err := db.QueryRowContext(ctx, "SELECT id FROM advisor WHERE account_id = ? AND openid = ?", f.account[:], rig.AdvisorOpenID(i)).Scan(&key); err != nil {
			return nil, errors.Join(fmt.Errorf("advisor %d: %w", i, err), db.Close())
		}
		f.advisors[i] = key
	}
	return f, nil
}

func (f *floor) close() error { return f.db.Close() }

// rows counts the rows of the tables that bulk calls add to, once every event has its number.
func (f *floor) rows(ctx context.Context, really bool) (map[string]int64, error) {
	if !really {
		return nil, nil // nobody asks.
	}
	err := rig.Await(ctx, "the numbers of events", func() (bool, error) {
		var n int
		err := f.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM account_event").Scan(&n)
		return n == 0, err
	})
	counts := map[string]int64{}
	for _, table := range []string{"binding", "audit", "audit_item", "event", "customer_tag", "customer_change"} {
		var n int64
		err = errors.Join(err, f.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n))
		counts[table] = n
	}
	return counts, err
}

// list is values as the inside of an IN.
func list[T any](values []T) string {
	var b []byte
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = rig.AppendValue(b, v)
	}
	return string(b)
}

// within runs fn in a transaction.
func (f *floor) within(ctx context.Context, fn func(tx *sql.Tx, now models.Time) error) error {
	tx, err := f.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	if err := fn(tx, models.At(time.Now())); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// lock finds and locks customers with their conversations.
func (f *floor) lock(ctx context.Context, tx *sql.Tx, openids []string) ([]models.Key, error) {
	keys, err := keys(ctx, tx, "SELECT id FROM customer WHERE account_id = ? AND openid IN ("+list(openids)+")", f.account[:])
	if err != nil {
		return nil, err
	}
	return keys, read(ctx, tx, "SELECT c.*, v.* FROM customer c STRAIGHT_JOIN conversation v ON v.account_id = c.account_id AND v.customer_id = c.id"+
		" WHERE c.account_id = ? AND c.id IN ("+list(keys)+") ORDER BY c.id FOR UPDATE", f.account[:])
}

// bind gives customers to an advisor; former (-1: nobody) is who had them.
func (f *floor) bind(ctx context.Context, openids []string, to, former int) error {
	advisor := f.advisors[to]
	involved := []models.Key{advisor}
	if former >= 0 {
		involved = append(involved, f.advisors[former])
	}
	return f.within(ctx, func(tx *sql.Tx, now models.Time) error {
		keys, err := f.lock(ctx, tx, openids)
		if err != nil {
			return err
		}
		if err := read(ctx, tx, "SELECT * FROM advisor WHERE account_id = ? AND id IN ("+list(involved)+") ORDER BY id FOR UPDATE", f.account[:]); err != nil {
			return err
		}
		in := " WHERE account_id = ? AND %s IN (" + list(keys) + ")"
		where := func(column string) string { return fmt.Sprintf(in, column) }
		if err := errors.Join(
			exec(ctx, tx, "UPDATE customer SET advisor_id = ?, bound_at = ?, bound_source = 'CONSOLE', bound_by = 'ADMIN:bench', suspended_at = 0, updated_at = ?"+where("id"), advisor[:], now, now, f.account[:]),
			exec(ctx, tx, "UPDATE customer_tag SET advisor_id = ?"+where("customer_id"), advisor[:], f.account[:]),
			exec(ctx, tx, "UPDATE conversation SET advisor_id = ?, active_at = GREATEST(active_at, ?), unread = IF(? < 0, 0, unread), inquiry_id = NULL, updated_at = ?"+where("customer_id"), advisor[:], now, former, now, f.account[:]),
			exec(ctx, tx, "UPDATE advisor SET customer_count = customer_count + ?, updated_at = ? WHERE account_id = ? AND id = ?", len(keys), now, f.account[:], advisor[:]),
		); err != nil {
			return err
		}
		change, formerKey := models.BindingBound, models.Key{}
		if former >= 0 {
			change, formerKey = models.BindingRebound, f.advisors[former]
			if err := exec(ctx, tx, "UPDATE advisor SET customer_count = customer_count - ?, updated_at = ? WHERE account_id = ? AND id = ?", len(keys), now, f.account[:], formerKey[:]); err != nil {
				return err
			}
		}
		bindings := rig.NewRows("binding (account_id, id, customer_id, advisor_id, former_id, change_kind, source, made_by, at)", "")
		history := make([]models.Key, len(keys))
		for i, k := range keys {
			history[i] = models.NewKey()
			bindings.Add(f.account, history[i], k, advisor, formerKey, string(change), string(models.SourceConsole), "ADMIN:bench", now)
		}
		events := map[models.Key]models.EventKind{advisor: models.EventConversationChanged, f.account: models.EventKind(models.AccountBindingChanged)}
		if former >= 0 {
			events[formerKey] = models.EventCustomerLeft
		}
		return errors.Join(bindings.Flush(ctx, tx), f.audit(ctx, tx, keys, now, `{"advisorId":null}`, `{"advisorId":"`+(&models.Advisor{Key: advisor}).ID().String()+`"}`), f.tell(ctx, tx, keys, history, events, now))
	})
}

// tag puts an option on customers of an advisor.
func (f *floor) tag(ctx context.Context, openids []string, of int, option models.Key) error {
	advisor := f.advisors[of]
	return f.within(ctx, func(tx *sql.Tx, now models.Time) error {
		keys, err := f.lock(ctx, tx, openids)
		if err != nil {
			return err
		}
		if err := errors.Join(
			read(ctx, tx, "SELECT * FROM customer_tag WHERE account_id = ? AND customer_id IN ("+list(keys)+")", f.account[:]),
			read(ctx, tx, "SELECT * FROM tag_option WHERE account_id = ? AND id = ? LOCK IN SHARE MODE", f.account[:], option[:]),
		); err != nil {
			return err
		}
		tags := rig.NewRows("customer_tag (account_id, customer_id, option_id, advisor_id, created_at)", "")
		changes := rig.NewRows("customer_change (account_id, id, customer_id, field, was, became, made_by, at)", "")
		logged := make([]models.Key, len(keys))
		for i, k := range keys {
			logged[i] = models.NewKey()
			tags.Add(f.account, k, option, advisor, now)
			changes.Add(f.account, logged[i], k, string(models.FieldTags), "", tagName, "ADMIN:bench", now)
		}
		return errors.Join(tags.Flush(ctx, tx), changes.Flush(ctx, tx), f.audit(ctx, tx, keys, now, `{"tags":[]}`, `{"tags":["`+tagName+`"]}`),
			f.tell(ctx, tx, keys, logged, map[models.Key]models.EventKind{advisor: models.EventConversationChanged, f.account: models.EventKind(models.AccountCustomerChanged)}, now))
	})
}

// audit writes an entry with its items, and what each of them was before and is after.
func (f *floor) audit(ctx context.Context, tx *sql.Tx, keys []models.Key, now models.Time, before, after string) error {
	entry := models.NewKey()
	entries := rig.NewRows("audit (account_id, id, at, role, subject, action, target_kind, before_json, after_json)", "")
	entries.Add(f.account, entry, now, "ADMIN", "bench", "bulk", "Account", "", "")
	items := rig.NewRows("audit_item (account_id, audit_id, no, target_id, outcome, before_json, after_json)", "")
	for i, k := range keys {
		items.Add(f.account, entry, i, k, "OK", before, after)
	}
	return errors.Join(entries.Flush(ctx, tx), items.Flush(ctx, tx))
}

// tell appends an event for each customer to streams.
func (f *floor) tell(ctx context.Context, tx *sql.Tx, keys, subjects []models.Key, kinds map[models.Key]models.EventKind, now models.Time) error {
	streams := make([]models.Key, 0, len(kinds))
	for k := range kinds {
		streams = append(streams, k)
	}
	heads, err := tx.QueryContext(ctx, "SELECT id, head FROM stream WHERE account_id = ? AND id IN ("+list(streams)+") ORDER BY id FOR UPDATE", f.account[:])
	if err != nil {
		return err
	}
	head := map[models.Key]int64{}
	for heads.Next() {
		var k models.Key
		var n int64
		if err := heads.Scan(&k, &n); err != nil {
			return errors.Join(err, heads.Close())
		}
		head[k] = n
	}
	if err := errors.Join(heads.Err(), heads.Close()); err != nil {
		return err
	}
	events := rig.NewRows("event (account_id, stream_id, seq, kind, at, customer_id, subject_id)", "")
	for stream, kind := range kinds {
		for i, k := range keys {
			var subject models.Key
			if stream == f.account {
				subject = subjects[i]
			}
			events.Add(f.account, stream, head[stream]+int64(i)+1, string(kind), now, k, subject)
		}
	}
	return errors.Join(
		exec(ctx, tx, "UPDATE stream SET head = head + ? WHERE account_id = ? AND id IN ("+list(streams)+")", len(keys), f.account[:]),
		events.Flush(ctx, tx))
}

// fill inserts customers from one number to another, with conversations, bindings and a tag, as many in a
// transaction as an import takes, and answers how long that took.
func (f *floor) fill(ctx context.Context, first, advisors int, option models.Key, openid func(int) string, from, to int) (time.Duration, error) {
	began := time.Now()
	customers := rig.NewRows("customer (account_id, id, openid, nickname, folded, follow_state, followed_at, advisor_id, bound_at, bound_source, bound_by, created_at, updated_at)", "")
	talks := rig.NewRows("conversation (account_id, customer_id, advisor_id, active_at, created_at, updated_at)", "")
	bindings := rig.NewRows("binding (account_id, id, customer_id, advisor_id, change_kind, source, made_by, at)", "")
	tags := rig.NewRows("customer_tag (account_id, customer_id, option_id, advisor_id, created_at)", "")
	for at := from; at < to; at += limits.ImportRecords {
		err := f.within(ctx, func(tx *sql.Tx, now models.Time) error {
			var grams []gram
			for i := at; i < min(at+limits.ImportRecords, to); i++ {
				key, advisor := models.NewKey(), f.advisors[first+i%advisors]
				nickname := fmt.Sprintf("Imported %d", i)
				folded := (&models.Customer{Nickname: nickname}).SearchText()
				for text := range folded.Grams() {
					grams = append(grams, gram{text, key})
				}
				customers.Add(f.account, key, openid(i), nickname, string(folded), string(models.Following), now, advisor, now, string(models.SourceAPI), "ADMIN:bench", now, now)
				talks.Add(f.account, key, advisor, now, now, now)
				bindings.Add(f.account, models.NewKey(), key, advisor, string(models.BindingBound), string(models.SourceAPI), "ADMIN:bench", now)
				tags.Add(f.account, key, option, advisor, now)
			}
			all := make([]models.Key, advisors)
			for i := range all {
				all[i] = f.advisors[first+i]
			}
			return errors.Join(customers.Flush(ctx, tx), f.grams(ctx, tx, grams), talks.Flush(ctx, tx), bindings.Flush(ctx, tx), tags.Flush(ctx, tx),
				exec(ctx, tx, "UPDATE advisor SET customer_count = customer_count + ? WHERE account_id = ? AND id IN ("+list(all)+")", limits.ImportRecords/advisors, f.account[:]))
		})
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// gram is a pair of characters of a customer's name.
type gram struct {
	text     models.Ident
	customer models.Key
}

// grams inserts grams in the order of their primary key, as many a statement as the product does.
func (f *floor) grams(ctx context.Context, tx *sql.Tx, grams []gram) error {
	slices.SortFunc(grams, func(a, b gram) int {
		return cmp.Or(cmp.Compare(a.text, b.text), bytes.Compare(a.customer[:], b.customer[:]))
	})
	rows := rig.NewRows("customer_gram (account_id, gram, customer_id)", "")
	for some := range slices.Chunk(grams, limits.StatementRows) {
		for _, g := range some {
			rows.Add(f.account, string(g.text), g.customer)
		}
		if err := rows.Flush(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	for i, a := range args {
		if t, ok := a.(models.Time); ok {
			args[i] = int64(t)
		}
	}
	_, err := tx.ExecContext(ctx, statement, args...)
	return err
}

// read runs a query and reads all of its rows.
func read(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	columns, err := rows.Columns()
	if err != nil {
		return errors.Join(err, rows.Close())
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

func keys(ctx context.Context, tx *sql.Tx, query string, args ...any) (all []models.Key, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var k models.Key
		if err := rows.Scan(&k); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all = append(all, k)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}
