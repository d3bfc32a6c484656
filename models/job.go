package models

import (
	"encoding/json"
	"maps"
	"slices"

	"clientele/internal/relay"
	"clientele/limits"
)

// JobKind is what a job does.
type JobKind string

// The kinds of jobs.
const (
	JobAssignCustomers JobKind = "ASSIGN_CUSTOMERS"
	JobRebindCustomers JobKind = "REBIND_CUSTOMERS"
	JobUnbindCustomers JobKind = "UNBIND_CUSTOMERS"
	// JobHandOverCustomers takes a removed advisor's customers elsewhere (rule B5).
	JobHandOverCustomers JobKind = "HAND_OVER_CUSTOMERS"
	// JobImportCustomers reads a file of customers (rule E11).
	JobImportCustomers JobKind = "IMPORT_CUSTOMERS"
	// JobImportMessages reads a file of past messages (rule E11).
	JobImportMessages JobKind = "IMPORT_MESSAGES"
	// JobImportAdvisors reads a file of advisors (rule B7).
	JobImportAdvisors JobKind = "IMPORT_ADVISORS"
	// JobImportFollowers makes customers of all who follow the account, as the channel knows them (rule E11).
	JobImportFollowers JobKind = "IMPORT_FOLLOWERS"
)

// JobState is where a job stands.
type JobState string

// The states of a job. From the last three nothing follows.
const (
	JobQueued    JobState = "QUEUED"  // not begun
	JobRunning   JobState = "RUNNING" // begun; it rests while the account is closed
	JobFinished  JobState = "FINISHED"
	JobFailed    JobState = "FAILED"
	JobCancelled JobState = "CANCELLED"
)

// Job is work that goes on by itself, a chunk a transaction: what a chunk does, how far the job has
// come and the event that tells of it are committed together, so that nothing is done twice or left
// out, whoever dies when (ADR 0024).
type Job struct {
	AccountID Key      `gorm:"column:account_id;primaryKey"`
	Key       Key      `gorm:"column:id;primaryKey"`
	Kind      JobKind  `gorm:"column:kind"`
	State     JobState `gorm:"column:state"`
	By        string   `gorm:"column:made_by"` // role and subject of who started it

	// Parameters is what the job is asked for, and Cursor how far it has come: JSON that its kind
	// alone reads. Of a job that has ended both are empty.
	Parameters string `gorm:"column:parameters"`
	Cursor     string `gorm:"column:progress"`

	// Total is how many items there were when it began; -1 while that is not known.
	Total int64 `gorm:"column:total"`
	// Done is how many items have been dealt with, Changed of how many something changed.
	Done    int64 `gorm:"column:done"`
	Changed int64 `gorm:"column:changed"`
	// Failures is JSON: how many items failed, by code.
	Failures string `gorm:"column:failures"`
	// Kept is how many failed items are kept as rows; at most limits.JobItems.
	Kept int `gorm:"column:kept_items"`

	// Steps counts the writes of this row: who read it at one is told by another that it has changed.
	Steps int64 `gorm:"column:steps"`
	// DueAt is when a worker may take it: now, later after a fault, or when the lease of the one who
	// has it ends.
	DueAt    Time `gorm:"column:due_at"`
	LeasedBy Key  `gorm:"column:leased_by"` // a node; zero: nobody has it
	// Faults is how often the chunk that is next failed in a way that may pass.
	Faults int `gorm:"column:faults"`

	ErrorCode    Code   `gorm:"column:error_code"` // why it FAILED
	ErrorMessage string `gorm:"column:error_message"`

	CreatedAt  Time `gorm:"column:created_at;autoCreateTime:false"`
	StartedAt  Time `gorm:"column:started_at"`
	FinishedAt Time `gorm:"column:finished_at"` // when it ended, however
	UpdatedAt  Time `gorm:"column:updated_at;autoUpdateTime:false"`
}

// TableName names the table for the mapper.
func (Job) TableName() string { return "job" }

