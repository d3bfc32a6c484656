package models_test

import (
	"testing"

	"clientele/limits"
	"clientele/models"
)

// Ensure every item is counted, and of those that failed the first 10,000 are kept.
func TestJobCount(t *testing.T) {
	failed := func(code models.Code, n int) []models.ItemResult {
		items := make([]models.ItemResult, n)
		for i := range items {
			items[i] = models.ItemResult{Target: models.NewKey(), Err: models.Errorf(code, "because")}
		}
		return items
	}
	j := &models.Job{Key: models.NewKey()}
	for _, chunk := range []struct {
		items []models.ItemResult
		kept  int
	}{
		{nil, 0},
		{[]models.ItemResult{{Changed: true}, {}, {Err: models.Errorf(models.CodeSelf, "x")}}, 1},
		{failed(models.CodeNotFollowing, limits.JobItems-2), limits.JobItems - 2},
		{failed(models.CodeAdvisorFull, 3), 1},
		{failed(models.CodeAdvisorFull, 3), 0},
	} {
		kept, err := j.Count(chunk.items)
		if err != nil || len(kept) != chunk.kept {
			t.Fatalf("of %d items %d are kept, want %d, %v", len(chunk.items), len(kept), chunk.kept, err)
		}
	}
	if j.Done != limits.JobItems+7 || j.Changed != 1 || j.Kept != limits.JobItems {
		t.Errorf("done %d, changed %d, kept %d", j.Done, j.Changed, j.Kept)
	}
	counts, err := j.FailureCounts()
	if err != nil || len(counts) != 3 || *counts[0] != (models.JobFailureCount{Code: models.CodeAdvisorFull, Count: 6}) ||
		*counts[1] != (models.JobFailureCount{Code: models.CodeNotFollowing, Count: limits.JobItems - 2}) || *counts[2] != (models.JobFailureCount{Code: models.CodeSelf, Count: 1}) {
		t.Errorf("failures %v, %v", counts, err)
	}
}

// Ensure a job that ends keeps neither what it was asked for nor where it was, whatever its kind (rule E13).
func TestEndedJobForgets(t *testing.T) {
	for _, kind := range []models.JobKind{models.JobRebindCustomers, models.JobImportFollowers} {
		j := &models.Job{Kind: kind, State: models.JobRunning, Parameters: `{"search":"Zhang"}`, Cursor: `{"after":"oZhang"}`}
		j.Fail(models.Errorf(models.CodeState, "gone"), 1)
		if j.Parameters != "" || j.Cursor != "" || j.State != models.JobFailed || j.FinishedAt != 1 {
			t.Errorf("%s: %+v", kind, j)
		}
	}
}

// Ensure nothing follows the last three states.
func TestJobIsEnded(t *testing.T) {
	for state, want := range map[models.JobState]bool{
		models.JobQueued: false, models.JobRunning: false, models.JobFinished: true, models.JobFailed: true, models.JobCancelled: true,
	} {
		if got := (&models.Job{State: state}).IsEnded(); got != want {
			t.Errorf("%s: ended %t", state, got)
		}
	}
}
