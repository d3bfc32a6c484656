package store

import (
	"bytes"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"

	"clientele/limits"
	"clientele/models"
)

// refold brings the folded texts of locked, or new, customers up to date, in memory, and their grams in the
// database (ADR 0028). Its statements are as many as the changed grams take.
func (tx *Tx) refold(rows []*models.Customer) error {
	fresh, gone := gramSet{}, gramSet{}
	n := 0
	for _, c := range rows {
		text := c.SearchText()
		if text == c.Folded {
			continue
		}
		was, is := c.Folded.Grams(), text.Grams()
		n += fresh.add(c.Key, is, was) + gone.add(c.Key, was, is)
		c.Folded = text
	}
	if most := limits.GramsPerCall; n > most {
		return models.TooMany("input.customers", most, "the texts are too long to be written together")
	}
	for some := range slices.Chunk(gone.rows(tx.Account), limits.EditBatch) {
		err := deleteRowsAt[models.CustomerGram](tx, "gram = ? AND customer_id = ?", some, func(g *models.CustomerGram) []any { return []any{g.Gram, g.CustomerID} })
		if err != nil {
			return err
		}
	}
	return insertAt(tx, fresh.rows(tx.Account))
}

// gramSet is grams with the customers who have each.
type gramSet map[models.Ident][]models.Key

// add adds a customer to the grams that are in one set and not in the other, and answers how many those are.
func (s gramSet) add(customer models.Key, in, out map[models.Ident]bool) (n int) {
	for gram := range in {
		if !out[gram] {
			s[gram] = append(s[gram], customer)
			n++
		}
	}
	return n
}

// rows is the set in the order of the primary key: rows beside each other are written together. (Many have the same
// gram: to sort the customers of each is less work than to sort all rows.)
func (s gramSet) rows(account models.Key) []*models.CustomerGram {
	n := 0
	for _, customers := range s {
		slices.SortFunc(customers, func(a, b models.Key) int { return bytes.Compare(a[:], b[:]) })
		n += len(customers)
	}
	all, rows := make([]models.CustomerGram, 0, n), make([]*models.CustomerGram, n)
	for _, gram := range slices.Sorted(maps.Keys(s)) {
		for _, customer := range s[gram] {
			all = append(all, models.CustomerGram{AccountID: account, Gram: gram, CustomerID: customer})
		}
	}
	for i := range all {
		rows[i] = &all[i]
	}
	return rows
}

// rarest is the one of these grams that the fewest customers of an account have, as far as a look at a few
// of each tells; none without any.
func (r *Reader) rarest(account models.Key, grams []models.Ident) (rarest models.Ident, err error) {
	switch len(grams) {
	case 0:
		return "", nil
	case 1:
		return grams[0], nil
	}
	var parts []string
	var args []any
	for _, gram := range grams {
		parts = append(parts, "(SELECT COUNT(*) FROM (SELECT 1 FROM customer_gram WHERE account_id = ? AND gram = ? LIMIT ?) AS g)")
		args = append(args, account[:], []byte(gram), limits.GramLook)
	}
	counts := make([]int, len(grams))
	into := make([]any, len(counts))
	for i := range counts {
		into[i] = &counts[i]
	}
	err = r.query(func(rows *sql.Rows) error { return rows.Scan(into...) }, "SELECT "+strings.Join(parts, ", "), args...)
	least := 0
	for i, n := range counts {
		if n < counts[least] {
			least = i
		}
	}
	return grams[least], err
}

// FoldCustomers folds the texts of customers that an earlier release wrote, a transaction for each
// limits.EditBatch, and answers how many. It reads every customer there is.
func (s *Store) FoldCustomers(ctx context.Context) (folded int, err error) {
	var account models.Key
	for {
		accounts, err := s.View(ctx).AccountKeys(account, limits.BatchRows)
		if err != nil {
			return folded, err
		}
		for _, account = range accounts {
			for last := (models.Key{}); ; {
				keys, err := s.unfolded(ctx, account, last)
				if err != nil {
					return folded, err
				}
				if len(keys) == 0 {
					break
				}
				last = keys[len(keys)-1]
				err = s.Write(ctx, System(), account, func(tx *Tx) error {
					rows, _, err := tx.LockCustomers(keys)
					if err != nil {
						return err
					}
					return tx.UpdateCustomers(rows, "nickname")
				})
				if err != nil {
					return folded, err
				}
				folded += len(keys)
			}
		}
		if len(accounts) < limits.BatchRows {
			return folded, nil
		}
	}
}

// unfolded reads the next customers of an account who have a text that is not folded.
func (s *Store) unfolded(ctx context.Context, account, after models.Key) (keys []models.Key, err error) {
	return keys, s.View(ctx).query(func(rows *sql.Rows) error {
		var k models.Key
		err := rows.Scan(&k)
		keys = append(keys, k)
		return err
	}, "SELECT id FROM customer WHERE account_id = ? AND id > ? AND folded IS NULL AND (nickname <> '' OR info <> '') ORDER BY id LIMIT ?", account[:], after[:], limits.EditBatch)
}
