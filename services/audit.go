package services

import (
	"context"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// AuditFilter says which entries of the audit log are wanted; nil and zero fields say nothing.
type AuditFilter struct {
	Role, Subject, Action *string
	Target                *relay.ID
	From, Until           models.Time
}

// AuditPage is a page of the audit log, newest first (rule R5): INVALID with the filter's field
// for a value that no entry can have.
func (s *Services) AuditPage(ctx context.Context, f AuditFilter, p relay.Page) ([]*models.Audit, error) {
	c, err := s.begin(ctx, mayAuditLog)
	if err != nil {
		return nil, err
	}
	with := store.AuditFilter{From: f.From, Until: f.Until}
	for _, field := range []struct {
		name string
		from *string
		to   *string
		most int
	}{
		{"filter.role", f.Role, &with.Role, limits.AuditActionBytes}, {"filter.subject", f.Subject, &with.Subject, limits.AuditSubjectBytes},
		{"filter.action", f.Action, &with.Action, limits.AuditActionBytes},
	} {
		if field.from == nil {
			continue
		}
		if err := models.CheckText(*field.from, field.name, field.most); err != nil {
			return nil, err
		}
		*field.to = *field.from
	}
	if f.Until != 0 && f.Until <= f.From {
		return nil, models.Invalid("filter.until", "is not later than from")
	}
	if f.Target != nil {
		with.Target, with.TargetKind = models.Key(f.Target.Key), models.AuditKind(f.Target.Kind)
		if with.TargetKind == "" {
			return nil, nil // nothing is ever told of that kind
		}
	}
	return s.store.View(ctx).AuditPage(c.Account.Key, with, p)
}

// auditNodes finds entries by key, for who may read the log.
func (s *Services) auditNodes(ctx context.Context, c *Scope, keys []models.Key, found map[relay.ID]models.Node) error {
	if !c.isStaff() {
		return nil
	}
	rows, err := s.store.View(ctx).Audits(c.Account.Key, keys)
	for _, a := range rows {
		found[a.ID()] = a
	}
	return err
}
