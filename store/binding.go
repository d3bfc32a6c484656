package store

import (
	"clientele/internal/relay"
	"clientele/models"
)

// BindingFilter says which changes of bindings a page holds; zero fields say nothing.
type BindingFilter struct {
	Customer models.Key
	// Advisor is who has the customer by the change, or had them before it.
	Advisor models.Key
}

// Bindings reads lines of the history of bindings by key; unknown ones are left out.
func (r *Reader) Bindings(account models.Key, keys []models.Key) ([]*models.Binding, error) {
	return byKeys[models.Binding](r, account, "id", keys)
}

// BindingPage reads a page of the history of bindings, latest first. Each filter reads along an index of its own, whatever the engine guesses of how
// many rows it has.
func (r *Reader) BindingPage(account models.Key, f BindingFilter, p relay.Page) ([]*models.Binding, error) {
	along := func(index, where string, keys ...models.Key) (string, []any) {
		statement, args := "SELECT * FROM binding"+r.by(index)+" WHERE account_id = ?"+where, keyArgs(account, keys)
		if p.After != nil {
			statement, args = statement+" AND id < ?", append(args, p.After.Key[:])
		}
		return statement + " ORDER BY id DESC LIMIT ?", append(args, p.First+1)
	}
	switch {
	case !f.Customer.IsZero() && !f.Advisor.IsZero():
		statement, args := along("binding_customer", " AND customer_id = ? AND (advisor_id = ? OR former_id = ?)", f.Customer, f.Advisor, f.Advisor)
		return ask[models.Binding](r, statement, args...)
	case !f.Customer.IsZero():
		statement, args := along("binding_customer", " AND customer_id = ?", f.Customer)
		return ask[models.Binding](r, statement, args...)
	case !f.Advisor.IsZero():
		got, args := along("binding_advisor", " AND advisor_id = ?", f.Advisor)
		lost, more := along("binding_former", " AND former_id = ?", f.Advisor)
		return ask[models.Binding](r, "SELECT * FROM ("+got+") AS got UNION ALL SELECT * FROM ("+lost+") AS lost ORDER BY id DESC LIMIT ?",
			append(append(args, more...), p.First+1)...)
	}
	statement, args := along("", "")
	return ask[models.Binding](r, statement, args...)
}
