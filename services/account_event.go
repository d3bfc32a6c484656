package services

import (
	"context"
	"fmt"

	"clientele/events"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// EventsWaiting tells the relay that events of accounts wait for their numbers: at most one signal
// waits.
func (s *Services) EventsWaiting() <-chan struct{} { return s.waiting }

func (s *Services) wakeRelay() {
	select {
	case s.waiting <- struct{}{}:
	default:
	}
}

// RelayEvents gives numbers to the events of accounts that wait (ADR 0026), up to limits.RelayRows of
// each account, and reports whether some account may have more. Several nodes may do it: they take turns
// at an account's counter. What fails for one account is told at the end and does not keep others waiting.
func (s *Services) RelayEvents(ctx context.Context) (more bool, err error) {
	var after models.Key
	for {
		accounts, readErr := s.store.View(ctx).AccountsWaiting(after, limits.BatchRows)
		if readErr != nil {
			return false, readErr
		}
		for _, after = range accounts {
			n := 0
			relayErr := s.store.Write(ctx, store.System(), after, func(tx *store.Tx) error {
				var err error
				n, err = tx.Relay(limits.RelayRows)
				return err
			})
			if n > 0 {
				s.wakeWebhooks()
			}
			if relayErr != nil {
				err = fmt.Errorf("account %s: %w", after, relayErr)
			}
			more = more || n == limits.RelayRows
		}
		if len(accounts) < limits.BatchRows {
			return more, err
		}
	}
}

// AccountEvents reads what the account's stream has behind a cursor, nil: from the oldest event that is
// kept; it looks at `first` events at most and tells those of the kinds asked for, nil: all (rules N7, N4). INVALID when after is no
// cursor of the stream or no kind is asked for, CURSOR_EXPIRED when it cannot be continued, UNAVAILABLE where only a newer release can tell what comes next. What it answers is durable.
func (s *Services) AccountEvents(ctx context.Context, kinds models.AccountEventKinds, after *string, first int) (*models.AccountEventFeed, error) {
	feed, err := accountFeed[models.PushedAccountEvent](ctx, s, mayAccountEvents, kinds, after, first)
	return &models.AccountEventFeed{Feed: feed}, err
}

// WatchAccountEvents opens a watch of what happens in the account, of the kinds asked for, nil: all (rule N7), with the errors of Watch,
// and INVALID when no kind is asked for.
func (s *Services) WatchAccountEvents(ctx context.Context, kinds models.AccountEventKinds, after *string) (*Watch, error) {
	return s.watchAccount(ctx, mayAccountEvents, kinds, after)
}

func (s *Services) watchAccount(ctx context.Context, p Permission, kinds models.AccountEventKinds, after *string) (*Watch, error) {
	c, err := s.begin(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := mustAsk(kinds); err != nil {
		return nil, err
	}
	feed, err := s.open(ctx, c.stream(), after)
	if err != nil {
		return nil, err
	}
	return &Watch{s: s, scope: c, feed: feed, what: watchAccount, kinds: kinds, viewer: c.Viewer, account: c.Account.Key}, nil
}

// errNewerEvent ends what a reader of an account's stream is told before an event that only servers of a newer release can tell: whoever asks
// again, from the same cursor, meets one of them.
var errNewerEvent = models.Errorf(models.CodeUnavailable, "a newer release of the server tells what comes next; ask again")

// mustAsk reports kinds of events that are none.
func mustAsk(kinds models.AccountEventKinds) error {
	if kinds != nil && len(kinds) == 0 {
		return models.Invalid("kinds", "is empty")
	}
	return nil
}

// accountFeed reads a part of the account's stream; E is what the events that are asked for are.
func accountFeed[E models.PushedEvent](
	ctx context.Context, s *Services, p Permission, kinds models.AccountEventKinds, after *string, first int,
) (feed models.Feed[E], err error) {
	c, err := s.begin(ctx, p)
	if err != nil {
		return feed, err
	}
	if err := mustAsk(kinds); err != nil {
		return feed, err
	}
	var cursor *events.Cursor
	if after != nil {
		at, err := events.DecodeCursor(*after, "after")
		if err != nil {
			return feed, err
		}
		if at.Stream != c.stream().Stream {
			return feed, models.Invalid("after", "a cursor of another stream")
		}
		cursor = &at
	}
	err = s.Snapshot(ctx, func(ctx context.Context) error {
		feed, err = readFeed[E](ctx, s, c, kinds, cursor, first)
		return err
	})
	return feed, err
}

func readFeed[E models.PushedEvent](
	ctx context.Context, s *Services, c *Scope, kinds models.AccountEventKinds, after *events.Cursor, first int,
) (feed models.Feed[E], err error) {
	r, id := s.store.View(ctx), c.stream()
	epoch, err := r.Epoch()
	if err != nil {
		return feed, err
	}
	head, err := r.StreamHead(id)
	if err != nil {
		return feed, err
	}
	part := models.StreamRange{ID: id, After: head.Floor, UpTo: head.Head}
	if after != nil {
		if err := after.Continue(epoch, head.Floor, head.Head); err != nil {
			return feed, err
		}
		part.After = after.Seq
	}
	rows, err := r.Events([]models.StreamRange{part}, first)
	if err != nil {
		return feed, err
	}
	for i := range rows {
		if kind := models.AccountEventKind(rows[i].Kind); kinds == nil && !kind.IsKnown() {
			if i == 0 {
				return feed, errNewerEvent
			}
			rows = rows[:i]
			break
		}
	}
	last := part.After + int64(len(rows))
	feed = models.Feed[E]{Events: []E{}, Cursor: cursorAt(epoch, id, last), HasMore: last < head.Head}
	var about subjects
	var told []*models.Event
	for i := range rows {
		if kinds.Has(models.AccountEventKind(rows[i].Kind)) {
			told = append(told, &rows[i])
		}
	}
	about.add(told)
	if err := s.readSubjects(ctx, id.Account, &about); err != nil {
		return feed, err
	}
	for _, e := range told {
		meta := models.EventMeta{Cursor: cursorAt(epoch, id, e.Seq), Sequence: e.Seq, At: e.At, Scope: c}
		if shown, ok := accountEvent(meta, e, about.of(e)).(E); ok {
			feed.Events = append(feed.Events, shown)
		}
	}
	return feed, nil
}

// accountEvent is an event of the account's stream as it is told: without content once its customer was erased (rule E13), or its row is
// gone. p is nil for one that is about no row.
func accountEvent(meta models.EventMeta, e *models.Event, p *models.Primed) models.PushedEvent {
	kind := models.AccountEventKind(e.Kind)
	if kind == models.AccountCustomersImported {
		return models.CustomersImported{EventMeta: meta}
	}
	withdrawn := models.Withdrawn{EventMeta: meta}
	meta.Primed = p
	if outcome := kind.Ended(); outcome != "" && p.Advisor != nil {
		return models.InvitationEnded{EventMeta: meta, Advisor: p.Advisor, Outcome: outcome}
	}
	switch {
	case p.Customer == nil || !p.Customer.ErasedAt.IsZero():
	case p.Change != nil:
		return models.CustomerChanged{EventMeta: meta, Change: p.Change}
	case p.Binding != nil:
		return models.BindingChanged{EventMeta: meta, Binding: p.Binding}
	case p.Scan != nil:
		return models.CodeScanned{EventMeta: meta, Scan: p.Scan}
	}
	return withdrawn
}
