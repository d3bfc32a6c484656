package services_test

import (
	"time"

	"clientele/models"
)

// numbers is a policy as the model knows it, written down without the product's code.
type numbers struct {
	messages map[models.ContactAction]int
	span     map[models.ContactAction]time.Duration
	perMonth int
	session  time.Duration
	carries  int
	direct   bool
}

// person is the slow model of one customer's ledger: it keeps all that ever happened and no
// counter; whatever it is asked, it counts through its lists.
type person struct {
	zone *time.Location

	follows      bool
	followedAt   models.Time
	unfollowedAt models.Time

	grants    []int       // what each opening of the window granted
	windowEnd models.Time // of all openings and corrections
	newest    models.Time // the newest action counted, or correction
	newestAt  int         // how many attempts there were then
	corrected bool        // newest is a correction

	outreaches []confirmed
	charges    []charge
	attempts   []*attempt
	queue      []*letter // under way to the platform
	letters    []*letter
}

type confirmed struct {
	end  models.Time
	size int
}

// charge is one of a month's: paid by an outreach, or by a mass send (-1).
type charge struct {
	month, outreach int
	returned        bool
}

// attempt is one attempt to send: taken from a grant or from an outreach.
type attempt struct {
	outreach bool
	from     int
	state    models.MessageStatus // QUEUED, SENT, FAILED or UNKNOWN
	back     bool                 // its slot returned to the window or session
}

// letter is a message with its newest attempt.
type letter struct {
	key models.Key
	*attempt
}

func (p *person) month(at models.Time) int {
	t := at.Go().In(p.zone)
	return t.Year()*12 + int(t.Month()) - 1
}

func (p *person) startOf(month int) models.Time {
	return models.At(time.Date(month/12, time.Month(month%12+1), 1, 0, 0, 0, 0, p.zone))
}

// present is the month that counts: none that was paid in is ever left again.
func (p *person) present(now models.Time) int {
	month := p.month(now)
	for _, c := range p.charges {
		month = max(month, c.month)
	}
	return month
}

func (p *person) outreachLeft(month int, n numbers) int {
	left := n.perMonth
	for _, c := range p.charges {
		if c.month == month && !c.returned {
			left--
		}
	}
	return max(left, 0)
}

func (p *person) left(outreach bool, from, of int) int {
	for _, a := range p.attempts {
		if a.outreach == outreach && a.from == from && !a.back {
			of--
		}
	}
	return of
}

func (p *person) windowLeft() int {
	last := len(p.grants) - 1
	if last < 0 {
		return 0
	}
	return p.left(false, last, p.grants[last])
}

func (p *person) newestOutreach() (int, confirmed) {
	last := len(p.outreaches) - 1
	if last < 0 {
		return last, confirmed{}
	}
	return last, p.outreaches[last]
}

func (p *person) paid(outreach int) bool {
	for _, c := range p.charges {
		if c.outreach == outreach && !c.returned {
			return true
		}
	}
	return false
}

// acted is rule G2.
func (p *person) acted(a models.ContactAction, at models.Time, n numbers) {
	granted, end := n.messages[a], at.Add(n.span[a])
	if granted == 0 || n.span[a] == 0 {
		return
	}
	left := p.windowLeft()
	switch {
	case at < p.newest: // it came late
		if end <= p.newest {
			return
		}
		for _, a := range p.attempts[p.newestAt:] {
			if !a.outreach {
				granted--
			}
		}
		if p.corrected {
			granted = 0
		}
	default:
		p.newest, p.newestAt, p.corrected = at, len(p.attempts), false
		if at >= p.windowEnd {
			left = 0
		}
	}
	if granted > left {
		p.grants = append(p.grants, granted)
	}
	p.windowEnd = max(p.windowEnd, end)
}

// platform is what 45015 (over) and 45047 say of a message handed over at an instant.
func (p *person) platform(at models.Time, over bool) {
	if p.newest > at {
		return
	}
	if over {
		p.windowEnd = min(p.windowEnd, at)
	}
	p.grants = append(p.grants, 0)
	p.newest, p.newestAt, p.corrected = max(p.newest, models.At(at.Go().Truncate(time.Second))), len(p.attempts), true
}

