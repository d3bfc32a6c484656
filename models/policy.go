package models

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"clientele/limits"
)

// ContactAction is what a customer does that opens free replies (rule G2). The channel decides
// what counts: of menu events CLICK, scancode_push, scancode_waitmsg and msgmenu items, not VIEW.
type ContactAction string

// The five actions.
const (
	ActionMessage ContactAction = "MESSAGE" // wrote to the account
	ActionMenu    ContactAction = "MENU"    // used a menu item
	ActionFollow  ContactAction = "FOLLOW"  // started to follow
	ActionScan    ContactAction = "SCAN"    // scanned a QR code of the account
	ActionPayment ContactAction = "PAYMENT" // paid, as reported by recordPayment
)

// ContactActions is every action, in the schema's order.
func ContactActions() []ContactAction {
	return []ContactAction{ActionMessage, ActionMenu, ActionFollow, ActionScan, ActionPayment}
}

// Valid reports whether a is one of the five actions.
func (a ContactAction) Valid() bool {
	switch a {
	case ActionMessage, ActionMenu, ActionFollow, ActionScan, ActionPayment:
		return true
	}
	return false
}

// OutreachCarrier is how an account reaches a customer outside the reply window (rule G15).
type OutreachCarrier string

// The carriers.
const (
	CarrierDirect    OutreachCarrier = "DIRECT"    // one-to-one messages like any other; sandbox
	CarrierNone      OutreachCarrier = "NONE"      // not at all; the default of wechat
	CarrierTemplate  OutreachCarrier = "TEMPLATE"  // the platform's template messages
	CarrierSubscribe OutreachCarrier = "SUBSCRIBE" // the platform's subscription messages
	CarrierMassSend  OutreachCarrier = "MASS_SEND" // the platform's mass sends; broadcasts and tasks only
)

// Valid reports whether c is one of the carriers.
func (c OutreachCarrier) Valid() bool {
	switch c {
	case CarrierDirect, CarrierNone, CarrierTemplate, CarrierSubscribe, CarrierMassSend:
		return true
	}
	return false
}

// CarriesMessages reports whether a single message, as an advisor writes it, can go out by c
// outside the window. Only DIRECT can; with any other carrier the ledger answers
// OUTREACH_UNAVAILABLE and consumes nothing (rule G15).
func (c OutreachCarrier) CarriesMessages() bool { return c == CarrierDirect }

// PolicyPreset names a set of policy numbers (rule A3).
type PolicyPreset string

// The presets.
const (
	PresetClassic       PolicyPreset = "CLASSIC"        // the numbers of rules G2 and G3; default of sandbox
	PresetPlatformToday PolicyPreset = "PLATFORM_TODAY" // what WeChat allows now; default of wechat
)

// Valid reports whether p is one of the presets.
func (p PolicyPreset) Valid() bool { return p == PresetClassic || p == PresetPlatformToday }

// Allowance is what one action opens: so many messages for so long (rule G2). With no messages
// or no time the action opens nothing.
type Allowance struct {
	For      time.Duration
	Messages int
}

// Opens reports whether a opens anything.
func (a Allowance) Opens() bool { return a.Messages > 0 && a.For >= time.Microsecond }

// Policy is an account's numbers of contact: its preset with its own overrides (rule A3). Rules
// only read it.
type Policy struct {
	// Actions says what each action opens; an action that is absent opens nothing.
	Actions map[ContactAction]Allowance
	// OutreachPerMonth is how many outreaches and mass sends a customer receives in a calendar
	// month of Zone (rule G3). 0: none, the ledger then answers OUTREACH_UNAVAILABLE.
	OutreachPerMonth int
	// OutreachSession is how long a confirmed outreach stays open, OutreachMessages how many
	// messages it carries (rule G3).
	OutreachSession  time.Duration
	OutreachMessages int
	// Carrier is how outreach travels (rule G15).
	Carrier OutreachCarrier
	// Zone is the account's time zone, in which months are counted (rule A2). nil is UTC.
	Zone *time.Location
}

