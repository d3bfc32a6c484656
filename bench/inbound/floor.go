package inbound

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"clientele/bench/rig"
	"clientele/models"
)

// floor writes messages as the product does, with hand-written SQL and nothing else: lanes with
// advisors of their own, one transaction a batch, the same rows into the same tables under the same
// locks. It answers messages a second.
func floor(ctx context.Context, r *rig.Rig, o Options) (float64, error) {
	db, err := r.Database.Open(r.Set.Name)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	lanes, err := makeLanes(ctx, db, r, o)
	if err != nil {
		return 0, err
	}
	var written atomic.Int64
	errs := make([]error, len(lanes))
	var wg sync.WaitGroup
	began := time.Now()
	end := began.Add(o.Floor)
	for i, lane := range lanes {
		wg.Go(func() {
			for time.Now().Before(end) && errs[i] == nil {
				if errs[i] = lane.write(ctx, o.FloorBatch); errs[i] == nil {
					written.Add(int64(o.FloorBatch))
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	for _, lane := range lanes {
		errs = append(errs, lane.conn.Close())
	}
	return float64(written.Load()) / took.Seconds(), errors.Join(errs...)
}

type person struct{ customer, advisor models.Key }

// lane writes one transaction after the other on its connection.
type lane struct {
	conn    *sql.Conn
	account models.Key
	people  []person
	next    int
	// number makes keys of items that no other lane and no run before made.
	number int64
	heads  map[models.Key]int64
	text   []byte

	talks, messages, streams, events *rig.Rows
}

func makeLanes(ctx context.Context, db *sql.DB, r *rig.Rig, o Options) ([]*lane, error) {
	lanes := make([]*lane, o.FloorLanes)
	began := time.Now().UnixMilli() // more than the lanes of a run can count in that time
	for i := range lanes {
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := conn.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
			return nil, err
		}
		lanes[i] = &lane{
			conn: conn, account: r.Set.Account, number: began*64 + int64(i), heads: map[models.Key]int64{},
			talks: rig.NewRows("conversation (account_id, customer_id, last_message_id, unread, active_at, last_customer_at, last_interaction_at, window_end, window_left, window_no, window_from, updated_at)",
				"ON DUPLICATE KEY UPDATE last_message_id = VALUES(last_message_id), unread = VALUES(unread), active_at = VALUES(active_at), last_customer_at = VALUES(last_customer_at), last_interaction_at = VALUES(last_interaction_at), "+
					"window_end = VALUES(window_end), window_left = VALUES(window_left), window_no = VALUES(window_no), window_from = VALUES(window_from), updated_at = VALUES(updated_at)"),
			messages: rig.NewRows("message (account_id, id, customer_id, advisor_id, direction, kind, text, status, at, status_at, created_at, dedup_key)", ""),
			streams:  rig.NewRows("stream (account_id, id, head)", "ON DUPLICATE KEY UPDATE head = VALUES(head)"),
			events:   rig.NewRows("event (account_id, stream_id, seq, kind, at, customer_id, message_id)", ""),
		}
	}
	rows, err := db.QueryContext(ctx, "SELECT id, advisor_id FROM customer WHERE openid LIKE 'oBenchCustomer%' ORDER BY openid")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for i := 0; rows.Next(); i++ {
		var p person
		if err := rows.Scan(&p.customer, &p.advisor); err != nil {
			return nil, err
		}
		l := lanes[i%o.Advisors%len(lanes)] // as the data set binds them: one advisor, one lane
		l.people = append(l.people, p)
	}
	return lanes, rows.Err()
}

// write is one transaction of n messages of n customers, at most as many as the lane has.
func (l *lane) write(ctx context.Context, n int) error {
	batch := make([]person, min(n, len(l.people)))
	for i := range batch {
		batch[i] = l.people[l.next]
		l.next = (l.next + 1) % len(l.people)
	}
	now := models.At(time.Now())
	keys := make([]string, n)
	for i := range keys {
		l.number += 64 // lanes take numbers beside each other's
		keys[i] = "f:" + strconv.FormatInt(l.number, 10)
	}
	tx, err := l.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := l.fill(ctx, tx, batch, keys, now); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (l *lane) fill(ctx context.Context, tx *sql.Tx, batch []person, keys []string, now models.Time) error {
	unread, err := l.lock(ctx, tx, batch)
	if err != nil {
		return err
	}
	if err := l.repeats(ctx, tx, keys); err != nil {
		return err
	}
	day := now.Add(48 * time.Hour)
	for i := range keys {
		p := batch[i%len(batch)]
		message := models.NewKey()
		unread[p.customer]++
		if i < len(batch) {
			l.talks.Add(l.account, p.customer, message, unread[p.customer], now, now, now, day, 5, 1, now, now)
		}
		l.messages.Add(l.account, message, p.customer, p.advisor, string(models.FromCustomer), string(models.ContentText),
			rig.TextPrefix+"-1 is the green tea of this spring in the shop again?", string(models.StatusReceived), now, now, now, keys[i])
	}
	for _, rows := range []*rig.Rows{l.talks, l.messages} {
		if err := rows.Flush(ctx, tx); err != nil {
			return err
		}
	}
	return l.tell(ctx, tx, batch, len(keys), now)
}

// lock reads and locks the customers and their conversations.
func (l *lane) lock(ctx context.Context, tx *sql.Tx, batch []person) (map[models.Key]int64, error) {
	list := l.in(len(batch), func(i int) any { return batch[i].customer })
	unread := make(map[models.Key]int64, len(batch))
	rows, err := tx.QueryContext(ctx, "SELECT c.id, c.follow_state, c.advisor_id, t.unread, t.last_message_id, t.window_end FROM customer c "+
		"JOIN conversation t ON t.account_id = c.account_id AND t.customer_id = c.id WHERE c.account_id = "+l.one(l.account)+
		" AND c.id IN "+list+" ORDER BY c.id FOR UPDATE")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var customer, advisor, last models.Key
		var state string
		var count, end int64
		if err := rows.Scan(&customer, &state, &advisor, &count, &last, &end); err != nil {
			return nil, err
		}
		unread[customer] = count
	}
	if len(unread) != len(batch) {
		return nil, fmt.Errorf("%d customers instead of %d", len(unread), len(batch))
	}
	return unread, rows.Err()
}

// repeats looks for items that are stored already.
func (l *lane) repeats(ctx context.Context, tx *sql.Tx, keys []string) error {
	var repeated int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM message WHERE account_id = "+l.one(l.account)+
		" AND dedup_key IN "+l.in(len(keys), func(i int) any { return keys[i] })).Scan(&repeated)
	if err == nil && repeated > 0 {
		err = errors.New("an item was written before")
	}
	return err
}

// tell numbers the events under the locks of the streams.
func (l *lane) tell(ctx context.Context, tx *sql.Tx, batch []person, n int, now models.Time) error {
	rows, err := tx.QueryContext(ctx, "SELECT id, head FROM stream WHERE account_id = "+l.one(l.account)+
		" AND id IN "+l.in(len(batch), func(i int) any { return batch[i].advisor })+" ORDER BY id FOR UPDATE")
	if err != nil {
		return err
	}
	defer rows.Close()
	clear(l.heads)
	for rows.Next() {
		var stream models.Key
		var head int64
		if err := rows.Scan(&stream, &head); err != nil {
			return err
		}
		l.heads[stream] = head
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range n {
		p := batch[i%len(batch)]
		l.heads[p.advisor]++
		l.events.Add(l.account, p.advisor, l.heads[p.advisor], string(models.EventMessageReceived), now, p.customer, models.NewKey())
	}
	for stream, head := range l.heads {
		l.streams.Add(l.account, stream, head)
	}
	return errors.Join(l.streams.Flush(ctx, tx), l.events.Flush(ctx, tx))
}

func (l *lane) one(v any) string { return string(rig.AppendValue(nil, v)) }

func (l *lane) in(n int, value func(int) any) string {
	l.text = append(l.text[:0], '(')
	for i := range n {
		if i > 0 {
			l.text = append(l.text, ',')
		}
		l.text = rig.AppendValue(l.text, value(i))
	}
	return string(append(l.text, ')'))
}
