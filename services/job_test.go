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
