package store

import (
	"database/sql"
	"maps"
	"slices"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
)

// CustomerFilter says which customers a page holds, or a job is for; jobs keep it as JSON. Zero
// values say nothing; what is said holds together.
type CustomerFilter struct {
	// Advisor: only those bound to them; zero: of the whole account.
	Advisor models.Key `json:"advisor,omitzero"`
	// Assigned: only bound, or only unassigned ones; nil: both.
	Assigned *bool `json:"assigned,omitempty"`
	// Group: only those bound to who is a member of it at the time of the reading.
	Group models.Key `json:"group,omitzero"`
	// OpenIDs, UnionIDs: only those that have one of these.
	OpenIDs  []models.Ident `json:"openids,omitempty"`
	UnionIDs []models.Ident `json:"unionids,omitempty"`
	Tags     TagFilter      `json:"tags,omitzero"`
	// Source: bound now, and in this way.
	Source models.BindingSource `json:"source,omitempty"`
	// Label: bound now, by a code with this label.
	Label string `json:"label,omitempty"`
	// BoundFrom and BoundUntil: bound now, since this instant at the earliest, and before that one.
	BoundFrom  models.Time `json:"boundFrom,omitempty"`
	BoundUntil models.Time `json:"boundUntil,omitempty"`
	// Region: of these parts, as they were written.
	Region models.Region `json:"region,omitzero"`
	// FollowState: who follows, or does not.
	FollowState models.FollowState `json:"followState,omitempty"`
	// Interacted: whose last interaction is, or is not, at InteractedSince or later.
	Interacted      *bool       `json:"interacted,omitempty"`
	InteractedSince models.Time `json:"interactedSince,omitempty"`
	// Search: whose nickname, or a line of whose info, has this text in it, both folded.
	Search models.Folded `json:"search,omitempty"`
	// Replied: who wrote, or did not, after the last message of a human advisor.
	Replied *bool `json:"replied,omitempty"`
	// Outreach: to whom so many outreaches are left.
	Outreach *OutreachFilter `json:"outreach,omitempty"`
}

// OutreachFilter selects by what the ledgers have left in a month (rule G3): what models.Contact would answer, once it had caught up with
// the mass sends.
type OutreachFilter struct {
	// Left: at least so many of the PerMonth that a month has, in Month as models.Policy.MonthOf counts; Left is 1 or more.
	Left     int `json:"left"`
	PerMonth int `json:"perMonth"`
	Month    int `json:"month"`
	// MassSends: there may be mass sends to all that ledgers have not taken in.
	MassSends bool `json:"massSends,omitempty"`
}

// unseen is how many mass sends to all of a month reached a customer whose ledger lacks them, as models.Contact.CaughtUp counts them. The database counts: a month may
// have thousands.
const unseen = "(SELECT COUNT(*) FROM mass_send s WHERE s.account_id = customer.account_id AND s.no > v.mass_seen AND s.month = ?" +
	" AND customer.followed_at > 0 AND customer.followed_at <= s.at AND (customer.follow_state = ? OR customer.unfollowed_at > s.at))"

// where is the filter as a condition on the table customer: how many were used.
func (f *OutreachFilter) where() (condition string, args []any) {
	if f.Left > f.PerMonth {
		return "1 = 0", nil
	}
	used := "CASE WHEN v.outreach_month >= ? THEN v.outreach_used ELSE 0 END"
	args = append(args, f.Month)
	if f.MassSends {
		used += " + CASE WHEN v.outreach_month <= ? THEN " + unseen + " ELSE 0 END"
		args = append(args, f.Month, f.Month, string(models.Following))
	}
	return "EXISTS (" + itsConversation + " AND " + used + " <= ?)", append(args, f.PerMonth-f.Left)
}

