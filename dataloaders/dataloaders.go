// Package dataloaders batches what the fields of one response ask for: one service read a noun
// and level, within the viewer's scope. Loaders live for one response (a pushed event is one),
// so that nothing shown is older than its response. Safe for concurrent use.
package dataloaders

import (
	"context"
	"time"

	"github.com/vikstrous/dataloadgen"

	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// wait is how long a loader gathers keys after the first. List fields hand their keys over at
// once (see LoadAll), so it is paid only where single objects are asked for side by side.
const wait = 200 * time.Microsecond

// Loaders are the loaders of one response.
type Loaders struct {
	customers     *dataloadgen.Loader[models.Key, *models.Customer]
	advisors      *dataloadgen.Loader[models.Key, *models.Advisor]
	codes         *dataloadgen.Loader[models.Key, *models.QRCode]
	conversations *dataloadgen.Loader[models.Key, *models.Conversation]
	lastMessages  *dataloadgen.Loader[*models.Conversation, *models.Message]
}

type contextKey struct{}

// NewContext gives a context with fresh loaders.
func NewContext(ctx context.Context, s *services.Services) context.Context {
	options := []dataloadgen.Option{dataloadgen.WithWait(wait), dataloadgen.WithBatchCapacity(limits.MessagesPage)}
	return context.WithValue(ctx, contextKey{}, &Loaders{
		customers:     dataloadgen.NewMappedLoader(s.CustomersByKeys, options...),
		advisors:      dataloadgen.NewMappedLoader(s.AdvisorsByKeys, options...),
		codes:         dataloadgen.NewMappedLoader(s.QRCodesByOwner, options...),
		conversations: dataloadgen.NewMappedLoader(s.ConversationsByKeys, options...),
		lastMessages:  dataloadgen.NewMappedLoader(lastMessages(s), options...),
	})
}

// From is the loaders of a context; nil where there are none, which only a missing NewContext
// explains.
func From(ctx context.Context) *Loaders {
	l, _ := ctx.Value(contextKey{}).(*Loaders)
	return l
}

// Prime hands over rows that came with a pushed event, so that showing it reads nothing.
func (l *Loaders) Prime(p *models.Primed) {
	if p == nil {
		return
	}
	if p.Customer != nil {
		l.customers.Prime(p.Customer.Key, p.Customer)
	}
	if p.Conversation != nil {
		l.conversations.Prime(p.Conversation.CustomerID, p.Conversation)
		if p.Message != nil && p.Conversation.LastMessageID == p.Message.Key {
			l.lastMessages.Prime(p.Conversation, p.Message)
		}
	}
}

// PrimeConversations hands over conversations that were read already.
func (l *Loaders) PrimeConversations(rows []*models.Conversation) {
	for _, c := range rows {
		l.conversations.Prime(c.CustomerID, c)
	}
}

// missing tells a row that is not there, or not the viewer's to see, from a failed read.
func missing(err error) bool {
	return err == nil || isNotFound(err)
}
