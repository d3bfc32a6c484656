package rig

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"clientele/models"
	"clientele/store"
)

// Shape is how much a data set holds.
type Shape struct {
	Advisors  int `default:"1000" help:"ACTIVE advisors of the account."`
	Customers int `default:"10000" help:"Customers, bound evenly."`
	Messages  int `default:"1000000" help:"Messages present, written by the customers evenly over the past 30 days."`
	// First is how many of the customers are the first advisor's, the others being bound evenly to
	// the others; 0: evenly to all.
	First int `kong:"-"`
}

// Dataset is an account with its advisors, customers and messages in a database of its own. One
// that is there already in the same shape is used again, with what earlier runs added.
type Dataset struct {
	Shape
	// Name is the database's.
	Name string
	// Account is the account's key; CallbackID is the last part of its callback URL.
	Account    models.Key
	CallbackID string
}

// What the account's callbacks are signed with, and to whom they are addressed.
const (
	callbackToken = "tokenOfTheBench"
	originalID    = "gh_bench"
)

// AdvisorOpenID is the openid of the i-th advisor, from 0.
func AdvisorOpenID(i int) string { return fmt.Sprintf("oBenchAdvisor%015d", i) }

// CustomerOpenID is the openid of the i-th customer, from 0, who is bound to advisor i modulo their
// number unless Shape.First says otherwise.
func CustomerOpenID(i int) string { return fmt.Sprintf("oBenchCustomer%014d", i) }

// ensureDataset finds or makes the data set of a shape. One that is not to be kept has a name that
// no other run has.
func ensureDataset(ctx context.Context, d *Database, shape Shape, keep bool, say func(string, ...any)) (*Dataset, error) {
	set := &Dataset{Shape: shape, Name: fmt.Sprintf("clientele_bench_%d_%d_%d", shape.Advisors, shape.Customers, shape.Messages)}
	if shape.First > 0 {
		set.Name += fmt.Sprintf("_%d", shape.First)
	}
	if !keep {
		key := models.NewKey()
		set.Name += "_" + hex.EncodeToString(key[10:])
	}
	server, err := d.Open("")
	if err != nil {
		return nil, err
	}
	defer server.Close()
	if found, err := set.find(ctx, d); err != nil || found {
		return set, err
	}
	say("making %s: %d advisors, %d customers, %d messages", set.Name, shape.Advisors, shape.Customers, shape.Messages)
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + set.Name,
		"CREATE DATABASE " + set.Name + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	} {
		if _, err := server.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	if err := set.fill(ctx, d); err != nil {
		return nil, errors.Join(err, set.drop(d))
	}
	return set, nil
}

// dropTime is how long the removal of a data set may take.
const dropTime = time.Minute

func (set *Dataset) drop(d *Database) error {
	ctx, cancel := context.WithTimeout(context.Background(), dropTime)
	defer cancel()
	server, err := d.Open("")
	if err != nil {
		return err
	}
	defer server.Close()
	_, err = server.ExecContext(ctx, "DROP DATABASE IF EXISTS "+set.Name)
	return err
}

// find reports whether the data set is there whole. Its mark is the last that fill writes.
func (set *Dataset) find(ctx context.Context, d *Database) (bool, error) {
	db, err := d.Open(set.Name)
	if err != nil {
		return false, err
	}
	defer db.Close()
	var whole int
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = 'bench_whole'", set.Name).Scan(&whole)
	if err != nil {
		if strings.Contains(err.Error(), "Unknown database") {
			return false, nil
		}
		return false, err
	}
	if whole == 0 {
		return false, nil
	}
	return true, db.QueryRowContext(ctx, "SELECT id, callback_id FROM account").Scan(&set.Account, &set.CallbackID)
}

