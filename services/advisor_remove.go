package services

import (
	"context"
	"encoding/json"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Removal is an advisor to remove, and what becomes of their customers (rule B5).
type Removal struct {
	Advisor AdvisorRef
	// To is the advisor who gets the customers, Group the group whose free members do; without either
	// they stay without an advisor.
	To    *AdvisorRef
	Group models.Key
	// Keep is what goes with them (rule E6).
	Keep models.BindingKeep
}

// RemoveAdvisor removes a PENDING or ACTIVE advisor at once (rule B5): nothing is bound to them from
// then on, their last event says so, their open subscriptions end, and they belong to no group any
// more. A job then hands their customers over. Errors: NOT_FOUND, STATE (of who is removed, or of who
// would get the customers), INVALID (who gets them is who is removed), LIMIT_EXCEEDED (jobs).
func (s *Services) RemoveAdvisor(ctx context.Context, in Removal) (*models.Advisor, *models.Job, error) {
	c, err := s.begin(ctx, mayRemoveAdvisor)
	if err != nil {
		return nil, nil, err
	}
	r := s.store.View(ctx)
	gone, err := s.advisorRef(r, c, in.Advisor, "input.advisor")
	if err != nil {
		return nil, nil, err
	}
	order, err := s.handOverOrder(r, c, in, gone)
	if err != nil {
		return nil, nil, err
	}
	var a *models.Advisor
	var job *models.Job
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		groups, err := tx.LockGroupsOf(gone.Key)
		if err != nil {
			return err
		}
		rows, err := tx.LockAdvisors([]models.Key{gone.Key})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return models.NotFound("advisor", "input.advisor")
		}
		a = rows[0]
		before := a.StateAt(tx.Now)
		if err := a.Remove(tx.Now); err != nil {
			return err
		}
		if err := tx.UpdateAdvisors(rows, "state", "presence", "removed_at"); err != nil {
			return err
		}
		if err := tx.LeaveGroups(groups, a.Key); err != nil {
			return err
		}
		until, err := tx.CustomersUntil(a.Key)
		if err != nil {
			return err
		}
		if job, err = startJob(tx, models.JobHandOverCustomers, c.by(), handOverWork{Former: a.Key, Order: order, Until: until}); err != nil {
			return err
		}
		n := &models.Notification{
			AccountID: tx.Account, Key: models.NewKey(), AdvisorID: a.Key, Kind: models.NotifyAdvisorRemoved, Count: 1, At: tx.Now, CreatedAt: tx.Now,
		}
		if err := tx.InsertNotifications([]*models.Notification{n}); err != nil {
			return err
		}
		tx.Emit(models.Event{Stream: a.Key, Kind: models.EventNotificationMade, Notification: n.Key, Primed: &models.Primed{Notification: n}})
		tx.Emit(models.Event{Stream: a.Key, Kind: models.EventAdvisorChanged})
		tx.CloseStream(a.Key)
		return tx.Audit(store.Change{
			Action: "removeAdvisor", TargetKind: "Advisor", Target: a.Key, Before: map[string]any{"state": before}, After: map[string]any{"state": a.Stored, "customers": auditedOrder(order)},
		})
	})
	if err != nil {
		return nil, nil, err
	}
	s.wakeJobs()
	return a, job, nil
}

// handOverOrder is the order under which the customers leave.
func (s *Services) handOverOrder(r *store.Reader, c *Scope, in Removal, gone *models.Advisor) (models.BindingOrder, error) {
	order := models.BindingOrder{Operation: models.OperationUnbind, Source: sourceOf(c)}
	switch {
	case in.To != nil:
		to, err := s.advisorRef(r, c, *in.To, "input.handOver.advisor")
		if err != nil {
			return order, err
		}
		if to.Key == gone.Key {
			return order, models.Invalid("input.handOver.advisor", "is who is removed")
		}
		if st := to.StateAt(s.Now()); st != models.AdvisorActive {
			return order, &models.Error{Code: models.CodeState, Field: "input.handOver.advisor", Message: "the advisor is " + string(st)}
		}
		order.Advisor = to.Key
	case !in.Group.IsZero():
		groups, err := r.Groups(c.Account.Key, []models.Key{in.Group})
		if err != nil {
			return order, err
		}
		if len(groups) == 0 {
			return order, models.NotFound("group", "input.handOver.groupId")
		}
		order.Group = in.Group
	default:
		return order, nil
	}
	order.Operation, order.Keep = models.OperationRebind, in.Keep
	return order, nil
}

// handOverJob takes the customers of a removed advisor to whoever gets them, a chunk of limits.BindBatch
// a transaction. Who does not fit there, or does not follow, stays without an advisor, and is counted
// among what failed, with why.
type handOverJob struct{}

type handOverWork struct {
	Former models.Key          `json:"former"`
	Order  models.BindingOrder `json:"order"`
	// Until is the latest that one of the customers came, or was bound. It may be later than the removal itself: a transaction's instant is when it
	// began, and one that began later, or on a node whose clock is ahead, may have bound them before. Who is bound after it is
	// bound to who was invited again. Zero in a job of the release before: when the job was made.
	Until models.Time `json:"until,omitempty"`
}

// selection is whom the job is about: nobody joins them, since nobody is bound to who was removed.
func (w handOverWork) selection(job *models.Job) (store.CustomerFilter, models.Time) {
	return store.CustomerFilter{Advisor: w.Former}, max(w.Until, job.CreatedAt)
}

// Total implements jobKind.
func (handOverJob) Total(r *store.Reader, job *models.Job) (int64, error) {
	var work handOverWork
	if err := json.Unmarshal([]byte(job.Parameters), &work); err != nil {
		return 0, err
	}
	filter, until := work.selection(job)
	n, err := r.CountCustomers(job.AccountID, filter, until, limits.JobCount+1)
	if n > limits.JobCount {
		n = -1
	}
	return n, err
}

// Step implements jobKind. Who was dealt with is no longer the former advisor's, so each chunk is the
// first ones who still are: it needs no cursor.
func (handOverJob) Step(tx *store.Tx, job *models.Job) (items []models.ItemResult, last bool, err error) {
	var work handOverWork
	if err := json.Unmarshal([]byte(job.Parameters), &work); err != nil {
		return nil, false, err
	}
	filter, until := work.selection(job)
	keys, _, last, err := tx.SelectCustomers(tx.Account, filter, until, store.Selection{}, limits.BindBatch)
	if err != nil {
		return nil, false, err
	}
	b := &bindBatch{tx: tx, order: work.Order, by: job.By, leaving: true}
	if err := b.lock(keys); err != nil {
		return nil, false, err
	}
	for _, key := range keys {
		if c := b.customers[key]; c != nil && c.AdvisorID == work.Former {
			items = append(items, b.handOver(c))
		}
	}
	return items, last, b.save()
}

// handOver takes a customer to whoever the order names, or leaves them without an advisor.
func (b *bindBatch) handOver(c *models.Customer) models.ItemResult {
	result := models.ItemResult{Target: c.Key, Changed: true}
	if b.order.Operation != models.OperationUnbind {
		a, why := b.target.Bind(c, b.order.Operation)
		if a != nil {
			b.bind(c, a)
			return result
		}
		if result.Err = why; b.target.Advisor == nil && b.order.Group.IsZero() {
			result.Err = models.Errorf(models.CodeState, "the advisor who should get them is not active any more")
		}
	}
	b.unbind(c)
	return result
}
