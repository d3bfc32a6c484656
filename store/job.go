package store

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/internal/relay"
	"clientele/models"
)

// Jobs reads jobs by key; unknown ones are left out.
func (r *Reader) Jobs(account models.Key, keys []models.Key) ([]*models.Job, error) {
	return byKeys[models.Job](r, account, "id", keys)
}

// JobFilter says which jobs a page holds; zero fields say nothing.
type JobFilter struct {
	State models.JobState
	Kind  models.JobKind
}

// JobPage reads a page of jobs, newest first.
func (r *Reader) JobPage(account models.Key, f JobFilter, p relay.Page) ([]*models.Job, error) {
	return find[models.Job](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("account_id = ?", account)
		if f.State != "" {
			db = db.Where("state = ?", f.State)
		}
		if f.Kind != "" {
			db = db.Where("kind = ?", f.Kind)
		}
		if p.After != nil {
			db = db.Where("id < ?", models.Key(p.After.Key))
		}
		return db.Order("id DESC").Limit(p.First + 1)
	})
}

// JobItemPage reads a page of the failed items of a job, in their order.
func (r *Reader) JobItemPage(account, job models.Key, p relay.Page) ([]*models.JobItem, error) {
	return find[models.JobItem](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("account_id = ? AND job_id = ?", account, job)
		if p.After != nil {
			db = db.Where("no > ?", p.After.Sort)
		}
		return db.Order("no").Limit(p.First + 1)
	})
}

// CountOpenJobs counts the account's jobs that have not ended.
func (r *Reader) CountOpenJobs(account models.Key) (int64, error) {
	defer r.lock()()
	var n int64
	err := r.db.Model(&models.Job{}).Where("account_id = ? AND state IN ?", account, openJobs).Count(&n).Error
	return n, translate(err)
}

// HasOpenJob reports whether the account has a job of a kind that has not ended.
func (r *Reader) HasOpenJob(account models.Key, kind models.JobKind) (bool, error) {
	defer r.lock()()
	var n int64
	err := r.db.Model(&models.Job{}).Where("account_id = ? AND state IN ? AND kind = ?", account, openJobs, kind).Count(&n).Error
	return n > 0, translate(err)
}

// openJobs are the states from which something follows.
var openJobs = []models.JobState{models.JobQueued, models.JobRunning}

// DueJobs reads jobs that a worker may take, of accounts that are open, the longest waiting first. It
// is one of the named exceptions to "every query takes the account": each is then claimed in a
// transaction of its account.
func (r *Reader) DueJobs(now models.Time, most int) ([]*models.Job, error) {
	return find[models.Job](r, func(db *gorm.DB) *gorm.DB {
		return db.Joins("JOIN account a ON a.id = job.account_id").Select("job.*").
			Where("job.state IN ? AND job.due_at <= ? AND a.capability = ?", openJobs, now, models.CapabilityOpen).
			Order("job.due_at, job.id").Limit(most)
	})
}

// InsertJob writes a new job with its stream.
func (tx *Tx) InsertJob(j *models.Job) error {
	if err := insert(tx, []*models.Job{j}); err != nil {
		return err
	}
	return insert(tx, []*models.Stream{{AccountID: tx.Account, Key: j.Key}})
}

// LockJob reads and locks a job; ErrNotFound when there is none. It comes after everything else that
// the transaction locks, but the streams.
func (tx *Tx) LockJob(key models.Key) (*models.Job, error) {
	tx.enter(phaseRows)
	return first[models.Job](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("account_id = ? AND id = ?", tx.Account, key)
	})
}

// UpdateJob writes a locked job.
func (tx *Tx) UpdateJob(j *models.Job) error {
	j.UpdatedAt = tx.Now
	columns, err := tx.store.sabotage.progress(tx, j.IsEnded(), "state", "progress", "total", "done", "changed", "failures", "kept_items", "steps", "due_at",
		"leased_by", "faults", "error_code", "error_message", "started_at", "finished_at", "updated_at")
	if err != nil {
		return err
	}
	if j.IsEnded() {
		columns = append(columns, "parameters") // which it forgets; before, an erasure may have written what this one has not read
	}
	return upsert(tx, []*models.Job{j}, columns...)
}

// InsertJobItems keeps failed items of a locked job.
func (tx *Tx) InsertJobItems(rows []*models.JobItem) error { return insert(tx, rows) }

// OldJobs reads the keys of jobs, of any account, that ended before an instant, the earliest first.
func (r *Reader) OldJobs(before models.Time, most int) ([]*models.Job, error) {
	return find[models.Job](r, func(db *gorm.DB) *gorm.DB {
		return db.Select("account_id", "id", "finished_at").Where("finished_at > 0 AND finished_at < ?", before).Order("finished_at").Limit(most)
	})
}

// DeleteJobItems deletes the items of an ended job up to a number.
func (tx *Tx) DeleteJobItems(job models.Key, upTo int64) error {
	tx.enter(phaseRows)
	return translate(tx.db.Where("account_id = ? AND job_id = ? AND no <= ?", tx.Account, job, upTo).Delete(&models.JobItem{}).Error)
}

// DeleteJob deletes an ended job whose items are gone, with what is left of its stream.
func (tx *Tx) DeleteJob(job models.Key) error {
	tx.enter(phaseRows)
	if err := tx.db.Where("account_id = ? AND id = ? AND finished_at > 0", tx.Account, job).Delete(&models.Job{}).Error; err != nil {
		return translate(err)
	}
	if err := tx.db.Where("account_id = ? AND stream_id = ?", tx.Account, job).Delete(&models.Event{}).Error; err != nil {
		return translate(err)
	}
	tx.enter(phaseStreams)
	return translate(tx.db.Where("account_id = ? AND id = ?", tx.Account, job).Delete(&models.Stream{}).Error)
}
