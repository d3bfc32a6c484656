package models_test

import (
	"errors"
	"testing"
	"time"

	"clientele/models"
)

const us = time.Microsecond

// noon is an ordinary instant in the middle of a month: 2026-06-15 12:00 in Shanghai.
const noon = models.Time(1_781_496_000_000_000)

func classic(t testing.TB) models.Policy {
	return models.PresetClassic.Policy(zone(t, "Asia/Shanghai"), models.CarrierDirect)
}

func today(t testing.TB) models.Policy {
	return models.PresetPlatformToday.Policy(zone(t, "Asia/Shanghai"), models.CarrierDirect)
}

func take(t testing.TB, c models.Contact, now models.Time, p models.Policy, n int) (models.Contact, models.Slot) {
	t.Helper()
	next, slot, err := c.Take(now, p, n)
	if err != nil {
		t.Fatalf("taking %d: %v", n, err)
	}
	return next, slot
}

func confirm(t testing.TB, c models.Contact, now models.Time, p models.Policy) models.Contact {
	t.Helper()
	next, err := c.Confirm(now, p)
	if err != nil {
		t.Fatalf("confirming: %v", err)
	}
	return next
}

func wantAnswer(t testing.TB, c models.Contact, now models.Time, p models.Policy, want models.Contactability) {
	t.Helper()
	if got := c.MayWrite(now, p); got != want {
		t.Errorf("may write:\n got %+v\nwant %+v", got, want)
	}
}

func wantRefusal(t testing.TB, c models.Contact, now models.Time, p models.Policy, n int, code models.Code, again models.Time) {
	t.Helper()
	next, slot, err := c.Take(now, p, n)
	if !errors.Is(err, &models.Error{Code: code}) || err.RetryAt != again {
		t.Errorf("taking %d: %v, again %d; want %s, again %d", n, err, err.RetryAt, code, again)
	}
	if next != c || slot.Kind != models.SlotNone {
		t.Errorf("a refused send changed the ledger or has a slot: %+v", slot)
	}
}

func free(left int, until models.Time, outreach int) models.Contactability {
	return models.Contactability{Answer: models.AnswerFree, Left: left, Until: until, OutreachLeft: outreach}
}

func costs(outreach int) models.Contactability {
	return models.Contactability{Answer: models.AnswerOutreach, OutreachLeft: outreach}
}

func no(reason models.ContactReason, outreach int, again models.Time) models.Contactability {
	return models.Contactability{Answer: models.AnswerNo, Reason: reason, OutreachLeft: outreach, Again: again}
}

func TestEveryActionOpensWhatItsPresetSays(t *testing.T) {
	for _, tc := range []struct {
		name     string
		p        models.Policy
		action   models.ContactAction
		messages int
		span     time.Duration
	}{
		{"classic message", classic(t), "MESSAGE", 20, 48 * time.Hour},
		{"classic menu", classic(t), "MENU", 20, 48 * time.Hour},
		{"classic follow", classic(t), "FOLLOW", 20, 48 * time.Hour},
		{"classic scan", classic(t), "SCAN", 20, 48 * time.Hour},
		{"classic payment", classic(t), "PAYMENT", 20, 48 * time.Hour},
		{"today's message", today(t), "MESSAGE", 5, 48 * time.Hour},
		{"today's menu", today(t), "MENU", 3, time.Minute},
		{"today's follow", today(t), "FOLLOW", 3, time.Minute},
		{"today's scan", today(t), "SCAN", 3, time.Minute},
		{"today's payment", today(t), "PAYMENT", 20, 48 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := models.Contact{}.Opened(tc.action, noon, tc.p)
			end := noon.Add(tc.span)
			wantAnswer(t, c, noon, tc.p, free(tc.messages, end, 4))
			wantAnswer(t, c, end-1, tc.p, free(tc.messages, end, 4))
			wantAnswer(t, c, end, tc.p, costs(4)) // at its end the window has ended
			c, _ = take(t, c, noon, tc.p, tc.messages)
			wantRefusal(t, c, noon, tc.p, 1, models.CodeReplyWindowClosed, 0)
		})
	}
	t.Run("an action that opens nothing changes nothing", func(t *testing.T) {
		p := classic(t)
		p.Actions[models.ActionMenu] = models.Allowance{For: time.Hour}
		p.Actions[models.ActionScan] = models.Allowance{Messages: 3}
		delete(p.Actions, models.ActionFollow)
		for _, a := range []models.ContactAction{"MENU", "SCAN", "FOLLOW", "VIEW"} {
			if c := (models.Contact{}).Opened(a, noon, p); c != (models.Contact{}) {
				t.Errorf("%s opened %+v", a, c)
			}
		}
	})
}