// Policy is the preset's numbers for an account in zone with carrier. The caller owns the result
// and may override single numbers in it. An unknown preset opens nothing: to write too little is
// the mistake that can be made good.
func (p PolicyPreset) Policy(zone *time.Location, carrier OutreachCarrier) Policy {
	policy := Policy{
		Actions:          map[ContactAction]Allowance{},
		OutreachPerMonth: limits.OutreachPerMonth,
		OutreachSession:  limits.OutreachSession,
		OutreachMessages: limits.OutreachMessages,
		Carrier:          carrier,
		Zone:             zone,
	}
	long := Allowance{For: limits.ReplyWindow, Messages: limits.ReplyMessages}
	switch p {
	case PresetClassic:
		for _, a := range ContactActions() {
			policy.Actions[a] = long
		}
	case PresetPlatformToday:
		short := Allowance{For: limits.PlatformShortWindow, Messages: limits.PlatformShortMessages}
		policy.Actions[ActionMessage] = Allowance{For: limits.ReplyWindow, Messages: limits.PlatformReplyMessages}
		policy.Actions[ActionMenu] = short
		policy.Actions[ActionFollow] = short
		policy.Actions[ActionScan] = short
		policy.Actions[ActionPayment] = long // The platform left the payment as the classic text has it.
	}
	return policy
}

// AllowanceOverride is what an account says instead of its preset of one action; nil: as the
// preset has it (rule A3). With 0 messages or 0 seconds the action opens nothing.
type AllowanceOverride struct {
	Action   ContactAction `json:"action"`
	Messages *int          `json:"messages,omitempty"` // 0 to limits.PolicyMessages
	Seconds  *int          `json:"seconds,omitempty"`  // 0 to limits.PolicyWindow
}

// PolicyOverrides is the single numbers that an account says instead of its preset's; nil: as the
// preset has it (rule A3). The zero value overrides nothing. It is kept as JSON in one column.
type PolicyOverrides struct {
	Actions                []AllowanceOverride `json:"actions,omitempty"` // each action at most once
	OutreachPerMonth       *int                `json:"outreachPerMonth,omitempty"`
	OutreachSessionSeconds *int                `json:"outreachSessionSeconds,omitempty"`
	OutreachMessages       *int                `json:"outreachMessages,omitempty"`
}

// Check answers INVALID or LIMIT_EXCEEDED for a number outside its bounds, with the field's path
// below field.
func (o PolicyOverrides) Check(field string) error {
	seen := map[ContactAction]bool{}
	for i, a := range o.Actions {
		at := fmt.Sprintf("%s.actions.%d", field, i)
		switch {
		case !a.Action.Valid():
			return Invalid(at+".action", "is none of the five actions")
		case seen[a.Action]:
			return Invalid(at+".action", "stands earlier in the list")
		}
		seen[a.Action] = true
		if err := within(a.Messages, 0, limits.PolicyMessages, at+".messages"); err != nil {
			return err
		}
		if err := within(a.Seconds, 0, seconds(limits.PolicyWindow), at+".seconds"); err != nil {
			return err
		}
	}
	if err := within(o.OutreachPerMonth, 0, limits.PolicyOutreachPerMonth, field+".outreachPerMonth"); err != nil {
		return err
	}
	if err := within(o.OutreachSessionSeconds, 1, seconds(limits.PolicyOutreachSession), field+".outreachSessionSeconds"); err != nil {
		return err
	}
	return within(o.OutreachMessages, 1, limits.PolicyOutreachMessages, field+".outreachMessages")
}

