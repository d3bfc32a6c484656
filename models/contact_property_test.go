package models_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"clientele/models"
)

// The reference keeps everything that ever happened and no counter: whatever it is asked, it
// counts through its lists. It shares no code with the ledger but Policy's months.
type reference struct {
	p          models.Policy
	allowances []allowance
	outreaches []outreach
	sends      []*send
	payments   []payment // of months: by outreaches and mass sends
	follows    bool
	span       span // of following, the present or the last
	windowEnd  models.Time
	newest     models.Time // the newest action counted or correction
	newestAt   int         // how many sends there were when it was recorded
	corrected  bool        // newest is a correction
}

// An allowance is what one opening of the window granted.
type allowance struct{ granted int }

type outreach struct {
	end  models.Time
	size int
}

type span struct{ from, until models.Time } // until 0: goes on

func (s span) holds(at models.Time) bool {
	return s.from != 0 && s.from <= at && (s.until == 0 || at < s.until)
}

type payment struct {
	month, outreach int // outreach -1: a mass send
	returned        bool
}

type sendState int

const (
	inFlight sendState = iota
	sent
	failed
)

// A send is one message; from is an index into allowances, or outreaches if it is one of those.
type send struct {
	slot       models.Slot
	isOutreach bool
	from       int
	state      sendState
	slotBack   bool // its slot returned to the window or session
}

func (r *reference) left(allowance int) int {
	left := r.allowances[allowance].granted
	for _, s := range r.sends {
		if !s.isOutreach && s.from == allowance && !s.slotBack {
			left--
		}
	}
	return left
}

func (r *reference) windowLeft() int {
	if len(r.allowances) == 0 {
		return 0
	}
	return r.left(len(r.allowances) - 1)
}

func (r *reference) sessionLeft() int {
	current := len(r.outreaches) - 1
	left := r.outreaches[current].size
	for _, s := range r.sends {
		if s.isOutreach && s.from == current && !s.slotBack {
			left--
		}
	}
	return left
}

func (r *reference) sessionEnd() models.Time {
	if len(r.outreaches) == 0 {
		return 0
	}
	return r.outreaches[len(r.outreaches)-1].end
}

func (r *reference) month(now models.Time) int {
	month := r.p.MonthOf(now)
	for _, p := range r.payments {
		month = max(month, p.month)
	}
	return month
}

func (r *reference) outreachLeft(month int) int {
	left := r.p.OutreachPerMonth
	for _, p := range r.payments {
		if p.month == month && !p.returned {
			left--
		}
	}
	return max(left, 0)
}

func (r *reference) paid(outreach int) bool {
	for _, p := range r.payments {
		if p.outreach == outreach && !p.returned {
			return true
		}
	}
	return false
}

func (r *reference) opened(a models.ContactAction, at models.Time) {
	n, end := r.p.Actions[a].Messages, at.Add(r.p.Actions[a].For)
	left := r.windowLeft()
	if at < r.newest { // it came late
		if end <= r.newest {
			return
		}
		for _, s := range r.sends[r.newestAt:] {
			if !s.isOutreach {
				n--
			}
		}
		if r.corrected {
			n = 0
		}
	} else {
		r.newest, r.newestAt, r.corrected = at, len(r.sends), false
		if at >= r.windowEnd {
			left = 0
		}
	}
	if n > left {
		r.allowances = append(r.allowances, allowance{granted: n})
	}
	r.windowEnd = max(r.windowEnd, end)
}

func (r *reference) correct(at models.Time, ended bool) {
	if r.newest > at {
		return
	}
	if ended {
		r.windowEnd = min(r.windowEnd, at)
	}
	r.allowances = append(r.allowances, allowance{})
	second := models.At(at.Go().Truncate(time.Second))
	r.newest, r.newestAt, r.corrected = max(r.newest, second), len(r.sends), true
}

// answer tells rule G4 in its own order, for n messages that go together.
func (r *reference) answer(now models.Time, n int) models.Contactability {
	month := r.month(now)
	direct := r.p.Carrier == models.CarrierDirect
	outreach := 0
	if direct {
		outreach = r.outreachLeft(month)
	}
	next := r.p.NextMonth(now)
	for r.p.MonthOf(next) <= month {
		next = r.p.NextMonth(next)
	}
	if now < r.windowEnd && r.windowLeft() >= n {
		return free(r.windowLeft(), r.windowEnd, outreach)
	}
	if !direct || n > r.p.OutreachMessages {
		return no(models.ReasonOutreachUnavailable, outreach, 0)
	}
	if now < r.sessionEnd() {
		if r.sessionLeft() < n {
			again, then := r.sessionEnd(), r.month(r.sessionEnd())
			if r.outreachLeft(then) == 0 {
				for again = r.sessionEnd(); r.p.MonthOf(again) <= then; {
					again = r.p.NextMonth(again)
				}
			}
			return no(models.ReasonSessionSpent, outreach, again)
		}
		if r.paid(len(r.outreaches)-1) || outreach > 0 {
			return free(r.sessionLeft(), r.sessionEnd(), outreach)
		}
	}
	if outreach == 0 {
		return no(models.ReasonNoQuota, 0, next)
	}
	return costs(outreach)
}

