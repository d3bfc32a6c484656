package services

import (
	"encoding/json"

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
	listed := len(w.Filter.OpenIDs) + len(w.Filter.UnionIDs)
	searched := w.Filter.Search != ""
	w.Filter.OpenIDs, w.Filter.UnionIDs, w.Filter.Search = nil, nil, ""
	return struct {
		bindingWork
		Listed   int  `json:"listed,omitempty"`
		Searched bool `json:"searched,omitempty"`
	}{w, listed, searched}
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