func within(n *int, least, most int, field string) error {
	switch {
	case n == nil:
		return nil
	case *n < least:
		return Invalid(field, "is less than %d", least)
	case *n > most:
		return TooMany(field, most, "is more than %d", most)
	}
	return nil
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// Apply is a preset's policy with these numbers. p is not changed.
func (o PolicyOverrides) Apply(p Policy) Policy {
	actions := map[ContactAction]Allowance{}
	for a, allowance := range p.Actions {
		actions[a] = allowance
	}
	for _, a := range o.Actions {
		allowance := actions[a.Action]
		if a.Messages != nil {
			allowance.Messages = *a.Messages
		}
		if a.Seconds != nil {
			allowance.For = time.Duration(*a.Seconds) * time.Second
		}
		actions[a.Action] = allowance
	}
	p.Actions = actions
	if n := o.OutreachPerMonth; n != nil {
		p.OutreachPerMonth = *n
	}
	if n := o.OutreachSessionSeconds; n != nil {
		p.OutreachSession = time.Duration(*n) * time.Second
	}
	if n := o.OutreachMessages; n != nil {
		p.OutreachMessages = *n
	}
	return p
}

// Value implements driver.Valuer: JSON, empty when nothing is overridden.
func (o PolicyOverrides) Value() (driver.Value, error) {
	b, err := json.Marshal(o)
	if err != nil || string(b) == "{}" {
		return "", err
	}
	return string(b), nil
}

// Scan implements sql.Scanner.
func (o *PolicyOverrides) Scan(src any) error {
	*o = PolicyOverrides{}
	text, err := scannedText(src, "overrides")
	if err != nil || text == "" {
		return err
	}
	if err := json.Unmarshal([]byte(text), o); err != nil {
		return fmt.Errorf("read overrides: %w", err)
	}
	return nil
}

// ContactPolicy is a policy as the API shows it.
type ContactPolicy struct{ Policy }

// ContactAllowance is what one action opens, as the API shows it.
type ContactAllowance struct {
	Action   ContactAction
	Messages int
	Seconds  int
}

// Allowances is what each action opens, in the schema's order.
func (p ContactPolicy) Allowances() []*ContactAllowance {
	var all []*ContactAllowance
	for _, a := range ContactActions() {
		open := p.Actions[a]
		all = append(all, &ContactAllowance{Action: a, Messages: open.Messages, Seconds: seconds(open.For)})
	}
	return all
}

// OutreachSessionSeconds is how long a confirmed outreach stays open.
func (p ContactPolicy) OutreachSessionSeconds() int { return seconds(p.OutreachSession) }

// PolicyWarning is one action that opens more than the platform allows (rule A3).
type PolicyWarning struct {
	Action  ContactAction
	Message string
}

// Beyond is the actions that open more under p than under q, in messages or in time, in the
// schema's order. With q the preset PLATFORM_TODAY these earn the warning of rule A3.
func (p Policy) Beyond(q Policy) []ContactAction {
	var more []ContactAction
	for _, a := range ContactActions() {
		mine, theirs := p.Actions[a], q.Actions[a]
		if mine.Opens() && (mine.Messages > theirs.Messages || mine.For > theirs.For) {
			more = append(more, a)
		}
	}
	return more
}

// Reaches reports whether an outreach under p can carry n messages at all, whatever is left of
// the month (rules G3, G15).
func (p Policy) Reaches(n int) bool {
	return p.Carrier.CarriesMessages() && p.OutreachPerMonth > 0 &&
		p.OutreachSession >= time.Microsecond && n <= p.OutreachMessages
}

// MonthOf is the calendar month of t in the account's zone, as year*12 + month-1: months count
// on by one over the year's end (rules A2, G3).
func (p Policy) MonthOf(t Time) int { return p.monthOf(time.UnixMicro(int64(t))) }

// NextMonth is the first instant after t's calendar month in the account's zone: when the
// outreaches of the next month begin (rule G3).
func (p Policy) NextMonth(t Time) Time { return p.startOf(p.MonthOf(t) + 1) }

func (p Policy) monthOf(t time.Time) int {
	year, month, _ := t.In(p.zone()).Date()
	return year*12 + int(month) - 1
}

// startOf is the first instant of a month. Clocks may change at that very midnight: then the 1st
// begins at one o'clock, or has two midnights, and time.Date does not promise which instant it
// returns; so its answer is checked, and if need be the border is searched for.
func (p Policy) startOf(month int) Time {
	guess := time.Date(month/12, time.Month(month%12+1), 1, 0, 0, 0, 0, p.zone())
	if p.monthOf(guess) == month && p.monthOf(guess.Add(-time.Microsecond)) < month {
		return At(guess)
	}
	// No zone is further than this from its own midnight.
	const far = 36 * time.Hour
	before, in := At(guess.Add(-far)), At(guess.Add(far))
	for before+1 < in {
		if mid := before + (in-before)/2; p.MonthOf(mid) < month {
			before = mid
		} else {
			in = mid
		}
	}
	return in
}

func (p Policy) zone() *time.Location {
	if p.Zone == nil {
		return time.UTC
	}
	return p.Zone
}
