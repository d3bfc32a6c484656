package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clientele/models"
)

// writeEvents numbers what the transaction emitted and writes it: the counter rows of the
// streams are the last rows it locks, so the order of numbers is the order of commits (rule N4).
// Three statements for any number of events up to limits.StatementRows.
func (tx *Tx) writeEvents() error {
	if len(tx.events) == 0 {
		return nil
	}
	if tx.streams == nil {
		keys := make([]models.Key, len(tx.events))
		for i := range tx.events {
			keys[i] = tx.events[i].Stream
		}
		streams, err := locked[models.Stream](tx, phaseStreams, "id", keys)
		if err != nil {
			return err
		}
		tx.streams = make(map[models.Key]*models.Stream, len(streams))
		for _, s := range streams {
			tx.streams[s.Key] = s
		}
	}
	var raised []*models.Stream
	rows := make([]*models.Event, 0, len(tx.events))
	tx.events = slices.DeleteFunc(tx.events, func(e models.Event) bool {
		s := tx.streams[e.Stream]
		return s != nil && s.ClosedAt != 0 && !tx.opening[e.Stream]
	})
	for i := range tx.events {
		e := &tx.events[i]
		s := tx.streams[e.Stream]
		if s == nil {
			return fmt.Errorf("no stream for advisor %s", e.Stream)
		}
		if s.ClosedAt = 0; tx.closing[e.Stream] {
			s.ClosedAt = tx.Now
		}
		if !slices.Contains(raised, s) {
			raised = append(raised, s)
		}
		if err := tx.store.sabotage.number(tx, s); err != nil {
			return err
		}
		s.Head++
		e.Seq = s.Head
		rows = append(rows, e)
	}
	columns := []string{"head"}
	if len(tx.closing)+len(tx.opening) > 0 {
		columns = append(columns, "closed_at")
	}
	if err := upsertFew(tx, raised, columns...); err != nil {
		return err
	}
	return insertAt(tx, rows)
}

// LockListeners locks the streams of advisors before their events are known, and answers what a
// message for each has to know; an advisor without a stream, or who was removed, is left out. It takes the place of
// locking advisors and asking for open apps where nothing of an advisor's row is changed or
// decided for good: state and presence are as of this statement. After it the transaction may
// only append, and emit to these streams alone.
func (tx *Tx) LockListeners(advisors []models.Key) (map[models.Key]models.Listener, error) {
	tx.enter(phaseRows)
	advisors = sorted(advisors)
	tx.streams = make(map[models.Key]*models.Stream, len(advisors))
	listeners := make(map[models.Key]models.Listener, len(advisors))
	if len(advisors) == 0 {
		return listeners, nil
	}
	lock := " FOR UPDATE" // of the streams; what stands in a subquery is not locked.
	if tx.store.IsEmbedded() {
		lock = ""
	}
	args := append([]any{models.AdvisorActive, models.PresenceOnline, int64(tx.Now)}, keyArgs(tx.Account, advisors)...)
	return listeners, tx.query(func(rows *sql.Rows) error {
		s := &models.Stream{AccountID: tx.Account}
		var l models.Listener
		if err := rows.Scan(&s.Key, &s.Head, &s.ClosedAt, &l.Online, &l.AppOpen); err != nil {
			return err
		}
		if tx.streams[s.Key] = s; s.ClosedAt == 0 {
			listeners[s.Key] = l
		}
		return nil
	}, "SELECT s.id, s.head, s.closed_at,"+
		" EXISTS(SELECT 1 FROM advisor a WHERE a.account_id = s.account_id AND a.id = s.id AND a.state = ? AND a.presence = ?),"+
		" EXISTS(SELECT 1 FROM app_lease l WHERE l.account_id = s.account_id AND l.advisor_id = s.id AND l.expires_at > ?)"+
		" FROM stream s WHERE s.account_id = ? AND s.id IN ("+marks(len(advisors))+") ORDER BY s.id"+lock, args...)
}

// Log is the event log as the hub reads it (events.Reader): on the primary, never in a snapshot.
type Log struct{ s *Store }

// Log is this store's event log.
func (s *Store) Log() *Log { return &Log{s} }

type logEpoch struct {
	ID    int    `gorm:"column:id;primaryKey"`
	Epoch []byte `gorm:"column:epoch"`
}

// TableName names the table for the mapper.
func (logEpoch) TableName() string { return "log_epoch" }

// ensureEpoch makes the epoch of a new log; one that is there stays.
func (s *Store) ensureEpoch(ctx context.Context) error { return s.writeEpoch(ctx, "id") }

// NewEpoch gives the log another epoch, so that every cursor that was handed out before has
// expired (rule N4).
func (s *Store) NewEpoch(ctx context.Context) error { return s.writeEpoch(ctx, "epoch") }

// writeEpoch makes an epoch; of one that is there it writes this column.
func (s *Store) writeEpoch(ctx context.Context, column string) error {
	epoch := make([]byte, 8)
	if _, err := rand.Read(epoch); err != nil {
		return fmt.Errorf("make epoch: %w", err)
	}
	return s.write.WithContext(ctx).Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{column}),
	}).Create(&logEpoch{ID: 1, Epoch: epoch}).Error
}

// Epoch tells one history of the log from another (rule N4).
func (r *Reader) Epoch() ([8]byte, error) {
	row, err := first[logEpoch](r, func(db *gorm.DB) *gorm.DB { return db.Where("id = 1") })
	if err != nil {
		return [8]byte{}, err
	}
	if len(row.Epoch) != 8 {
		return [8]byte{}, errors.New("the epoch has not 8 bytes")
	}
	return [8]byte(row.Epoch), nil
}