func TestAllowancesNeverAddUp(t *testing.T) {
	hour := models.Time(time.Hour.Microseconds())
	for _, tc := range []struct {
		name  string
		first models.ContactAction
		taken int
		later models.ContactAction
		after time.Duration
		left  int
		end   models.Time
	}{
		{"the larger remainder stays, the later end wins", "PAYMENT", 14, "MESSAGE", time.Hour, 6, noon + 49*hour},
		{"an equal remainder stays", "PAYMENT", 15, "MESSAGE", time.Hour, 5, noon + 49*hour},
		{"a smaller remainder is raised to the new number", "PAYMENT", 16, "MESSAGE", time.Hour, 5, noon + 49*hour},
		{"an earlier end does not shorten", "MESSAGE", 0, "MENU", time.Hour, 5, noon + 48*hour},
		{"a short action raises what the long one has left", "MESSAGE", 5, "MENU", time.Hour, 3, noon + 48*hour},
		{"just before the old end the remainder counts", "PAYMENT", 1, "MESSAGE", 48*time.Hour - us, 19, noon + 96*hour - 1},
		{"at the old end the remainder is gone", "PAYMENT", 1, "MESSAGE", 48 * time.Hour, 5, noon + 96*hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := today(t)
			c := models.Contact{}.Opened(tc.first, noon, p)
			if tc.taken > 0 {
				c, _ = take(t, c, noon, p, tc.taken)
			}
			at := noon.Add(tc.after)
			wantAnswer(t, c.Opened(tc.later, at, p), at, p, free(tc.left, tc.end, 4))
		})
	}
}

func TestAnActionRecordedLate(t *testing.T) {
	p := today(t)
	later := noon.Add(time.Hour)
	c, _ := take(t, models.Contact{}.Opened("MESSAGE", later, p), later, p, 2)
	t.Run("is charged with what was taken since the newer one", func(t *testing.T) {
		wantAnswer(t, c.Opened("PAYMENT", noon, p), later, p, free(18, later.Add(48*time.Hour), 4))
	})
	t.Run("refills nothing when it opens no more than the newer one", func(t *testing.T) {
		wantAnswer(t, c.Opened("MESSAGE", noon, p), later, p, free(3, later.Add(48*time.Hour), 4))
	})
	t.Run("opens nothing when its own window had ended before the newer one", func(t *testing.T) {
		if got := c.Opened("PAYMENT", later.Add(-48*time.Hour), p); got != c {
			t.Errorf("changed to %+v", got)
		}
	})
	t.Run("prolongs a window that a newer, shorter action opened", func(t *testing.T) {
		c := models.Contact{}.Opened("MENU", later, p)
		wantAnswer(t, c.Opened("MESSAGE", noon, p), later, p, free(5, noon.Add(48*time.Hour), 4))
	})
}

func TestThePlatformCorrectsTheWindow(t *testing.T) {
	p := classic(t)
	now := noon.Add(time.Hour)
	open, slot := take(t, models.Contact{}.Opened("MESSAGE", noon, p), now, p, 1)
	for name, correct := range map[string]func(models.Contact, models.Time) models.Contact{
		"45015 ends it":      models.Contact.PlatformEnded,
		"45047 sets it to 0": models.Contact.PlatformExhausted,
	} {
		t.Run(name, func(t *testing.T) {
			c := correct(open, now)
			wantAnswer(t, c, now, p, costs(4))
			wantAnswer(t, c.Return(slot, now, p), now, p, costs(4)) // nothing in flight comes back
			wantAnswer(t, c.Opened("MESSAGE", noon.Add(time.Minute), p), now, p, costs(4))
			at := now.Add(time.Second)
			again := c.Opened("MESSAGE", at, p)
			wantAnswer(t, again, at, p, free(20, at.Add(48*time.Hour), 4))
			wantAnswer(t, again.Return(slot, at, p), at, p, free(20, at.Add(48*time.Hour), 4))
		})
		t.Run(name+", but not one that a later action opened", func(t *testing.T) {
			if got := correct(open, noon-1); got != open {
				t.Errorf("changed to %+v", got)
			}
		})
		t.Run(name+", and an action of the same second counts as later", func(t *testing.T) {
			c := correct(open, now.Add(700*time.Millisecond))
			wantAnswer(t, c.Opened("MESSAGE", now, p), now, p, free(20, now.Add(48*time.Hour), 4))
		})
	}
	t.Run("45015 moves the end, 45047 does not", func(t *testing.T) {
		if got := open.PlatformEnded(now); got.WindowOpen(now) || got.WindowEnd != now {
			t.Errorf("ends at %v", got.WindowEnd.Go())
		}
		if got := open.PlatformExhausted(now); got.WindowEnd != open.WindowEnd {
			t.Errorf("ends at %v", got.WindowEnd.Go())
		}
		if got := open.PlatformEnded(open.WindowEnd + 1); got.WindowEnd != open.WindowEnd {
			t.Errorf("45015 after the end moved it to %v", got.WindowEnd.Go())
		}
	})
}

