// Package dataloaders batches what the fields of one response ask for: one service read a noun
// and level, within the viewer's scope. Loaders live for one response (a pushed event is one), or one
// mutation of several in a document, so that nothing shown is older than that. Safe for concurrent use.
package dataloaders

import (
	"context"
	"sync"
	"time"

	"github.com/vikstrous/dataloadgen"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// wait is how long a loader gathers keys after the first. List fields hand their keys over at
// once (see LoadAll), so it is paid only where single objects are asked for side by side.
const wait = 200 * time.Microsecond

// Loaders are the loaders of one response, or one mutation.
type Loaders struct {
	services *services.Services
	// primed came with the event that is shown; nil elsewhere.
	primed *models.Primed

	customers     lazy[models.Key, models.Customer]
	advisors      lazy[models.Key, models.Advisor]
	codes         lazy[models.Key, models.QRCode]
	codesByKey    lazy[models.Key, models.QRCode]
	avatars       lazy[models.Key, models.Image]
	groups        lazy[models.Key, models.GroupList]
	groupsByKey   lazy[models.Key, models.Group]
	conversations lazy[models.Key, models.Conversation]
	lastMessages  lazy[*models.Conversation, models.Message]
	tags          lazy[*models.Customer, tagList]

	preloaded seen // owners of codes
}

// seen is keys that were asked for.
type seen struct {
	mu   sync.Mutex
	keys map[models.Key]bool
}

// fresh is those of the keys that were not asked for before; from now on they were.
func (s *seen) fresh(keys []models.Key) []models.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = make(map[models.Key]bool, len(keys))
	}
	var fresh []models.Key
	for _, k := range keys {
		if !s.keys[k] {
			s.keys[k] = true
			fresh = append(fresh, k)
		}
	}
	return fresh
}

type contextKey struct{}

// NewContext gives a context with fresh loaders.
func NewContext(ctx context.Context, s *services.Services) context.Context {
	return context.WithValue(ctx, contextKey{}, &Loaders{services: s})
}

// lazy is a loader that is made when it is first asked: most of what is pushed asks none.
type lazy[K comparable, V any] struct {
	once sync.Once
	made *dataloadgen.Loader[K, *V]
}

func (l *lazy[K, V]) get(read func(context.Context, []K) (map[K]*V, error)) *dataloadgen.Loader[K, *V] {
	l.once.Do(func() {
		l.made = dataloadgen.NewMappedLoader(read, dataloadgen.WithWait(wait), dataloadgen.WithBatchCapacity(limits.MessagesPage))
	})
	return l.made
}

// From is the loaders of a context; nil where there are none, which only a missing NewContext
// explains.
func From(ctx context.Context) *Loaders {
	l, _ := ctx.Value(contextKey{}).(*Loaders)
	return l
}

// Prime hands over rows that came with a pushed event, so that showing it reads nothing. It is
// called before anything is asked for.
func (l *Loaders) Prime(p *models.Primed) { l.primed = p }

// PrimeConversations hands over conversations that were read already.
func (l *Loaders) PrimeConversations(rows []*models.Conversation) {
	loader := l.conversations.get(l.services.ConversationsByKeys)
	for _, c := range rows {
		loader.Prime(c.CustomerID, c)
	}
}

// missing tells a row that is not there, or not the viewer's to see, from a failed read.
func missing(err error) bool {
	return err == nil || isNotFound(err)
}
