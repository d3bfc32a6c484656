package store

import (
	"cmp"
	"database/sql"
	"slices"
	"strings"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
)

// anyTag is the customers of an account who have one of several options: a merge of the beginnings of as many ranges of one index, each
// cut after as many customers as a page may look at. It lives for one page.
type anyTag struct {
	account models.Key
	options []models.Key
	order   models.CustomerOrder
	after   *relay.Keyset
	// per is how many customers of each option are looked at.
	per int
}

// newAnyTag merges for a page of most customers. Where more is asked of customers than an option, limits.PageScan are looked at in all.
func newAnyTag(account models.Key, options []models.Key, order models.CustomerOrder, after *relay.Keyset, most int, narrow bool) anyTag {
	options = slices.Clone(options)
	slices.SortFunc(options, func(x, y models.Key) int { return cmp.Compare(string(x[:]), string(y[:])) })
	a := anyTag{account: account, options: slices.Compact(options), order: order, after: after, per: most}
	if narrow {
		a.per = max(most, limits.PageScan/len(a.options))
	}
	return a
}

// ranges is the beginnings of the ranges behind the cursor, cut by a LIMIT that asks for one argument.
func (a anyTag) ranges(r *Reader, limit string, argument int) (from string, args []any) {
	behind, direction := "", " DESC"
	if a.order == models.OrderOldest {
		direction = ""
	}
	if a.after != nil {
		behind = " AND customer_id " + map[bool]string{true: ">", false: "<"}[a.order == models.OrderOldest] + " ?"
	}
	one := "SELECT * FROM (SELECT customer_id FROM customer_tag" + r.by("customer_tag_option") + " WHERE account_id = ? AND option_id = ?" + behind + " ORDER BY customer_id" + direction + limit + ") one_of_them"
	for _, o := range a.options {
		args = append(args, a.account[:], o[:])
		if a.after != nil {
			args = append(args, a.after.Key[:])
		}
		args = append(args, argument)
	}
	return strings.Repeat(" UNION ALL "+one, len(a.options))[len(" UNION ALL "):], args
}

// selected is the merge as a table with the customers' ids, each once.
func (a anyTag) selected(r *Reader) (from string, args []any) {
	from, args = a.ranges(r, " LIMIT ?", a.per)
	return "(SELECT DISTINCT customer_id FROM (" + from + ") ranges)", args
}

// end is how far the merge reaches: up to the nearest end of a range that was cut, since behind it customers of that range are missing; nil:
// none was cut.
func (a anyTag) end(r *Reader) (end *relay.Keyset, err error) {
	from, args := a.ranges(r, " LIMIT 1 OFFSET ?", a.per-1)
	nearest := "MAX"
	if a.order == models.OrderOldest {
		nearest = "MIN"
	}
	var key models.Key
	err = r.query(func(rows *sql.Rows) error { return rows.Scan(&key) }, "SELECT "+nearest+"(customer_id) FROM ("+from+") ranges", args...)
	if err != nil || key.IsZero() {
		return nil, err
	}
	return &relay.Keyset{Key: key}, nil
}

// selecting is the merge joined with the customers' table, and what a filter says beside.
func (a anyTag) selecting(r *Reader, rest CustomerFilter) (from, where string, args []any) {
	merged, args := a.selected(r)
	where, more := rest.where()
	return merged + " along " + r.join() + " customer ON customer.account_id = ? AND customer.id = along.customer_id",
		"customer.account_id = ?" + where, append(append(args, a.account[:], a.account[:]), more...)
}

// anyTagPage is CustomerPage for customers who have one of several options.
func (r *Reader) anyTagPage(account models.Key, options []models.Key, rest CustomerFilter, order models.CustomerOrder, p relay.Page) (rows []*models.Customer, end *relay.Keyset, err error) {
	a := newAnyTag(account, options, order, p.After, p.First+1, rest.Assigned != nil || rest.IsNarrow())
	if end, err = a.end(r); err != nil {
		return nil, nil, err
	}
	from, where, args := a.selecting(r, rest)
	before, direction := " >= ?", " DESC"
	if order == models.OrderOldest {
		before, direction = " <= ?", ""
	}
	if end != nil {
		where, args = where+" AND along.customer_id"+before, append(args, end.Key[:])
	}
	rows, err = ask[models.Customer](r, "SELECT "+customerColumns+" FROM "+from+" WHERE "+where+" ORDER BY along.customer_id"+direction+" LIMIT ?", append(args, p.First+1)...)
	if len(rows) > p.First {
		end = nil // the page is full
	}
	return rows, end, err
}

// countAnyTag is CountPages for customers who have one of several options.
func (r *Reader) countAnyTag(account models.Key, options []models.Key, rest CustomerFilter, most int) (n int, known bool, err error) {
	a := newAnyTag(account, options, models.OrderNewest, nil, 1, true)
	if end, err := a.end(r); err != nil || end != nil {
		return 0, false, err
	}
	from, where, args := a.selecting(r, rest)
	err = r.query(func(rows *sql.Rows) error { return rows.Scan(&n) },
		"SELECT COUNT(*) FROM (SELECT 1 FROM "+from+" WHERE "+where+" LIMIT ?) AS counted", append(args, most)...)
	return n, err == nil, err
}