func TestConfirmingAnOutreach(t *testing.T) {
	p := classic(t)
	end := noon.Add(time.Minute)
	t.Run("opens a minute for three messages and costs one of four", func(t *testing.T) {
		c := confirm(t, models.Contact{}, noon, p)
		wantAnswer(t, c, end-1, p, free(3, end, 3))
		wantAnswer(t, c, end, p, costs(3)) // what is unused lapses
		c, slot := take(t, c, noon, p, 3)
		if slot.Kind != models.SlotOutreach {
			t.Errorf("taken from %s", slot.Kind)
		}
		wantRefusal(t, c, noon, p, 1, models.CodeReplyWindowClosed, end)
		wantAnswer(t, c, noon, p, no(models.ReasonSessionSpent, 3, end))
	})
	t.Run("again within the session returns the session", func(t *testing.T) {
		c := confirm(t, models.Contact{}, noon, p)
		if again := confirm(t, c, end-1, p); again != c {
			t.Error("a second confirmation changed the ledger")
		}
		spent, _ := take(t, c, noon, p, 3)
		if again := confirm(t, spent, noon, p); again != spent {
			t.Error("a second confirmation changed a spent session")
		}
		wantAnswer(t, confirm(t, c, end, p), end, p, free(3, end.Add(time.Minute), 2))
	})
	t.Run("is possible four times a month and not five", func(t *testing.T) {
		c, next := models.Contact{}, p.NextMonth(noon)
		for i := range 4 {
			c = confirm(t, c, noon.Add(time.Duration(i)*time.Minute), p)
		}
		now := noon.Add(4 * time.Minute)
		wantAnswer(t, c, now, p, no(models.ReasonNoQuota, 0, next))
		wantRefusal(t, c, now, p, 1, models.CodeReplyWindowClosed, next)
		got, err := c.Confirm(now, p)
		if err == nil || err.Code != models.CodeLimitExceeded || err.Limit != 4 || err.RetryAt != next || got != c {
			t.Errorf("a fifth confirmation: %+v", err)
		}
		wantAnswer(t, c, next-1, p, no(models.ReasonNoQuota, 0, next))
		wantAnswer(t, c, next, p, costs(4))
		// A clock that is behind must not bring the old month's four back.
		c = confirm(t, c, next, p)
		wantAnswer(t, c, next-1, p, free(3, next.Add(time.Minute), 3))
		c = models.Contact{}.MassSent(p.MonthOf(next), 4, p)
		wantAnswer(t, c, next-1, p, no(models.ReasonNoQuota, 0, p.NextMonth(next)))
	})
	t.Run("does not return a session that came back to a month which mass sends have used up", func(t *testing.T) {
		c := models.Contact{}.MassSent(p.MonthOf(noon), 3, p)
		c, slot := take(t, confirm(t, c, noon, p), noon, p, 1)
		c = c.Return(slot, noon, p).MassSent(p.MonthOf(noon), 1, p)
		wantAnswer(t, c, noon, p, no(models.ReasonNoQuota, 0, p.NextMonth(noon)))
		if got, err := c.Confirm(noon, p); err == nil || err.Code != models.CodeLimitExceeded || got != c {
			t.Errorf("confirmed where nothing can be sent: %+v", err)
		}
	})
	t.Run("that spent the last one says the next month", func(t *testing.T) {
		c := models.Contact{}.MassSent(p.MonthOf(noon), 3, p)
		c, _ = take(t, confirm(t, c, noon, p), noon, p, 3)
		wantAnswer(t, c, noon, p, no(models.ReasonSessionSpent, 0, p.NextMonth(noon)))
	})
	t.Run("while the window holds a message costs nothing", func(t *testing.T) {
		c, _ := take(t, models.Contact{}.Opened("MESSAGE", noon, p), noon, p, 18)
		if got := confirm(t, c, noon, p); got != c {
			t.Error("an outreach was consumed inside the window")
		}
		if got, err := c.ConfirmAll(noon, p, 2); err != nil || got != c {
			t.Errorf("two left, two wanted: %v", err)
		}
		got, err := c.ConfirmAll(noon, p, 3)
		if err != nil || got.OutreachUsed != 1 {
			t.Fatalf("two left, three wanted: %v", err)
		}
		got, slot := take(t, got, noon, p, 3) // never split
		if slot.Kind != models.SlotOutreach || got.WindowLeft != 2 || got.SessionLeft != 0 {
			t.Errorf("three were taken from %s, leaving %d in the window", slot.Kind, got.WindowLeft)
		}
		if _, err := c.ConfirmAll(noon, p, 4); err == nil || err.Code != models.CodeOutreachUnavailable {
			t.Errorf("more than an outreach carries: %v", err)
		}
	})
	t.Run("over the end of a month belongs to the month of the confirmation", func(t *testing.T) {
		next := p.NextMonth(noon)
		c := confirm(t, models.Contact{}, next-1, p)
		wantAnswer(t, c, next, p, free(3, next.Add(time.Minute)-1, 4))
		c, slot := take(t, c, next, p, 1)
		wantAnswer(t, c.Return(slot, next, p), next, p, free(3, next.Add(time.Minute)-1, 4))
	})
}