// where is the filter as conditions on the table customer, each with AND before it.
func (f CustomerFilter) where() (where string, args []any) {
	if !f.Advisor.IsZero() {
		where, args = where+" AND customer.advisor_id = ?", append(args, f.Advisor[:])
	}
	if f.Assigned != nil {
		where += " AND customer.advisor_id IS " + map[bool]string{true: "NOT ", false: ""}[*f.Assigned] + "NULL"
	}
	narrow, more := f.narrowing()
	return where + narrow + " AND customer.erased_at = 0", append(args, more...)
}

// narrowing is what the filter says beside whose customers they are.
func (f CustomerFilter) narrowing() (where string, args []any) {
	and := func(condition string, values ...any) { where, args = where+" AND "+condition, append(args, values...) }
	if !f.Group.IsZero() {
		and("customer.advisor_id IN (SELECT m.advisor_id FROM group_member m WHERE m.account_id = customer.account_id AND m.group_id = ?)", f.Group)
	}
	if len(f.OpenIDs) > 0 {
		and("customer.openid IN ("+marks(len(f.OpenIDs))+")", anys(f.OpenIDs)...)
	}
	if len(f.UnionIDs) > 0 {
		and("customer.unionid IN ("+marks(len(f.UnionIDs))+")", anys(f.UnionIDs)...)
	}
	if tags, values := f.Tags.where("customer.account_id", "customer.id"); tags != "" {
		where, args = where+tags, append(args, values...)
	}
	if f.Source != "" {
		and("customer.advisor_id IS NOT NULL AND customer.bound_source = ?", string(f.Source))
	}
	if f.Label != "" {
		and("customer.advisor_id IS NOT NULL AND customer.bound_label = ?", f.Label)
	}
	if !f.BoundFrom.IsZero() {
		and("customer.advisor_id IS NOT NULL AND customer.bound_at >= ?", int64(f.BoundFrom))
	}
	if !f.BoundUntil.IsZero() {
		and("customer.advisor_id IS NOT NULL AND customer.bound_at < ?", int64(f.BoundUntil))
	}
	for _, part := range []struct{ column, value string }{{"customer.country", f.Region.Country}, {"customer.province", f.Region.Province}, {"customer.city", f.Region.City}} {
		if part.value != "" {
			and(part.column+" = ?", part.value)
		}
	}
	if f.FollowState != "" {
		and("customer.follow_state = ?", string(f.FollowState))
	}
	if f.Search != "" {
		and("INSTR(customer.folded, ?) > 0", string(f.Search))
	}
	not := func(is bool) string { return map[bool]string{true: "", false: "NOT "}[is] }
	if f.Interacted != nil {
		and(not(*f.Interacted)+"EXISTS ("+itsConversation+" AND v.last_interaction_at >= ?)", int64(f.InteractedSince))
	}
	if f.Replied != nil { // as Conversation.HasReplied has it
		and(not(*f.Replied) + "EXISTS (" + itsConversation + " AND v.last_customer_at > v.last_advisor_at)")
	}
	if f.Outreach != nil {
		condition, values := f.Outreach.where()
		and(condition, values...)
	}
	return where, args
}

const itsConversation = "SELECT 1 FROM conversation v WHERE v.account_id = customer.account_id AND v.customer_id = customer.id"

// TagFilter says which options customers have; what is said holds together.
type TagFilter struct {
	// Any: one of these at least; All: all of them; None: none.
	Any  []models.Key `json:"any,omitempty"`
	All  []models.Key `json:"all,omitempty"`
	None []models.Key `json:"none,omitempty"`
}

// where is the filter as conditions on the columns of an account and a customer, each with AND before
// it.
func (f TagFilter) where(account, customer string) (where string, args []any) {
	its := " FROM customer_tag t WHERE t.account_id = " + account + " AND t.customer_id = " + customer + " AND "
	// Counted, and with the column wrapped, so that the few options of the customer are read by the primary
	// key: MariaDB would read the tags of all customers first, and SQLite all customers of each option for
	// every customer again.
	oneOf := "(SELECT COUNT(*)" + its + "COALESCE(t.option_id, t.option_id) IN ("
	if len(f.Any) > 0 {
		where, args = where+" AND "+oneOf+marks(len(f.Any))+")) > 0", append(args, anys(f.Any)...)
	}
	for _, option := range f.All {
		where, args = where+" AND EXISTS (SELECT 1"+its+"t.option_id = ?)", append(args, option)
	}
	if len(f.None) > 0 {
		where, args = where+" AND "+oneOf+marks(len(f.None))+")) = 0", append(args, anys(f.None)...)
	}
	return where, args
}

