package resolvers

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"clientele/models"
)

// The items of a list are resolved one after the other (ADR 0019), so a resolver of a list reads
// at once what its items will show, one statement a noun.

// below is the names of all fields that are asked for below the one being resolved, however deep.
// What @skip leaves out counts too: it costs a statement, not one an item.
func below(ctx context.Context) map[string]bool {
	names, spread := map[string]bool{}, map[string]bool{}
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				names[s.Name] = true
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				if !spread[s.Name] {
					spread[s.Name] = true
					walk(s.Definition.SelectionSet)
				}
			}
		}
	}
	walk(graphql.GetFieldContext(ctx).Field.Selections)
	return names
}

// ofInbox reads what a page of conversations will show.
func (r *Resolver) ofInbox(ctx context.Context, rows []*models.Conversation) error {
	asked := below(ctx)
	loaders(ctx).PrimeConversations(rows)
	if asked["customer"] || asked["contactability"] {
		if err := r.customersOf(ctx, asked, keysOf(rows, func(c *models.Conversation) models.Key { return c.CustomerID })); err != nil {
			return err
		}
	}
	if asked["lastMessage"] {
		return loaders(ctx).PreloadLastMessages(ctx, r.Services, rows)
	}
	return nil
}

// ofNotifications reads what notifications show of the customers that they name.
func (r *Resolver) ofNotifications(ctx context.Context, rows []*models.Notification) error {
	asked := below(ctx)
	if !asked["customer"] && !asked["text"] && !asked["link"] {
		return nil
	}
	return r.customersOf(ctx, asked, keysOf(rows, func(n *models.Notification) models.Key { return n.CustomerID }))
}

// ofCustomers reads what customers show of their tags, advisors and ledgers.
func (r *Resolver) ofCustomers(ctx context.Context, rows []*models.Customer) error {
	if below(ctx)["contactability"] {
		if _, err := loaders(ctx).PreloadConversations(ctx, r.Services, keysOf(rows, func(c *models.Customer) models.Key { return c.Key })); err != nil {
			return err
		}
	}
	return r.belowCustomers(ctx, below(ctx), rows)
}

// ofBindings reads what changes of bindings show of customers and advisors.
func (r *Resolver) ofBindings(ctx context.Context, rows []*models.Binding) error {
	asked := below(ctx)
	if asked["customer"] {
		if err := r.customersOf(ctx, asked, keysOf(rows, func(b *models.Binding) models.Key { return b.CustomerID })); err != nil {
			return err
		}
	}
	if !asked["advisor"] && !asked["formerAdvisor"] {
		return nil
	}
	keys := keysOf(rows, func(b *models.Binding) models.Key { return b.AdvisorID })
	keys = append(keys, keysOf(rows, func(b *models.Binding) models.Key { return b.FormerID })...)
	if err := loaders(ctx).PreloadAdvisors(ctx, r.Services, keys); err != nil {
		return err
	}
	return r.ofAdvisors(ctx, keys)
}

// ofAdvisors reads what a list of advisors will show: their groups, and the codes of both.
func (r *Resolver) ofAdvisors(ctx context.Context, advisors []models.Key) error {
	owners := advisors
	if below(ctx)["groups"] && len(advisors) > 0 {
		groups, err := loaders(ctx).PreloadGroups(ctx, r.Services, advisors)
		if err != nil {
			return err
		}
		owners = keysOf(append(groups, advisors...), itself)
	}
	return r.codesOf(ctx, owners)
}

// ofChanges reads what changes of customers show of them.
func (r *Resolver) ofChanges(ctx context.Context, rows []*models.CustomerChange) error {
	asked := below(ctx)
	if !asked["customer"] {
		return nil
	}
	return r.customersOf(ctx, asked, keysOf(rows, func(c *models.CustomerChange) models.Key { return c.CustomerID }))
}

// ofFeed reads what the events of a part of the account's stream show, one statement a noun whatever the events tell.
func ofFeed[E models.PushedEvent](ctx context.Context, r *Resolver, feed models.Feed[E]) error {
	asked := below(ctx)
	var customers, codes, advisors []models.Key
	for _, e := range feed.Events {
		switch e := any(e).(type) {
		case models.CustomerChanged:
			customers = append(customers, e.Change.CustomerID)
		case models.BindingChanged:
			customers, advisors = append(customers, e.Binding.CustomerID), append(advisors, e.Binding.AdvisorID, e.Binding.FormerID)
		case models.CodeScanned:
			customers, codes, advisors = append(customers, e.Scan.CustomerID), append(codes, e.Scan.CodeID), append(advisors, e.Scan.AdvisorID)
		case models.InvitationEnded:
			advisors = append(advisors, e.Advisor.Key)
		}
	}
	if asked["customer"] {
		if err := r.customersOf(ctx, asked, keysOf(customers, itself)); err != nil {
			return err
		}
	}
	if asked["qrCode"] {
		rows, err := loaders(ctx).PreloadCodes(ctx, r.Services, keysOf(codes, itself))
		if err == nil {
			err = r.ofCodes(ctx, rows)
		}
		if err != nil {
			return err
		}
	}
	if !asked["advisor"] && !asked["formerAdvisor"] {
		return nil
	}
	advisors = keysOf(advisors, itself)
	if err := loaders(ctx).PreloadAdvisors(ctx, r.Services, advisors); err != nil {
		return err
	}
	return r.ofAdvisors(ctx, advisors)
}