func TestASendWithoutConfirmationConsumesNothing(t *testing.T) {
	p := classic(t)
	wantAnswer(t, models.Contact{}, noon, p, costs(4))
	wantRefusal(t, models.Contact{}, noon, p, 1, models.CodeReplyWindowClosed, 0)
	for _, n := range []int{0, -1} {
		wantRefusal(t, models.Contact{}.Opened("MESSAGE", noon, p), noon, p, n, models.CodeInvalid, 0)
		if _, err := (models.Contact{}).ConfirmAll(noon, p, n); err == nil || err.Code != models.CodeInvalid {
			t.Errorf("confirming %d: %v", n, err)
		}
	}
}

func TestMessagesThatGoTogetherComeFromOneAllowance(t *testing.T) {
	p := classic(t)
	c, _ := take(t, models.Contact{}.Opened("MESSAGE", noon, p), noon, p, 18)
	if got := c.MayWriteAll(noon, p, 2); got.Answer != models.AnswerFree {
		t.Errorf("two of two: %+v", got)
	}
	if got := c.MayWriteAll(noon, p, 3); got != costs(4) {
		t.Errorf("three of two: %+v", got)
	}
	wantRefusal(t, c, noon, p, 3, models.CodeReplyWindowClosed, 0)
	c, slot := take(t, c, noon, p, 2)
	if slot.Kind != models.SlotWindow || c.WindowLeft != 0 {
		t.Errorf("two of two were taken from %s, leaving %d", slot.Kind, c.WindowLeft)
	}
}

func TestTheWindowGoesBeforeAnOpenOutreach(t *testing.T) {
	p := classic(t)
	c := confirm(t, models.Contact{}, noon, p).Opened("MESSAGE", noon, p)
	c, slot := take(t, c, noon, p, 20)
	if slot.Kind != models.SlotWindow {
		t.Fatalf("taken from %s", slot.Kind)
	}
	wantAnswer(t, c, noon, p, free(3, noon.Add(time.Minute), 3))
}

