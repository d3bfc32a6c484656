package store

import (
	"database/sql"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
)

// ScanFilter says which scans a page holds; zero fields say nothing, what is said holds together.
type ScanFilter struct {
	Customer models.Key
	Code     models.Key
	Label    string
	Outcome  models.ScanOutcome
}

// along is the index that a filter is read along, with the condition that chooses its range, and what
// the filter says beside.
func (f ScanFilter) along(account models.Key) (index, where string, args []any, rest ScanFilter) {
	rest = f
	switch {
	case !f.Customer.IsZero():
		rest.Customer = models.Key{}
		return "scan_customer", "account_id = ? AND customer_id = ?", keyArgs(account, []models.Key{f.Customer}), rest
	case !f.Code.IsZero():
		rest.Code = models.Key{}
		return "scan_code", "account_id = ? AND code_id = ?", keyArgs(account, []models.Key{f.Code}), rest
	case f.Label != "":
		rest.Label = ""
		return "scan_label", "account_id = ? AND label = ?", []any{account[:], f.Label}, rest
	}
	return "", "account_id = ?", []any{account[:]}, rest
}

// ScanPage reads a page of scans, latest first. It looks at no more than limits.PageScan scans along one
// index to find those that the filter selects: end, not nil, is where it stopped looking with fewer
// found than were asked for, and whence the next page goes on.
func (r *Reader) ScanPage(account models.Key, f ScanFilter, p relay.Page) (rows []*models.Scan, end *relay.Keyset, err error) {
	index, where, args, rest := f.along(account)
	if p.After != nil {
		where, args = where+" AND id < ?", append(args, p.After.Key[:])
	}
	from := "scan" + r.by(index)
	if rest != (ScanFilter{}) {
		var last models.Key
		err := r.query(func(found *sql.Rows) error {
			err := found.Scan(&last)
			end = &relay.Keyset{Key: last}
			return err
		}, "SELECT id FROM "+from+" WHERE "+where+" ORDER BY id DESC LIMIT 1 OFFSET ?", append(args[:len(args):len(args)], limits.PageScan-1)...)
		if err != nil {
			return nil, nil, err
		}
		if end != nil {
			where, args = where+" AND id >= ?", append(args, end.Key[:])
		}
		if !rest.Code.IsZero() {
			where, args = where+" AND code_id = ?", append(args, rest.Code[:])
		}
		if rest.Label != "" {
			where, args = where+" AND label = ?", append(args, rest.Label)
		}
		if rest.Outcome != "" {
			where, args = where+" AND outcome = ?", append(args, string(rest.Outcome))
		}
	}
	rows, err = ask[models.Scan](r, "SELECT * FROM "+from+" WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, p.First+1)...)
	if len(rows) > p.First {
		end = nil // the page is full
	}
	return rows, end, err
}

// Scans reads scans by key; unknown ones are left out.
func (r *Reader) Scans(account models.Key, keys []models.Key) ([]*models.Scan, error) {
	return byKeys[models.Scan](r, account, "id", keys)
}

// InsertScans appends to the record of scans, and tells of each in the account's stream.
func (tx *Tx) InsertScans(rows []*models.Scan) error {
	for _, s := range rows {
		tx.EmitToAccount(models.AccountCodeScanned, s.CustomerID, s.Key)
	}
	return insert(tx, rows)
}
