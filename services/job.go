package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// jobKind is what jobs of one kind do. Its methods keep nothing between two calls: another node may
// do the next chunk.
type jobKind interface {
	// Total counts the job's items before it begins, up to limits.JobCount; -1 when there are more.
	Total(r *store.Reader, job *models.Job) (int64, error)
	// Step does the next chunk in a transaction: it moves job.Cursor and answers what came of each
	// item; last says that nothing is left. The caller counts the items and writes the job. An error
	// that will not pass, by its code, ends the job as FAILED with it; CAPABILITY_NOT_ENABLED makes it
	// rest until the account is open again.
	Step(tx *store.Tx, job *models.Job) (items []models.ItemResult, last bool, err error)
}

func (s *Services) jobKind(kind models.JobKind) jobKind {
	switch kind {
	case models.JobAssignCustomers, models.JobRebindCustomers, models.JobUnbindCustomers:
		return bindingJob{}
	case models.JobHandOverCustomers:
		return handOverJob{}
	case models.JobImportCustomers:
		return importJob{records: limits.ImportRecords, open: openCustomers}
	case models.JobImportMessages:
		return importMessagesJob{}
	case models.JobImportAdvisors:
		return importJob{records: limits.ImportAdvisors, ask: s.openAdvisors}
	case models.JobImportFollowers:
		return &followersJob{s: s}
	}
	return nil
}

// askingKind is a kind of jobs of which a chunk depends on what the channel says.
type askingKind interface {
	// Ask asks before a chunk's transaction begins, and answers the kind that does this chunk. Its errors are as Step's; and one with
	// RetryAt, or that wraps errAway, has the job wait without counting as a fault of it.
	Ask(ctx context.Context, job *models.Job) (jobKind, error)
}

// asked is the kind that does the next chunk of a job.
func (s *Services) asked(ctx context.Context, job *models.Job) (jobKind, error) {
	kind := s.jobKind(job.Kind)
	if asking, is := kind.(askingKind); is {
		return asking.Ask(ctx, job)
	}
	return kind, nil
}

// What ends a worker's turn at a job; neither is a fault.
var (
	// ErrJobLost: the job is another worker's by now, or was cancelled.
	ErrJobLost = errors.New("the job has changed meanwhile")
	// ErrJobRests: the account was closed.
	ErrJobRests = errors.New("the job rests while the account is closed")
)

// startJob writes a new job of an account that the transaction has locked, with its first event.
func startJob(tx *store.Tx, kind models.JobKind, by string, parameters any) (*models.Job, error) {
	n, err := tx.CountOpenJobs(tx.Account)
	if err != nil {
		return nil, err
	}
	if n >= limits.JobsPerAccount {
		return nil, models.TooMany("", limits.JobsPerAccount, "the account has %d jobs that have not ended", limits.JobsPerAccount)
	}
	text, err := json.Marshal(parameters)
	if err != nil {
		return nil, err
	}
	j := &models.Job{
		AccountID: tx.Account, Key: models.NewKey(), Kind: kind, State: models.JobQueued, By: by, Parameters: string(text),
		Total: -1, DueAt: tx.Now, CreatedAt: tx.Now, UpdatedAt: tx.Now,
	}
	if err := tx.InsertJob(j); err != nil {
		return nil, err
	}
	tellJob(tx, j)
	return j, nil
}

// tellJob tells whoever watches the job what it is now.
func tellJob(tx *store.Tx, j *models.Job) {
	kind := models.EventJobChanged
	if j.IsEnded() {
		kind = models.EventJobEnded
	}
	tx.Emit(models.Event{Stream: j.Key, Kind: kind, Primed: &models.Primed{Job: j}})
}

// JobQueued tells the workers that there is a job: at most one signal waits.
func (s *Services) JobQueued() <-chan struct{} { return s.jobQueued }

func (s *Services) wakeJobs() {
	select {
	case s.jobQueued <- struct{}{}:
	default:
	}
}

// ClaimJobs takes up to most jobs that are due for this node, the longest waiting first.
func (s *Services) ClaimJobs(ctx context.Context, most int) ([]*models.Job, error) {
	if most == 0 {
		return nil, nil
	}
	due, err := s.store.View(ctx).DueJobs(s.Now(), most)
	if err != nil {
		return nil, err
	}
	var claimed []*models.Job
	for _, j := range due {
		mine, err := s.claimJob(ctx, j)
		if err != nil {
			return claimed, err
		}
		if mine != nil {
			claimed = append(claimed, mine)
		}
	}
	return claimed, nil
}