func (r *reference) take(now models.Time, n int, slot models.Slot) {
	fromWindow := now < r.windowEnd && r.windowLeft() >= n
	for range n {
		s := &send{slot: slot, isOutreach: !fromWindow, from: len(r.allowances) - 1}
		if s.isOutreach {
			s.from = len(r.outreaches) - 1
			if !r.paid(s.from) {
				r.payments = append(r.payments, payment{month: r.month(now), outreach: s.from})
			}
		}
		r.sends = append(r.sends, s)
	}
}

func (r *reference) confirm(now models.Time, n int) {
	inside := now < r.windowEnd && r.windowLeft() >= n
	if inside || now < r.sessionEnd() || r.answer(now, n).Answer != models.AnswerOutreach {
		return
	}
	r.payments = append(r.payments, payment{month: r.month(now), outreach: len(r.outreaches)})
	r.outreaches = append(r.outreaches, outreach{end: now.Add(r.p.OutreachSession), size: r.p.OutreachMessages})
}

func (r *reference) fail(s *send, now models.Time) {
	s.state = failed
	if !s.isOutreach {
		s.slotBack = s.from == len(r.allowances)-1 && now < r.windowEnd
		return
	}
	s.slotBack = s.from == len(r.outreaches)-1 && now < r.sessionEnd()
	if r.allFailed(s.from) {
		for i := range r.payments {
			if r.payments[i].outreach == s.from {
				r.payments[i].returned = true
			}
		}
	}
}

func (r *reference) allFailed(outreach int) bool {
	for _, s := range r.sends {
		if s.isOutreach && s.from == outreach && s.state != failed {
			return false
		}
	}
	return true
}

// history drives ledger and reference together.
type history struct {
	reference
	c   models.Contact
	now models.Time
	// What the ledger's caller keeps: the records of outreaches, the customer's row, and the mass
	// sends to all followers.
	records  map[int]models.Outreach
	customer models.Customer
	all      models.MassSends
	log      []logged // openings, corrections and sends in their order
}

type logged struct {
	apply func(models.Contact) models.Contact
	send  *send // of a take
}

func (h *history) do(apply func(models.Contact) models.Contact) {
	h.c = apply(h.c)
	h.log = append(h.log, logged{apply: apply})
}

func (h *history) take(t *rapid.T, n int) {
	h.c = h.c.CaughtUp(h.all, &h.customer)
	next, slot, err := h.c.Take(h.now, h.p, n)
	if may := h.answer(h.now, n).Answer == models.AnswerFree; (err == nil) != may {
		t.Fatalf("take %d: %v, the reference says %+v", n, err, h.answer(h.now, n))
	}
	if err != nil {
		if next != h.c || slot.Kind != models.SlotNone {
			t.Fatalf("a refused send changed the ledger")
		}
		return
	}
	h.c = next
	h.reference.take(h.now, n, slot)
	for _, s := range h.sends[len(h.sends)-n:] {
		if s.isOutreach != (slot.Kind == models.SlotOutreach) {
			t.Fatalf("taken from %s", slot.Kind)
		}
		h.log = append(h.log, logged{send: s})
	}
}

// settle draws a message in flight, if there is one.
func (h *history) settle(t *rapid.T) *send {
	var flying []*send
	for _, s := range h.sends {
		if s.state == inFlight {
			flying = append(flying, s)
		}
	}
	if len(flying) == 0 {
		t.Skip("nothing is in flight")
	}
	return rapid.SampledFrom(flying).Draw(t, "message")
}

