package models_test

import (
	"testing"
	"time"

	"clientele/models"
)

func TestMassSendsToAllReachWhoFollowedThen(t *testing.T) {
	p := classic(t)
	june := p.MonthOf(noon)
	hour := func(n int) models.Time { return noon.Add(time.Duration(n) * time.Hour) }
	to := func(at ...models.Time) models.MassSends {
		all := models.MassSends{Head: len(at)}
		for i, when := range at {
			all.Sends = append(all.Sends, &models.MassSend{No: i + 1, At: when, Month: p.MonthOf(when)})
		}
		return all
	}
	following := &models.Customer{FollowState: models.Following, FollowedAt: hour(0), UnfollowedAt: hour(-2)}
	left := &models.Customer{FollowState: models.Unfollowed, FollowedAt: hour(0), UnfollowedAt: hour(2)}
	for _, tt := range []struct {
		name     string
		customer *models.Customer
		all      models.MassSends
		used     int
	}{
		{"while following", following, to(hour(1)), 1},
		{"at the instant of following", following, to(hour(0)), 1},
		{"before following", following, to(hour(0) - 1), 0},
		{"before an earlier leaving", following, to(hour(-3)), 0},
		{"before leaving", left, to(hour(2) - 1), 1},
		{"at the instant of leaving", left, to(hour(2)), 0},
		{"to somebody who never followed", &models.Customer{FollowState: models.Unfollowed}, to(hour(1)), 0},
		{"several", following, to(hour(1), hour(2), hour(-3)), 2},
		{"more than the month has", following, to(hour(1), hour(2), hour(3), hour(4), hour(5)), 5},
		{"none that is recent", following, models.MassSends{Head: 9}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := models.Contact{}.CaughtUp(tt.all, tt.customer)
			if c.OutreachUsed != tt.used || c.MassSeen != tt.all.Head {
				t.Errorf("%d are counted, %d seen; want %d, %d", c.OutreachUsed, c.MassSeen, tt.used, tt.all.Head)
			}
			if c.CaughtUp(tt.all, tt.customer) != c {
				t.Error("counted twice")
			}
		})
	}
	t.Run("only what was recorded since counts", func(t *testing.T) {
		c := models.Contact{}.CaughtUp(to(hour(1)), following).CaughtUp(to(hour(1), hour(2)), following)
		if c.OutreachUsed != 2 || c.MassSeen != 2 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("it never forgets what it has seen", func(t *testing.T) {
		c := models.Contact{}.CaughtUp(to(hour(1), hour(2)), following)
		if c.CaughtUp(to(hour(1)), following) != c {
			t.Error("an older list changed the ledger")
		}
	})
	t.Run("of a month that is over it changes nothing", func(t *testing.T) {
		since := &models.Customer{FollowState: models.Following, FollowedAt: 1}
		c := models.Contact{}.MassSent(june, 1, p).CaughtUp(to(p.NextMonth(noon)-1, noon.Add(-31*24*time.Hour)), since)
		if c.Month != june || c.OutreachUsed != 2 {
			t.Errorf("%+v", c)
		}
	})
}
