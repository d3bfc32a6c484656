package models

// ChannelAPI is a part of a platform's API that is asked, refused and kept from being asked by itself
// (rule K1).
type ChannelAPI string

// The parts.
const (
	APIAccessToken   ChannelAPI = "ACCESS_TOKEN"   // what every call is made with
	APIMessages      ChannelAPI = "MESSAGES"       // customer-service messages
	APIQRCodes       ChannelAPI = "QR_CODES"       // rule C1
	APIFollowers     ChannelAPI = "FOLLOWERS"      // who follows (rule E11)
	APIFollowerInfo  ChannelAPI = "FOLLOWER_INFO"  // what is known of followers (rules E3, E11)
	APIServiceAgents ChannelAPI = "SERVICE_AGENTS" // customer-service agents (rule B2)
)

// AccessToken is what calls to an account's platform are made with until it expires. All nodes share
// it; one of them renews it.
type AccessToken struct {
	AccountID Key    `gorm:"column:account_id;primaryKey"`
	Sealed    []byte `gorm:"column:sealed"` // empty: there is none
	// RenewAt is from when on a new one is asked for; the platform takes both until ExpiresAt.
	RenewAt   Time `gorm:"column:renew_at"`
	ExpiresAt Time `gorm:"column:expires_at"`
	// LeasedUntil is until when a node asks for a new one, and no other does.
	LeasedUntil Time `gorm:"column:leased_until"`
}

// TableName names the table for the mapper.
func (AccessToken) TableName() string { return "access_token" }

// ChannelFault is why a part of the account's platform is not asked until an instant: its quota of the
// day is used up, or it refuses the account as a whole (rule K1).
type ChannelFault struct {
	AccountID Key        `gorm:"column:account_id;primaryKey"`
	API       ChannelAPI `gorm:"column:api;primaryKey"`
	// Code is the platform's number.
	Code int `gorm:"column:code"`
	// Since is when it was refused first, of refusals that followed each other.
	Since Time `gorm:"column:since"`
	Until Time `gorm:"column:until_at"`
}

// TableName names the table for the mapper.
func (ChannelFault) TableName() string { return "channel_fault" }
