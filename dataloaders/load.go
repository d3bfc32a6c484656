package dataloaders

import (
	"context"
	"errors"

	"github.com/vikstrous/dataloadgen"

	"clientele/models"
	"clientele/services"
)

func isNotFound(err error) bool { return errors.Is(err, dataloadgen.ErrNotFound) }

// load is one row; nil when it is not there or not the viewer's to see, or the key is zero.
func load[K comparable, V any](ctx context.Context, l *dataloadgen.Loader[K, *V], key K) (*V, error) {
	row, err := l.Load(ctx, key)
	if err != nil && missing(err) {
		return nil, nil //nolint:nilnil // nobody is the answer, not a fault.
	}
	return row, err
}

// Customer is a customer the viewer may see; nil otherwise.
func (l *Loaders) Customer(ctx context.Context, key models.Key) (*models.Customer, error) {
	if key.IsZero() {
		return nil, nil //nolint:nilnil // none.
	}
	return load(ctx, l.customers, key)
}

// Advisor is an advisor the viewer may see; nil otherwise.
func (l *Loaders) Advisor(ctx context.Context, key models.Key) (*models.Advisor, error) {
	if key.IsZero() {
		return nil, nil //nolint:nilnil // none.
	}
	return load(ctx, l.advisors, key)
}

// QRCode is the code of an advisor or group; nil when the viewer may not see it.
func (l *Loaders) QRCode(ctx context.Context, owner models.Key) (*models.QRCode, error) {
	return load(ctx, l.codes, owner)
}

// Conversation is the conversation with a customer; nil when the viewer may not read it.
func (l *Loaders) Conversation(ctx context.Context, customer models.Key) (*models.Conversation, error) {
	return load(ctx, l.conversations, customer)
}

// LastMessage is the latest message of a conversation; nil before the first.
func (l *Loaders) LastMessage(ctx context.Context, c *models.Conversation) (*models.Message, error) {
	if c.LastMessageID.IsZero() {
		return nil, nil //nolint:nilnil // none yet.
	}
	return load(ctx, l.lastMessages, c)
}

// PreloadCustomers reads the customers of a page at once, so that its rows wait for no gathering
// and the number of statements does not depend on their number.
func (l *Loaders) PreloadCustomers(ctx context.Context, s *services.Services, keys []models.Key) error {
	return preload(ctx, l.customers, s.CustomersByKeys, keys)
}

// PreloadAdvisors is PreloadCustomers for advisors.
func (l *Loaders) PreloadAdvisors(ctx context.Context, s *services.Services, keys []models.Key) error {
	return preload(ctx, l.advisors, s.AdvisorsByKeys, keys)
}

// PreloadQRCodes is PreloadCustomers for the codes of advisors or groups.
func (l *Loaders) PreloadQRCodes(ctx context.Context, s *services.Services, owners []models.Key) error {
	return preload(ctx, l.codes, s.QRCodesByOwner, owners)
}

// PreloadLastMessages is PreloadCustomers for the latest messages of conversations.
func (l *Loaders) PreloadLastMessages(ctx context.Context, s *services.Services, all []*models.Conversation) error {
	return preload(ctx, l.lastMessages, lastMessages(s), all)
}

func preload[K comparable, V any](ctx context.Context, l *dataloadgen.Loader[K, *V],
	read func(context.Context, []K) (map[K]*V, error), keys []K,
) error {
	if len(keys) == 0 {
		return nil
	}
	rows, err := read(ctx, keys)
	if err != nil {
		return err
	}
	for k, row := range rows {
		l.Prime(k, row)
	}
	return nil
}

func lastMessages(s *services.Services) func(context.Context, []*models.Conversation) (map[*models.Conversation]*models.Message, error) {
	return func(ctx context.Context, all []*models.Conversation) (map[*models.Conversation]*models.Message, error) {
		byCustomer, err := s.LastMessages(ctx, all)
		found := make(map[*models.Conversation]*models.Message, len(all))
		for _, c := range all {
			if m := byCustomer[c.CustomerID]; m != nil {
				found[c] = m
			}
		}
		return found, err
	}
}
