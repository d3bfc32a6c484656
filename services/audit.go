package services

import (
	"context"
	"encoding/json"

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
	with, nothing, err := f.checked("filter")
	if err != nil || nothing {
		return nil, err
	}
	return s.store.View(ctx).AuditPage(c.Account.Key, with, p)
}

// checked is the filter, which the argument field gives, as the store has it; nothing: it finds none.
func (f AuditFilter) checked(field string) (with store.AuditFilter, nothing bool, err error) {
	with = store.AuditFilter{From: f.From, Until: f.Until}
	for _, text := range []struct {
		name string
		from *string
		to   *string
		most int
	}{
		{".role", f.Role, &with.Role, limits.AuditActionBytes},
		{".subject", f.Subject, &with.Subject, limits.AuditSubjectBytes},
		{".action", f.Action, &with.Action, limits.AuditActionBytes},
	} {
		if text.from == nil {
			continue
		}
		if err := models.CheckText(*text.from, field+text.name, text.most); err != nil {
			return with, false, err
		}
		*text.to = *text.from
	}
	if f.Until != 0 && f.Until <= f.From {
		return with, false, models.Invalid(field+".until", "is not later than from")
	}
	if f.Target != nil {
		with.Target, with.TargetKind = models.Key(f.Target.Key), models.AuditKind(f.Target.Kind)
		if with.TargetKind == "" {
			return with, true, nil // nothing is ever told of that kind
		}
	}
	return with, false, nil
}

// auditItems is about how many items of calls for many a page of an export has at most.
const auditItems = limits.QueryRows

// ExportAudit reads a page of the audit log with the items of calls for many and what they changed, newest first, as
// lines of JSON (rule R5). Each page is in the log itself. Errors as AuditPage.
func (s *Services) ExportAudit(ctx context.Context, f AuditFilter, p relay.Page) (*Export, error) {
	c, err := s.begin(ctx, mayExportAudit)
	if err != nil {
		return nil, err
	}
	with, nothing, err := f.checked("input.filter")
	if err != nil {
		return nil, err
	}
	out := &Export{Lines: []string{}, Audit: models.NewKey()}
	if !nothing {
		if err := s.auditLines(ctx, c, with, p, out); err != nil {
			return nil, err
		}
	}
	return out, s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		return tx.Audit(store.Change{Key: out.Audit, Action: mayExportAudit.Field, TargetKind: "Account", Target: tx.Account, After: map[string]any{"entries": len(out.Lines)}})
	})
}

func (s *Services) auditLines(ctx context.Context, c *Scope, with store.AuditFilter, p relay.Page, out *Export) error {
	r := s.store.View(ctx)
	rows, err := r.AuditPage(c.Account.Key, with, p)
	if err != nil {
		return err
	}
	more := len(rows) > p.First
	rows = rows[:min(len(rows), p.First)]
	items := 0
	for len(rows) > 0 && items < auditItems {
		some := rows[:min(len(rows), limits.AuditItemsRead)]
		rows = rows[len(some):]
		keys := make([]models.Key, len(some))
		for i, a := range some {
			keys[i] = a.Key
		}
		found, err := r.AuditItems(c.Account.Key, keys)
		if err != nil {
			return err
		}
		items += len(found)
		of := map[models.Key][]*models.AuditItem{}
		for _, item := range found {
			of[item.AuditID] = append(of[item.AuditID], item)
		}
		for _, a := range some {
			text, err := json.Marshal(auditLine(a, of[a.Key]))
			if err != nil {
				return err
			}
			out.Lines = append(out.Lines, string(text))
			out.End = &relay.Keyset{Sort: int64(a.At), Key: a.Key}
		}
	}
	if !more && len(rows) == 0 {
		out.End = nil
	}
	return nil
}

// auditLine is an entry as an export has it.
func auditLine(a *models.Audit, items []*models.AuditItem) map[string]any {
	told := make([]map[string]any, len(items))
	for i, item := range items {
		told[i] = map[string]any{"outcome": item.Outcome}
		if !item.TargetID.IsZero() {
			told[i]["targetId"] = a.ItemID(item).String()
		}
		if item.Before != "" {
			told[i]["before"] = asJSON(item.Before)
		}
		if item.After != "" {
			told[i]["after"] = asJSON(item.After)
		}
	}
	line := map[string]any{
		"id": a.ID().String(), "at": instant(a.At), "role": a.Role, "subject": a.Subject, "tokenId": a.Token(), "requestId": a.RequestID, "address": a.From(),
		"action": a.Action, "targetKind": a.About(), "items": told,
	}
	if target := a.Target(); target != nil {
		line["targetId"] = target.String()
	}
	for name, text := range map[string]string{"before": a.Before, "after": a.After} {
		if line[name] = nil; text != "" {
			line[name] = asJSON(text)
		}
	}
	return line
}

// asJSON is what an entry or an item holds, as JSON has it: a text where it was blanked.
func asJSON(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
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