// StreamHead is what the log says of a stream; of one that is not in it, that it has no event.
func (r *Reader) StreamHead(id models.StreamID) (models.StreamHead, error) {
	s, err := first[models.Stream](r, func(db *gorm.DB) *gorm.DB {
		return db.Where("account_id = ? AND id = ?", id.Account, id.Stream)
	})
	if errors.Is(err, ErrNotFound) {
		return models.StreamHead{ID: id}, nil
	}
	if err != nil {
		return models.StreamHead{}, err
	}
	return models.StreamHead{ID: id, Head: s.Head, Floor: s.Floor}, nil
}

// Epoch implements events.Reader.
func (l *Log) Epoch(ctx context.Context) ([8]byte, error) { return l.reader(ctx).Epoch() }

func (l *Log) reader(ctx context.Context) *Reader {
	return &Reader{db: l.s.read.WithContext(ctx), store: l.s}
}

// Heads implements events.Reader. It is an exception to "every query takes one account": it
// asks by the primary keys of the streams that this node's viewers have opened.
func (l *Log) Heads(ctx context.Context, ids []models.StreamID) ([]models.StreamHead, error) {
	byAccount := map[models.Key][]models.Key{}
	for _, id := range ids {
		byAccount[id.Account] = append(byAccount[id.Account], id.Stream)
	}
	if len(byAccount) == 0 {
		return nil, nil
	}
	rows, err := find[models.Stream](l.reader(ctx), func(db *gorm.DB) *gorm.DB {
		var where []string
		var args []any
		for account, keys := range byAccount {
			where = append(where, "(account_id = ? AND id IN ?)")
			args = append(args, account, keys)
		}
		return db.Where(strings.Join(where, " OR "), args...)
	})
	heads := make([]models.StreamHead, len(rows))
	for i, r := range rows {
		heads[i] = models.StreamHead{ID: models.StreamID{Account: r.AccountID, Stream: r.Key}, Head: r.Head, Floor: r.Floor}
	}
	return heads, err
}

// Read implements events.Reader; an exception like Heads.
func (l *Log) Read(ctx context.Context, ranges []models.StreamRange, perStream int) ([]models.Event, error) {
	return l.reader(ctx).Events(ranges, perStream)
}

// Events reads at most perStream events of each of these ranges, by stream and number.
func (r *Reader) Events(ranges []models.StreamRange, perStream int) ([]models.Event, error) {
	if len(ranges) == 0 {
		return nil, nil
	}
	var where []string
	var args []any
	for _, some := range ranges {
		// Numbers have no holes, so the bound on them bounds the rows.
		upTo := min(some.UpTo, some.After+int64(perStream))
		where = append(where, "(account_id = ? AND stream_id = ? AND seq > ? AND seq <= ?)")
		args = append(args, some.ID.Account, some.ID.Stream, some.After, upTo)
	}
	return scan[models.Event](r, func(db *gorm.DB) *gorm.DB {
		return db.Model(&models.Event{}).Where(strings.Join(where, " OR "), args...).Order("account_id, stream_id, seq")
	})
}

// heartbeat is the connection on which this node commits its heartbeat. It is made with the
// store and lost with the server, which is how a barrier learns that the server restarted: a pool
// would put a new one in its place and say nothing.
type heartbeat struct {
	mu   sync.Mutex
	conn *sql.Conn // nil when it could not be made again
	// era counts the connections: what was read in an earlier one's time may be gone.
	era atomic.Int64
	// told is the era that the hub has heard of; guarded by mu.
	told int64
}

// connect makes the connection; the one before is given up.
func (h *heartbeat) connect(ctx context.Context, s *Store) error {
	h.close()
	h.era.Add(1)
	pool, err := s.write.DB()
	if err != nil {
		return err
	}
	h.conn, err = pool.Conn(ctx)
	return err
}

func (h *heartbeat) close() {
	if h.conn != nil {
		_ = h.conn.Close() // it is lost already, or goes back to the pool.
		h.conn = nil
	}
}

// errLost says that the database may have restarted since something was read.
var errLost = errors.New("the connection of the heartbeat was lost")

// beat commits the heartbeat, if no connection was lost since this era; mu is held.
func (h *heartbeat) beat(ctx context.Context, s *Store, era int64) error {
	if h.era.Load() != era {
		return fmt.Errorf("heartbeat: %w", errLost)
	}
	err := errLost
	if h.conn != nil {
		_, err = h.conn.ExecContext(ctx,
			"INSERT INTO node (id, beat_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE beat_at = VALUES(beat_at)", s.node, int64(s.Now()))
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("heartbeat: %w", errors.Join(translate(err), h.connect(ctx, s)))
}

// Barrier implements events.Reader: it commits this node's heartbeat. InnoDB syncs its log in
// order, so what could be read before is on disk once this commit is. It fails when the server
// restarted since the last call, whoever noticed, since what was read before may be gone then.
// SQLite needs none: its readers see only what has been committed to the log file.
func (l *Log) Barrier(ctx context.Context) error {
	if l.s.IsEmbedded() {
		return nil
	}
	h := &l.s.heart
	h.mu.Lock()
	defer h.mu.Unlock()
	told := h.told
	defer func() { h.told = h.era.Load() }()
	return h.beat(ctx, l.s, told)
}

// Durable begins a reading whose answer must not be taken back by a crash. The function it
// returns is called after the reading: once that returns nil, what was read is on disk, as with
// Barrier. It fails when the server may have restarted since Durable was called. Safe for concurrent use.
func (s *Store) Durable() (barrier func(context.Context) error) {
	if s.IsEmbedded() {
		return func(context.Context) error { return nil }
	}
	h := &s.heart
	era := h.era.Load()
	return func(ctx context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.beat(ctx, s, era)
	}
}
