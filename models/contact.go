package models

import (
	"math"
	"time"
)

// Contact is the ledger of one customer and account: what may still be written to the customer,
// and at whose cost. It is a value; every method returns the next one and changes nothing, so
// that the caller reads the row under its lock, asks, and writes back what it got. Its columns
// are columns of the conversation's row, so it survives rebind, unbind and unfollow (rule G1).
//
// Instants: a window or session is open while now < end; at its end it has ended.
//
// Order: the ledger counts in the order in which it is told, which is the order of the row's
// lock. An action's own time says when its window ends, and where it stands among the actions;
// messages taken before an action was recorded are not charged to what that action opens.
type Contact struct {
	// WindowEnd is until when replies are free; 0: never opened. WindowLeft is how many may still
	// be taken while it is open (rule G2).
	WindowEnd  Time `gorm:"column:window_end"`
	WindowLeft int  `gorm:"column:window_left"`
	// WindowNo numbers the allowances of replies: it rises whenever WindowLeft comes to stand for
	// another allowance than before, that is when a window opens, when an action raises the
	// number, and when the platform sets it. A slot returns only to the number it was taken from.
	WindowNo int `gorm:"column:window_no"`
	// WindowFrom is the time of the newest action counted, or of the platform's correction.
	// WindowTaken is how many messages were taken since it was recorded, returned or not. The two
	// place an action that is recorded after a newer one.
	WindowFrom  Time `gorm:"column:window_from"`
	WindowTaken int  `gorm:"column:window_taken"`

	// Month is the month, as Policy.MonthOf counts, that OutreachUsed belongs to; it never goes
	// back. OutreachUsed is the outreaches of that month with the account's recorded mass sends;
	// it exceeds the policy's number when more mass sends were made (rule G3). MassSeen is the
	// newest mass send to all followers, by MassSend.No, that OutreachUsed takes account of; see
	// CaughtUp.
	Month        int `gorm:"column:outreach_month"`
	OutreachUsed int `gorm:"column:outreach_used"`
	MassSeen     int `gorm:"column:mass_seen"`

	// SessionEnd is until when the newest outreach is open, SessionLeft how many messages it may
	// still carry (rule G3). SessionNo numbers the outreaches.
	SessionEnd  Time `gorm:"column:session_end"`
	SessionLeft int  `gorm:"column:session_left"`
	SessionNo   int  `gorm:"column:session_no"`
	// SessionMonth is the month that paid for it; 0: none does, because every message of it so
	// far has failed. SessionSent is how many of its messages were SENT, SessionOut how many are
	// taken and neither SENT nor FAILED (UNKNOWN ones are such).
	SessionMonth int `gorm:"column:session_month"`
	SessionSent  int `gorm:"column:session_sent"`
	SessionOut   int `gorm:"column:session_out"`
}

// SlotKind is the kind of allowance that a message was taken from.
type SlotKind string

// The kinds of slots.
const (
	SlotNone     SlotKind = "NONE"     // nothing was taken
	SlotWindow   SlotKind = "WINDOW"   // a free reply (rule G2)
	SlotOutreach SlotKind = "OUTREACH" // a message of an outreach (rule G3)
)

// Slot says where one message's allowance was taken from; it is stored with the message. The
// zero Slot is NONE. When several messages are taken at once each of them stores the same Slot,
// and each is settled by its own call of Return or Sent: exactly one of the two, exactly once
// for each attempt, and neither while the attempt is UNKNOWN.
type Slot struct {
	Kind SlotKind `gorm:"column:slot_kind"`
	// No is the WindowNo or SessionNo it was taken from.
	No int `gorm:"column:slot_no"`
	// Month is the month that paid for the outreach; 0 unless Kind is OUTREACH.
	Month int `gorm:"column:slot_month"`
}

// ContactAnswer answers "may I write to this customer?" (rule G4).
type ContactAnswer string