func TestMassSendsShareTheMonth(t *testing.T) {
	p := classic(t)
	june, next := p.MonthOf(noon), p.NextMonth(noon)
	wantAnswer(t, models.Contact{}.MassSent(june, 3, p), noon, p, costs(1))
	wantAnswer(t, models.Contact{}.MassSent(june, 4, p), noon, p, no(models.ReasonNoQuota, 0, next))
	wantAnswer(t, models.Contact{}.MassSent(june, 5, p), noon, p, no(models.ReasonNoQuota, 0, next))
	wantAnswer(t, models.Contact{}.MassSent(june, 5, p), next, p, costs(4))
	c := models.Contact{}.MassSent(june, 1, p)
	wantAnswer(t, c.MassSent(june-1, 3, p), noon, p, costs(3)) // that month is over
	wantAnswer(t, c.MassSent(june, 0, p).MassSent(june, -1, p), noon, p, costs(3))
	// Four mass sends and a returned outreach still leave none.
	c, slot := take(t, confirm(t, models.Contact{}, noon, p), noon, p, 1)
	c = c.MassSent(june, 4, p).Return(slot, noon.Add(time.Minute), p)
	wantAnswer(t, c, noon.Add(time.Minute), p, no(models.ReasonNoQuota, 0, next))
}

func TestAFailedReplyReturnsToItsWindow(t *testing.T) {
	p := classic(t)
	end := noon.Add(48 * time.Hour)
	c, slot := take(t, models.Contact{}.Opened("MESSAGE", noon, p), noon, p, 1)
	wantAnswer(t, c.Return(slot, end-1, p), end-1, p, free(20, end, 4))
	if got := c.Return(slot, end, p); got != c {
		t.Error("a slot returned to a window that has ended")
	}
	t.Run("not to the one that followed it", func(t *testing.T) {
		c, _ := take(t, c.Opened("MESSAGE", end, p), end, p, 5)
		wantAnswer(t, c.Return(slot, end, p), end, p, free(15, end.Add(48*time.Hour), 4))
	})
	t.Run("not above what an action has raised it to", func(t *testing.T) {
		at := noon.Add(time.Hour)
		wantAnswer(t, c.Opened("MESSAGE", at, p).Return(slot, at, p), at, p, free(20, at.Add(48*time.Hour), 4))
	})
	t.Run("also when an action has only prolonged it", func(t *testing.T) {
		p, at := today(t), noon.Add(time.Hour)
		c, slot := take(t, models.Contact{}.Opened("PAYMENT", noon, p), noon, p, 1)
		wantAnswer(t, c.Opened("MESSAGE", at, p).Return(slot, at, p), at, p, free(20, at.Add(48*time.Hour), 4))
	})
	t.Run("nothing was taken, nothing returns", func(t *testing.T) {
		for _, s := range []models.Slot{{}, {Kind: models.SlotNone}} {
			if c.Return(s, noon, p) != c || c.Sent(s) != c || c.Superseded(s) {
				t.Errorf("%+v changed the ledger", s)
			}
		}
	})
}

