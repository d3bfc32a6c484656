package models

import (
	"clientele/internal/relay"
	"clientele/limits"
)

// AdvisorState is where an advisor stands (rule B3).
type AdvisorState string

// The states of an advisor.
const (
	AdvisorPending AdvisorState = "PENDING"
	AdvisorActive  AdvisorState = "ACTIVE"
	AdvisorRefused AdvisorState = "REFUSED"
	AdvisorExpired AdvisorState = "EXPIRED"
	AdvisorRemoved AdvisorState = "REMOVED"
)

// Presence is whether an advisor says they are at work (rule B6). Whether the app is open is
// another matter (rule N3).
type Presence string

// The presences.
const (
	PresenceOnline  Presence = "ONLINE"
	PresenceOffline Presence = "OFFLINE"
)

// Advisor is a member of staff who serves customers of one account.
type Advisor struct {
	AccountID  Key    `gorm:"column:account_id;primaryKey"`
	Key        Key    `gorm:"column:id;primaryKey"`
	WechatID   Ident  `gorm:"column:wechat_id"`
	OpenID     Ident  `gorm:"column:openid"`
	UnionID    Ident  `gorm:"column:unionid"`
	ExternalID Ident  `gorm:"column:external_id"`
	Nickname   string `gorm:"column:nickname"`
	AvatarURL  string `gorm:"column:avatar_url"`
	// AvatarID is their picture among the account's images (rule H6); zero: none. One of the two is empty.
	AvatarID   Key          `gorm:"column:avatar_id"`
	Stored     AdvisorState `gorm:"column:state"` // what was last written; State tells what holds now
	Presence   Presence     `gorm:"column:presence"`
	InvitedAt  Time         `gorm:"column:invited_at"`
	Deadline   Time         `gorm:"column:deadline"` // of the invitation
	AnsweredAt Time         `gorm:"column:answered_at"`
	RemovedAt  Time         `gorm:"column:removed_at"`

	RulesVersion    string `gorm:"column:rules_version"` // accepted (rule V7)
	RulesAcceptedAt Time   `gorm:"column:rules_accepted_at"`

	// CustomerCount is how many customers are bound now; the database keeps it at
	// limits.CustomersPerAdvisor or below (rule E1).
	CustomerCount int `gorm:"column:customer_count"`

	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt Time `gorm:"column:updated_at;autoUpdateTime:false"`
}

// TableName names the table for the mapper.
func (Advisor) TableName() string { return "advisor" }

// ID is the advisor's global id.
func (a *Advisor) ID() relay.ID { return relay.ID{Kind: KindAdvisor, Key: a.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Advisor) IsNode() {}

// StateAt is the state that holds at now: a PENDING invitation past its deadline is EXPIRED
// everywhere, whether or not the sweep has written so (rule B3).
func (a *Advisor) StateAt(now Time) AdvisorState {
	if a.Stored == AdvisorPending && now >= a.Deadline {
		return AdvisorExpired
	}
	return a.Stored
}

// MayBeInvited reports whether an invitation at now is allowed: not while PENDING or ACTIVE.
func (a *Advisor) MayBeInvited(now Time) bool {
	switch a.StateAt(now) {
	case AdvisorRefused, AdvisorExpired, AdvisorRemoved:
		return true
	case AdvisorPending, AdvisorActive:
	}
	return false
}

// Answer is the advisor's answer to the invitation. It fails with INVITATION_EXPIRED past the
// deadline and with STATE when there is nothing to answer. An ACTIVE advisor is ONLINE (rule B6).
func (a *Advisor) Answer(accept bool, now Time) error {
	switch a.StateAt(now) {
	case AdvisorPending:
	case AdvisorExpired:
		return Errorf(CodeInvitationExpired, "the invitation lapsed; ask for a new one")
	case AdvisorActive, AdvisorRefused, AdvisorRemoved:
		return Errorf(CodeState, "there is no open invitation")
	}
	a.AnsweredAt = now
	a.Stored = AdvisorRefused
	if accept {
		a.Stored = AdvisorActive
		a.Presence = PresenceOnline
	}
	return nil
}

// Remove ends an advisor who is PENDING or ACTIVE (rule B5); STATE for any other.
func (a *Advisor) Remove(now Time) error {
	switch st := a.StateAt(now); st {
	case AdvisorPending, AdvisorActive:
		a.Stored, a.Presence, a.RemovedAt = AdvisorRemoved, PresenceOffline, now
		return nil
	case AdvisorRefused, AdvisorExpired, AdvisorRemoved:
		return &Error{Code: CodeState, Field: "input.advisor", Message: "the advisor is " + string(st)}
	}
	return nil
}

// HasAccepted reports whether the advisor accepted this version of the service rules (rule V7).
func (a *Advisor) HasAccepted(version string) bool {
	return a.RulesVersion == version && !a.RulesAcceptedAt.IsZero()
}

// IsFull reports whether no further customer may be bound (rule E1).
func (a *Advisor) IsFull() bool { return a.CustomerCount >= limits.CustomersPerAdvisor }

// PictureURL is the picture's address; nil if none was set.
func (a *Advisor) PictureURL() *string { return optional(a.AvatarURL) }

// AcceptedRulesVersion is the version of the service rules that was accepted; nil if none was.
func (a *Advisor) AcceptedRulesVersion() *string { return optional(a.RulesVersion) }
