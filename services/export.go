package services

import (
	"context"
	"encoding/json"
	"time"

	"clientele/internal/relay"
	"clientele/models"
	"clientele/store"
)

// Export is some of what is kept of a customer.
type Export struct {
	Lines []string
	// End is where the next page goes on; nil: this was the last.
	End *relay.Keyset
	// Audit is the entry that tells of this page.
	Audit models.Key
}

// The parts of an export, in their order; Keyset.Sort of a place in it.
const (
	exportProfile = iota
	exportBindings
	exportScans
	exportChanges
	exportMessages
	exportEnd
)

// ExportCustomer reads a page of everything that is kept of a customer, from a place on (rule E13); nil: from
// the beginning. Each page is in the audit log, as a privileged read. Errors: NOT_FOUND, INVALID, LIMIT_EXCEEDED.
func (s *Services) ExportCustomer(ctx context.Context, ref CustomerRef, first int, after *relay.Keyset) (*Export, error) {
	c, err := s.begin(ctx, mayExport)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	customer, err := s.customerRef(r, c, ref, "input.customer")
	if err != nil {
		return nil, err
	}
	at := relay.Keyset{}
	if after != nil {
		if at = *after; at.Sort < exportProfile || at.Sort >= exportEnd {
			return nil, models.Invalid("input.after", "is no cursor of an export")
		}
	}
	out := &Export{Lines: []string{}, Audit: models.NewKey()}
	if err := s.export(ctx, r, customer, first, &at, out); err != nil {
		return nil, err
	}
	if at.Sort < exportEnd {
		out.End = &at
	}
	err = s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		return tx.Audit(store.Change{Key: out.Audit, Action: "exportCustomer", TargetKind: "Customer", Target: customer.Key, After: map[string]any{"records": len(out.Lines)}})
	})
	return out, err
}

// export adds records up to first, and moves the place.
func (s *Services) export(ctx context.Context, r *store.Reader, customer *models.Customer, first int, at *relay.Keyset, out *Export) error {
	next := func() { *at = relay.Keyset{Sort: at.Sort + 1} }
	for at.Sort < exportEnd && len(out.Lines) < first {
		room := first - len(out.Lines)
		account, key, behind := customer.AccountID, customer.Key, models.Key(at.Key)
		var err error
		n := 0
		add := func(row models.Key, kind string, record map[string]any) {
			n++
			at.Key = row
			if record["kind"] = kind; record["id"] == nil { // the API has no id of it
				record["id"] = row.String()
			}
			var text []byte
			if text, err = json.Marshal(record); err == nil {
				out.Lines = append(out.Lines, string(text))
			}
		}
		switch at.Sort {
		case exportProfile:
			var record map[string]any
			if record, err = profile(r, customer); err == nil {
				record["avatarImageUrl"], err = s.avatarURL(ctx, r, customer)
			}
			if err == nil {
				add(customer.Key, "customer", record)
			}
			n = 0 // there is one
		case exportBindings:
			rows, readErr := r.PersonalBindings(account, key, behind, room)
			err = readErr
			for _, b := range rows {
				add(b.Key, "binding", map[string]any{"change": b.Change, "source": b.Source, "label": b.Label, "madeBy": b.By, "at": instant(b.At), "advisorId": advisorID(b.AdvisorID), "formerAdvisorId": advisorID(b.FormerID)})
			}
		case exportScans:
			rows, readErr := r.PersonalScans(account, key, behind, room)
			err = readErr
			for _, scan := range rows {
				add(scan.Key, "scan", map[string]any{"scene": scan.Scene, "label": scan.Label, "outcome": scan.Outcome, "at": instant(scan.At), "advisorId": advisorID(scan.AdvisorID)})
			}
		case exportChanges:
			rows, readErr := r.PersonalChanges(account, key, behind, room)
			err = readErr
			for _, c := range rows {
				add(c.Key, "customer_change", map[string]any{"field": c.Field, "from": c.Was, "to": c.Became, "madeBy": c.By, "at": instant(c.At)})
			}
		case exportMessages:
			rows, readErr := r.PersonalMessages(account, key, behind, room)
			err = readErr
			for _, m := range rows {
				add(m.Key, "message", map[string]any{
					"id": m.ID().String(), "direction": m.Direction, "content": m.Kind, "text": m.Text, "media": m.MediaRef, "url": m.URL, "description": m.Detail,
					"latitude": m.Latitude, "longitude": m.Longitude, "status": m.Status, "at": instant(m.At), "advisorId": advisorID(m.AdvisorID),
				})
			}
		}
		if err != nil {
			return err
		}
		if n < room {
			next()
		}
	}
	return nil
}

// avatarURL is the signed address of a customer's image; null without one.
func (s *Services) avatarURL(ctx context.Context, r *store.Reader, c *models.Customer) (any, error) {
	if c.AvatarID.IsZero() {
		return nil, nil //nolint:nilnil // none.
	}
	account, err := r.Account(c.AccountID)
	if err != nil {
		return nil, err
	}
	secret, err := s.usableURLSecret(ctx, account)
	if err != nil {
		return nil, err
	}
	return s.signed(&models.Image{AccountID: c.AccountID, Key: c.AvatarID}, secret).URL, nil
}

// profile is who a customer is, with their tags and what may be written to them.
func profile(r *store.Reader, c *models.Customer) (map[string]any, error) {
	having, library, err := tagsOf(r, c.AccountID, models.Key{}, []models.Key{c.Key})
	if err != nil {
		return nil, err
	}
	conversations, err := r.Conversations(c.AccountID, []models.Key{c.Key})
	if err != nil {
		return nil, err
	}
	record := map[string]any{
		"id": c.ID().String(), "openid": c.OpenID, "unionid": c.UnionID, "nickname": c.Nickname, "avatarUrl": c.AvatarURL, "info": c.Info, "country": c.Country, "province": c.Province, "city": c.City,
		"tags": models.OptionNames(library.Having(having[c.Key])), "followState": c.FollowState, "followedAt": instant(c.FollowedAt), "unfollowedAt": instant(c.UnfollowedAt),
		"advisorId": advisorID(c.AdvisorID), "boundAt": instant(c.BoundAt), "boundSource": c.BoundSource, "boundLabel": c.BoundLabel, "boundBy": c.BoundBy, "createdAt": instant(c.CreatedAt),
	}
	for _, v := range conversations {
		record["lastInteractionAt"], record["windowEnd"], record["windowLeft"] = instant(v.LastInteractionAt), instant(v.WindowEnd), v.WindowLeft
		record["outreachMonth"], record["outreachUsed"] = v.Month, v.OutreachUsed
	}
	return record, nil
}

// instant is a time as JSON has it; null for never.
func instant(t models.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Go().UTC().Format(time.RFC3339Nano)
}

// advisorID is the global id of an advisor; null for none.
func advisorID(key models.Key) any {
	if id := globalID(models.KindAdvisor, key); id != "" {
		return id
	}
	return nil
}