// claimJob takes one job; nil when somebody else has it, or when this release does not know its kind.
func (s *Services) claimJob(ctx context.Context, due *models.Job) (claimed *models.Job, err error) {
	kind := s.jobKind(due.Kind)
	if kind == nil {
		return nil, nil //nolint:nilnil // a newer node's.
	}
	total := due.Total
	if due.State == models.JobQueued {
		total = s.countJob(ctx, kind, due)
	}
	err = s.store.Write(ctx, store.System(), due.AccountID, func(tx *store.Tx) error {
		claimed = nil
		j, err := tx.LockJob(due.Key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || j.IsEnded() || j.DueAt > tx.Now {
			return err
		}
		if j.State == models.JobQueued {
			j.State, j.StartedAt, j.Total = models.JobRunning, tx.Now, total
			tellJob(tx, j)
		}
		j.LeasedBy, j.DueAt = s.store.Node(), tx.Now.Add(limits.JobLease)
		j.Steps++
		claimed = j
		return tx.UpdateJob(j)
	})
	return claimed, err
}

// countJob is the job's total; -1 when it is not known in time.
func (s *Services) countJob(ctx context.Context, kind jobKind, j *models.Job) int64 {
	ctx, cancel := context.WithTimeout(ctx, limits.JobCountTime)
	defer cancel()
	total, err := kind.Total(s.store.View(ctx), j)
	if err != nil {
		return -1
	}
	return total
}

// StepJob does the next chunk of a job that this node has, and answers the job as it is then. What
// the chunk does, how far the job has come, and the event that tells of it are one transaction, which
// commits only if nobody wrote the job since: so no chunk is done twice. ErrJobLost and ErrJobRests
// end the turn. After any other error the chunk is tried again later, up to limits.JobFaults times.
func (s *Services) StepJob(ctx context.Context, job *models.Job) (*models.Job, error) {
	// What was begun is finished even while the process stops.
	ctx = context.WithoutCancel(ctx)
	asking, asked := context.WithTimeout(ctx, limits.ChannelTime)
	kind, err := s.asked(asking, job)
	asked()
	ctx, cancel := context.WithTimeout(ctx, limits.OperationTime)
	defer cancel()
	if err != nil {
		return s.jobFault(ctx, job, err)
	}
	var next models.Job
	err = s.store.Write(ctx, store.System(), job.AccountID, func(tx *store.Tx) error {
		next = *job
		items, last, err := kind.Step(tx, &next)
		if err != nil {
			return err
		}
		kept, err := next.Count(items)
		if err != nil {
			return err
		}
		next.Faults, next.DueAt = 0, tx.Now.Add(limits.JobLease)
		if last {
			next.End(models.JobFinished, tx.Now)
		}
		tellJob(tx, &next)
		if err := writeJob(tx, job, &next); err != nil {
			return err
		}
		return tx.InsertJobItems(kept)
	})
	if err == nil {
		return &next, nil
	}
	if errors.Is(err, ErrJobLost) {
		return nil, err
	}
	return s.jobFault(ctx, job, err)
}

// writeJob writes what a job has become, unless somebody wrote it since it was read: ErrJobLost.
func writeJob(tx *store.Tx, read, next *models.Job) error {
	now, err := tx.LockJob(read.Key)
	if errors.Is(err, store.ErrNotFound) || err == nil && now.Steps != read.Steps {
		return ErrJobLost
	}
	if err != nil {
		return err
	}
	next.Steps = read.Steps + 1
	return tx.UpdateJob(next)
}

// jobFault records that a chunk failed, in a time of its own, since the chunk may have used up that of ctx: the job
// rests, is tried again later, or FAILED. It answers the job when it ended by that, and why the turn is over otherwise.
func (s *Services) jobFault(ctx context.Context, job *models.Job, why error) (*models.Job, error) {
	ctx, cancel := recorded(ctx)
	defer cancel()
	next := *job
	err := s.store.Write(ctx, store.System(), job.AccountID, func(tx *store.Tx) error {
		next = *job
		next.LeasedBy, next.DueAt = models.Key{}, tx.Now
		code, again := models.CodeOf(why), models.RetryAtOf(why)
		switch {
		case code == models.CodeCapabilityNotEnabled: // whoever looks for jobs passes over closed accounts
		case again > tx.Now:
			next.DueAt = min(again, tx.Now.Add(limits.JobRest))
		case errors.Is(why, errAway):
			next.DueAt = tx.Now.Add(jobPause(limits.JobFaults))
		case code == models.CodeInternal || code == models.CodeUnavailable:
			if next.Faults++; next.Faults >= limits.JobFaults {
				next.Fail(models.Errorf(code, "the same part of it failed %d times", limits.JobFaults), tx.Now)
				break
			}
			next.DueAt = tx.Now.Add(jobPause(next.Faults))
		default:
			next.Fail(models.AsItemError(why), tx.Now)
		}
		if next.IsEnded() {
			tellJob(tx, &next)
		}
		return writeJob(tx, job, &next)
	})
	switch {
	case errors.Is(err, ErrJobLost):
		return nil, err
	case err != nil:
		// Another worker finds it when the lease ends.
		return nil, fmt.Errorf("%s; and that could not be recorded: %s", store.Describe(why), store.Describe(err))
	case next.IsEnded():
		return &next, nil
	case models.CodeOf(why) == models.CodeCapabilityNotEnabled:
		return nil, ErrJobRests
	}
	return nil, errors.New(store.Describe(why))
}

// jobPause is how long a chunk that failed so often waits: doubled each time from a second up to a
// minute, half of it certain, half chance.
func jobPause(faults int) time.Duration {
	pause := min(time.Second<<min(faults-1, 10), time.Minute)
	return pause/2 + rand.N(pause/2) //nolint:gosec // chance, not secrecy.
}

// ReleaseJob gives a job back, so that another worker may take it at once, behind those that wait.
func (s *Services) ReleaseJob(ctx context.Context, job *models.Job) error {
	err := s.store.Write(ctx, store.System(), job.AccountID, func(tx *store.Tx) error {
		next := *job
		next.LeasedBy, next.DueAt = models.Key{}, tx.Now
		return writeJob(tx, job, &next)
	})
	if errors.Is(err, ErrJobLost) {
		return nil
	}
	return err
}

// Job finds one of the account's.
func (s *Services) Job(ctx context.Context, key models.Key) (*models.Job, error) {
	c, err := s.begin(ctx, mayJob)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).Jobs(c.Account.Key, []models.Key{key})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, models.NotFound("job", "jobId")
	}
	return rows[0], nil
}

