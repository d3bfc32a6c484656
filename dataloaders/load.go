package dataloaders

import (
	"context"
	"errors"
	"maps"
	"slices"

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
	if p := l.primed; p != nil && p.Customer != nil && p.Customer.Key == key {
		return p.Customer, nil
	}
	return load(ctx, l.customers.get(l.services.CustomersByKeys), key)
}

// Advisor is an advisor the viewer may see; nil otherwise.
func (l *Loaders) Advisor(ctx context.Context, key models.Key) (*models.Advisor, error) {
	if key.IsZero() {
		return nil, nil //nolint:nilnil // none.
	}
	return load(ctx, l.advisors.get(l.services.AdvisorsByKeys), key)
}

// QRCode is the code of an advisor or group; nil when the viewer may not see it.
func (l *Loaders) QRCode(ctx context.Context, owner models.Key) (*models.QRCode, error) {
	return load(ctx, l.codes.get(l.services.QRCodesByOwner), owner)
}

// Code is the code with a key; nil when the viewer may not see it.
func (l *Loaders) Code(ctx context.Context, key models.Key) (*models.QRCode, error) {
	if key.IsZero() {
		return nil, nil //nolint:nilnil // none.
	}
	return load(ctx, l.codesByKey.get(l.services.QRCodesByKeys), key)
}

// Avatar is the image that a row which the viewer was shown refers to; nil when there is none.
func (l *Loaders) Avatar(ctx context.Context, key models.Key) (*models.Image, error) {
	if key.IsZero() {
		return nil, nil //nolint:nilnil // none.
	}
	return load(ctx, l.avatars.get(l.services.AvatarsByKeys), key)
}

// PreloadAvatars is PreloadCustomers for images.
func (l *Loaders) PreloadAvatars(ctx context.Context, s *services.Services, keys []models.Key) error {
	_, err := preload(ctx, l.avatars.get(s.AvatarsByKeys), s.AvatarsByKeys, keys)
	return err
}

// PreloadAdvisorAvatars is PreloadAvatars for those of advisors.
func (l *Loaders) PreloadAdvisorAvatars(ctx context.Context, s *services.Services, advisors []models.Key) error {
	rows, err := preload(ctx, l.advisors.get(s.AdvisorsByKeys), s.AdvisorsByKeys, advisors)
	if err != nil {
		return err
	}
	seen := map[models.Key]bool{}
	for _, a := range rows {
		if !a.AvatarID.IsZero() {
			seen[a.AvatarID] = true
		}
	}
	return l.PreloadAvatars(ctx, s, slices.Collect(maps.Keys(seen)))
}

// Group is the group with a key; nil when the viewer may not see it.
func (l *Loaders) Group(ctx context.Context, key models.Key) (*models.Group, error) {
	return load(ctx, l.groupsByKey.get(l.services.GroupsByKeys), key)
}

// Groups is the groups of an advisor, by name, that the viewer may see.
func (l *Loaders) Groups(ctx context.Context, advisor models.Key) ([]*models.Group, error) {
	list, err := load(ctx, l.groups.get(l.services.GroupsByAdvisors), advisor)
	if list == nil {
		return []*models.Group{}, err
	}
	return list.Groups, err
}

// PreloadGroups is PreloadCustomers for the groups of advisors; it answers the groups' keys.
func (l *Loaders) PreloadGroups(ctx context.Context, s *services.Services, advisors []models.Key) ([]models.Key, error) {
	lists, err := preload(ctx, l.groups.get(s.GroupsByAdvisors), s.GroupsByAdvisors, advisors)
	var keys []models.Key
	for _, list := range lists {
		for _, g := range list.Groups {
			keys = append(keys, g.Key)
		}
	}
	return keys, err
}

// Conversation is the conversation with a customer; nil when the viewer may not read it.
func (l *Loaders) Conversation(ctx context.Context, customer models.Key) (*models.Conversation, error) {
	if p := l.primed; p != nil && p.Conversation != nil && p.Conversation.CustomerID == customer {
		return p.Conversation, nil
	}
	return load(ctx, l.conversations.get(l.services.ConversationsByKeys), customer)
}

// LastMessage is the latest message of a conversation; nil before the first.
func (l *Loaders) LastMessage(ctx context.Context, c *models.Conversation) (*models.Message, error) {
	if c.LastMessageID.IsZero() {
		return nil, nil //nolint:nilnil // none yet.
	}
	if p := l.primed; p != nil && p.Message != nil && p.Conversation == c && p.Message.Key == c.LastMessageID {
		return p.Message, nil
	}
	return load(ctx, l.lastMessages.get(lastMessages(l.services)), c)
}

