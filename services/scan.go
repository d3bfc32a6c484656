package services

import (
	"cmp"
	"context"

	"clientele/internal/relay"
	"clientele/models"
	"clientele/store"
)

// scan does what a scanned code asks for (rules C2, D3). A scan that is told of only after who made it
// has left has no outcome, as a follow has none.
func (b *inboundBatch) scan(c *models.Customer, conv *models.Conversation, in models.Inbound) (models.ScanOutcome, error) {
	if in.Scene == "" || c.FollowState != models.Following {
		return "", nil
	}
	t := models.ScanTarget{Code: b.codes[models.Ident(in.Scene)], At: in.At}
	source := models.SourceAdvisorQR
	if t.Code != nil && t.Code.Kind == models.QRCodeGroup {
		source = models.SourceGroupQR
		if g := b.groups[t.Code.OwnerID]; g != nil {
			var err error
			if t.Advisor, err = b.pick(g.free, c); err != nil {
				return "", err
			}
			t.GroupExists, t.IsMember = true, func(k models.Key) bool { return g.members[k] }
		}
	} else if t.Code != nil {
		t.Advisor = b.advisors[t.Code.OwnerID]
	}
	outcome := t.Scan(b.account, c, b.tx.Now)
	if outcome == models.ScanBound {
		b.bind(c, conv, t.Advisor, source, t.Code.Label)
	}
	return outcome, nil
}

// advertised does what an advertisement asks for (rule E3): as the code of the group that it names, or else of the
// account's group for advertisements, would, but that advisors themselves are skipped (rule E1).
func (b *inboundBatch) advertised(c *models.Customer, conv *models.Conversation, in models.Inbound) (models.ScanOutcome, error) {
	if b.staff.has(c) {
		return "", nil
	}
	group := cmp.Or(in.Ad.Group, b.account.AdGroup)
	t := models.ScanTarget{Code: &models.QRCode{Kind: models.QRCodeGroup, OwnerID: group}, At: in.At}
	if g := b.groups[group]; g != nil {
		var err error
		if t.Advisor, err = b.pick(g.free, c); err != nil {
			return "", err
		}
		t.GroupExists, t.IsMember = true, func(k models.Key) bool { return g.members[k] }
	}
	outcome := t.Scan(b.account, c, b.tx.Now)
	if outcome == models.ScanBound {
		b.bind(c, conv, t.Advisor, models.SourceWechatAd, "")
	}
	return outcome, nil
}

// scanned keeps what came of a scan for the merchant (rule C2).
func (b *inboundBatch) scanned(rec *models.InboundRecord) {
	if rec.Outcome == "" || rec.Scene == "" {
		return // an advertisement is no scan
	}
	row := &models.Scan{
		AccountID: b.tx.Account, Key: models.NewKey(), CustomerID: rec.CustomerID, Scene: rec.Scene,
		Follows: rec.Kind == models.InboundFollow, Outcome: rec.Outcome, AdvisorID: rec.AdvisorID, At: rec.At, CreatedAt: b.tx.Now,
	}
	if code := b.codes[rec.Scene]; code != nil {
		row.CodeID, row.Label = code.Key, code.Label
	}
	b.scans = append(b.scans, row)
}

// ScanFilter says which scans a page holds; zero fields say nothing.
type ScanFilter struct {
	Customer *CustomerRef
	Code     models.Key
	Label    string
	Outcome  models.ScanOutcome
}

// ScanPage reads a page of the record of scans, latest first (rules C2, N7). NOT_FOUND of a customer or
// a code that the account does not have.
func (s *Services) ScanPage(ctx context.Context, f ScanFilter, p relay.Page) ([]*models.Scan, *relay.Keyset, error) {
	c, err := s.begin(ctx, mayScans)
	if err != nil {
		return nil, nil, err
	}
	r := s.store.View(ctx)
	q := store.ScanFilter{Code: f.Code, Label: f.Label, Outcome: f.Outcome}
	if f.Customer != nil {
		customer, err := s.customerRef(r, c, *f.Customer, "filter.customer")
		if err != nil {
			return nil, nil, err
		}
		q.Customer = customer.Key
	}
	if !f.Code.IsZero() {
		codes, err := r.QRCodes(c.Account.Key, []models.Key{f.Code})
		if err != nil {
			return nil, nil, err
		}
		if len(codes) == 0 {
			return nil, nil, models.NotFound("code", "filter.codeId")
		}
	}
	return r.ScanPage(c.Account.Key, q, p)
}
