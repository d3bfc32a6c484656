package services

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"

	"clientele/auth"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// IssueTicket makes a ticket, with which one event stream may be opened as the viewer of ctx until it lapses, limits.TicketLife from now or
// with the viewer's token: an address can carry it, where a token must not stand (rule V1). UNAUTHENTICATED without a viewer who is let in.
func (s *Services) IssueTicket(ctx context.Context) (ticket string, expires models.Time, err error) {
	c, err := s.scope(ctx)
	if err != nil {
		return "", 0, err
	}
	viewer, err := json.Marshal(c.Viewer)
	if err != nil {
		return "", 0, err
	}
	var secret [limits.TicketBytes]byte
	_, _ = rand.Read(secret[:]) // it does not fail
	ticket = base64.RawURLEncoding.EncodeToString(secret[:])
	expires = min(s.Now().Add(limits.TicketLife), models.At(c.Viewer.Expires))
	err = s.store.InsertTicket(ctx, &models.Ticket{Digest: digestOf(ticket), Viewer: string(viewer), ExpiresAt: expires})
	return ticket, expires, err
}

// RedeemTicket is whose ticket this is; it is good once, on whatever node. UNAUTHENTICATED for one that is not known, was used or has
// lapsed. Whether the token was revoked since is asked as for the token itself.
func (s *Services) RedeemTicket(ctx context.Context, ticket string) (*auth.Viewer, error) {
	unknown := models.Errorf(models.CodeUnauthenticated, "the ticket is not known, was used, or has lapsed")
	if len(ticket) != base64.RawURLEncoding.EncodedLen(limits.TicketBytes) {
		return nil, unknown
	}
	t, err := s.store.TakeTicket(ctx, digestOf(ticket))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, unknown
	case err != nil:
		return nil, unavailable(err)
	case t.ExpiresAt <= s.Now():
		return nil, unknown
	}
	var v auth.Viewer
	if err := json.Unmarshal([]byte(t.Viewer), &v); err != nil {
		return nil, err
	}
	return &v, nil
}

func digestOf(ticket string) []byte {
	digest := sha256.Sum256([]byte(ticket))
	return digest[:]
}

// tickets deletes tickets that nobody used.
func (p *pass) tickets(ctx context.Context) error {
	for {
		n, err := p.s.store.DeleteTickets(ctx, p.now.Add(-limits.ClockSkew), limits.RetentionRows)
		p.done.Tickets += n
		if err != nil || n < limits.RetentionRows {
			return err
		}
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
}
