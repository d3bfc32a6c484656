package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// Ensure reads of a snapshot see one state while others commit, from several goroutines, and
// that reads outside it see what is new.
func TestSnapshot(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		testkit.Customers(t, s, account.Key, 3)
		page := func(ctx context.Context) (int, error) {
			rows, _, err := s.View(ctx).CustomerPage(account.Key, store.CustomerFilter{}, models.OrderNewest, relay.Page{First: 50})
			return len(rows), err
		}
		err := s.Snapshot(t.Context(), func(ctx context.Context) error {
			if n, err := page(ctx); err != nil || n != 3 {
				return fmt.Errorf("%d customers at first, %w", n, err)
			}
			testkit.Customers(t, s, account.Key, 10)
			if n, err := page(t.Context()); err != nil || n != 10 {
				t.Errorf("%d customers outside the snapshot, %v", n, err)
			}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if n, err := page(ctx); err != nil || n != 3 {
						t.Errorf("%d customers in the snapshot, %v", n, err)
					}
					if n, err := s.View(ctx).CountGroups(account.Key); err != nil || n != 0 {
						t.Errorf("%d groups, %v", n, err)
					}
				})
			}
			all.Wait()
			return s.Read(ctx, func(r *store.Reader) error { // a snapshot inside is the same one.
				rows, _, err := r.CustomerPage(account.Key, store.CustomerFilter{}, models.OrderNewest, relay.Page{First: 50})
				if len(rows) != 3 {
					t.Errorf("%d customers in the snapshot inside", len(rows))
				}
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := page(t.Context()); err != nil || n != 10 {
			t.Errorf("%d customers after the snapshot, %v", n, err)
		}
	})
}

// Ensure a snapshot cannot write, and that its failure is its caller's.
func TestSnapshotOnlyReads(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		if err := s.Snapshot(t.Context(), func(context.Context) error { return errStop }); err != errStop { //nolint:errorlint // as it is.
			t.Errorf("Snapshot = %v", err)
		}
		for range 100 { // each gives its connection back.
			if err := s.Read(t.Context(), func(*store.Reader) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Ensure pages hold every row once and in order, also among rows that are equal in what they are
// sorted by, whatever the size of the page; and that none of another advisor's or account's.
func TestPages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		rapid.Check(t, func(r *rapid.T) {
			// The rows of a case are an account's own; the ones before it are its neighbours.
			account := testkit.Account(t, s)
			advisors := testkit.Advisors(t, s, account, 2)
			ats := rapid.SliceOfN(rapid.IntRange(1, 4), 0, 24).Draw(r, "at")
			first := rapid.IntRange(1, 9).Draw(r, "first")
			keys := testkit.Customers(t, s, account.Key, len(ats))
			want := map[models.Key][]models.Key{}
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
				customers, _, err := tx.LockCustomers(keys)
				if err != nil {
					return err
				}
				conversations, err := tx.LockConversations(keys)
				if err != nil {
					return err
				}
				for i := range customers {
					a := advisors[i%3%2].Key
					customers[i].AdvisorID, customers[i].BoundAt = a, models.Time(ats[i])
					conversations[i].AdvisorID, conversations[i].ActiveAt = a, models.Time(ats[i])
				}
				if err := tx.UpdateCustomers(customers, "advisor_id", "bound_at"); err != nil {
					return err
				}
				slices.SortFunc(customers, func(a, b *models.Customer) int {
					if a.BoundAt != b.BoundAt {
						return int(b.BoundAt - a.BoundAt)
					}
					return slices.Compare(b.Key[:], a.Key[:])
				})
				for _, c := range customers {
					want[c.AdvisorID] = append(want[c.AdvisorID], c.Key)
				}
				return tx.UpdateConversations(conversations)
			})
			for _, a := range advisors {
				bound := pages(r, first, func(p relay.Page) ([]*models.Customer, error) {
					rows, _, err := s.View(t.Context()).CustomerPage(account.Key, store.CustomerFilter{Advisor: a.Key}, models.OrderLatestBound, p)
					return rows, err
				}, func(c *models.Customer) relay.Keyset { return relay.Keyset{Sort: int64(c.BoundAt), Key: c.Key} })
				inbox := pages(r, first, func(p relay.Page) ([]*models.Conversation, error) {
					return s.View(t.Context()).InboxPage(account.Key, a.Key, store.InboxFilter{}, p)
				}, func(c *models.Conversation) relay.Keyset {
					return relay.Keyset{Sort: int64(c.ActiveAt), Key: c.CustomerID}
				})
				if !slices.Equal(bound, want[a.Key]) || !slices.Equal(inbox, want[a.Key]) {
					r.Fatalf("customers %v\ninbox     %v\nwant      %v", bound, inbox, want[a.Key])
				}
			}
			all := pages(r, first, func(p relay.Page) ([]*models.Customer, error) {
				rows, _, err := s.View(t.Context()).CustomerPage(account.Key, store.CustomerFilter{}, models.OrderNewest, p)
				return rows, err
			}, func(c *models.Customer) relay.Keyset { return relay.Keyset{Key: c.Key} })
			slices.Reverse(all)
			if slices.SortFunc(keys, func(a, b models.Key) int { return slices.Compare(a[:], b[:]) }); !slices.Equal(all, keys) {
				r.Fatalf("all customers %v, want %v", all, keys)
			}
		})
	})
}