// ID is the job's global id.
func (j *Job) ID() relay.ID { return relay.ID{Kind: KindJob, Key: j.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Job) IsNode() {}

// Stream is where the job's events are: a stream of its own, numbered like an advisor's (rule N4).
func (j *Job) Stream() StreamID { return StreamID{Account: j.AccountID, Stream: j.Key} }

// IsEnded reports whether nothing follows any more.
func (j *Job) IsEnded() bool {
	switch j.State {
	case JobFinished, JobFailed, JobCancelled:
		return true
	case JobQueued, JobRunning:
	}
	return false
}

// End ends a job that has not ended. What it was asked for and where it was go, since both may name people, whom
// nobody who is erased later would be looked for in (rule E13).
func (j *Job) End(state JobState, now Time) {
	j.State, j.FinishedAt, j.LeasedBy, j.Parameters, j.Cursor = state, now, Key{}, "", ""
}

// Fail ends the job because of an error.
func (j *Job) Fail(why *Error, now Time) {
	j.End(JobFailed, now)
	j.ErrorCode, j.ErrorMessage = why.Code, why.Message
}

// Count counts what came of items, and answers the rows to keep of those that failed: as many as
// limits.JobItems leaves room for.
func (j *Job) Count(items []ItemResult) (kept []*JobItem, err error) {
	failed, err := j.failed()
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		j.Done++
		if item.Changed {
			j.Changed++
		}
		if item.Err == nil {
			continue
		}
		failed[item.Err.Code]++
		if j.Kept < limits.JobItems {
			j.Kept++
			kept = append(kept, &JobItem{
				AccountID: j.AccountID, JobID: j.Key, No: j.Done, TargetID: item.Target, Code: item.Err.Code, Message: item.Err.Message, Field: item.Err.Field,
			})
		}
	}
	text, err := json.Marshal(failed)
	j.Failures = string(text)
	return kept, err
}

func (j *Job) failed() (map[Code]int64, error) {
	failed := map[Code]int64{}
	if j.Failures == "" {
		return failed, nil
	}
	return failed, json.Unmarshal([]byte(j.Failures), &failed)
}

// JobFailureCount is how many items of a job failed with one code.
type JobFailureCount struct {
	Code  Code
	Count int64
}

// FailureCounts is how many items failed with each code, in the order of the codes.
func (j *Job) FailureCounts() ([]*JobFailureCount, error) {
	failed, err := j.failed()
	if err != nil {
		return nil, err
	}
	counts := make([]*JobFailureCount, 0, len(failed))
	for _, code := range slices.Sorted(maps.Keys(failed)) {
		counts = append(counts, &JobFailureCount{Code: code, Count: failed[code]})
	}
	return counts, nil
}

// KnownTotal is how many items there were when it began; nil while that is not known, and where
// counting them would take too long.
func (j *Job) KnownTotal() *int64 {
	if j.Total < 0 {
		return nil
	}
	return &j.Total
}

// Failure is why it FAILED; nil otherwise.
func (j *Job) Failure() *ItemError {
	if j.ErrorCode == "" {
		return nil
	}
	return &Error{Code: j.ErrorCode, Message: j.ErrorMessage}
}

// JobItem is an item of a job that failed.
type JobItem struct {
	AccountID Key   `gorm:"column:account_id;primaryKey"`
	JobID     Key   `gorm:"column:job_id;primaryKey"`
	No        int64 `gorm:"column:no;primaryKey;autoIncrement:false"` // its place among the job's items, from 1
	// TargetID is what the item is about; zero when that was not found.
	TargetID Key    `gorm:"column:target_id"`
	Code     Code   `gorm:"column:code"`
	Message  string `gorm:"column:message"`
	Field    string `gorm:"column:field"`
}

// TableName names the table for the mapper.
func (JobItem) TableName() string { return "job_item" }

// Why is why it failed.
func (i *JobItem) Why() *ItemError { return &Error{Code: i.Code, Message: i.Message, Field: i.Field} }
