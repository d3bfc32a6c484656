package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"clientele/auth"
	"clientele/events"
	"clientele/models"
)

// Watched says which events of an advisor's stream a subscription shows.
type Watched string

// The two subscriptions of an advisor, that of a job, and that of the account (rules N4, N7).
const (
	WatchNotifications Watched = "notifications"
	WatchMessages      Watched = "messages"
	watchJob           Watched = "jobChanges"
	watchAccount       Watched = "accountEvents"
)

// ErrAccessEnded ends a watch whose viewer may no longer listen: the advisor was removed, or the
// token revoked (rules B5, V1, V6). The connection is closed with 4403 and the error's text.
var ErrAccessEnded = errors.New("access ended")

var (
	errRevoked   = fmt.Errorf("%w: the token was revoked", ErrAccessEnded)
	errMayNotNow = fmt.Errorf("%w: the advisor may not listen any more", ErrAccessEnded)
)

// Watch is a subscription's position in a stream: the advisor's, a job's, or the account's. Like the feed below it, it is used
// by one goroutine at a time and holds none.
type Watch struct {
	s     *Services
	scope *Scope
	feed  *events.Feed
	what  Watched
	// kinds are those of an account's events that are shown; nil: all.
	kinds models.AccountEventKinds
	// silent is how long before its end nothing was heard of the client; see Lost.
	silent time.Duration
	lost   bool
	// viewer, account and advisor (zero: no advisor) are who listens, and never change: what a visit
	// may read.
	viewer           *auth.Viewer
	account, advisor models.Key
	// over: the stream's last event was told.
	over bool
}

// Watch opens one. With after it continues behind that cursor (rule N4): INVALID when it is not
// a cursor of the viewer's stream, CURSOR_EXPIRED when it cannot be continued. A watch of
// messages counts as an open app until it is closed (rule N3).
func (s *Services) Watch(ctx context.Context, what Watched, after *string) (*Watch, error) {
	p := mayNotifications
	if what == WatchMessages {
		p = mayMessages
	}
	c, err := s.begin(ctx, p)
	if err != nil {
		return nil, err
	}
	feed, err := s.open(ctx, c.stream(), after)
	if err != nil {
		return nil, err
	}
	if what == WatchMessages {
		s.apps.opened(ctx, c.stream())
	}
	return &Watch{s: s, scope: c, feed: feed, what: what, viewer: c.Viewer, account: c.Account.Key, advisor: c.Advisor.Key}, nil
}

// WatchJob opens a watch of a job of the account, with a stream of its own: NOT_FOUND for an unknown
// one, and the errors of Watch. It ends behind the event that tells that the job has ended.
func (s *Services) WatchJob(ctx context.Context, key models.Key, after *string) (*Watch, error) {
	c, err := s.begin(ctx, mayWatchJob)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.View(ctx).Jobs(c.Account.Key, []models.Key{key})
	if err != nil {
		return nil, unavailable(err)
	}
	if len(rows) == 0 {
		return nil, models.NotFound("job", "jobId")
	}
	feed, err := s.open(ctx, rows[0].Stream(), after)
	if err != nil {
		return nil, err
	}
	return &Watch{s: s, scope: c, feed: feed, what: watchJob, viewer: c.Viewer, account: c.Account.Key}, nil
}

// open opens a feed of a stream, behind a cursor if there is one.
func (s *Services) open(ctx context.Context, id models.StreamID, after *string) (*events.Feed, error) {
	if after == nil {
		return s.hub.Open(ctx, id, nil)
	}
	cursor, err := events.DecodeCursor(*after, "after")
	if err != nil {
		return nil, err
	}
	return s.hub.Open(ctx, id, &cursor)
}

// stream is the viewer's own: an advisor's, or else the account's.
func (c *Scope) stream() models.StreamID {
	if c.Advisor == nil {
		return models.StreamID{Account: c.Account.Key, Stream: c.Account.Key}
	}
	return models.StreamID{Account: c.Account.Key, Stream: c.Advisor.Key}
}

// Attach makes the hub call wake when Take may have something.
func (w *Watch) Attach(wake func()) { w.feed.Attach(wake) }

// Lost says that the client was lost and not heard of for some time; it is called before Close.
// The app then counts as open until its lease lapses, and the sweep makes the notifications for
// what came since the client was last heard (rule N3).
func (w *Watch) Lost(silent time.Duration) { w.lost, w.silent = true, silent }

// Close ends the watch.
func (w *Watch) Close() {
	w.s.visits.remove(w)
	w.feed.Close()
	if w.what == WatchMessages {
		w.s.apps.closed(w.scope.stream(), w.lost, w.silent)
	}
}