// The answers.
const (
	AnswerFree     ContactAnswer = "FREE"     // now, Left messages until Until
	AnswerOutreach ContactAnswer = "OUTREACH" // after confirming an outreach, which costs one of OutreachLeft
	AnswerNo       ContactAnswer = "NO"       // for Reason; Again says when
)

// ContactReason says why a customer may not be written to. It is empty unless the answer is NO.
// Each implies that the reply window is closed, was never opened, or holds too few messages.
type ContactReason string

// The reasons; first those of the ledger.
const (
	// ReasonSessionSpent: an outreach is open and has carried what it may. Again is its end, or
	// the next month when this one's outreaches are used up.
	ReasonSessionSpent ContactReason = "SESSION_SPENT"
	// ReasonNoQuota: the month's outreaches are used up. Again is the next month.
	ReasonNoQuota ContactReason = "NO_QUOTA"
	// ReasonOutreachUnavailable: the account's carrier or policy has no outreach for this (rule
	// G15). Only the customer can reopen; Again is zero.
	ReasonOutreachUnavailable ContactReason = "OUTREACH_UNAVAILABLE"
)

// Those that the caller finds before it asks the ledger; see Refused.
const (
	ReasonNotFollowing  ContactReason = "NOT_FOLLOWING"  // the customer does not follow the account
	ReasonNotBound      ContactReason = "NOT_BOUND"      // the viewer is not the customer's present advisor (rule V3)
	ReasonAccountClosed ContactReason = "ACCOUNT_CLOSED" // the account is not open
)

// Contactability is the answer to "may I write to this customer?" (rule G4).
type Contactability struct {
	Answer ContactAnswer
	Reason ContactReason
	// Left is how many messages are free until Until; both are zero unless Answer is FREE. They
	// are those of the allowance that the next message is taken from: the window, or the open
	// outreach; never a sum.
	Left  int
	Until Time
	// OutreachLeft is how many outreaches the month still has, whatever the answer; 0 where
	// outreach is unavailable.
	OutreachLeft int
	// Again is when waiting alone brings a better answer, if Answer is NO; zero when only the
	// customer, or a change of settings, can.
	Again Time
}

// Refused is the answer NO for a reason that is not the ledger's.
func Refused(reason ContactReason) Contactability {
	return Contactability{Answer: AnswerNo, Reason: reason}
}

// Err is the error of a send that meets the answer; nil when it is FREE.
func (a Contactability) Err() *Error {
	if a.Answer == AnswerFree {
		return nil
	}
	var err *Error
	switch a.Reason {
	case ReasonOutreachUnavailable:
		err = Errorf(CodeOutreachUnavailable, "the reply window is closed and the account has no outreach that could carry this")
	case ReasonSessionSpent:
		err = Errorf(CodeReplyWindowClosed, "the reply window is closed and the open outreach has no message left")
	case ReasonNoQuota:
		err = Errorf(CodeReplyWindowClosed, "the reply window is closed and the month's outreaches are used up")
	case ReasonNotFollowing:
		err = Errorf(CodeNotFollowing, "the customer does not follow the account")
	case ReasonNotBound:
		err = Errorf(CodeForbidden, "the customer is not bound to this advisor")
	case ReasonAccountClosed:
		err = Errorf(CodeState, "the account is not open")
	default:
		err = Errorf(CodeReplyWindowClosed, "the reply window is closed; an outreach must be confirmed first")
	}
	err.RetryAt = a.Again
	return err
}

// platformCounted stands in WindowTaken after the platform corrected us: more than any action
// opens, so that an action older than the correction, which the platform knew of, opens nothing.
const platformCounted = math.MaxInt32

// WindowOpen reports whether the reply window has not ended, whatever is left in it.
func (c Contact) WindowOpen(now Time) bool { return now < c.WindowEnd }

// SessionOpen reports whether an outreach is open, whatever is left in it.
func (c Contact) SessionOpen(now Time) bool { return now < c.SessionEnd }