func (h *history) steps() map[string]func(*rapid.T) {
	ago := rapid.SampledFrom([]time.Duration{
		0, 0, 0, us, time.Second, 30 * time.Second, time.Minute, time.Hour, 47 * time.Hour, 48 * time.Hour, 49 * time.Hour,
	})
	return map[string]func(*rapid.T){
		"action": func(t *rapid.T) {
			a := rapid.SampledFrom(models.ContactActions()).Draw(t, "action")
			at := h.now.Add(-ago.Draw(t, "ago"))
			h.opened(a, at)
			h.do(func(c models.Contact) models.Contact { return c.Opened(a, at, h.p) })
		},
		"correction": func(t *rapid.T) {
			at, ended := h.now.Add(-ago.Draw(t, "ago")), rapid.Bool().Draw(t, "45015")
			h.correct(at, ended)
			h.do(func(c models.Contact) models.Contact {
				if ended {
					return c.PlatformEnded(at)
				}
				return c.PlatformExhausted(at)
			})
		},
		"take":      func(t *rapid.T) { h.take(t, rapid.IntRange(1, 4).Draw(t, "n")) },
		"take many": func(t *rapid.T) { h.take(t, rapid.IntRange(1, 20).Draw(t, "n")) },
		"confirm": func(t *rapid.T) {
			n := rapid.SampledFrom([]int{1, 1, 2, 3, 4}).Draw(t, "n")
			h.c = h.c.CaughtUp(h.all, &h.customer)
			before := h.c
			next, err := h.c.ConfirmAll(h.now, h.p, n)
			if err != nil && next != before {
				t.Fatal("a refused confirmation changed the ledger")
			}
			if n == 1 && before.SessionOpen(h.now) && next != before {
				t.Fatal("a second confirmation changed the ledger")
			}
			h.reference.confirm(h.now, n)
			if next.SessionNo != before.SessionNo {
				h.records[before.SessionNo] = before.Newest()
			}
			h.c = next
		},
		"sent": func(t *rapid.T) {
			s := h.settle(t)
			s.state = sent
			if h.c.Superseded(s.slot) {
				h.records[s.slot.No] = h.records[s.slot.No].Settled()
				return
			}
			h.c = h.c.Sent(s.slot)
		},
		"failed": func(t *rapid.T) {
			s := h.settle(t)
			h.fail(s, h.now)
			superseded := h.c.Superseded(s.slot)
			if superseded != (s.isOutreach && s.from != len(h.outreaches)-1) {
				t.Fatalf("superseded: %v", superseded)
			}
			if superseded {
				h.c, h.records[s.slot.No] = h.c.ReturnTo(h.records[s.slot.No])
				return
			}
			h.c = h.c.Return(s.slot, h.now, h.p)
		},
		"mass send to all": func(t *rapid.T) { // recorded; the ledger learns of it when it is asked or written
			at := h.now.Add(-ago.Draw(t, "ago"))
			month := h.p.MonthOf(at)
			h.all.Head++
			h.all.Sends = append(h.all.Sends, &models.MassSend{No: h.all.Head, At: at, Month: month})
			if h.span.holds(at) {
				h.payments = append(h.payments, payment{month: month, outreach: -1})
			}
		},
		"follow or leave": func(t *rapid.T) {
			h.c = h.c.CaughtUp(h.all, &h.customer)
			if h.follows = !h.follows; h.follows {
				h.span = span{from: h.now}
				h.customer.FollowState, h.customer.FollowedAt = models.Following, h.now
			} else {
				h.span.until = h.now
				h.customer.FollowState, h.customer.UnfollowedAt = models.Unfollowed, h.now
			}
		},
		"mass sends": func(t *rapid.T) {
			month := h.p.MonthOf(h.now) - rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "months ago")
			n := rapid.IntRange(1, 3).Draw(t, "n")
			h.c = h.c.MassSent(month, n, h.p)
			for range n {
				h.payments = append(h.payments, payment{month: month, outreach: -1})
			}
		},
		"clock": func(t *rapid.T) {
			next := h.p.NextMonth(h.now)
			h.now = rapid.SampledFrom([]models.Time{
				h.now + 1, h.now.Add(time.Second), h.now.Add(30 * time.Second), h.now.Add(time.Minute), h.now.Add(time.Hour),
				h.now.Add(47 * time.Hour), h.now.Add(48 * time.Hour), max(h.now, h.windowEnd-1), max(h.now, h.windowEnd),
				max(h.now, h.sessionEnd()-1), max(h.now, h.sessionEnd()), next - 1, next,
			}).Draw(t, "now")
		},
		"a slow clock": func(t *rapid.T) { // another machine's, a little behind
			h.now = h.now.Add(-rapid.SampledFrom([]time.Duration{us, time.Second, 2 * time.Minute}).Draw(t, "back"))
		},
		"": h.check,
	}
}

