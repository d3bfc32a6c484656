package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"clientele/models"
)

// selects reports whether a field below the items of the list being resolved is asked for. The
// items are under each of these paths, e.g. "nodes" and "edges.node".
func selects(ctx context.Context, items []string, fields ...string) bool {
	for _, item := range items {
		for _, f := range fields {
			if graphql.FieldRequested(ctx, item+"."+f) {
				return true
			}
		}
	}
	return false
}

// page is where a connection has its items.
var page = []string{"nodes", "edges.node"}

// ofInbox reads what a page of conversations will show, one statement a noun.
func (r *Resolver) ofInbox(ctx context.Context, rows []*models.Conversation) error {
	if selects(ctx, page, "customer", "contactability") {
		keys := make([]models.Key, len(rows))
		for i, c := range rows {
			keys[i] = c.CustomerID
		}
		if err := loaders(ctx).PreloadCustomers(ctx, r.Services, keys); err != nil {
			return err
		}
	}
	loaders(ctx).PrimeConversations(rows)
	if selects(ctx, page, "lastMessage") {
		return loaders(ctx).PreloadLastMessages(ctx, r.Services, rows)
	}
	return nil
}

// ofNotifications reads the customers that notifications name.
func (r *Resolver) ofNotifications(ctx context.Context, items []string, rows []*models.Notification) error {
	if !selects(ctx, items, "customer", "text", "link") {
		return nil
	}
	var keys []models.Key
	for _, n := range rows {
		if !n.CustomerID.IsZero() {
			keys = append(keys, n.CustomerID)
		}
	}
	return loaders(ctx).PreloadCustomers(ctx, r.Services, keys)
}

// ofCustomers reads the advisors of a page of customers.
func (r *Resolver) ofCustomers(ctx context.Context, rows []*models.Customer) error {
	if !selects(ctx, page, "advisor") {
		return nil
	}
	var keys []models.Key
	for _, c := range rows {
		if !c.AdvisorID.IsZero() {
			keys = append(keys, c.AdvisorID)
		}
	}
	if err := loaders(ctx).PreloadAdvisors(ctx, r.Services, keys); err != nil {
		return err
	}
	return r.codesOf(ctx, []string{"nodes.advisor", "edges.node.advisor"}, keys)
}

// codesOf reads the codes of what a list holds.
func (r *Resolver) codesOf(ctx context.Context, items []string, owners []models.Key) error {
	if !selects(ctx, items, "qrCode") {
		return nil
	}
	return loaders(ctx).PreloadQRCodes(ctx, r.Services, owners)
}

func keysOf[T any](rows []T, key func(T) models.Key) []models.Key {
	keys := make([]models.Key, 0, len(rows))
	for _, r := range rows {
		keys = append(keys, key(r))
	}
	return keys
}