// pages reads a list to its end, page by page, as a client does.
func pages[T any](r *rapid.T, first int, read func(relay.Page) ([]T, error), position func(T) relay.Keyset) (keys []models.Key) {
	page := relay.Page{First: first}
	for {
		rows, err := read(page)
		if err != nil || len(rows) > first+1 {
			r.Fatalf("%d rows of %d, %v", len(rows), first, err)
		}
		for _, row := range rows[:min(first, len(rows))] {
			keys = append(keys, position(row).Key)
		}
		if len(rows) <= first {
			return keys
		}
		cursor := position(rows[first-1])
		page.After = &cursor
	}
}

// Ensure the other lists page the same way.
func TestOtherPages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		account := testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, 7, func(i int, a *models.Advisor) {
			a.InvitedAt = clock.Time().Add(time.Duration(i/3) * time.Second)
		})
		customer := testkit.Customers(t, s, account.Key, 1)[0]
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			var notes []*models.Notification
			var messages []*models.Message
			for i := range 7 {
				g := group(account.Key, fmt.Sprint(i))
				g.CreatedAt = models.Time(1 + i/3)
				if err := tx.InsertGroup(g); err != nil {
					return err
				}
				notes = append(notes, &models.Notification{
					AccountID: account.Key, Key: models.NewKey(), AdvisorID: advisors[0].Key,
					Kind: models.NotifyAdvisorAdded, At: models.Time(1 + i/3),
				})
				messages = append(messages, &models.Message{
					AccountID: account.Key, Key: models.NewKey(), CustomerID: customer, Direction: models.FromCustomer,
					Kind: models.ContentText, Status: models.StatusReceived, CreatedAt: models.Time(1 + i/3),
				})
			}
			if err := tx.InsertMessages(messages); err != nil {
				return err
			}
			return tx.InsertNotifications(notes)
		})
		for name, read := range map[string]func(v *store.Reader, p relay.Page) ([]relay.Keyset, error){
			"advisors": func(v *store.Reader, p relay.Page) ([]relay.Keyset, error) {
				rows, err := v.AdvisorPage(account.Key, "", clock.Time(), p)
				return positions(rows, func(a *models.Advisor) relay.Keyset { return relay.Keyset{Sort: int64(a.InvitedAt), Key: a.Key} }), err
			},
			"groups": func(v *store.Reader, p relay.Page) ([]relay.Keyset, error) {
				rows, err := v.GroupPage(account.Key, p)
				return positions(rows, func(g *models.Group) relay.Keyset { return relay.Keyset{Sort: int64(g.CreatedAt), Key: g.Key} }), err
			},
			"notifications": func(v *store.Reader, p relay.Page) ([]relay.Keyset, error) {
				rows, err := v.NotificationPage(account.Key, advisors[0].Key, p)
				return positions(rows, func(n *models.Notification) relay.Keyset { return relay.Keyset{Sort: int64(n.At), Key: n.Key} }), err
			},
			"messages": func(v *store.Reader, p relay.Page) ([]relay.Keyset, error) {
				rows, err := v.MessagePage(account.Key, customer, 0, p)
				return positions(rows, func(m *models.Message) relay.Keyset { return relay.Keyset{Key: m.Key} }), err
			},
		} {
			t.Run(name, func(t *testing.T) {
				var all []relay.Keyset
				page := relay.Page{First: 2}
				for {
					rows, err := read(s.View(t.Context()), page)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, rows[:min(page.First, len(rows))]...)
					if len(rows) <= page.First {
						break
					}
					page.After = &all[len(all)-1]
				}
				if len(all) != 7 || !slices.IsSortedFunc(all, func(a, b relay.Keyset) int {
					if a.Sort != b.Sort {
						return int(b.Sort - a.Sort)
					}
					return slices.Compare(b.Key[:], a.Key[:])
				}) || len(slices.Compact(slices.Clone(all))) != 7 {
					t.Errorf("%d rows %v", len(all), all)
				}
			})
		}
	})
}

func positions[T any](rows []T, position func(T) relay.Keyset) []relay.Keyset {
	all := make([]relay.Keyset, len(rows))
	for i, r := range rows {
		all[i] = position(r)
	}
	return all
}
