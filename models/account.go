package models

import (
	"fmt"
	"regexp"
	"sync"
	"time"
	_ "time/tzdata" // an account's zone must load on machines without a zone database.

	"clientele/internal/relay"
	"clientele/limits"
)

// ChannelKind says which package of channels/ serves an account.
type ChannelKind string

// The channels.
const (
	ChannelSandbox ChannelKind = "SANDBOX"
	ChannelWechat  ChannelKind = "WECHAT"
)

// Capability is whether the advisor conversation capability of an account works (rule A1).
type Capability string

// The states of the capability.
const (
	CapabilityNeverOpened Capability = "NEVER_OPENED"
	CapabilityOpen        Capability = "OPEN"
	CapabilityClosed      Capability = "CLOSED"
)

// CallbackMode is how the platform posts to an account's callback URL (rule K1).
type CallbackMode string

// The modes of the platform.
const (
	CallbackPlain      CallbackMode = "PLAIN"
	CallbackCompatible CallbackMode = "COMPATIBLE"
	CallbackSecure     CallbackMode = "SECURE"
)

// Account is a merchant's service account: the tenant to which everything else belongs.
type Account struct {
	Key        Key         `gorm:"column:id;primaryKey"`
	Name       string      `gorm:"column:name"`
	Channel    ChannelKind `gorm:"column:channel"`
	AppID      Ident       `gorm:"column:app_id"`
	OriginalID Ident       `gorm:"column:original_id"` // WeChat's gh_… id, which callbacks name as the receiver
	Capability Capability  `gorm:"column:capability"`

	VerifiedAt   Time   `gorm:"column:verified_at"` // 0: not verified
	TermsVersion string `gorm:"column:terms_version"`
	TermsAt      Time   `gorm:"column:terms_at"`
	TermsBy      string `gorm:"column:terms_by"`
	RulesVersion string `gorm:"column:rules_version"` // the service rules an advisor must have accepted (rule V7)

	TimeZone            string          `gorm:"column:time_zone"`
	PolicyPreset        PolicyPreset    `gorm:"column:policy_preset"`
	OutreachCarrier     OutreachCarrier `gorm:"column:outreach_carrier"`
	PolicyOverrides     PolicyOverrides `gorm:"column:policy_overrides"`       // rule A3
	MassHead            int             `gorm:"column:mass_head"`              // the No of the newest mass send to all followers
	CodeCount           int             `gorm:"column:code_count"`             // permanent codes with a label, ever made (rule C3)
	AutoAssign          bool            `gorm:"column:auto_assign"`            // rule E4
	AdvisorsEditProfile bool            `gorm:"column:advisors_edit_profile"`  // rule B4: their own nickname and avatar
	NicknameShown       bool            `gorm:"column:nickname_shown"`         // rule B4: before the first text of a window
	AnalystsReadText    bool            `gorm:"column:analysts_read_text"`     // rule V8: free text
	AutoAssignAfterCode bool            `gorm:"column:auto_assign_after_code"` // rule E4: a failed code falls to auto-assign
	NotifyAdvisorQR     bool            `gorm:"column:notify_advisor_qr"`      // rule N2
	NotifyGroupQR       bool            `gorm:"column:notify_group_qr"`        // rule N2
	NotifyWechatAd      bool            `gorm:"column:notify_wechat_ad"`       // rule N2
	NotifyAutoAssign    bool            `gorm:"column:notify_auto_assign"`     // rule N2
	ConversationLink    string          `gorm:"column:conversation_link"`      // rule G13, template
	TaskLink            string          `gorm:"column:task_link"`              // rule G13, template
	OutsideLanguage     Language        `gorm:"column:outside_language"`       // rule N6: of what is sent outside the app
	MiniPrograms        Lines           `gorm:"column:mini_programs"`          // app ids that a card may use
	// Days that the account says instead of limits.EventRetention, MessageReadable and MessageRetention
	// (rules N4, G11); 0: those.
	EventDays    int    `gorm:"column:event_days"`
	ReadableDays int    `gorm:"column:readable_days"`
	MessageDays  int    `gorm:"column:message_days"`
	FollowReply  string `gorm:"column:follow_reply"` // rule H4; empty: none
	// AdGroup is whose members get those who follow through an advertisement that names no group (rule E3); zero:
	// nobody.
	AdGroup Key `gorm:"column:ad_group_id"`
	// Unfollow is what becomes of who stops following, EraseDays after how many days (rule E12); empty: see
	// OnUnfollow.
	Unfollow  UnfollowPolicy `gorm:"column:on_unfollow"`
	EraseDays int            `gorm:"column:erase_after_days"`

	CallbackID   Ident        `gorm:"column:callback_id"`
	CallbackMode CallbackMode `gorm:"column:callback_mode"`
	// The sealed credentials (rule A4); empty when not set. Never leave the server.
	SealedToken     []byte `gorm:"column:sealed_token"`
	SealedTokenOld  []byte `gorm:"column:sealed_token_old"`
	SealedAESKey    []byte `gorm:"column:sealed_aes_key"`
	SealedAESKeyOld []byte `gorm:"column:sealed_aes_key_old"`
	RotatedAt       Time   `gorm:"column:rotated_at"` // when the old ones were replaced
	SealedAppSecret []byte `gorm:"column:sealed_app_secret"`
	// SealedURLSecret signs the addresses of images (rule H6); empty until the account has one.
	SealedURLSecret []byte `gorm:"column:sealed_url_secret"`
	// ImageCount is how many images the account keeps, ImageBytes how many bytes they are together.
	ImageCount int   `gorm:"column:image_count"`
	ImageBytes int64 `gorm:"column:image_bytes"`

	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt Time `gorm:"column:updated_at;autoUpdateTime:false"`
}