func anys[T any](values []T) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

// IsNarrow reports whether the filter says more than whose customers they are, so that those whom it
// selects are looked for among the others.
func (f CustomerFilter) IsNarrow() bool {
	where, _ := f.narrowing()
	return where != ""
}

// isAll reports whether the filter selects all customers of an account.
func (f CustomerFilter) isAll() bool { return f.Assigned == nil && !f.IsNarrow() && f.Advisor.IsZero() }

// along is an index along which the customers of an account whom a filter selects are found, since every
// one of them is in it; the zero along is the primary key.
type along struct {
	table, column string
	value         any
	// options, where there are some, are several ranges of the tags' index, which anyTag merges.
	options []models.Key
	// unassigned: the customers who have no advisor, whose place in the index of bindings is the instant 0, so that they stand there by key.
	unassigned bool
	// members, not nil, are advisors who have together no more customers than a page may look at, which stand in the index of bindings and are sorted.
	members []models.Key
}

func (a along) isZero() bool { return a.table == "" }

// isOwn reports whether it is an index of the customers' own table.
func (a along) isOwn() bool { return a.isZero() || a.table == "customer" }

// index is its name; none where the table has no other.
func (a along) index() string {
	if a.unassigned || a.members != nil {
		return "customer_advisor"
	}
	return map[string]string{"customer_tag": "customer_tag_option", "customer": "customer_label"}[a.table]
}

// where is what holds of all that it has, as a condition on its table, by that name with a dot or without a name.
func (a along) where(table string) (condition string, args []any) {
	switch {
	case a.unassigned:
		return table + "advisor_id IS NULL AND " + table + "bound_at = 0", nil
	case a.members != nil && len(a.members) == 0:
		return "1 = 0", nil
	case a.members != nil:
		return table + "advisor_id IN (" + marks(len(a.members)) + ")", anys(a.members)
	}
	return table + a.column + " = ?", []any{a.value}
}

// key is the column that orders what it has.
func (a along) key() string {
	if a.isOwn() {
		return "customer.id"
	}
	return "along.customer_id"
}

// along is the index for a filter, and what the filter says beside: the customers who have an option, who
// were bound by a label, of whom search says that they have a gram, the one that the fewest have, who are the members' of a
// group, where those are few, or who have no advisor.
func (r *Reader) along(account models.Key, f CustomerFilter) (a along, rest CustomerFilter, err error) {
	rest = f
	if !f.Advisor.IsZero() || f.isListed() {
		return a, rest, nil // few anyway
	}
	tag := func(option models.Key) { a = along{table: "customer_tag", column: "option_id", value: option[:]} }
	if f.Search != "" {
		grams := slices.Sorted(maps.Keys(f.Search.Grams()))
		gram, err := r.rarest(account, grams[:min(len(grams), limits.GramsAsked)])
		if err == nil && gram != "" {
			a = along{table: "customer_gram", column: "gram", value: []byte(gram)}
		}
		return a, rest, err // a gram tells less than the text: that stays to be asked
	}
	switch {
	case len(f.Tags.All) > 0:
		tag(f.Tags.All[0])
		rest.Tags.All = f.Tags.All[1:]
	case len(f.Tags.Any) == 1:
		tag(f.Tags.Any[0])
		rest.Tags.Any = nil
	case f.Label != "":
		a, rest.Label = along{table: "customer", column: "bound_label", value: f.Label}, ""
	case len(f.Tags.Any) > 1:
		a.options, rest.Tags.Any = f.Tags.Any, nil
	case !f.Group.IsZero():
		members, few, err := r.fewMembers(account, f.Group)
		if err != nil || !few {
			return a, rest, err
		}
		a, rest.Group = along{table: "customer", members: members}, models.Key{}
	case f.Assigned != nil && !*f.Assigned:
		// It stays to be asked: so the page looks no further than others, past those who were erased.
		a = along{table: "customer", unassigned: true}
	}
	return a, rest, nil
}

