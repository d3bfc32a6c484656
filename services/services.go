// Package services holds the rules of the product that need a database: who may do what
// (policy.go), where transactions begin and end, what is told to whom. It knows no GraphQL and
// no HTTP; what it needs from outside it asks of the ports defined here.
package services

import (
	"context"
	"errors"
	"image"
	"log/slog"
	"sync"

	"clientele/auth"
	"clientele/events"
	"clientele/internal/seal"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Channel connects an account to where its customers are (rule K3). Implementations are safe
// for concurrent use and honour ctx.
type Channel interface {
	// Send hands one message to the platform. nil: accepted. A *Refusal: the platform will not
	// have it. An error that wraps ErrNotSent: the platform certainly does not have it, and it is
	// tried again. Any other error, a timeout above all: nobody knows, and it is never sent again
	// by itself (rule G6).
	Send(ctx context.Context, account *models.Account, to models.Ident, m *models.Message) error
	// ServiceAgents answers, in order, which of these people are customer-service agents of the account
	// (rule B2), by what the platform knows of them.
	ServiceAgents(ctx context.Context, account *models.Account, people []Person) ([]bool, error)
	// CodeURL is what the picture of a code says on the platform (rule C4); empty while the platform does
	// not know the code. It asks nobody.
	CodeURL(account *models.Account, code *models.QRCode) string
}

// Person is somebody as a platform may know them; either name may be empty.
type Person struct{ OpenID, WechatID models.Ident }

// ErrNotSent is wrapped by what Send answers when the platform could not be asked.
var ErrNotSent = errors.New("the platform could not be asked")

// Refusal is a platform's final answer to a send.
type Refusal struct {
	Reason models.FailureReason
	// WindowOver and WindowSpent are what the platform says of the reply window (45015, 45047);
	// our ledger follows it (rule G2).
	WindowOver, WindowSpent bool
}

// Error implements error.
func (r *Refusal) Error() string { return "the channel refused: " + string(r.Reason) }

// Issuer makes tokens (rule V1).
type Issuer interface {
	Issue(g auth.Grant) (string, *auth.Viewer, error)
}

// Deps is what the services need.
type Deps struct {
	Store    *store.Store
	Hub      *events.Hub
	Channels map[models.ChannelKind]Channel
	Issuer   Issuer
	Ring     *seal.Ring
	// Blobs keeps images; nil: none are kept or shown here.
	Blobs Blobs
	// PublicURL is what addresses of images begin with; empty: they are paths.
	PublicURL string
	Log       *slog.Logger
	// Lanes is how many lanes inbound items are written through; 0: limits.Lanes.
	Lanes int
	// Webhooks calls receivers of webhooks; nil: none is called. WebhookPrivate says that it calls http and addresses of private networks.
	Webhooks       WebhookCaller
	WebhookPrivate bool
}

// Services is the product. It is safe for concurrent use.
type Services struct {
	store    *store.Store
	hub      *events.Hub
	channels map[models.ChannelKind]Channel
	issuer   Issuer
	ring     *seal.Ring
	blobs    Blobs
	// publicURL is what addresses of images begin with.
	publicURL string
	log       *slog.Logger
	lanes     *lanes
	apps      *apps
	// hooks calls receivers of webhooks; webhookPrivate: in private networks too.
	hooks          WebhookCaller
	webhookPrivate bool
	// queued is signalled when a message was put into an outbound queue, jobQueued when a job was made, workQueued when something is to
	// be asked of a platform.
	queued, jobQueued, workQueued chan struct{}
	// hookQueued is signalled when a webhook may have something to send.
	hookQueued chan struct{}
	// waiting is signalled when events of accounts wait for their numbers.
	waiting chan struct{}

	callbacks callbacks
	access    channelAccess

	pages followerPages

	recentMu sync.Mutex
	recent   map[models.Key]recent

	revocations revocations
	visits      visits

	// drawing has a place for each picture of a code that may be drawn at the same time.
	drawing chan struct{}
	// decoding has a place for each image that may be unpacked at the same time.
	decoding chan struct{}
	decoders decoders
	avatars  codeAvatars

	// people and subjects are read together by all who come, or catch up, at the same time.
	people   *gather[people]
	subjects *gather[subjects]
}

// New joins the parts. Run must be running for inbound items to be written, for apps to count as
// open, and for silent subscriptions to end with their viewer's access.
func New(d Deps) *Services {
	s := &Services{
		store: d.Store, hub: d.Hub, channels: d.Channels, issuer: d.Issuer, ring: d.Ring, blobs: d.Blobs, publicURL: d.PublicURL, log: d.Log,
		queued: make(chan struct{}, 1), jobQueued: make(chan struct{}, 1), workQueued: make(chan struct{}, 1), waiting: make(chan struct{}, 1), recent: map[models.Key]recent{},
		hooks: d.Webhooks, webhookPrivate: d.WebhookPrivate, hookQueued: make(chan struct{}, 1),
		drawing:     make(chan struct{}, limits.CodePicturesAtOnce),
		decoding:    make(chan struct{}, limits.ImagesDecodedAtOnce),
		decoders:    decoders{byAccount: map[models.Key]*decoder{}},
		avatars:     codeAvatars{kept: map[models.Key]image.Image{}},
		callbacks:   callbacks{read: map[string]readCallback{}},
		access:      channelAccess{seen: map[models.Key]*accountAccess{}},
		pages:       followerPages{pages: map[models.Key]FollowersPage{}},
		revocations: revocations{byAccount: map[models.Key]*revokedIn{}}, visits: visits{open: map[*Watch]func(error){}},
	}
	s.lanes = newLanes(d.Lanes, s.processInbound)
	s.apps = newApps(s)
	s.people = newGather(s.readPeople)
	s.subjects = newGather(s.readSubjects)
	d.Store.OnCommit(d.Hub.Committed)
	d.Store.OnWaiting(s.wakeRelay)
	return s
}

// Run works until ctx ends: the lanes, the leases of open apps, the visits to open watches. What
// was accepted before is finished.
func (s *Services) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.apps.run(ctx) })
	wg.Go(func() { s.visitWatches(ctx) })
	s.lanes.run(ctx)
	wg.Wait()
}

// Queued tells the delivery job that a queue has something: at most one signal waits.
func (s *Services) Queued() <-chan struct{} { return s.queued }

func (s *Services) wakeDeliveries() {
	select {
	case s.queued <- struct{}{}:
	default:
	}
}

// Now is the clock's instant.
func (s *Services) Now() models.Time { return s.store.Now() }

// Snapshot runs fn with a context in which all reads see one state, and returns once that state
// is durable, so that a cursor read in it never points beyond what survives a crash (rule N4).
func (s *Services) Snapshot(ctx context.Context, fn func(ctx context.Context) error) error {
	barrier := s.store.Durable()
	if err := s.store.Snapshot(ctx, fn); err != nil {
		return unavailable(err)
	}
	return unavailable(barrier(ctx))
}

// unavailable is a failure of the database as a caller may be told of it.
func unavailable(err error) error {
	if err == nil || models.CodeOf(err) != models.CodeInternal {
		return err
	}
	return &models.Error{Code: models.CodeUnavailable, Message: "the database cannot answer now; try again"}
}

// known turns store.ErrNotFound into the answer to an unknown id.
func known[T any](row T, err error, noun, field string) (T, error) {
	if errors.Is(err, store.ErrNotFound) {
		return row, models.NotFound(noun, field)
	}
	return row, err
}