// Take returns the next events, at most `most`, fewer when there are no more now. Each has passed
// the policy at this moment: an event whose subject the viewer may no longer see is Withdrawn
// (rules N4, V5). Fresh events cost no statement; others are read together. io.EOF: nothing follows any
// more.
func (w *Watch) Take(ctx context.Context, most int) ([]models.PushedEvent, error) {
	if err := w.recheck(ctx); err != nil {
		return nil, err
	}
	var pushed []models.PushedEvent
	// Until nothing is in hand: fewer than were asked for say that a wake follows, and neither the
	// events of the other subscription nor the end of a page may be taken for that.
	for len(pushed) < most {
		taken, err := w.feed.Take(ctx, most-len(pushed))
		if err != nil || len(taken) == 0 {
			return pushed, err
		}
		// What came before the end of access is still told.
		shown, err := w.show(ctx, taken)
		pushed = append(pushed, shown...)
		if err != nil {
			return pushed, err
		}
		if w.over {
			return pushed, io.EOF
		}
	}
	return pushed, nil
}

func (w *Watch) show(ctx context.Context, taken []models.Event) ([]models.PushedEvent, error) {
	var rows []*models.Event
	var ended error
	for i := range taken {
		if taken[i].Kind == models.EventAdvisorChanged {
			if ended = w.refresh(ctx); ended != nil {
				break
			}
			continue
		}
		if w.what == watchAccount && w.kinds == nil && !models.AccountEventKind(taken[i].Kind).IsKnown() {
			ended = errNewerEvent
			break
		}
		if w.shows(taken[i].Kind) {
			rows = append(rows, &taken[i])
		}
		w.over = w.over || taken[i].Kind == models.EventJobEnded
	}
	primed, err := w.load(ctx, rows)
	if err != nil {
		return nil, err
	}
	pushed := make([]models.PushedEvent, 0, len(rows))
	for i, e := range rows {
		pushed = append(pushed, w.event(e, primed[i]))
	}
	return pushed, ended
}

func (w *Watch) shows(k models.EventKind) bool {
	if w.what == watchAccount {
		return w.kinds.Has(models.AccountEventKind(k))
	}
	switch k {
	case models.EventNotificationMade:
		return w.what == WatchNotifications
	case models.EventMessageReceived, models.EventMessageStatus, models.EventConversationChanged, models.EventCustomerLeft, models.EventCustomersImported:
		return w.what == WatchMessages
	case models.EventJobChanged, models.EventJobEnded:
		return w.what == watchJob
	case models.EventAdvisorChanged:
	}
	return false
}

// recheck looks, once each limits.PolicyRecheck an account and node, whether the token was revoked
// and whether the account has changed since the viewer's scope was read: its service rules, its
// policy, whether it is open.
func (w *Watch) recheck(ctx context.Context) error {
	revoked, err := w.s.revoked(ctx, w.account, false)
	if err != nil {
		return err
	}
	if covered(revoked, w.viewer, w.scope.Advisor) {
		return errRevoked
	}
	a, err := w.s.recentAccount(ctx, w.scope.Account.Key)
	if err != nil || a.UpdatedAt == w.scope.Account.UpdatedAt {
		return err
	}
	return w.refresh(ctx)
}

// refresh reads who the viewer is now, after an event said that it changed.
func (w *Watch) refresh(ctx context.Context) error {
	c, err := w.s.resolve(ctx, w.scope.Viewer, w.scope.RequestID)
	if err != nil {
		if models.CodeOf(err) == models.CodeUnauthenticated {
			return errMayNotNow
		}
		return err
	}
	if w.what == WatchMessages && c.refusal != nil || c.Advisor != nil && c.Advisor.StateAt(w.s.Now()) == models.AdvisorRemoved {
		return errMayNotNow
	}
	w.scope = c
	return nil
}

// load gives each event its rows: those that came with it, or else those that are read, together
// with what other watches of the account ask for at the same time.
func (w *Watch) load(ctx context.Context, rows []*models.Event) ([]*models.Primed, error) {
	primed := make([]*models.Primed, len(rows))
	var missing []*models.Event
	for i, e := range rows {
		switch {
		case e.Primed != nil && (e.Primed.Conversation != nil || e.Primed.Notification != nil || e.Primed.Job != nil):
			primed[i] = e.Primed
		case e.Kind != models.EventCustomerLeft && e.Kind != models.EventCustomersImported:
			missing = append(missing, e)
		}
	}
	if len(missing) == 0 {
		return primed, nil
	}
	read, err := w.s.subjects.ask(ctx, w.account, func(r *subjects) int { return r.add(missing) })
	if err != nil {
		return nil, err
	}
	for i, e := range rows {
		if primed[i] == nil {
			primed[i] = read.of(e)
		}
	}
	return primed, nil
}