// fewMembers is the members of a group, and whether their customers are together no more than a page may look at.
func (r *Reader) fewMembers(account, group models.Key) (members []models.Key, few bool, err error) {
	rows, err := r.Members(account, []models.Key{group})
	members = make([]models.Key, len(rows))
	for i, m := range rows {
		members[i] = m.AdvisorID
	}
	if err != nil || len(members) == 0 {
		return members, true, err
	}
	n := 0
	err = r.query(func(rows *sql.Rows) error { return rows.Scan(&n) },
		"SELECT COUNT(*) FROM (SELECT 1 FROM customer"+r.by("customer_advisor")+" WHERE account_id = ? AND advisor_id IN ("+marks(len(members))+") LIMIT ?) AS looked",
		append(keyArgs(account, members), limits.PageScan+1)...)
	return members, n <= limits.PageScan, err
}

// isListed reports whether the filter names customers, who are found by indexes of their own.
func (f CustomerFilter) isListed() bool { return len(f.OpenIDs)+len(f.UnionIDs) > 0 }

// listing is the index by which those are found whom the filter names; "" where it names none.
func (r *Reader) listing(f CustomerFilter) string {
	switch {
	case len(f.OpenIDs) > 0 && r.store.IsEmbedded():
		return "sqlite_autoindex_customer_2" // as it calls customer_openid, which is a constraint there
	case len(f.OpenIDs) > 0:
		return "customer_openid"
	case len(f.UnionIDs) > 0:
		return "customer_unionid"
	}
	return ""
}

// CustomerPage reads a page in an order of the filter's advisor, or of the account. Of an account it looks at no
// more than limits.PageScan customers, erased ones too, or such as are in an index that the filter asks for, to find those that it
// selects: end, not nil, is where it stopped looking with fewer found than were asked for, and whence the next page goes on.
func (r *Reader) CustomerPage(account models.Key, f CustomerFilter, order models.CustomerOrder, p relay.Page) (rows []*models.Customer, end *relay.Keyset, err error) {
	if !f.Advisor.IsZero() {
		rows, err = r.advisorCustomers(account, f, order, p)
		return rows, nil, err
	}
	index, rest, err := r.along(account, f)
	if err != nil {
		return nil, nil, err
	}
	if len(index.options) > 0 {
		return r.anyTagPage(account, index.options, rest, order, p)
	}
	if index.isZero() && rest.isAll() {
		return r.allCustomers(account, order, p)
	}
	from, where, args := r.selecting(account, index, rest)
	and := func(condition string, values ...any) { where, args = where+" AND "+condition, append(args, values...) }
	key, behind, before, direction := index.key(), " < ?", " >= ?", " DESC"
	if order == models.OrderOldest {
		behind, before, direction = " > ?", " <= ?", ""
	}
	if p.After != nil {
		and(key+behind, p.After.Key[:])
	}
	if !rest.isListed() && index.members == nil && (rest.Assigned != nil || rest.IsNarrow()) {
		if end, err = r.pageEnd(account, index, order, p, limits.PageScan); err != nil {
			return nil, nil, err
		}
	}
	if end != nil {
		and(key+before, end.Key[:])
	}
	rows, err = ask[models.Customer](r, "SELECT "+customerColumns+" FROM "+from+" WHERE "+where+" ORDER BY "+key+direction+" LIMIT ?", append(args, p.First+1)...)
	if len(rows) > p.First {
		end = nil // the page is full
	}
	return rows, end, err
}