// Opened records a customer's action of the time at (rule G2). Allowances never add up:
// remaining = max(old remaining if the window had not ended at `at`, what the action opens),
// end = max(old end, the action's end). No action lowers either. Recording an action twice is
// the caller's to prevent: it would refill what was taken in between.
//
// An action older than one already counted came late (a replayed callback, a payment reported
// afterwards). What has been taken since the newer one is charged to it too, so it cannot refill
// messages that followed it; and if what it opened had ended before the newer action, it opens
// nothing.
func (c Contact) Opened(a ContactAction, at Time, p Policy) Contact {
	allowance := p.Actions[a]
	if !allowance.Opens() {
		return c
	}
	messages, end := allowance.Messages, at.Add(allowance.For)
	switch {
	case at < c.WindowFrom:
		if end <= c.WindowFrom {
			return c
		}
		messages -= c.WindowTaken
	case !c.WindowOpen(at):
		c.WindowLeft = 0 // What the ended window had left does not carry over.
		c.WindowFrom, c.WindowTaken = at, 0
	default:
		c.WindowFrom, c.WindowTaken = at, 0
	}
	if messages > c.WindowLeft {
		c.WindowLeft = messages
		c.WindowNo++
	}
	c.WindowEnd = max(c.WindowEnd, end)
	return c
}

// PlatformEnded records that the platform refused a message because its window has ended
// (45015, rule G2). at is when the message was handed over. A window that an action opened or
// prolonged after that is not what the platform spoke of, and stays.
func (c Contact) PlatformEnded(at Time) Contact {
	if c.WindowFrom > at {
		return c
	}
	c.WindowEnd = min(c.WindowEnd, at)
	return c.corrected(at)
}

// PlatformExhausted records that the platform refused a message because the window's number is
// used up (45047, rule G2): nothing is left, and messages in flight return nothing. at is when
// the message was handed over; see PlatformEnded.
func (c Contact) PlatformExhausted(at Time) Contact {
	if c.WindowFrom > at {
		return c
	}
	return c.corrected(at)
}

func (c Contact) corrected(at Time) Contact {
	c.WindowLeft, c.WindowTaken = 0, platformCounted
	c.WindowNo++
	// Platforms date actions in whole seconds, so one that seems to be of the same second may
	// have come after. To count it costs a refused message at worst; not to count it costs the
	// customer's whole window.
	c.WindowFrom = max(c.WindowFrom, at-at%Time(time.Second.Microseconds()))
	return c
}

// MayWrite answers whether one message may be written to the customer now (rule G4). It is the
// decision by which Take sends: Take of one message succeeds exactly when MayWrite says FREE.
func (c Contact) MayWrite(now Time, p Policy) Contactability { return c.MayWriteAll(now, p, 1) }

// MayWriteAll is MayWrite for n ≥ 1 messages that go together or not at all, as a broadcast's do
// (rule I2): FREE when one allowance holds them all.
func (c Contact) MayWriteAll(now Time, p Policy, n int) Contactability {
	answer, _ := c.decide(now, p, max(n, 1))
	return answer
}

// decide is the one decision of rule G4: the answer and, when it is FREE, what to take from. The
// window goes before an open outreach, because it costs nothing.
func (c Contact) decide(now Time, p Policy, n int) (Contactability, SlotKind) {
	answer := Contactability{Answer: AnswerNo}
	month := c.month(now, p)
	if p.Reaches(1) {
		answer.OutreachLeft = c.outreachLeft(month, p)
	}
	session := c.SessionOpen(now)
	switch {
	case c.WindowOpen(now) && c.WindowLeft >= n:
		answer.Answer, answer.Left, answer.Until = AnswerFree, c.WindowLeft, c.WindowEnd
		return answer, SlotWindow
	case !p.Reaches(n):
		answer.Reason = ReasonOutreachUnavailable
	case session && c.SessionLeft >= n && (c.SessionMonth != 0 || answer.OutreachLeft > 0):
		answer.Answer, answer.Left, answer.Until = AnswerFree, c.SessionLeft, c.SessionEnd
		return answer, SlotOutreach
	case session && c.SessionLeft < n:
		answer.Reason, answer.Again = ReasonSessionSpent, c.SessionEnd
		if month = c.month(c.SessionEnd, p); c.outreachLeft(month, p) == 0 {
			answer.Again = p.startOf(month + 1)
		}
	case answer.OutreachLeft == 0:
		answer.Reason, answer.Again = ReasonNoQuota, p.startOf(month+1)
	default:
		answer.Answer = AnswerOutreach
	}
	return answer, SlotNone
}

