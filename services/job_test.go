package services

import (
	"context"
	"testing"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure a chunk that used up all its time counts as a fault of its job: else a job of which a part always takes too long would be
// tried again for ever.
func TestFaultIsRecordedWhenTheTimeIsOver(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h := newTeahouse(t, dsn, 1, 1)
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error {
			_, err := startJob(tx, models.JobUnbindCustomers, "ADMIN:somebody", bindingWork{Until: tx.Now})
			return err
		})
		claimed, err := h.ClaimJobs(t.Context(), 1)
		if err != nil || len(claimed) != 1 {
			t.Fatalf("%d jobs were claimed, %v", len(claimed), err)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.jobFault(over, claimed[0], context.DeadlineExceeded); err == nil {
			t.Error("the turn goes on")
		}
		jobs, err := h.store.View(t.Context()).Jobs(h.account.Key, []models.Key{claimed[0].Key})
		if err != nil || len(jobs) != 1 || jobs[0].Faults != 1 || !jobs[0].LeasedBy.IsZero() {
			t.Errorf("after the fault: %+v, %v", jobs, err)
		}
	})
}

// Ensure a removed advisor keeps nobody: also who was bound by a transaction that began after the removal and was the first at the
// advisor's row.
func TestHandOverTakesWhoWasBoundLast(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		const customers = 3
		h := newTeahouse(t, dsn, 1, customers)
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error {
			rows, _, err := tx.LockCustomers(h.keys[:1])
			if err != nil {
				return err
			}
			rows[0].BoundAt = tx.Now + 1
			if err := tx.UpdateCustomers(rows, "bound_at"); err != nil {
				return err
			}
			h.advisors[0].CustomerCount = customers
			return tx.UpdateAdvisors(h.advisors, "customer_count")
		})
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error {
			_, err := startJob(tx, models.JobHandOverCustomers, "ADMIN:somebody", handOverWork{
				Former: h.advisors[0].Key, Order: models.BindingOrder{Operation: models.OperationUnbind, Source: models.SourceConsole},
			})
			return err
		})
		claimed, err := h.ClaimJobs(t.Context(), 1)
		if err != nil || len(claimed) != 1 || claimed[0].Total != customers {
			t.Fatalf("%+v were claimed, %v", claimed, err)
		}
		for job := claimed[0]; !job.IsEnded(); {
			if job, err = h.StepJob(t.Context(), job); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := h.store.View(t.Context()).Customers(h.account.Key, h.keys)
		if err != nil || len(rows) != customers {
			t.Fatalf("%d customers, %v", len(rows), err)
		}
		for _, c := range rows {
			if !c.AdvisorID.IsZero() {
				t.Errorf("%s is bound to who was removed", c.OpenID)
			}
		}
	})
}
