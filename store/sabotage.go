//go:build sabotage

package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"clientele/models"
)

// sabotage breaks what this package promises, on purpose, so that the crash tests can show that
// they notice (tests/crash). It is compiled into no binary but theirs. CLIENTELE_SABOTAGE says
// which promise is broken:
//
//	publish-before-commit  the hub is told of events before COMMIT; each fourth such transaction
//	                       then ends like one that a crash met in between
//	number-twice           each fifth event of a stream takes the place of the one before
//	claim-again            a message that a worker had in hand when it died is claimed again, as if
//	                       it had been handed over before its claim was committed
//	progress-early         how far a job or an erasure has come is committed apart from what it did:
//	                       each second time that is lost, as if the process had died in between
//	progress-late          how far a job has come is committed after what it did: at its end alone
type sabotage struct{ count atomic.Int64 }

const (
	eachPublished = 4
	eachNumber    = 5
	eachProgress  = 2
)

// errSabotaged stands for a crash between the publishing and the COMMIT.
var errSabotaged = errors.New("sabotaged")

func (x *sabotage) beforeCommit(s *Store, tx *Tx) error {
	told := s.committed.Load()
	if os.Getenv("CLIENTELE_SABOTAGE") != "publish-before-commit" || told == nil || len(tx.events) == 0 {
		return nil
	}
	(*told)(tx.events)
	if x.count.Add(1)%eachPublished == 0 {
		return errors.Join(ErrUnknownOutcome, errSabotaged)
	}
	return nil
}

// number is called before the next number of a locked stream is given out.
func (x *sabotage) number(tx *Tx, stream *models.Stream) error {
	if os.Getenv("CLIENTELE_SABOTAGE") != "number-twice" || stream.Head == 0 || x.count.Add(1)%eachNumber != 0 {
		return nil
	}
	gone := tx.db.Exec("DELETE FROM event WHERE account_id = ? AND stream_id = ? AND seq = ?", tx.Account, stream.Key, stream.Head)
	if gone.Error != nil {
		return fmt.Errorf("sabotage: %w", gone.Error)
	}
	if gone.RowsAffected == 1 { // else it is of this very transaction and not written yet
		stream.Head--
	}
	return nil
}

// head is called with the message at the head of a queue.
func (x *sabotage) head(d *models.Delivery) {
	if os.Getenv("CLIENTELE_SABOTAGE") == "claim-again" && d.State == models.DeliveryClaimed {
		d.State = models.DeliveryWaiting
	}
}

// progress is called before it is written how far a job or an erasure has come, with the columns that are to be
// written and whether it has come to its end, and answers those that are.
func (x *sabotage) progress(tx *Tx, ended bool, columns ...string) ([]string, error) {
	switch os.Getenv("CLIENTELE_SABOTAGE") {
	case "progress-early":
		if x.count.Add(1)%eachProgress != 0 {
			return columns, nil
		}
		for _, statement := range []string{"ROLLBACK", "BEGIN"} {
			if err := tx.db.Exec(statement).Error; err != nil {
				return nil, fmt.Errorf("sabotage: %w", err)
			}
		}
	case "progress-late":
		if !ended {
			return slices.DeleteFunc(columns, func(c string) bool { return c == "progress" || c == "done" || c == "changed" }), nil
		}
	}
	return columns, nil
}
