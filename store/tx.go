package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/limits"
	"clientele/models"
)

// Actor is who writes, as the audit log names them (rule R5).
type Actor struct {
	// Role is the viewer's role; empty for the system itself: callbacks and jobs, whose rows
	// are their record.
	Role      string
	Subject   string
	TokenID   string
	RequestID string
	// Address is where the request came from; empty: not known.
	Address string
}

// System is the actor of callbacks and jobs.
func System() Actor { return Actor{} }

// phase is a step in the order in which every transaction takes its locks. Two transactions
// that both go forwards cannot wait for each other in a circle.
type phase int

const (
	phaseAccounts phase = iota
	phaseGroups
	phaseCustomers
	phaseConversations
	phaseAdvisors
	phaseQueues
	phaseRows // rows that are only appended, or belong to one locked above
	phaseStreams
)

// Tx is a write transaction of one account. It is used by one goroutine.
type Tx struct {
	Reader
	// Account is the tenant; every row the transaction touches is its.
	Account models.Key
	// Now is the transaction's one instant.
	Now    models.Time
	actor  Actor
	phase  phase
	events []models.Event
	// waiting are events of the account's stream.
	waiting []*models.AccountEvent
	// streams are the counter rows that are locked, once they are.
	streams map[models.Key]*models.Stream
	// closing are streams whose last events are this transaction's; opening go on from it.
	closing, opening map[models.Key]bool
	// audited says that the change is in the audit log, or that its rows are their own record.
	audited bool
}

// Write runs fn in a transaction of one account and commits. When the engine undid it because
// of others (deadlock, lock wait, busy) it runs again, up to limits.WriteAttempts times; so fn
// has no effects outside its Tx. A viewer's transaction that wrote neither an audit entry nor
// said that its rows are their own record does not commit. After the commit, and only then, the
// events go to who OnCommit named. A connection lost at COMMIT is ErrUnknownOutcome.
func (s *Store) Write(ctx context.Context, actor Actor, account models.Key, fn func(*Tx) error) error {
	for attempt := 1; ; attempt++ {
		tx, err := s.writeOnce(ctx, actor, account, fn)
		if err == nil {
			countWrite(ctx)
			if told := s.committed.Load(); told != nil && len(tx.events) > 0 {
				(*told)(tx.events)
			}
			if told := s.waiting.Load(); told != nil && len(tx.waiting) > 0 {
				(*told)()
			}
			return nil
		}
		if !passing(err) || attempt == limits.WriteAttempts || ctx.Err() != nil {
			if passing(err) {
				return &models.Error{Code: models.CodeUnavailable, Message: "the database is busy; try again"}
			}
			return err
		}
		pause(ctx, attempt)
	}
}

// pause waits a random while that doubles with each attempt, so that those who collided part.
func pause(ctx context.Context, attempt int) {
	most := time.Millisecond << attempt
	t := time.NewTimer(rand.N(most)) //nolint:gosec // chance, not secrecy.
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *Store) writeOnce(ctx context.Context, actor Actor, account models.Key, fn func(*Tx) error) (*Tx, error) {
	db := s.write.WithContext(ctx).Begin()
	if db.Error != nil {
		return nil, fmt.Errorf("begin: %w", translate(db.Error))
	}
	open := true
	defer func() {
		if open {
			db.Rollback()
		}
	}()
	tx := &Tx{Reader: Reader{db: db, store: s}, Account: account, Now: s.Now(), actor: actor}
	if err := fn(tx); err != nil {
		return nil, err
	}
	if actor.Role != "" && !tx.audited {
		return nil, errors.New("a mutation without an audit entry")
	}
	if err := tx.writeWaiting(); err != nil {
		return nil, err
	}
	if err := tx.writeEvents(); err != nil {
		return nil, err
	}
	if err := s.sabotage.beforeCommit(s, tx); err != nil {
		return nil, err
	}
	open = false
	if err := db.Commit().Error; err != nil {
		if lost(err) {
			return nil, errors.Join(ErrUnknownOutcome, err)
		}
		return nil, fmt.Errorf("commit: %w", translate(err))
	}
	return tx, nil
}

// enter says that the transaction now takes locks of a phase.
func (tx *Tx) enter(p phase) {
	if p < tx.phase {
		msg := fmt.Sprintf("a transaction went back from lock phase %d to %d", tx.phase, p)
		if tx.store.strict {
			panic(msg) //nolint:forbidigo // in tests alone.
		}
		tx.store.log.Error(msg)
	}
	tx.phase = max(tx.phase, p)
}

// Actor is who writes.
func (tx *Tx) Actor() Actor { return tx.actor }

// OwnRecord says that the rows this transaction writes are their own record (rule R5: sends,
// read marks, pins, typing, presence).
func (tx *Tx) OwnRecord() { tx.audited = true }

// Emit adds an event to an advisor's stream; it gets its number when the transaction ends.
func (tx *Tx) Emit(e models.Event) {
	e.Account, e.At = tx.Account, tx.Now
	if e.Primed != nil {
		e.Primed.At = tx.Now
	}
	tx.events = append(tx.events, e)
}

// CloseStream makes what this transaction emits to an advisor's stream its last events (rule B5):
// whatever is emitted to it later is dropped, until OpenStream.
func (tx *Tx) CloseStream(advisor models.Key) {
	if tx.closing == nil {
		tx.closing = map[models.Key]bool{}
	}
	tx.closing[advisor] = true
}

// OpenStream makes an advisor's stream go on with what this transaction emits to it.
func (tx *Tx) OpenStream(advisor models.Key) {
	if tx.opening == nil {
		tx.opening = map[models.Key]bool{}
	}
	tx.opening[advisor] = true
}

// locked reads rows by key, in key order, and locks them (on SQLite the transaction holds the
// whole database already).
func locked[T any](tx *Tx, p phase, column string, keys []models.Key) ([]*T, error) {
	tx.enter(p)
	if len(keys) == 0 {
		return nil, nil
	}
	keys = sorted(keys)
	return find[T](&tx.Reader, func(db *gorm.DB) *gorm.DB {
		return db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
			Where("account_id = ? AND "+column+" IN ?", tx.Account, keys).Order(column)
	})
}

// sorted is keys in the order of locks, each once.
func sorted(keys []models.Key) []models.Key {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b models.Key) int { return cmp.Compare(string(a[:]), string(b[:])) })
	return slices.Compact(keys)
}

// insert appends rows, many a statement.
func insert[T any](tx *Tx, rows []*T) error {
	tx.enter(phaseRows)
	return insertAt(tx, rows)
}