// event is the event as it is pushed, if the viewer may see its subject.
func (w *Watch) event(e *models.Event, p *models.Primed) models.PushedEvent {
	meta := models.EventMeta{Cursor: w.feed.Cursor(e.Seq), Sequence: e.Seq, At: e.At, Scope: w.scope}
	if w.what == watchAccount {
		return accountEvent(meta, e, p)
	}
	if w.what == watchJob {
		if p.Job == nil { // deleted since
			return models.Withdrawn{EventMeta: meta}
		}
		meta.Primed = p
		return models.JobChanged{EventMeta: meta, Job: p.Job}
	}
	if e.Kind == models.EventCustomersImported {
		return models.CustomersImported{EventMeta: meta}
	}
	if e.Kind == models.EventCustomerLeft {
		return models.CustomerLeft{EventMeta: meta, CustomerID: (&models.Customer{Key: e.Customer}).ID()}
	}
	if e.Kind == models.EventNotificationMade && p.Notification != nil && p.Notification.AdvisorID == w.scope.Advisor.Key {
		// One of a customer who left is withdrawn; one whose customer may not be shown yet comes
		// without them.
		if e.Customer.IsZero() || p.Customer != nil && p.Customer.AdvisorID == w.scope.Advisor.Key {
			if p.Customer == nil || w.scope.sees(p.Customer) {
				meta.Primed = p
			}
			if p == e.Primed {
				meta.Same = w.same(e)
			}
			return models.NotificationMade{EventMeta: meta, Notification: p.Notification}
		}
	}
	if p.Customer == nil || p.Conversation == nil || !w.scope.sees(p.Customer) {
		return models.Withdrawn{EventMeta: meta}
	}
	meta.Primed = p
	if p == e.Primed {
		meta.Same = w.same(e)
	}
	switch {
	case e.Kind == models.EventConversationChanged:
		return models.ConversationChanged{EventMeta: meta, Conversation: p.Conversation}
	case p.Message == nil || !w.scope.showsMessage(p.Conversation, p.Message, w.s.Now()):
	case e.Kind == models.EventMessageReceived:
		return models.MessageReceived{EventMeta: meta, Message: p.Message, Conversation: p.Conversation}
	case e.Kind == models.EventMessageStatus:
		return models.MessageStatusChanged{EventMeta: meta, Message: p.Message}
	}
	meta.Primed, meta.Same = nil, nil
	return models.Withdrawn{EventMeta: meta}
}

// sameEvent is what an event looks like for all devices of one advisor: the rows that came with it,
// shown under equal scopes. What else an answer depends on is the time, and rows are handed out with
// an event for limits.PrimedFor.
type sameEvent struct {
	rows    *models.Primed
	what    Watched
	seq     int64
	advisor models.Key
	// account is when what the scope knows of it was written. Of the advisor's row only what serves
	// says decides anything here; fields of the advisor are read anew.
	account models.Time
	serves  bool
}

func (w *Watch) same(e *models.Event) any {
	return sameEvent{
		rows: e.Primed, what: w.what, seq: e.Seq, advisor: w.advisor,
		account: w.scope.Account.UpdatedAt, serves: w.scope.refusal == nil,
	}
}

// EventCursor is the cursor that continues the state that ctx's snapshot shows (rule N4); see
// Snapshot.
func (s *Services) EventCursor(ctx context.Context) (string, error) {
	c, err := s.begin(ctx, mayEventCursor)
	if err != nil {
		return "", err
	}
	r := s.store.View(ctx)
	epoch, err := r.Epoch()
	if err != nil {
		return "", err
	}
	head, err := r.StreamHead(c.stream())
	if err != nil {
		return "", err
	}
	return cursorAt(epoch, head.ID, head.Head), nil
}

// JobCursor is the cursor that continues the state of a job that ctx's snapshot shows (rule N4); empty
// where ctx has none.
func (s *Services) JobCursor(ctx context.Context, j *models.Job) (string, error) {
	if !s.store.InSnapshot(ctx) {
		return "", nil
	}
	r := s.store.View(ctx)
	epoch, err := r.Epoch()
	if err != nil {
		return "", err
	}
	head, err := r.StreamHead(j.Stream())
	if err != nil {
		return "", err
	}
	return cursorAt(epoch, head.ID, head.Head), nil
}

// cursorAt is the cursor behind the event with a number.
func cursorAt(epoch events.Epoch, id models.StreamID, seq int64) string {
	return events.EncodeCursor(events.Cursor{Epoch: epoch, Stream: id.Stream, Seq: seq})
}

// ScopeOf is the scope a pushed event was made visible under, for WithScope; nil for none.
func ScopeOf(e models.PushedEvent) *Scope {
	c, _ := e.Meta().Scope.(*Scope)
	return c
}