// PreloadCustomers reads the customers of a page at once, so that its rows wait for no gathering
// and the number of statements does not depend on their number. Who is not there, or not the
// viewer's to see, is not asked for again. It answers those who are, in no order.
func (l *Loaders) PreloadCustomers(ctx context.Context, s *services.Services, keys []models.Key) ([]*models.Customer, error) {
	rows, err := preload(ctx, l.customers.get(s.CustomersByKeys), s.CustomersByKeys, keys)
	return slices.Collect(maps.Values(rows)), err
}

// PreloadAdvisors is PreloadCustomers for advisors.
func (l *Loaders) PreloadAdvisors(ctx context.Context, s *services.Services, keys []models.Key) error {
	_, err := preload(ctx, l.advisors.get(s.AdvisorsByKeys), s.AdvisorsByKeys, keys)
	return err
}

// PreloadConversations is PreloadCustomers for conversations.
func (l *Loaders) PreloadConversations(ctx context.Context, s *services.Services, customers []models.Key) ([]*models.Conversation, error) {
	rows, err := preload(ctx, l.conversations.get(s.ConversationsByKeys), s.ConversationsByKeys, customers)
	return slices.Collect(maps.Values(rows)), err
}

// PreloadQRCodes is PreloadCustomers for the codes of advisors or groups. Those that were read so before
// are not read again: one advisor's groups are asked for wherever the advisor stands in a list.
func (l *Loaders) PreloadQRCodes(ctx context.Context, s *services.Services, owners []models.Key) error {
	owners = l.preloaded.fresh(owners)
	_, err := preload(ctx, l.codes.get(s.QRCodesByOwner), s.QRCodesByOwner, owners)
	return err
}

// PreloadCodes is PreloadCustomers for codes by key; it answers those that there are, in no order.
func (l *Loaders) PreloadCodes(ctx context.Context, s *services.Services, keys []models.Key) ([]*models.QRCode, error) {
	rows, err := preload(ctx, l.codesByKey.get(s.QRCodesByKeys), s.QRCodesByKeys, keys)
	return slices.Collect(maps.Values(rows)), err
}

// PreloadGroupsByKey is PreloadCustomers for groups.
func (l *Loaders) PreloadGroupsByKey(ctx context.Context, s *services.Services, keys []models.Key) error {
	_, err := preload(ctx, l.groupsByKey.get(s.GroupsByKeys), s.GroupsByKeys, keys)
	return err
}

// PreloadLastMessages is PreloadCustomers for the latest messages of conversations.
func (l *Loaders) PreloadLastMessages(ctx context.Context, s *services.Services, all []*models.Conversation) error {
	_, err := preload(ctx, l.lastMessages.get(lastMessages(s)), lastMessages(s), all)
	return err
}

func preload[K comparable, V any](ctx context.Context, l *dataloadgen.Loader[K, *V],
	read func(context.Context, []K) (map[K]*V, error), keys []K,
) (map[K]*V, error) {
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // no rows of no keys.
	}
	rows, err := read(ctx, keys)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		l.Prime(k, rows[k])
	}
	return rows, nil
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

// tagList is the options of one customer.
type tagList []*models.TagOption

// Tags is the options that a customer has.
func (l *Loaders) Tags(ctx context.Context, c *models.Customer) ([]*models.TagOption, error) {
	tags, err := load(ctx, l.tags.get(tagsOf(l.services)), c)
	if err != nil || tags == nil {
		return []*models.TagOption{}, err
	}
	return *tags, nil
}

// PreloadTags is PreloadCustomers for the options that customers have.
func (l *Loaders) PreloadTags(ctx context.Context, s *services.Services, customers []*models.Customer) error {
	_, err := preload(ctx, l.tags.get(tagsOf(s)), tagsOf(s), customers)
	return err
}

func tagsOf(s *services.Services) func(context.Context, []*models.Customer) (map[*models.Customer]*tagList, error) {
	return func(ctx context.Context, customers []*models.Customer) (map[*models.Customer]*tagList, error) {
		rows, err := s.TagsOf(ctx, customers)
		found := make(map[*models.Customer]*tagList, len(rows))
		for c, tags := range rows {
			found[c] = (*tagList)(&tags)
		}
		return found, err
	}
}
