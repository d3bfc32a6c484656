package limits

import "time"

// Advisors and groups.
const (
	// AdvisorsPerAccount counts PENDING and ACTIVE advisors. Enforced in the transaction
	// of the invitation, under the account's row lock. Source: rule B1.
	AdvisorsPerAccount = 20_000
	// AdvisorNicknameRunes is the longest nickname of an advisor, in runes, at least 1.
	// Enforced by models.CheckName; column advisor.nickname. Source: rule B2.
	AdvisorNicknameRunes = 16
	// InviteBatch is the most advisors one inviteAdvisors call takes. Source: rule B2.
	InviteBatch = 200
	// InvitationLife is how long an invitation may be answered. Source: rule B3.
	InvitationLife = 24 * time.Hour
	// GroupsPerAccount is the most groups of one account. Enforced in the transaction under
	// the account's row lock. Source: rule D1.
	GroupsPerAccount = 200
	// AdvisorsPerGroup is the most members of one group. Enforced in the transaction under
	// the group's row lock. Source: rule D1.
	AdvisorsPerGroup = 200
	// GroupNameRunes is the longest group name, in runes, at least 1. Source: rule D1.
	GroupNameRunes = 32
	// AvatarURLBytes is the longest avatar address, in bytes.
	AvatarURLBytes = 512
	// WechatIDBytes is the longest WeChat id of a person, in bytes.
	WechatIDBytes = 64
	// ExternalIDBytes is the longest id that a merchant's own system gives an advisor, in bytes.
	ExternalIDBytes = 64
)