func TestAnOutreachReturnsToItsMonthUnlessAMessageWasSent(t *testing.T) {
	p := classic(t)
	end := noon.Add(time.Minute)
	confirmed := confirm(t, models.Contact{}, noon, p)
	one, slot := take(t, confirmed, noon, p, 1)
	t.Run("within its minute the slot is the session's again, and the next message pays", func(t *testing.T) {
		c := one.Return(slot, noon, p)
		wantAnswer(t, c, noon, p, free(3, end, 4))
		wantAnswer(t, c, end, p, costs(4))
		c, slot := take(t, c, noon, p, 1)
		wantAnswer(t, c, noon, p, free(2, end, 3))
		wantAnswer(t, c.Return(slot, end, p), end, p, costs(4))
	})
	t.Run("after its minute too", func(t *testing.T) {
		c := one.Return(slot, end, p)
		wantAnswer(t, c, end, p, costs(4))
		wantAnswer(t, c, end-1, p, free(2, end, 4)) // its slot came too late, also for a slow clock
	})
	t.Run("whatever became of the outreach before it", func(t *testing.T) {
		c, slot := take(t, confirm(t, one.Sent(slot), end, p), end, p, 1)
		c = c.Return(slot, end, p)
		wantAnswer(t, c, end.Add(time.Minute), p, costs(3))
	})
	t.Run("a message that was sent keeps it", func(t *testing.T) {
		two, slot := take(t, one, noon, p, 1)
		wantAnswer(t, two.Sent(slot).Return(slot, noon, p), noon, p, free(2, end, 3))
		wantAnswer(t, two.Return(slot, noon, p).Sent(slot), end, p, costs(3))
	})
	t.Run("a message still in flight keeps it", func(t *testing.T) {
		two, slot := take(t, one, noon, p, 1)
		c := two.Return(slot, end, p)
		wantAnswer(t, c, end, p, costs(3))
		wantAnswer(t, c.Return(slot, end, p), end, p, costs(4))
	})
	t.Run("an outreach under which nothing was tried lapses", func(t *testing.T) {
		wantAnswer(t, confirmed, end, p, costs(3))
	})
	t.Run("returned to a month that is over it is gone", func(t *testing.T) {
		next := p.NextMonth(noon)
		c, o := confirm(t, one, next, p).ReturnTo(one.Newest())
		wantAnswer(t, c, next, p, free(3, next.Add(time.Minute), 3))
		if o.Month != 0 || o.Out != 0 {
			t.Errorf("the record is %+v", o)
		}
	})
	t.Run("superseded by another it is returned by its record", func(t *testing.T) {
		two, _ := take(t, one, noon, p, 1)
		c, o := confirm(t, two, end, p), two.Newest()
		if !c.Superseded(slot) || c.Return(slot, end, p) != c || c.Sent(slot) != c {
			t.Error("the newest outreach was settled with an older one's slot")
		}
		c, o = c.ReturnTo(o)
		wantAnswer(t, c, end, p, free(3, end.Add(time.Minute), 2)) // one is still in flight
		if kept, sent := c.ReturnTo(o.Settled()); kept != c || sent.Sent != 1 || sent.Month == 0 {
			t.Errorf("an outreach of which a message was sent was returned: %+v", sent)
		}
		c, o = c.ReturnTo(o)
		wantAnswer(t, c, end, p, free(3, end.Add(time.Minute), 3))
		if again, same := c.ReturnTo(o); again != c || same != o || o.Settled() != o {
			t.Error("a record without messages in flight was settled")
		}
		if kept, same := one.ReturnTo(one.Newest()); one.Superseded(slot) || kept != one || same != one.Newest() {
			t.Error("the newest outreach counts as superseded")
		}
	})
	t.Run("mass sends that took its place leave none to pay with", func(t *testing.T) {
		c := one.Return(slot, noon, p).MassSent(p.MonthOf(noon), 4, p)
		wantAnswer(t, c, noon, p, no(models.ReasonNoQuota, 0, p.NextMonth(noon)))
		wantRefusal(t, c, noon, p, 1, models.CodeReplyWindowClosed, p.NextMonth(noon))
	})
}

func TestWhereTheCarrierCannotNothingIsConsumed(t *testing.T) {
	for _, carrier := range []models.OutreachCarrier{"NONE", "TEMPLATE", "SUBSCRIBE", "MASS_SEND"} {
		t.Run(string(carrier), func(t *testing.T) {
			p := classic(t)
			session := confirm(t, models.Contact{}, noon, p)
			p.Carrier = carrier
			for _, c := range []models.Contact{{}, session} {
				wantAnswer(t, c, noon, p, no(models.ReasonOutreachUnavailable, 0, 0))
				wantRefusal(t, c, noon, p, 1, models.CodeOutreachUnavailable, 0)
				if got, err := c.Confirm(noon, p); err == nil || err.Code != models.CodeOutreachUnavailable || got != c {
					t.Errorf("confirming: %v", err)
				}
			}
			c := models.Contact{}.Opened("MESSAGE", noon, p)
			wantAnswer(t, c, noon, p, free(20, noon.Add(48*time.Hour), 0))
		})
	}
	t.Run("a policy of no outreach", func(t *testing.T) {
		p := classic(t)
		p.OutreachPerMonth = 0
		wantAnswer(t, models.Contact{}, noon, p, no(models.ReasonOutreachUnavailable, 0, 0))
	})
}

func TestEveryRefusalHasItsCode(t *testing.T) {
	for reason, code := range map[models.ContactReason]models.Code{
		models.ReasonNotFollowing: models.CodeNotFollowing, models.ReasonNotBound: models.CodeForbidden,
		models.ReasonAccountClosed: models.CodeState, models.ReasonNoQuota: models.CodeReplyWindowClosed,
		models.ReasonSessionSpent: models.CodeReplyWindowClosed, models.ReasonOutreachUnavailable: models.CodeOutreachUnavailable,
	} {
		if got := models.Refused(reason).Err(); got.Code != code {
			t.Errorf("%s is %s, want %s", reason, got.Code, code)
		}
	}
	if err := (models.Contactability{Answer: models.AnswerFree}).Err(); err != nil {
		t.Errorf("FREE is %v", err)
	}
}
