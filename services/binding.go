package services

import (
	"context"
	"fmt"
	"slices"

	"clientele/auth"
	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// BindCustomers is a bulk call that assigns, rebinds or unbinds customers (rule E5).
type BindCustomers struct {
	Operation models.BindingOperation
	Customers CustomerSelection
	// Advisor is who gets them; nil: the free members of Group do, each customer a random one. Neither
	// for OperationUnbind.
	Advisor *AdvisorRef
	Group   models.Key
	// Keep is what goes with them; for OperationRebind alone.
	Keep           models.BindingKeep
	IdempotencyKey string
}

// CustomerSelection says whom a bulk call is for.
type CustomerSelection struct {
	// These are 1 to limits.BindBatch customers.
	These []CustomerRef
	// Matching is all customers that match a filter; nil: These.
	Matching *CustomerFilter
}

// CustomerResult is what came of one customer of a bulk call.
type CustomerResult struct {
	// Customer is as they are after the call; nil when unknown.
	Customer *models.Customer
	// Changed: the call changed something; without it, and without an error, all was so already.
	Changed bool
	Err     error
}

// BulkResult is what came of a bulk call on customers.
type BulkResult struct {
	// Results is what came of each customer, in the order given; nil when a job does the work.
	Results []CustomerResult
	// Job does the work for all that match a filter; nil otherwise.
	Job *models.Job
	// Repeated: the idempotency key was used before with the same call. This is what came of it then,
	// and nothing changed.
	Repeated bool
}

// Bind assigns, rebinds or unbinds customers (rules E5, E6): those that are named in one transaction,
// with a result per item; all that match a filter by a job. Errors of items: NOT_FOUND, DUPLICATE, and
// those of models.BindTarget.Bind. Errors of the call: INVALID, LIMIT_EXCEEDED, NOT_FOUND or STATE of
// whom they are to go to, IDEMPOTENCY_CONFLICT. The number of statements does not depend on the number
// of customers, but for the texts that rebinding clears, whose grams are deleted some hundreds a statement.
func (s *Services) Bind(ctx context.Context, in BindCustomers) (BulkResult, error) {
	c, err := s.begin(ctx, bindingPermission(in.Operation))
	if err != nil {
		return BulkResult{}, err
	}
	if err := in.Customers.check(); err != nil {
		return BulkResult{}, err
	}
	once, err := onceOf(c, in.IdempotencyKey, bindingPermission(in.Operation).Field, in)
	if err != nil {
		return BulkResult{}, err
	}
	result, err := s.bind(ctx, c, once, in)
	switch models.CodeOf(err) {
	case models.CodeNotFound, models.CodeState:
		// Whom they went to, or what selected them, may be gone since the call counted.
		return s.bindAgain(ctx, once, in, err)
	default:
		return result, err
	}
}

// bindAgain answers a call that cannot be done now with what came of it when it was done (rule E15); why where it never was.
func (s *Services) bindAgain(ctx context.Context, once *models.Idempotency, in BindCustomers, why error) (BulkResult, error) {
	items, repeated, err := s.repeat(ctx, once)
	switch {
	case err != nil:
		return BulkResult{}, err
	case !repeated:
		return BulkResult{}, why
	case in.Customers.Matching == nil:
		return s.customerResults(ctx, items, repeated, nil)
	}
	job, err := s.Job(ctx, items[0].Target)
	if err != nil {
		return BulkResult{}, err
	}
	return BulkResult{Job: job, Repeated: repeated}, nil
}

// bind does such a call of a viewer who may make it.
func (s *Services) bind(ctx context.Context, c *Scope, once *models.Idempotency, in BindCustomers) (BulkResult, error) {
	r := s.store.View(ctx)
	order, err := s.bindingOrder(r, c, in)
	if err != nil {
		return BulkResult{}, err
	}
	if in.Customers.Matching != nil {
		return s.bindMatching(ctx, c, once, order, *in.Customers.Matching)
	}
	found, err := s.customerRefs(r, c, in.Customers.These)
	if err != nil {
		return BulkResult{}, err
	}
	return s.bindThese(ctx, c, once, order, found)
}

// bindThese binds the customers that were found; nil is one who was not.
func (s *Services) bindThese(ctx context.Context, c *Scope, once *models.Idempotency, order models.BindingOrder, found []*models.Customer) (BulkResult, error) {
	var b *bindBatch
	items, repeated, err := s.bulk(ctx, c, once, func(tx *store.Tx, again func() (bool, error)) ([]models.ItemResult, error) {
		b = &bindBatch{tx: tx, order: order, by: c.by(), audits: true}
		if err := b.lock(keysOf(found)); err != nil {
			return nil, err
		}
		if repeated, err := again(); repeated || err != nil {
			return nil, err
		}
		items := make([]models.ItemResult, len(found))
		for i, row := range found {
			items[i] = b.item(row)
			if e := items[i].Err; e != nil {
				e.Field = fmt.Sprintf("input.customers.these.%d", i)
			}
		}
		if err := b.save(); err != nil {
			return nil, err
		}
		return items, tx.Audit(b.change(items))
	})
	if err != nil {
		return BulkResult{}, err
	}
	return s.customerResults(ctx, items, repeated, b.customers)
}

// bindMatching makes the job that binds all who match a filter.
func (s *Services) bindMatching(ctx context.Context, c *Scope, once *models.Idempotency, order models.BindingOrder, f CustomerFilter) (BulkResult, error) {
	filter, err := s.customerFilter(s.store.View(ctx), c, f, "input.customers.matching")
	if err != nil {
		return BulkResult{}, err
	}
	work := bindingWork{Order: order, Filter: filter}
	var job *models.Job
	items, repeated, err := s.bulk(ctx, c, once, func(tx *store.Tx, again func() (bool, error)) ([]models.ItemResult, error) {
		account, err := tx.LockAccount()
		if err != nil {
			return nil, err
		}
		if repeated, err := again(); repeated || err != nil {
			return nil, err
		}
		if !account.IsOpen() {
			return nil, models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
		}
		work.Until = tx.Now
		if job, err = startJob(tx, kindOfBinding(order.Operation), c.by(), work); err != nil {
			return nil, err
		}
		return []models.ItemResult{{Target: job.Key, Changed: true}}, tx.Audit(store.Change{
			Action: bindingPermission(order.Operation).Field, TargetKind: "Job", Target: job.Key, After: work.audited(),
		})
	})
	if err != nil {
		return BulkResult{}, err
	}
	if repeated {
		if job, err = s.Job(ctx, items[0].Target); err != nil {
			return BulkResult{}, err
		}
	}
	s.wakeJobs()
	return BulkResult{Job: job, Repeated: repeated}, nil
}

// BindingFilter says which changes of bindings a page holds; nil fields say nothing.
type BindingFilter struct {
	Customer *CustomerRef
	Advisor  *AdvisorRef
}

// BindingPage reads a page of the history of bindings, latest first (rule E2).
func (s *Services) BindingPage(ctx context.Context, f BindingFilter, p relay.Page) ([]*models.Binding, error) {
	c, err := s.begin(ctx, mayBindings)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	var q store.BindingFilter
	if f.Customer != nil {
		customer, err := s.customerRef(r, c, *f.Customer, "filter.customer")
		if err != nil {
			return nil, err
		}
		q.Customer = customer.Key
	}
	if f.Advisor != nil {
		a, err := s.advisorRef(r, c, *f.Advisor, "filter.advisor")
		if err != nil {
			return nil, err
		}
		q.Advisor = a.Key
	}
	return r.BindingPage(c.Account.Key, q, p)
}

// NewCustomers reads the customers most recently bound to an advisor, at most limits.NewCustomers
// (rule E10); ref is nil for the viewer's own.
func (s *Services) NewCustomers(ctx context.Context, ref *AdvisorRef, first int) ([]*models.Customer, error) {
	c, err := s.begin(ctx, mayNewCustomers)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	q := store.CustomerFilter{Advisor: c.owner()}
	switch {
	case ref != nil:
		a, err := s.advisorRef(r, c, *ref, "advisor")
		if err != nil {
			return nil, err
		}
		if c.Advisor != nil && c.Advisor.Key != a.Key {
			return nil, models.NotFound("advisor", "advisor")
		}
		q.Advisor = a.Key
	case c.Advisor == nil:
		return nil, models.Invalid("advisor", "names nobody")
	}
	rows, _, err := r.CustomerPage(c.Account.Key, q, models.OrderLatestBound, relay.Page{First: min(first, limits.NewCustomers)})
	if err != nil {
		return nil, err
	}
	rows = rows[:min(len(rows), first)]
	for i := range rows {
		rows[i] = c.shown(rows[i])
	}
	return rows, nil
}

func bindingPermission(op models.BindingOperation) Permission {
	switch op {
	case models.OperationRebind:
		return mayRebind
	case models.OperationUnbind:
		return mayUnbind
	case models.OperationAssign:
	}
	return mayAssign
}

// check reports a selection that is none, or of too many.
func (n CustomerSelection) check() error {
	if n.Matching != nil {
		return nil
	}
	const field = "input.customers.these"
	if len(n.These) == 0 {
		return models.Invalid(field, "is empty")
	}
	if len(n.These) > limits.BindBatch {
		return models.TooMany(field, limits.BindBatch, "at most %d in a call", limits.BindBatch)
	}
	return nil
}

// sourceOf is the source of bindings that a viewer makes (rule E2).
func sourceOf(c *Scope) models.BindingSource {
	if c.Viewer.Role == auth.RoleIntegration {
		return models.SourceAPI
	}
	return models.SourceConsole
}

// bindingOrder is what is asked for, with keys for names. Who the customers go to is looked at again
// under the locks.
func (s *Services) bindingOrder(r *store.Reader, c *Scope, in BindCustomers) (models.BindingOrder, error) {
	order := models.BindingOrder{Operation: in.Operation, Group: in.Group, Source: sourceOf(c)}
	if in.Operation == models.OperationUnbind {
		return order, nil
	}
	if in.Operation == models.OperationRebind {
		order.Keep = in.Keep
	}
	if in.Advisor == nil {
		groups, err := r.Groups(c.Account.Key, []models.Key{in.Group})
		if err == nil && len(groups) == 0 {
			err = models.NotFound("group", "input.to.groupId")
		}
		return order, err
	}
	a, err := s.advisorRef(r, c, *in.Advisor, "input.to.advisor")
	if err != nil {
		return order, err
	}
	order.Advisor = a.Key
	return order, nil
}

// keysOf is the keys of those customers that were found.
func keysOf(found []*models.Customer) []models.Key {
	keys := make([]models.Key, 0, len(found))
	for _, row := range found {
		if row != nil {
			keys = append(keys, row.Key)
		}
	}
	return keys
}

// targetsOf is the keys that items name.
func targetsOf(items []models.ItemResult) []models.Key {
	keys := make([]models.Key, 0, len(items))
	for _, item := range items {
		if !item.Target.IsZero() {
			keys = append(keys, item.Target)
		}
	}
	slices.SortFunc(keys, func(a, b models.Key) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(keys)
}