func itself(k models.Key) models.Key { return k }

// codesOf reads the codes of advisors or groups that a list holds.
func (r *Resolver) codesOf(ctx context.Context, owners []models.Key) error {
	if !below(ctx)["qrCode"] {
		return nil
	}
	return loaders(ctx).PreloadQRCodes(ctx, r.Services, owners)
}

// ofCodes reads what codes show of whom they lead to.
func (r *Resolver) ofCodes(ctx context.Context, rows []*models.QRCode) error {
	asked := below(ctx)
	of := func(kind models.QRCodeKind) []models.Key {
		return keysOf(rows, func(q *models.QRCode) models.Key {
			if q.Kind != kind {
				return models.Key{}
			}
			return q.OwnerID
		})
	}
	var owners []models.Key
	if asked["advisor"] {
		keys := of(models.QRCodeAdvisor)
		if err := loaders(ctx).PreloadAdvisors(ctx, r.Services, keys); err != nil {
			return err
		}
		if err := r.ofAdvisors(ctx, keys); err != nil {
			return err
		}
	}
	if asked["group"] {
		owners = of(models.QRCodeGroup)
		if err := loaders(ctx).PreloadGroupsByKey(ctx, r.Services, owners); err != nil {
			return err
		}
	}
	return r.codesOf(ctx, owners)
}

// ofScans reads what scans show of customers, codes and advisors.
func (r *Resolver) ofScans(ctx context.Context, rows []*models.Scan) error {
	asked := below(ctx)
	if asked["customer"] {
		if err := r.customersOf(ctx, asked, keysOf(rows, func(s *models.Scan) models.Key { return s.CustomerID })); err != nil {
			return err
		}
	}
	if asked["qrCode"] {
		codes, err := loaders(ctx).PreloadCodes(ctx, r.Services, keysOf(rows, func(s *models.Scan) models.Key { return s.CodeID }))
		if err == nil {
			err = r.ofCodes(ctx, codes)
		}
		if err != nil {
			return err
		}
	}
	if !asked["advisor"] {
		return nil
	}
	keys := keysOf(rows, func(s *models.Scan) models.Key { return s.AdvisorID })
	if err := loaders(ctx).PreloadAdvisors(ctx, r.Services, keys); err != nil {
		return err
	}
	return r.ofAdvisors(ctx, keys)
}

// ofNodes reads what objects of any noun will show.
func (r *Resolver) ofNodes(ctx context.Context, nodes []models.Node) error {
	var (
		talks         []*models.Conversation
		people        []*models.Customer
		notifications []*models.Notification
		messages      []*models.Message
		advisors      []models.Key
		owners        []models.Key
		codes         []*models.QRCode
	)
	for _, n := range nodes {
		switch n := n.(type) {
		case *models.Conversation:
			talks = append(talks, n)
		case *models.Customer:
			people = append(people, n)
		case *models.Notification:
			notifications = append(notifications, n)
		case *models.Message:
			messages = append(messages, n)
		case *models.Advisor:
			advisors = append(advisors, n.Key)
		case *models.Group:
			owners = append(owners, n.Key)
		case *models.QRCode:
			codes = append(codes, n)
		}
	}
	if below(ctx)["conversation"] {
		rows, err := loaders(ctx).PreloadConversations(ctx, r.Services, keysOf(messages, func(m *models.Message) models.Key { return m.CustomerID }))
		if err != nil {
			return err
		}
		talks = append(talks, rows...)
	}
	return errors.Join(r.ofInbox(ctx, talks), r.ofCustomers(ctx, people), r.ofNotifications(ctx, notifications), r.ofAdvisors(ctx, advisors), r.codesOf(ctx, owners), r.ofCodes(ctx, codes))
}

func (r *Resolver) customersOf(ctx context.Context, asked map[string]bool, keys []models.Key) error {
	rows, err := loaders(ctx).PreloadCustomers(ctx, r.Services, keys)
	if err != nil {
		return err
	}
	return r.belowCustomers(ctx, asked, rows)
}

func (r *Resolver) belowCustomers(ctx context.Context, asked map[string]bool, customers []*models.Customer) error {
	if asked["tags"] {
		if err := loaders(ctx).PreloadTags(ctx, r.Services, customers); err != nil {
			return err
		}
	}
	return r.advisorsOf(ctx, asked, customers)
}

func (r *Resolver) advisorsOf(ctx context.Context, asked map[string]bool, customers []*models.Customer) error {
	if !asked["advisor"] {
		return nil
	}
	keys := keysOf(customers, func(c *models.Customer) models.Key { return c.AdvisorID })
	if err := loaders(ctx).PreloadAdvisors(ctx, r.Services, keys); err != nil {
		return err
	}
	return r.ofAdvisors(ctx, keys)
}

// keysOf is the keys that rows name, each once, without zero ones.
func keysOf[T any](rows []T, key func(T) models.Key) []models.Key {
	keys, seen := make([]models.Key, 0, len(rows)), make(map[models.Key]bool, len(rows))
	for _, r := range rows {
		if k := key(r); !k.IsZero() && !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	return keys
}