// check holds after every step.
func (h *history) check(t *rapid.T) {
	c := h.c.CaughtUp(h.all, &h.customer) // asked, not written
	if c.CaughtUp(h.all, &h.customer) != c {
		t.Fatal("a mass send counts twice")
	}
	for _, n := range []int{1, 2, 3, 4} {
		got, want := c.MayWriteAll(h.now, h.p, n), h.answer(h.now, n)
		if got != want {
			t.Fatalf("may write %d at %v:\n got %+v\nwant %+v\n%+v", n, h.now.Go(), got, want, c)
		}
		if _, _, err := c.Take(h.now, h.p, n); (err == nil) != (got.Answer == models.AnswerFree) {
			t.Fatalf("the answer for %d is %s and the send says %v", n, got.Answer, err)
		}
	}
	if h.c.MayWrite(h.now, h.p) != h.c.MayWriteAll(h.now, h.p, 1) {
		t.Fatal("one message is not one message")
	}
	for _, count := range []int{h.c.WindowLeft, h.c.OutreachUsed, h.c.SessionLeft, h.c.SessionSent, h.c.SessionOut} {
		if count < 0 {
			t.Fatalf("a negative count: %+v", h.c)
		}
	}
	for i := range h.allowances {
		if h.left(i) < 0 {
			t.Fatalf("allowance %d is overspent", i)
		}
	}
	// Against rule G2's formula itself, in a world where the failed messages were never taken.
	if h.c.WindowOpen(h.now) {
		perfect := models.Contact{}
		for _, l := range h.log {
			switch {
			case l.apply != nil:
				perfect = l.apply(perfect)
			case !l.send.isOutreach && l.send.state != failed:
				perfect.WindowLeft--
				perfect.WindowTaken++
			}
		}
		if h.c.WindowLeft > perfect.WindowLeft {
			t.Fatalf("%d left, without the failed messages there would be %d", h.c.WindowLeft, perfect.WindowLeft)
		}
	}
}

func TestTheLedgerAgreesWithItsWholeHistory(t *testing.T) {
	presets := []models.PolicyPreset{models.PresetClassic, models.PresetPlatformToday}
	carriers := []models.OutreachCarrier{models.CarrierDirect, models.CarrierDirect, models.CarrierDirect, models.CarrierNone}
	zones := []*time.Location{
		zone(t, "Asia/Shanghai"), zone(t, "America/New_York"), zone(t, "America/Havana"), zone(t, "America/Asuncion"), nil,
	}
	rapid.Check(t, func(t *rapid.T) {
		h := &history{records: map[int]models.Outreach{}}
		h.p = rapid.SampledFrom(presets).Draw(t, "preset").
			Policy(rapid.SampledFrom(zones).Draw(t, "zone"), rapid.SampledFrom(carriers).Draw(t, "carrier"))
		h.now = models.Time(rapid.Int64Range(1_400_000_000_000_000, 1_900_000_000_000_000).Draw(t, "now"))
		t.Repeat(h.steps())
	})
}

// Where every action opens the same number no failed message costs the customer anything, unless
// its window ended before it failed (rule G4).
func TestNoSlotOfAnOpenWindowIsLostWhereActionsOpenTheSame(t *testing.T) {
	p := classic(t)
	rapid.Check(t, func(t *rapid.T) {
		c, now := models.Contact{}.Opened(models.ActionFollow, noon, p), noon
		var flying []models.Slot
		accepted := 0 // since the last action
		recent := map[int]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"action": func(*rapid.T) {
				now++
				c = c.Opened(models.ActionMessage, now, p)
				accepted, recent = 0, map[int]bool{}
			},
			"take": func(t *rapid.T) {
				next, slot, err := c.Take(now, p, 1)
				if err != nil {
					t.Skip("used up")
				}
				c, accepted = next, accepted+1
				recent[len(flying)] = true
				flying = append(flying, slot)
			},
			"failed": func(t *rapid.T) {
				if len(flying) == 0 {
					t.Skip("nothing is in flight")
				}
				i := rapid.IntRange(0, len(flying)-1).Draw(t, "message")
				if flying[i].Kind == models.SlotNone {
					t.Skip("has failed")
				}
				if recent[i] {
					accepted--
				}
				c, flying[i] = c.Return(flying[i], now, p), models.Slot{Kind: models.SlotNone}
			},
			"": func(t *rapid.T) {
				if c.WindowLeft != 20-accepted {
					t.Fatalf("%d left after %d of 20", c.WindowLeft, accepted)
				}
			},
		})
	})
}