func (set *Dataset) fill(ctx context.Context, d *Database) (err error) {
	s, err := store.Open(ctx, store.Options{DSN: d.DSN(set.Name)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.Migrate(ctx); err != nil {
		return err
	}
	advisors, err := set.people(ctx, s)
	if err != nil {
		return err
	}
	db, err := s.SQL()
	if err != nil {
		return err
	}
	if d.Process != nil {
		// Rows that can be made again need not be synced one transaction at a time.
		if _, err := db.ExecContext(ctx, "SET GLOBAL innodb_flush_log_at_trx_commit = 0"); err != nil {
			return err
		}
		defer func() {
			_, restored := db.ExecContext(context.WithoutCancel(ctx), "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
			err = errors.Join(err, restored)
		}()
	}
	if err := set.customers(ctx, db, advisors); err != nil {
		return err
	}
	if d.Process != nil {
		if err := settle(ctx, db); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(ctx, "CREATE TABLE bench_whole (id INT NOT NULL PRIMARY KEY)")
	return err
}

const (
	settleTime = 3 * time.Minute
	cleanPages = 200 // that stay dirty, of those that a minute of nothing dirties
)

// settle returns when the database has written what was filled and knows how much it is, so that
// neither falls into a measurement.
func settle(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "ANALYZE TABLE customer, conversation, message")
	if err == nil {
		err = rows.Close()
	}
	if err != nil {
		return err
	}
	var before float64
	if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL.innodb_max_dirty_pages_pct").Scan(&before); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "SET GLOBAL innodb_max_dirty_pages_pct = 0"); err != nil {
		return err
	}
	until := time.Now().Add(settleTime)
	for dirty := cleanPages + 1; dirty > cleanPages && time.Now().Before(until); {
		var name string
		if err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'").Scan(&name, &dirty); err != nil {
			return err
		}
		if err := Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("SET GLOBAL innodb_max_dirty_pages_pct = %g", before))
	return err
}

// people writes the account and its advisors through the product's own store.
func (set *Dataset) people(ctx context.Context, s *store.Store) ([]models.Key, error) {
	now := s.Now()
	account := &models.Account{
		Key: models.NewKey(), Name: "Bench", Channel: models.ChannelWechat, AppID: "wx-bench", OriginalID: originalID,
		Capability: models.CapabilityOpen, VerifiedAt: now, TermsVersion: "1", TermsAt: now, RulesVersion: "1",
		TimeZone: "Asia/Shanghai", PolicyPreset: models.PresetClassic, OutreachCarrier: models.CarrierDirect, OutsideLanguage: models.LanguageZhCN,
		CallbackID: "bench", CallbackMode: models.CallbackPlain, CreatedAt: now, UpdatedAt: now,
	}
	set.Account, set.CallbackID = account.Key, string(account.CallbackID)
	rows := make([]*models.Advisor, set.Advisors)
	keys := make([]models.Key, set.Advisors)
	for i := range rows {
		keys[i] = models.NewKey()
		rows[i] = &models.Advisor{
			AccountID: account.Key, Key: keys[i], OpenID: models.Ident(AdvisorOpenID(i)), Nickname: fmt.Sprintf("Advisor %d", i),
			Stored: models.AdvisorActive, Presence: models.PresenceOnline, InvitedAt: now, Deadline: now, AnsweredAt: now,
			RulesVersion: "1", RulesAcceptedAt: now, CustomerCount: set.share(i), CreatedAt: now, UpdatedAt: now,
		}
	}
	err := s.Write(ctx, store.System(), account.Key, func(tx *store.Tx) error {
		return errors.Join(tx.InsertAccount(account), tx.InsertAdvisors(rows))
	})
	return keys, err
}

// share is how many customers the i-th advisor has.
func (set *Dataset) share(i int) int {
	n, parts := set.Customers, set.Advisors
	if set.First > 0 && parts > 1 {
		if i == 0 {
			return set.First
		}
		n, parts, i = n-set.First, parts-1, i-1
	}
	return (n + parts - 1 - i) / parts
}

// advisorOf is the number of the i-th customer's advisor.
func (set *Dataset) advisorOf(i int) int {
	if set.First > 0 && set.Advisors > 1 {
		if i < set.First {
			return 0
		}
		return 1 + (i-set.First)%(set.Advisors-1)
	}
	return i % set.Advisors
}

const (
	past       = 30 * 24 * time.Hour // over which messages are spread
	fillRows   = 1_000               // rows of a statement
	window     = 48 * time.Hour      // for which a message lets the advisor answer
	windowLeft = 5
	eachReply  = 4 // every so many messages is the advisor's
)

// customers writes customers, conversations and messages. Customers take turns, so that each
// one's messages lie among everybody's as they would in life.
func (set *Dataset) customers(ctx context.Context, db *sql.DB, advisors []models.Key) error {
	now := time.Now().Truncate(time.Millisecond)
	begin := now.Add(-past - time.Hour)
	turn := past / time.Duration(max(set.Messages, 1))
	messageAt := func(i int) time.Time { return now.Add(-time.Minute - past + time.Duration(i)*turn) }

	people := NewRows("customer (account_id, id, openid, nickname, folded, follow_state, followed_at, advisor_id, bound_at, bound_source, created_at, updated_at)", "")
	talks := NewRows("conversation (account_id, customer_id, advisor_id, active_at, last_message_id, unread, last_customer_at, last_interaction_at, last_advisor_at, window_end, window_left, window_no, window_from, created_at, updated_at)", "")
	bound := NewRows("binding (account_id, id, customer_id, advisor_id, change_kind, source, at)", "")
	keys := make([]models.Key, set.Customers)
	for i := range keys {
		keys[i] = KeyAt(begin, i)
		advisor := advisors[set.advisorOf(i)]
		at := models.At(begin)
		last, lastCustomer, lastAdvisor := set.lastMessages(i)
		var lastKey models.Key
		active := at
		if last >= 0 {
			lastKey, active = KeyAt(messageAt(last), last), models.At(messageAt(last))
		}
		instant := func(n int) models.Time {
			if n < 0 {
				return 0
			}
			return models.At(messageAt(n))
		}
		people.Add(set.Account, keys[i], CustomerOpenID(i), fmt.Sprintf("Customer %d", i), fmt.Sprintf("customer %d", i), string(models.Following), at,
			advisor, at, string(models.SourceConsole), at, active)
		talks.Add(set.Account, keys[i], advisor, active, lastKey, min(2, lastCustomer+1), instant(lastCustomer), instant(lastCustomer), instant(lastAdvisor),
			instant(lastCustomer).Add(window), windowLeft, 1, instant(lastCustomer), at, active)
		bound.Add(set.Account, KeyAt(begin, set.Customers+i), keys[i], advisor, string(models.BindingBound), string(models.SourceConsole), at)
		if people.Len() == fillRows || i == len(keys)-1 {
			if err := errors.Join(people.Flush(ctx, db), talks.Flush(ctx, db), bound.Flush(ctx, db)); err != nil {
				return err
			}
		}
	}
	messages := NewRows("message (account_id, id, customer_id, advisor_id, direction, kind, text, status, at, status_at, created_at, dedup_key)", "")
	for i := range set.Messages {
		at := models.At(messageAt(i))
		direction, status := models.FromCustomer, models.StatusReceived
		var dedup any = fmt.Sprintf("m:%d", i)
		if set.isReply(i) {
			direction, status, dedup = models.FromAdvisor, models.StatusSent, nil
		}
		c := i % set.Customers
		messages.Add(set.Account, KeyAt(messageAt(i), i), keys[c], advisors[set.advisorOf(c)], string(direction), string(models.ContentText),
			fmt.Sprintf("Message %d: is the green tea of this spring in the shop again?", i), string(status), at, at, at, dedup)
		if messages.Len() == fillRows || i == set.Messages-1 {
			if err := messages.Flush(ctx, db); err != nil {
				return err
			}
		}
	}
	return nil
}

// isReply reports whether the n-th message is the advisor's: one of each customer's round in four.
func (set *Dataset) isReply(n int) bool { return n/set.Customers%eachReply == eachReply-1 }

// lastMessages is the number of the i-th customer's last message, the last of theirs and the last of
// the advisor's; -1 for none.
func (set *Dataset) lastMessages(i int) (last, customer, advisor int) {
	last, customer, advisor = -1, -1, -1
	if i >= set.Messages {
		return last, customer, advisor
	}
	last = i + (set.Messages-1-i)/set.Customers*set.Customers
	for n := last; n >= 0 && (customer < 0 || advisor < 0); n -= set.Customers {
		if set.isReply(n) {
			advisor = max(advisor, n)
		} else {
			customer = max(customer, n)
		}
	}
	return last, customer, advisor
}
