package services

import (
	"encoding/json"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// bindingJob is an operation on the bindings of all customers that a filter selects, a chunk of
// limits.BindBatch a transaction.
type bindingJob struct{}

// bindingWork is what such a job is asked for.
type bindingWork struct {
	Order  models.BindingOrder  `json:"order"`
	Filter store.CustomerFilter `json:"filter"`
	// Until is when it was asked for: who came or was bound later is no part of it.
	Until models.Time `json:"until"`
}

// audited is the work as the audit log has it: of customers who are listed only how many they are, since
// a list may be longer than an entry, and of a text that is searched for only that there is one; the job's row has them.
func (w bindingWork) audited() any {
	f := w.Filter
	f.OpenIDs, f.UnionIDs, f.Search = nil, nil, ""
	return struct {
		Order    any  `json:"order"`
		Filter   any  `json:"filter"`
		Until    any  `json:"until"`
		Listed   int  `json:"listed,omitempty"`
		Searched bool `json:"searched,omitempty"`
	}{auditedOrder(w.Order), auditedFilter(f), instant(w.Until), len(w.Filter.OpenIDs) + len(w.Filter.UnionIDs), w.Filter.Search != ""}
}

// auditedOrder is an order as the audit log has it, with ids as the API has them.
func auditedOrder(o models.BindingOrder) any {
	advisor, group := o.Advisor, o.Group
	o.Advisor, o.Group = models.Key{}, models.Key{}
	return struct {
		models.BindingOrder
		AdvisorID string `json:"advisorId,omitempty"`
		GroupID   string `json:"groupId,omitempty"`
	}{o, globalID(models.KindAdvisor, advisor), globalID(models.KindGroup, group)}
}

// auditedFilter is a filter as the audit log has it, with ids as the API has them.
func auditedFilter(f store.CustomerFilter) any {
	type tags struct {
		Any  []string `json:"any,omitempty"`
		All  []string `json:"all,omitempty"`
		None []string `json:"none,omitempty"`
	}
	options := func(keys []models.Key) (ids []string) {
		for _, key := range keys {
			ids = append(ids, globalID(models.KindTagOption, key))
		}
		return ids
	}
	told := struct {
		store.CustomerFilter
		AdvisorID string `json:"advisorId,omitempty"`
		GroupID   string `json:"groupId,omitempty"`
		Tags      tags   `json:"tags,omitzero"`
		// Instants as the log has them.
		BoundFrom       any `json:"boundFrom,omitempty"`
		BoundUntil      any `json:"boundUntil,omitempty"`
		InteractedSince any `json:"interactedSince,omitempty"`
	}{
		f, globalID(models.KindAdvisor, f.Advisor), globalID(models.KindGroup, f.Group),
		tags{options(f.Tags.Any), options(f.Tags.All), options(f.Tags.None)},
		instant(f.BoundFrom), instant(f.BoundUntil), instant(f.InteractedSince),
	}
	told.Advisor, told.Group = models.Key{}, models.Key{}
	return told
}

// globalID is a row's id as the API has it; empty for none.
func globalID(kind relay.Kind, key models.Key) string {
	if key.IsZero() {
		return ""
	}
	return relay.ID{Kind: kind, Key: key}.String()
}

// kindOfBinding is the kind of job that does an operation.
func kindOfBinding(op models.BindingOperation) models.JobKind {
	switch op {
	case models.OperationRebind:
		return models.JobRebindCustomers
	case models.OperationUnbind:
		return models.JobUnbindCustomers
	case models.OperationAssign:
	}
	return models.JobAssignCustomers
}

// Total implements jobKind.
func (bindingJob) Total(r *store.Reader, job *models.Job) (int64, error) {
	var work bindingWork
	if err := json.Unmarshal([]byte(job.Parameters), &work); err != nil {
		return 0, err
	}
	if work.Filter.IsNarrow() && work.Filter.Advisor.IsZero() {
		return -1, nil // to count them is to look at the whole account
	}
	n, err := r.CountCustomers(job.AccountID, work.Filter, work.Until, limits.JobCount+1)
	if n > limits.JobCount {
		n = -1
	}
	return n, err
}

// Step implements jobKind. Who is selected is looked for without a lock, and asked for again once
// they are locked: one who was bound elsewhere in between is no longer meant.
func (bindingJob) Step(tx *store.Tx, job *models.Job) (items []models.ItemResult, last bool, err error) {
	var work bindingWork
	if err := json.Unmarshal([]byte(job.Parameters), &work); err != nil {
		return nil, false, err
	}
	var at store.Selection
	if job.Cursor != "" {
		if err := json.Unmarshal([]byte(job.Cursor), &at); err != nil {
			return nil, false, err
		}
	}
	keys, next, last, err := tx.SelectCustomers(tx.Account, work.Filter, work.Until, at, limits.BindBatch)
	if err != nil {
		return nil, false, err
	}
	b := &bindBatch{tx: tx, order: work.Order, by: job.By}
	if err := b.lock(keys); err != nil {
		return nil, false, err
	}
	matching, err := tx.MatchingCustomers(tx.Account, work.Filter, work.Until, keys)
	if err != nil {
		return nil, false, err
	}
	for _, key := range keys {
		if matching[key] {
			items = append(items, b.item(b.customers[key]))
		}
	}
	if err := b.save(); err != nil {
		return nil, false, err
	}
	text, err := json.Marshal(next)
	job.Cursor = string(text)
	return items, last, err
}