// Take takes n ≥ 1 messages for a send: all from the reply window, else all from the open
// outreach, never split (rules G4, I2). Each message stores the Slot. Otherwise nothing is taken
// and the error says why: REPLY_WINDOW_CLOSED, or OUTREACH_UNAVAILABLE where outreach could not
// help; RetryAt is Contactability.Again. A send never confirms: outside the window and without
// an open outreach it consumes nothing, however many outreaches are left (rule G3).
//
// The one cost a send can have: when every message of the open outreach has failed, the month
// has the outreach back (see Return), and the first message after that pays for it again.
func (c Contact) Take(now Time, p Policy, n int) (Contact, Slot, *Error) {
	if n < 1 {
		return c, Slot{Kind: SlotNone}, Invalid("n", "at least one message must be taken, not %d", n)
	}
	answer, from := c.decide(now, p, n)
	if err := answer.Err(); err != nil {
		return c, Slot{Kind: SlotNone}, err
	}
	if from == SlotWindow {
		c.WindowLeft -= n
		c.WindowTaken += n
		return c, Slot{Kind: SlotWindow, No: c.WindowNo}, nil
	}
	if c.SessionMonth == 0 {
		c = c.charge(c.month(now, p), 1)
		c.SessionMonth = c.Month
	}
	c.SessionLeft -= n
	c.SessionOut += n
	return c, Slot{Kind: SlotOutreach, No: c.SessionNo, Month: c.SessionMonth}, nil
}

// Confirm confirms an outreach: it consumes one of the month's and opens a session (rule G3). A
// confirmation while a session is open returns the ledger unchanged, whatever the session has
// left; so does one while the window holds a message, since outreach is for outside the window
// and the message is free. An open session whose outreach has come back to the month (rule G4)
// is no answer once the month has none left to pay for it again. Errors: OUTREACH_UNAVAILABLE
// (rule G15), and LIMIT_EXCEEDED with the month's number and RetryAt when it is used up.
func (c Contact) Confirm(now Time, p Policy) (Contact, *Error) { return c.ConfirmAll(now, p, 1) }

// ConfirmAll is Confirm for n ≥ 1 messages that go together or not at all: an open window that
// holds fewer does not count, for one outreach carries them all (rule I2).
func (c Contact) ConfirmAll(now Time, p Policy, n int) (Contact, *Error) {
	month := c.month(now, p)
	switch {
	case n < 1:
		return c, Invalid("n", "at least one message must be confirmed, not %d", n)
	case c.WindowOpen(now) && c.WindowLeft >= n:
		return c, nil
	case !p.Reaches(n):
		return c, Refused(ReasonOutreachUnavailable).Err()
	case c.SessionOpen(now) && (c.SessionMonth != 0 || c.outreachLeft(month, p) > 0):
		return c, nil // where it has come back to the month, the next message pays again
	case c.outreachLeft(month, p) == 0:
		err := TooMany("", p.OutreachPerMonth, "the month's outreaches to this customer are used up")
		err.RetryAt = p.startOf(month + 1)
		return c, err
	}
	c = c.charge(month, 1)
	c.SessionNo++
	c.SessionEnd, c.SessionLeft = now.Add(p.OutreachSession), p.OutreachMessages
	c.SessionMonth, c.SessionSent, c.SessionOut = month, 0, 0
	return c, nil
}