// mayWrite is rule G4.
func (p *person) mayWrite(now models.Time, n numbers) models.Contactability {
	if !p.follows {
		return models.Contactability{Answer: models.AnswerNo, Reason: models.ReasonNotFollowing}
	}
	reaches := n.direct && n.perMonth > 0
	month := p.present(now)
	answer := models.Contactability{Answer: models.AnswerNo}
	if reaches {
		answer.OutreachLeft = p.outreachLeft(month, n)
	}
	last, session := p.newestOutreach()
	inSession := now < session.end
	carried := p.left(true, last, session.size)
	switch {
	case now < p.windowEnd && p.windowLeft() > 0:
		answer.Answer, answer.Left, answer.Until = models.AnswerFree, p.windowLeft(), p.windowEnd
	case !reaches:
		answer.Reason = models.ReasonOutreachUnavailable
	case inSession && carried > 0 && (p.paid(last) || answer.OutreachLeft > 0):
		answer.Answer, answer.Left, answer.Until = models.AnswerFree, carried, session.end
	case inSession && carried == 0:
		answer.Reason, answer.Again = models.ReasonSessionSpent, session.end
		if then := max(month, p.month(session.end)); p.outreachLeft(then, n) == 0 {
			answer.Again = p.startOf(then + 1)
		}
	case answer.OutreachLeft == 0:
		answer.Reason, answer.Again = models.ReasonNoQuota, p.startOf(month+1)
	default:
		answer.Answer = models.AnswerOutreach
	}
	return answer
}

// send takes one message, or answers why not.
func (p *person) send(now models.Time, n numbers) (*attempt, models.Code) {
	if may := p.mayWrite(now, n); may.Answer != models.AnswerFree {
		switch may.Reason {
		case models.ReasonNotFollowing:
			return nil, models.CodeNotFollowing
		case models.ReasonOutreachUnavailable:
			return nil, models.CodeOutreachUnavailable
		default:
			return nil, models.CodeReplyWindowClosed
		}
	}
	a := &attempt{from: len(p.grants) - 1, state: models.StatusQueued}
	if now >= p.windowEnd || p.windowLeft() == 0 {
		a.outreach, a.from = true, len(p.outreaches)-1
		if !p.paid(a.from) {
			p.charges = append(p.charges, charge{month: p.present(now), outreach: a.from})
		}
	}
	p.attempts = append(p.attempts, a)
	return a, ""
}

// confirm is rule G3: whether one was consumed, or why not.
func (p *person) confirm(now models.Time, n numbers) (bool, models.Code) {
	last, session := p.newestOutreach()
	left := p.outreachLeft(p.present(now), n)
	switch {
	case !p.follows:
		return false, models.CodeNotFollowing
	case now < p.windowEnd && p.windowLeft() > 0:
		return false, ""
	case !n.direct || n.perMonth == 0:
		return false, models.CodeOutreachUnavailable
	case now < session.end && (p.paid(last) || left > 0):
		return false, ""
	case left == 0:
		return false, models.CodeLimitExceeded
	}
	p.charges = append(p.charges, charge{month: p.present(now), outreach: len(p.outreaches)})
	p.outreaches = append(p.outreaches, confirmed{end: now.Add(n.session), size: n.carries})
	return true, ""
}

// settled records what became of an attempt. An outreach goes back once every attempt made of it,
// whichever message's, has FAILED.
func (p *person) settled(a *attempt, state models.MessageStatus, now models.Time) {
	a.state = state
	if state != models.StatusFailed {
		return
	}
	if !a.outreach {
		a.back = a.from == len(p.grants)-1 && now < p.windowEnd
		return
	}
	last, session := p.newestOutreach()
	a.back = a.from == last && now < session.end
	for _, other := range p.attempts {
		if other.outreach && other.from == a.from && other.state != models.StatusFailed {
			return
		}
	}
	for i := range p.charges {
		if p.charges[i].outreach == a.from {
			p.charges[i].returned = true
		}
	}
}

func (p *person) followed(at models.Time, n numbers) {
	if at < p.unfollowedAt {
		return
	}
	p.follows, p.followedAt = true, max(p.followedAt, at)
	p.acted(models.ActionFollow, at, n)
}

func (p *person) unfollowed(at models.Time) {
	if at >= p.followedAt {
		p.follows, p.unfollowedAt = false, max(p.unfollowedAt, at)
	}
}

// did is any action but following.
func (p *person) did(a models.ContactAction, at models.Time, n numbers) {
	p.acted(a, at, n)
	if !p.follows && at > p.unfollowedAt {
		p.follows, p.followedAt = true, at
	}
}

// massSentToAll is of those who followed at that time, as far as their present or last following
// tells when it is recorded.
func (p *person) massSentToAll(at models.Time) {
	if p.followedAt != 0 && p.followedAt <= at && (p.follows || at < p.unfollowedAt) {
		p.massSent(at)
	}
}

func (p *person) massSent(at models.Time) {
	p.charges = append(p.charges, charge{month: p.month(at), outreach: -1})
}
