package services

import (
	"context"

	"clientele/auth"
	"clientele/internal/relay"
	"clientele/models"
)

// Node finds the thing with an id, if the viewer may see it; NOT_FOUND otherwise, whatever the
// reason (rule V4).
func (s *Services) Node(ctx context.Context, id relay.ID) (models.Node, error) {
	if _, err := s.begin(ctx, mayNode); err != nil {
		return nil, err
	}
	found, err := s.nodes(ctx, []relay.ID{id})
	if err != nil {
		return nil, err
	}
	if found[0] == nil {
		return nil, models.NotFound("node", "id")
	}
	return found[0], nil
}

// Nodes finds things, in order, nil where Node would answer NOT_FOUND.
func (s *Services) Nodes(ctx context.Context, ids []relay.ID) ([]models.Node, error) {
	if _, err := s.begin(ctx, mayNodes); err != nil {
		return nil, err
	}
	return s.nodes(ctx, ids)
}

func (s *Services) nodes(ctx context.Context, ids []relay.ID) ([]models.Node, error) {
	c, err := s.scope(ctx)
	if err != nil {
		return nil, err
	}
	keys := map[relay.Kind][]models.Key{}
	for _, id := range ids {
		keys[id.Kind] = append(keys[id.Kind], models.Key(id.Key))
	}
	found := map[relay.ID]models.Node{}
	for kind, of := range keys {
		if err := s.nodesOf(ctx, c, kind, of, found); err != nil {
			return nil, err
		}
	}
	nodes := make([]models.Node, len(ids))
	for i, id := range ids {
		nodes[i] = found[id]
	}
	return nodes, nil
}

// nodesOf reads the things of one kind. What an advisor who may not serve yet sees is
// themselves and their notifications (rule V7).
func (s *Services) nodesOf(ctx context.Context, c *Scope, kind relay.Kind, keys []models.Key, found map[relay.ID]models.Node) error {
	serves := c.refusal == nil
	if c.Account == nil && kind != models.KindAccount {
		return nil // PLATFORM sees accounts only
	}
	switch kind {
	case models.KindAccount:
		return s.accountNodes(ctx, c, keys, found)
	case models.KindAdvisor:
		return collect(found, keys, s.AdvisorsByKeys, ctx)
	case models.KindNotification:
		return collect(found, keys, s.NotificationsByKeys, ctx)
	case models.KindGroup:
		return collect(found, keys, s.GroupsByKeys, ctx)
	case models.KindAudit:
		return s.auditNodes(ctx, c, keys, found)
	case models.KindQRCode:
		return collect(found, keys, s.QRCodesByKeys, ctx)
	case models.KindImage:
		return collect(found, keys, s.ImagesByKeys, ctx)
	case models.KindJob:
		return collect(found, keys, s.JobsByKeys, ctx)
	case models.KindWebhook:
		return s.webhookNodes(ctx, c, keys, found)
	case models.KindTag, models.KindTagOption:
		if serves {
			return s.tagNodes(ctx, c, keys, found)
		}
	case models.KindCustomer:
		if serves {
			return collect(found, keys, s.CustomersByKeys, ctx)
		}
	case models.KindConversation:
		if serves {
			return s.conversationNodes(ctx, c, keys, found)
		}
	case models.KindMessage:
		if serves {
			return s.messageNodes(ctx, c, keys, found)
		}
	}
	return nil
}

func collect[T models.Node](found map[relay.ID]models.Node, keys []models.Key,
	read func(context.Context, []models.Key) (map[models.Key]T, error), ctx context.Context, //nolint:revive // ctx last reads better at the call.
) error {
	rows, err := read(ctx, keys)
	for _, r := range rows {
		found[r.ID()] = r
	}
	return err
}

func (s *Services) accountNodes(ctx context.Context, c *Scope, keys []models.Key, found map[relay.ID]models.Node) error {
	for _, k := range keys {
		switch {
		case c.Account != nil && k == c.Account.Key:
			found[c.Account.ID()] = c.Account
		case c.Viewer.Role == auth.RolePlatform:
			a, err := s.store.View(ctx).Account(k)
			if a, err = known(a, err, "account", ""); err == nil {
				found[a.ID()] = a
			} else if models.CodeOf(err) != models.CodeNotFound {
				return err
			}
		}
	}
	return nil
}

// conversationNodes and messageNodes put the merchant's readings into the audit log (rule G12).
func (s *Services) conversationNodes(ctx context.Context, c *Scope, keys []models.Key, found map[relay.ID]models.Node) error {
	rows, err := s.ConversationsByKeys(ctx, keys)
	if err != nil {
		return err
	}
	read := make([]models.Key, 0, len(rows))
	for k := range rows {
		read = append(read, k)
	}
	if err := s.auditReading(ctx, c, read...); err != nil {
		return err
	}
	for _, r := range rows {
		found[r.ID()] = r
	}
	return nil
}

func (s *Services) messageNodes(ctx context.Context, c *Scope, keys []models.Key, found map[relay.ID]models.Node) error {
	rows, err := s.MessagesByKeys(ctx, keys)
	if err != nil {
		return err
	}
	read := make([]models.Key, 0, len(rows))
	for _, m := range rows {
		read = append(read, m.CustomerID)
	}
	if err := s.auditReading(ctx, c, read...); err != nil {
		return err
	}
	for _, m := range rows {
		found[m.ID()] = m
	}
	return nil
}