// allCustomers reads a page of all customers of an account. Those who were erased stand among them: where the page meets one it looks on, at four times as many each
// time, at limits.PageScan in all.
func (r *Reader) allCustomers(account models.Key, order models.CustomerOrder, p relay.Page) (rows []*models.Customer, end *relay.Keyset, err error) {
	behind, before, direction := " < ?", " >= ?", " DESC"
	if order == models.OrderOldest {
		behind, before, direction = " > ?", " <= ?", ""
	}
	most := p.First + 1
	read := func(condition string, args ...any) ([]*models.Customer, error) {
		if args = append([]any{account[:]}, args...); p.After != nil {
			condition, args = condition+" AND customer.id"+behind, append(args, p.After.Key[:])
		}
		return ask[models.Customer](r, "SELECT "+customerColumns+" FROM customer WHERE customer.account_id = ?"+condition+" ORDER BY customer.id"+direction+" LIMIT ?", append(args, most-len(rows))...)
	}
	if rows, err = read(""); err != nil || len(rows) == 0 {
		return nil, nil, err
	}
	looked, last := len(rows), rows[len(rows)-1].Key
	rows = slices.DeleteFunc(rows, func(c *models.Customer) bool { return !c.ErasedAt.IsZero() })
	for step := 4 * looked; looked >= most && len(rows) < most; step *= 4 {
		if p.After = (&relay.Keyset{Key: last}); looked >= limits.PageScan {
			return rows, p.After, nil
		}
		step = min(step, limits.PageScan-looked)
		if end, err = r.pageEnd(account, along{}, order, p, step); err != nil {
			return nil, nil, err
		}
		condition, args := " AND customer.erased_at = 0", []any(nil)
		if end != nil {
			condition, args = condition+" AND customer.id"+before, []any{end.Key[:]}
		}
		more, err := read(condition, args...)
		if err != nil {
			return nil, nil, err
		}
		if rows = append(rows, more...); end == nil {
			break
		}
		looked, last = looked+step, end.Key
	}
	return rows, nil, nil
}

// advisorCustomers reads a page of an advisor's customers.
func (r *Reader) advisorCustomers(account models.Key, f CustomerFilter, order models.CustomerOrder, p relay.Page) ([]*models.Customer, error) {
	where, args := f.where()
	where, args = "customer.account_id = ?"+where, append([]any{account[:]}, args...)
	from, columns, at, key, behind, direction := "customer", customerColumns, "customer.bound_at", "customer.id", "<", " DESC"
	switch order {
	case models.OrderEarliestBound:
		behind, direction = ">", ""
	case models.OrderLatestActive:
		// The inbox's index first: it is in this order.
		from = "conversation active " + r.join() + " customer ON customer.account_id = active.account_id AND customer.id = active.customer_id"
		where, args = where+" AND active.account_id = ? AND active.advisor_id = ?", append(args, account[:], f.Advisor[:])
		columns, at, key = customerColumns+", active.active_at AS sort_at", "active.active_at", "active.customer_id"
	case models.OrderLatestBound, models.OrderNewest, models.OrderOldest:
	}
	if p.After != nil {
		where += " AND (" + at + " " + behind + " ? OR " + at + " = ? AND " + key + " " + behind + " ?)"
		args = append(args, p.After.Sort, p.After.Sort, p.After.Key[:])
	}
	return ask[models.Customer](r, "SELECT "+columns+" FROM "+from+" WHERE "+where+" ORDER BY "+at+direction+", "+key+direction+" LIMIT ?", append(args, p.First+1)...)
}

// join joins tables in the order in which they stand, whatever the optimizer would like better.
func (r *Reader) join() string {
	if r.store.IsEmbedded() {
		return "CROSS JOIN"
	}
	return "STRAIGHT_JOIN"
}

// selecting is the tables and the conditions of a filter along an index.
func (r *Reader) selecting(account models.Key, index along, f CustomerFilter) (from, where string, args []any) {
	from = "customer"
	where, args = f.where()
	where, args = "customer.account_id = ?"+where, append([]any{account[:]}, args...)
	switch {
	case index.isZero():
		return from + r.by(r.listing(f)), where, args
	case index.isOwn():
		condition, values := index.where("customer.")
		if !index.unassigned {
			condition = "customer.advisor_id IS NOT NULL AND " + condition
		}
		return from + r.by(index.index()), where + " AND " + condition, append(args, values...)
	}
	condition, values := index.where("along.")
	return index.table + " along" + r.by(index.index()) + " " + r.join() + " customer ON customer.account_id = along.account_id AND customer.id = along.customer_id",
		where + " AND along.account_id = ? AND " + condition, append(append(args, account[:]), values...)
}