// Return gives back the slot of a message that FAILED (rule G4).
//
// A reply returns to the window while that has not ended and still counts the allowance it came
// from. An action that raised the remaining number opened another allowance, of which nothing
// was taken by this message; to return to it would make the two add up (rule G2). So no action
// and no failure together ever leave more than had been left had the failed message never been
// taken; and exactly that where all actions open the same number.
//
// A message of an outreach returns to the session while that is open. If with it every message
// taken from the outreach has FAILED, the outreach returns to the month that paid for it; the
// session keeps its minute, and the next message in it pays again. An outreach under which
// nothing was tried lapses (rule G3).
//
// A slot of an outreach that a newer one has superseded changes nothing here: see ReturnTo.
func (c Contact) Return(s Slot, now Time, _ Policy) Contact {
	switch {
	case s.Kind == SlotWindow && s.No == c.WindowNo && c.WindowOpen(now):
		c.WindowLeft++
	case s.Kind == SlotOutreach && s.No == c.SessionNo && c.SessionOut > 0:
		c.SessionOut--
		if c.SessionOpen(now) {
			c.SessionLeft++
		}
		if c.SessionOut == 0 && c.SessionSent == 0 {
			c = c.refund(c.SessionMonth)
			c.SessionMonth = 0
		}
	}
	return c
}

// Sent records that the platform accepted a message: its outreach, if it has one, is not
// returned to the month any more (rule G4).
func (c Contact) Sent(s Slot) Contact {
	if s.Kind == SlotOutreach && s.No == c.SessionNo && c.SessionOut > 0 {
		c.SessionOut--
		c.SessionSent++
	}
	return c
}

// Superseded reports whether s is of an outreach older than the newest, of which the ledger
// keeps no counts: they stand in its Outreach, where ReturnTo and Outreach.Settled settle it.
func (c Contact) Superseded(s Slot) bool { return s.Kind == SlotOutreach && s.No != c.SessionNo }

// Newest is the newest outreach with its counts, which the caller writes into its row when
// Confirm has superseded it: from then on they are counted there. Its No is 0 before the first.
func (c Contact) Newest() Outreach {
	return Outreach{No: c.SessionNo, Month: c.SessionMonth, Sent: c.SessionSent, Out: c.SessionOut}
}

// ReturnTo is Return for a message of a superseded outreach: if with it every message taken from
// the outreach has FAILED, the outreach returns to the month that paid for it (rule G4). It
// changes nothing when o is the newest outreach, or has no message to settle.
func (c Contact) ReturnTo(o Outreach) (Contact, Outreach) {
	if o.No == c.SessionNo || o.Out == 0 {
		return c, o
	}
	if o.Out--; o.Out == 0 && o.Sent == 0 {
		c = c.refund(o.Month)
		o.Month = 0
	}
	return c, o
}

// MassSent records n of the account's mass sends in a month that has begun, as Policy.MonthOf
// counts; they share the month's outreaches, of which never less than 0 are left (rule G3).
// Beyond that the count goes on, so that an outreach that is returned later does not make room
// which the mass sends have taken. Mass sends of a month that is over change nothing. Those to
// all followers are counted by CaughtUp.
func (c Contact) MassSent(month, n int, _ Policy) Contact {
	if month < c.Month || n <= 0 {
		return c
	}
	return c.charge(month, n)
}

// month is the month that now counts in. It does not go back when now does, as it may between
// two machines at midnight: the counts of the month before are gone, and to start them again
// would spend them twice.
func (c Contact) month(now Time, p Policy) int { return max(c.Month, p.MonthOf(now)) }

// outreachLeft is what is left in a month that is not over.
func (c Contact) outreachLeft(month int, p Policy) int {
	if month > c.Month {
		return max(0, p.OutreachPerMonth)
	}
	return max(0, p.OutreachPerMonth-c.OutreachUsed)
}

func (c Contact) charge(month, n int) Contact {
	if month > c.Month {
		c.Month, c.OutreachUsed = month, 0
	}
	c.OutreachUsed += n
	return c
}

func (c Contact) refund(month int) Contact {
	if month == c.Month && c.OutreachUsed > 0 {
		c.OutreachUsed--
	}
	return c
}
