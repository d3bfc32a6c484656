package services

import (
	"context"
	"strconv"
	"time"

	"clientele/internal/csvfile"
	"clientele/internal/relay"
	"clientele/models"
	"clientele/store"
)

// ExportAdvisors reads a page of the account's advisors as lines of CSV in the form that an import takes, in the order in which
// they first were invited, in one state if it is not empty (rule B7). The header comes before the first page, marked: behind a byte order
// mark. Each page is in the audit log, as a privileged read.
func (s *Services) ExportAdvisors(ctx context.Context, state models.AdvisorState, marked bool, p relay.Page) (*Export, error) {
	c, err := s.begin(ctx, mayExportAdvisors)
	if err != nil {
		return nil, err
	}
	var after models.Key
	if p.After != nil {
		after = p.After.Key
	}
	r := s.store.View(ctx)
	rows, err := r.AdvisorsBehind(c.Account.Key, state, s.Now(), after, p.First+1)
	if err != nil {
		return nil, err
	}
	out := &Export{Lines: []string{}, Audit: models.NewKey()}
	if len(rows) > p.First {
		rows = rows[:p.First]
		out.End = &relay.Keyset{Key: rows[p.First-1].Key}
	}
	keys := make([]models.Key, len(rows))
	for i, a := range rows {
		keys[i] = a.Key
	}
	groups, err := r.GroupsByAdvisors(c.Account.Key, keys)
	if err != nil {
		return nil, err
	}
	if p.After == nil {
		header := csvfile.Line(models.AdvisorColumns)
		if marked {
			header = csvfile.Mark + header
		}
		out.Lines = append(out.Lines, header)
	}
	for _, a := range rows {
		out.Lines = append(out.Lines, csvfile.Line(advisorCells(a, groups[a.Key], s.Now())))
	}
	return out, s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		return tx.Audit(store.Change{Key: out.Audit, Action: mayExportAdvisors.Field, TargetKind: "Account", Target: tx.Account, After: map[string]any{"advisors": len(rows)}})
	})
}

// advisorCells is an advisor in the order of models.AdvisorColumns.
func advisorCells(a *models.Advisor, in *models.GroupList, now models.Time) []string {
	var names []string
	if in != nil {
		for _, g := range in.Groups {
			names = append(names, g.Name)
		}
	}
	at := func(t models.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Go().UTC().Format(time.RFC3339)
	}
	return []string{
		string(a.OpenID), string(a.UnionID), string(a.WechatID), string(a.ExternalID), a.Nickname, a.AvatarURL, models.JoinNames(names), string(a.StateAt(now)),
		a.ID().String(), string(a.Presence), strconv.Itoa(a.CustomerCount), at(a.InvitedAt), at(a.AnsweredAt),
	}
}