// CountPages counts the customers that a filter selects, no further than most; false: to know it, more
// than limits.PageScan customers of the account would have to be looked at.
func (r *Reader) CountPages(account models.Key, f CustomerFilter, most int) (n int, known bool, err error) {
	index, rest, err := r.along(account, f)
	if err != nil {
		return 0, false, err
	}
	if len(index.options) > 0 {
		return r.countAnyTag(account, index.options, rest, most)
	}
	switch {
	case !rest.Advisor.IsZero() || rest.isListed() || index.members != nil:
	case index.isZero() && rest.isAll(), index.unassigned && !rest.IsNarrow():
		return r.countUnerased(account, index, most)
	case rest.IsNarrow():
		if end, err := r.pageEnd(account, index, models.OrderNewest, relay.Page{}, limits.PageScan); err != nil || end != nil {
			return 0, false, err
		}
	}
	from, where, args := r.selecting(account, index, rest)
	err = r.query(func(rows *sql.Rows) error { return rows.Scan(&n) },
		"SELECT COUNT(*) FROM (SELECT 1 FROM "+from+" WHERE "+where+" LIMIT ?) AS counted", append(args, most)...)
	return n, err == nil, err
}

// countUnerased counts the customers in an index, or of the account, who were not erased, no further than most; false: among limits.PageScan of them, or most where that
// is more, there are not so many, and more follow.
func (r *Reader) countUnerased(account models.Key, index along, most int) (n int, known bool, err error) {
	where, args := "account_id = ?", []any{account[:]}
	if !index.isZero() {
		condition, values := index.where("")
		where, args = where+" AND "+condition, append(args, values...)
	}
	// Most accounts have so many, erased ones or none, that the first look tells.
	for _, look := range []int{most, max(most, limits.PageScan) + 1} {
		var looked int
		err := r.query(func(rows *sql.Rows) error { return rows.Scan(&looked, &n) },
			"SELECT COUNT(*), COUNT(CASE WHEN erased_at = 0 THEN 1 END) FROM (SELECT erased_at FROM customer"+r.by(index.index())+" WHERE "+where+" LIMIT ?) AS looked", append(slices.Clip(args), look)...)
		switch {
		case err != nil:
			return 0, false, err
		case n >= most:
			return most, true, nil
		case looked < look:
			return n, true, nil
		}
	}
	return 0, false, nil
}

// pageEnd is the last customer that a page of an account may look at, of those who are in an index, where it may look at so many; nil: it
// may look at all.
func (r *Reader) pageEnd(account models.Key, index along, order models.CustomerOrder, p relay.Page, most int) (end *relay.Keyset, err error) {
	from, key, args := "customer WHERE account_id = ?", "id", []any{account[:]}
	if !index.isZero() {
		table := index.table + r.by(index.index())
		if key = "customer_id"; index.isOwn() {
			key = "id"
		}
		condition, values := index.where("")
		from, args = table+" WHERE account_id = ? AND "+condition, append(args, values...)
	}
	behind, direction := " < ?", " DESC"
	if order == models.OrderOldest {
		behind, direction = " > ?", ""
	}
	if p.After != nil {
		from, args = from+" AND "+key+behind, append(args, p.After.Key[:])
	}
	var last models.Key
	err = r.query(func(rows *sql.Rows) error {
		err := rows.Scan(&last)
		end = &relay.Keyset{Key: last}
		return err
	}, "SELECT "+key+" FROM "+from+" ORDER BY "+key+direction+" LIMIT 1 OFFSET ?", append(args, most-1)...)
	return end, err
}
