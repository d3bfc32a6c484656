package models_test

import (
	"testing"

	"clientele/limits"
	"clientele/models"
)

// Ensure each state of a customer and of whom they are to go to has its outcome (rules E1, E5).
func TestBind(t *testing.T) {
	anna := &models.Advisor{Key: models.NewKey(), OpenID: "anna", Stored: models.AdvisorActive}
	full := &models.Advisor{Key: models.NewKey(), OpenID: "full", Stored: models.AdvisorActive, CustomerCount: limits.CustomersPerAdvisor}
	member, other := models.NewKey(), models.NewKey()
	one := func(a *models.Advisor) models.BindTarget { return models.BindTarget{Advisor: a} }
	group := func(free *models.Advisor) models.BindTarget {
		return models.BindTarget{
			IsMember: func(k models.Key) bool { return k == member }, Draw: func(*models.Customer) *models.Advisor { return free },
		}
	}
	follows := models.Customer{OpenID: "wei", FollowState: models.Following}
	with := func(change func(*models.Customer)) *models.Customer {
		c := follows
		change(&c)
		return &c
	}
	of := func(k models.Key) *models.Customer { return with(func(c *models.Customer) { c.AdvisorID = k }) }
	suspended := with(func(c *models.Customer) { c.AdvisorID, c.SuspendedAt = other, 1 })
	for _, tt := range []struct {
		name     string
		target   models.BindTarget
		customer *models.Customer
		assign   models.Code // of ASSIGN; "" binds, "-" changes nothing
		rebind   models.Code
	}{
		{"nobody's", one(anna), &follows, "", ""},
		{"theirs", one(anna), of(anna.Key), "-", "-"},
		{"theirs, full", one(full), of(full.Key), "-", "-"},
		{"another's", one(anna), of(other), models.CodeBoundToAnother, ""},
		{"another's, full", one(full), of(other), models.CodeBoundToAnother, models.CodeAdvisorFull},
		{"full", one(full), &follows, models.CodeAdvisorFull, models.CodeAdvisorFull},
		{"suspended", one(anna), suspended, "", ""},
		{"left", one(anna), with(func(c *models.Customer) { c.FollowState = models.Unfollowed }), models.CodeNotFollowing, models.CodeNotFollowing},
		{"left, theirs", one(anna), with(func(c *models.Customer) {
			c.FollowState, c.AdvisorID, c.SuspendedAt = models.Unfollowed, anna.Key, 1
		}), models.CodeNotFollowing, models.CodeNotFollowing},
		{"self", one(anna), with(func(c *models.Customer) { c.OpenID = "anna" }), models.CodeSelf, models.CodeSelf},
		{"group", group(anna), &follows, "", ""},
		{"group, a member's", group(anna), of(member), "-", "-"},
		{"group, another's", group(anna), of(other), models.CodeBoundToAnother, ""},
		{"group, nobody free", group(nil), &follows, models.CodeGroupHasNoFree, models.CodeGroupHasNoFree},
		{"group, nobody free, a member's", group(nil), of(member), "-", "-"},
	} {
		for op, want := range map[models.BindingOperation]models.Code{models.OperationAssign: tt.assign, models.OperationRebind: tt.rebind} {
			a, err := tt.target.Bind(tt.customer, op)
			var got models.Code
			switch {
			case err != nil:
				got = err.Code
			case a == nil:
				got = "-"
			}
			if got != want {
				t.Errorf("%s: %s is %q, want %q", tt.name, op, got, want)
			}
		}
	}
}

// Ensure hidden history stays hidden and what follows shows, whichever transaction began first (rule E6).
func TestHideHistory(t *testing.T) {
	for _, tt := range []struct{ active, hidden, written models.Time }{{100, 200, 150}, {100, 100, 100}, {100, 50, 60}, {0, 5, 1}} {
		c := &models.Conversation{ActiveAt: tt.active}
		c.HideHistory(tt.hidden)
		if c.VisibleFrom <= tt.active {
			t.Errorf("%+v: what was written before shows", tt)
		}
		if c.WrittenAt(tt.written) < c.VisibleFrom {
			t.Errorf("%+v: what is written after is hidden", tt)
		}
	}
}