// TableName names the table for the mapper.
func (Account) TableName() string { return "account" }

// ID is the account's global id.
func (a *Account) ID() relay.ID { return relay.ID{Kind: KindAccount, Key: a.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Account) IsNode() {}

// HasAppSecret reports whether the account's platform can be asked (rule A4).
func (a *Account) HasAppSecret() bool { return len(a.SealedAppSecret) > 0 }

// Location is the account's time zone, in which its months and days are counted (rule A2).
// A zone that does not load (none passes CheckZone) counts as UTC.
func (a *Account) Location() *time.Location {
	if l, ok := zone(a.TimeZone); ok {
		return l
	}
	return time.UTC
}

// EventRetention is how long the account's events can be read again (rule N4).
func (a *Account) EventRetention() time.Duration { return kept(a.EventDays, limits.EventRetention) }

// MessageRetention is how long the account's messages are kept (rule G11).
func (a *Account) MessageRetention() time.Duration {
	return kept(a.MessageDays, limits.MessageRetention)
}

// MessageReadable is for how long the API shows the account's messages (rule G11).
func (a *Account) MessageReadable() time.Duration {
	return kept(a.ReadableDays, limits.MessageReadable)
}

// ReadableFrom is when a message must have been stored for the API to show it at now.
func (a *Account) ReadableFrom(now Time) Time { return now.Add(-a.MessageReadable()) }

// EventRetentionDays is EventRetention in days.
func (a *Account) EventRetentionDays() int { return inDays(a.EventRetention()) }

// MessageRetentionDays is MessageRetention in days.
func (a *Account) MessageRetentionDays() int { return inDays(a.MessageRetention()) }

// MessageReadableDays is MessageReadable in days.
func (a *Account) MessageReadableDays() int { return inDays(a.MessageReadable()) }

const day = 24 * time.Hour

func kept(days int, otherwise time.Duration) time.Duration {
	if days == 0 {
		return otherwise
	}
	return time.Duration(days) * day
}

func inDays(d time.Duration) int { return int(d / day) }

// ConversationTemplate is ConversationLink; nil for none.
func (a *Account) ConversationTemplate() *string { return optional(a.ConversationLink) }

// TaskTemplate is TaskLink; nil for none.
func (a *Account) TaskTemplate() *string { return optional(a.TaskLink) }

// MiniProgramIDs is MiniPrograms.
func (a *Account) MiniProgramIDs() []string { return a.MiniPrograms }

// FollowReplyText is FollowReply; nil for none.
func (a *Account) FollowReplyText() *string { return optional(a.FollowReply) }

// NotifyOn is which bindings make a CUSTOMER_BOUND notification, as the API shows it (rule N2).
type NotifyOn struct{ AdvisorQR, GroupQR, WechatAd, AutoAssign bool }

// NotifyOn is the account's switches per source.
func (a *Account) NotifyOn() *NotifyOn {
	return &NotifyOn{AdvisorQR: a.NotifyAdvisorQR, GroupQR: a.NotifyGroupQR, WechatAd: a.NotifyWechatAd, AutoAssign: a.NotifyAutoAssign}
}

// CheckMiniPrograms checks app ids of mini-programs that an account links: the platform's form, "wx" and 16
// hexadecimal digits in lower case, each once, at most limits.MiniPrograms. The error names the field of the
// first one that will not do.
func CheckMiniPrograms(ids []string, field string) error {
	if len(ids) > limits.MiniPrograms {
		return TooMany(field, limits.MiniPrograms, "at most %d mini-programs are linked", limits.MiniPrograms)
	}
	seen := map[string]bool{}
	for i, id := range ids {
		at := fmt.Sprintf("%s.%d", field, i)
		if !miniProgram.MatchString(id) {
			return Invalid(at, "is not wx and 16 hexadecimal digits in lower case")
		}
		if seen[id] {
			return Invalid(at, "stands earlier in the list")
		}
		seen[id] = true
	}
	return nil
}

var miniProgram = regexp.MustCompile(`^wx[0-9a-f]{16}$`)

// AdvertisementGroupID is AdGroup; nil for nobody.
func (a *Account) AdvertisementGroupID() *relay.ID {
	if a.AdGroup.IsZero() {
		return nil
	}
	return &relay.ID{Kind: KindGroup, Key: a.AdGroup}
}

// OnUnfollow is what becomes of who stops following: what the account says, or else KEEP in the sandbox,
// and on WECHAT ERASE_AFTER, since the platform asks for erasure (rule E12).
func (a *Account) OnUnfollow() UnfollowPolicy {
	switch {
	case a.Unfollow != "":
		return a.Unfollow
	case a.Channel == ChannelWechat:
		return UnfollowEraseAfter
	}
	return UnfollowKeep
}

// EraseAfterDays is after how many days who stopped following is erased, under ERASE_AFTER; nil under another.
func (a *Account) EraseAfterDays() *int {
	if a.OnUnfollow() != UnfollowEraseAfter {
		return nil
	}
	days := a.EraseDays
	if days == 0 {
		days = limits.EraseAfterDays
	}
	return &days
}

// EraseUnfollowed is up to when somebody must have stopped following to be erased now; 0: nobody is.
func (a *Account) EraseUnfollowed(now Time) Time {
	switch a.OnUnfollow() {
	case UnfollowEraseNow:
		return now
	case UnfollowEraseAfter:
		return now.Add(-time.Duration(*a.EraseAfterDays()) * 24 * time.Hour)
	case UnfollowKeep:
	}
	return 0
}

// zones is the time zones that were loaded, by name: to load one reads a file. There are as many
// as the zone database has.
var zones sync.Map // string → *time.Location

func zone(name string) (*time.Location, bool) {
	if l, ok := zones.Load(name); ok {
		return l.(*time.Location), true //nolint:forcetypeassert // nothing else is stored.
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, false
	}
	zones.Store(name, l)
	return l, true
}

// CheckZone reports whether name is a time zone an account may have.
func CheckZone(name string) bool {
	if name == "" || name == "Local" || len(name) > 64 {
		return false
	}
	_, ok := zone(name)
	return ok
}

// Policy is the contact policy of the account: the numbers of its preset with its overrides
// (rules A3, G15). An action counts by the policy that holds when it is recorded; a window or
// session that is open keeps what it was opened with. How many outreaches a month has is asked of
// the present policy.
func (a *Account) Policy() Policy {
	return a.PolicyOverrides.Apply(a.PolicyPreset.Policy(a.Location(), a.OutreachCarrier))
}

// ContactPolicy is the policy as the API shows it.
func (a *Account) ContactPolicy() *ContactPolicy { return &ContactPolicy{a.Policy()} }

// PolicyWarnings is the actions that open more than the account's platform allows now: accepted,
// but the platform will refuse what is beyond (rule A3). None on SANDBOX, which allows what we say.
func (a *Account) PolicyWarnings() []*PolicyWarning {
	warnings := []*PolicyWarning{}
	if a.Channel != ChannelWechat {
		return warnings
	}
	platform := PresetPlatformToday.Policy(a.Location(), a.OutreachCarrier)
	for _, action := range a.Policy().Beyond(platform) {
		allowed := platform.Actions[action]
		warnings = append(warnings, &PolicyWarning{Action: action, Message: fmt.Sprintf(
			"the platform allows %d messages in %d seconds after this action, and refuses what is beyond", allowed.Messages, seconds(allowed.For))})
	}
	return warnings
}

// IsOpen reports whether the capability works.
func (a *Account) IsOpen() bool { return a.Capability == CapabilityOpen }

// IsVerified reports whether PLATFORM recorded the account as verified.
func (a *Account) IsVerified() bool { return !a.VerifiedAt.IsZero() }

// MayOpen says whether the terms may be accepted now, given the date of the latest violation
// (0: none). It answers nil, or STATE with the reason (rule A1).
func (a *Account) MayOpen(lastViolation, now Time) error {
	if !a.IsVerified() {
		return Errorf(CodeState, "the account is not verified")
	}
	free := lastViolation.Add(limits.ViolationFreeDays * 24 * time.Hour)
	if !lastViolation.IsZero() && now < free {
		return &Error{Code: CodeState, Message: "the account has a violation in the past 365 days", RetryAt: free}
	}
	return nil
}

// Notifies reports whether a binding from this source makes a CUSTOMER_BOUND notification
// (rule N2): CONSOLE and API have no switch and never do.
func (a *Account) Notifies(s BindingSource) bool {
	switch s {
	case SourceAdvisorQR:
		return a.NotifyAdvisorQR
	case SourceGroupQR:
		return a.NotifyGroupQR
	case SourceWechatAd:
		return a.NotifyWechatAd
	case SourceAutoAssign:
		return a.NotifyAutoAssign
	case SourceConsole, SourceAPI:
	}
	return false
}

// ViolationKind is a severe violation that keeps an account closed (rule A1).
type ViolationKind string

// The kinds of violations.
const (
	ViolationFraud                 ViolationKind = "FRAUD"
	ViolationPorn                  ViolationKind = "PORN"
	ViolationPolitics              ViolationKind = "POLITICS"
	ViolationMaliciousRegistration ViolationKind = "MALICIOUS_REGISTRATION"
	ViolationMultiLevel            ViolationKind = "MULTI_LEVEL"
	ViolationOnlineEarning         ViolationKind = "ONLINE_EARNING"
	ViolationOther                 ViolationKind = "OTHER"
)

// Violation is one violation that PLATFORM recorded.
type Violation struct {
	AccountID Key           `gorm:"column:account_id;primaryKey"`
	Key       Key           `gorm:"column:id;primaryKey"`
	Kind      ViolationKind `gorm:"column:kind"`
	On        Time          `gorm:"column:happened_at"`
}

// TableName names the table for the mapper.
func (Violation) TableName() string { return "violation" }

// AcceptedTerms is the version of the terms that was last accepted; nil if none was.
func (a *Account) AcceptedTerms() *string { return optional(a.TermsVersion) }
