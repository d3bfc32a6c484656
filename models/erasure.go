package models

import (
	"crypto/sha256"
	"encoding/hex"

	"clientele/internal/relay"
)

// Erased stands where a value of an erased person stood (rule E13).
const Erased = "ERASED"

// ErasureCause is why a person was erased.
type ErasureCause string

// The causes of erasures.
const (
	ErasureRequested  ErasureCause = "REQUESTED"  // somebody asked for it
	ErasureUnfollowed ErasureCause = "UNFOLLOWED" // they stopped following, and the account erases who does (rule E12)
)

// Erasure is the erasure of one person, and its receipt: it holds nothing of them but a digest.
type Erasure struct {
	AccountID  Key          `gorm:"column:account_id;primaryKey"`
	Key        Key          `gorm:"column:id;primaryKey"`
	CustomerID Key          `gorm:"column:customer_id"`
	Cause      ErasureCause `gorm:"column:cause"`
	By         string       `gorm:"column:made_by"` // role and subject; empty: the account's setting did
	// Digest is ErasureDigest of the openid: who knows the openid finds the receipt.
	Digest Ident `gorm:"column:digest"`

	// Step is which of the store's steps is next, Place how far it has come.
	Step  int `gorm:"column:step"`
	Place Key `gorm:"column:place"`
	// AvatarID is the image that they had as avatar; zero: none. The erasure is not finished while its file is to be deleted.
	AvatarID Key `gorm:"column:avatar_id"`
	// RetryAt is when an erasure is looked at again that waits for a file; 0: it does not.
	RetryAt Time `gorm:"column:retry_at"`
	// How many rows were blanked, or of tags deleted.
	Messages int64 `gorm:"column:messages"`
	Changes  int64 `gorm:"column:changes"`
	Tags     int64 `gorm:"column:tags"`
	Entries  int64 `gorm:"column:entries"` // of the audit log, and items of calls for many there

	BegunAt    Time `gorm:"column:begun_at"`    // from then on nobody is shown anything of them
	FinishedAt Time `gorm:"column:finished_at"` // from then on nothing of them is in the database or in the storage of images; 0: not yet
}

// TableName names the table for the mapper.
func (Erasure) TableName() string { return "erasure" }

// ID is the erasure's global id.
func (e *Erasure) ID() relay.ID { return relay.ID{Kind: KindErasure, Key: e.Key} }

// ErasedCustomerID is the id that the customer had.
func (e *Erasure) ErasedCustomerID() relay.ID { return relay.ID{Kind: KindCustomer, Key: e.CustomerID} }

// MadeBy is the role and subject of who asked for it; nil when the account's setting did.
func (e *Erasure) MadeBy() *string { return optional(e.By) }

// OpenIDDigest is the digest in hexadecimal.
func (e *Erasure) OpenIDDigest() string { return hex.EncodeToString([]byte(e.Digest)) }

// ErasureDigest is what is kept of an openid: SHA-256 of the account's id and the openid. An openid has too
// many values to be guessed from it.
func ErasureDigest(account Key, openid Ident) Ident {
	id := (&Account{Key: account}).ID().String()
	sum := sha256.Sum256([]byte(id + ":" + string(openid)))
	return Ident(sum[:])
}

// Erase blanks everything of the customer's row that says who they are, and answers whose they were.
func (c *Customer) Erase(now Time) (advisor Key) {
	advisor = c.AdvisorID
	c.OpenID = Ident("erased:" + hex.EncodeToString(c.Key[:])) // one that no platform has
	c.UnionID, c.Nickname, c.Info = "", "", Lines{}
	c.AvatarURL, c.AvatarID, c.Country, c.Province, c.City = "", Key{}, "", "", ""
	c.FollowState, c.UnfollowedAt = Unfollowed, 0
	c.AdvisorID, c.BoundAt, c.BoundSource, c.BoundLabel, c.BoundBy, c.SuspendedAt = Key{}, 0, "", "", "", 0
	c.ErasedAt = now
	return advisor
}

// UnfollowPolicy is what becomes of who stops following (rule E12).
type UnfollowPolicy string

// The policies.
const (
	UnfollowKeep       UnfollowPolicy = "KEEP"
	UnfollowEraseAfter UnfollowPolicy = "ERASE_AFTER"
	UnfollowEraseNow   UnfollowPolicy = "ERASE_NOW"
)
