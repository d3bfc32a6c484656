package models_test

import (
	"testing"
	"time"

	"clientele/limits"
	"clientele/models"
)

// Ensure each state answers an invitation, and takes a new one, as rule B3 says.
func TestAdvisorStates(t *testing.T) {
	now := models.At(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	for _, tt := range []struct {
		name     string
		stored   models.AdvisorState
		deadline models.Time
		state    models.AdvisorState
		answer   models.Code
		invite   bool
	}{
		{"pending", models.AdvisorPending, now + 1, models.AdvisorPending, "", false},
		{"pending at its deadline", models.AdvisorPending, now, models.AdvisorExpired, models.CodeInvitationExpired, true},
		{"active", models.AdvisorActive, now - 1, models.AdvisorActive, models.CodeState, false},
		{"refused", models.AdvisorRefused, now + 1, models.AdvisorRefused, models.CodeState, true},
		{"expired", models.AdvisorExpired, now - 1, models.AdvisorExpired, models.CodeInvitationExpired, true},
		{"removed", models.AdvisorRemoved, now + 1, models.AdvisorRemoved, models.CodeState, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := models.Advisor{Stored: tt.stored, Deadline: tt.deadline, Presence: models.PresenceOffline}
			if got := a.StateAt(now); got != tt.state {
				t.Errorf("state %s", got)
			}
			if got := a.MayBeInvited(now); got != tt.invite {
				t.Errorf("may be invited: %t", got)
			}
			for _, accept := range []bool{true, false} {
				b := a
				if err := b.Answer(accept, now); models.CodeOf(err) != tt.answer {
					t.Fatalf("answer %t: %v", accept, err)
				}
				if tt.answer != "" {
					if b != a {
						t.Errorf("a refused answer changed %+v", b)
					}
					continue
				}
				want, presence := models.AdvisorRefused, models.PresenceOffline
				if accept {
					want, presence = models.AdvisorActive, models.PresenceOnline
				}
				if b.Stored != want || b.Presence != presence || b.AnsweredAt != now {
					t.Errorf("answered %t: %+v", accept, b)
				}
			}
		})
	}
}

// Ensure an account opens only when it is verified and free of violations for 365 days (rule A1).
func TestMayOpen(t *testing.T) {
	now := models.At(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	ago := func(d time.Duration) models.Time { return now.Add(-d) }
	const year = limits.ViolationFreeDays * 24 * time.Hour
	for _, tt := range []struct {
		name     string
		verified bool
		last     models.Time
		code     models.Code
	}{
		{"verified, no violation", true, 0, ""},
		{"not verified", false, 0, models.CodeState},
		{"a violation today", true, now, models.CodeState},
		{"364 days and all but a microsecond ago", true, ago(year) + 1, models.CodeState},
		{"365 days ago", true, ago(year), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := models.Account{}
			if tt.verified {
				a.VerifiedAt = now
			}
			if err := a.MayOpen(tt.last, now); models.CodeOf(err) != tt.code {
				t.Error(err)
			}
		})
	}
}