// JobsByKeys reads those jobs that the viewer may see.
func (s *Services) JobsByKeys(ctx context.Context, keys []models.Key) (map[models.Key]*models.Job, error) {
	c, err := s.tenant(ctx)
	if err != nil || !c.seesJobs() {
		return nil, err
	}
	rows, err := s.store.View(ctx).Jobs(c.Account.Key, keys)
	found := make(map[models.Key]*models.Job, len(rows))
	for _, j := range rows {
		found[j.Key] = j
	}
	return found, err
}

// JobFilter says which jobs a page holds; nil fields say nothing.
type JobFilter struct {
	State *models.JobState
	Kind  *models.JobKind
}

// JobPage reads a page of the account's jobs, newest first.
func (s *Services) JobPage(ctx context.Context, f JobFilter, p relay.Page) ([]*models.Job, error) {
	c, err := s.begin(ctx, mayJobs)
	if err != nil {
		return nil, err
	}
	var q store.JobFilter
	if f.State != nil {
		q.State = *f.State
	}
	if f.Kind != nil {
		q.Kind = *f.Kind
	}
	return s.store.View(ctx).JobPage(c.Account.Key, q, p)
}

// JobItemPage reads a page of the failed items of a job that the viewer may see.
func (s *Services) JobItemPage(ctx context.Context, j *models.Job, p relay.Page) ([]*models.JobItem, error) {
	c, err := s.tenant(ctx)
	if err != nil || !c.seesJobs() {
		return nil, err
	}
	return s.store.View(ctx).JobItemPage(c.Account.Key, j.Key, p)
}

// JobRests reports whether a job that has not ended waits for the account to open (rule A1).
func (s *Services) JobRests(ctx context.Context, j *models.Job) (bool, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return false, err
	}
	return !j.IsEnded() && !c.Account.IsOpen(), nil
}

// CancelJob ends a job that has not ended; what it has done stays. The chunk under way does not
// commit. One that was cancelled before is a success that changes nothing; STATE when it ended
// otherwise, and of a hand-over: the customers would stay with who was removed (rule B5). Errors: NOT_FOUND, STATE.
func (s *Services) CancelJob(ctx context.Context, key models.Key) (j *models.Job, err error) {
	c, err := s.begin(ctx, mayCancelJob)
	if err != nil {
		return nil, err
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if j, err = tx.LockJob(key); err != nil {
			_, err = known(j, err, "job", "input.jobId")
			return err
		}
		switch {
		case j.State == models.JobCancelled:
			tx.OwnRecord() // nothing changes
			return nil
		case j.IsEnded():
			return &models.Error{Code: models.CodeState, Field: "input.jobId", Message: "the job is " + string(j.State)}
		case j.Kind == models.JobHandOverCustomers:
			return &models.Error{Code: models.CodeState, Field: "input.jobId", Message: "customers of who was removed do not stay with them"}
		}
		before := map[string]any{"state": j.State}
		j.End(models.JobCancelled, tx.Now)
		j.Steps++
		tellJob(tx, j)
		if err := tx.UpdateJob(j); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: "cancelJob", TargetKind: "Job", Target: j.Key, Before: before, After: map[string]any{"state": j.State, "kind": j.Kind, "done": j.Done}})
	})
	if err != nil {
		return nil, err
	}
	return j, nil
}
