package models

import "clientele/internal/relay"

// Advisorship is that a person is an advisor of an account (rule V1).
type Advisorship struct {
	AccountKey Key    `gorm:"column:account_id"`
	Name       string `gorm:"column:account_name"`
	AdvisorKey Key    `gorm:"column:advisor_id"`
	// State is where they stand there at the time they ask: an EXPIRED invitation is not PENDING.
	State AdvisorState `gorm:"column:state"`
	// IsViewer: it is that of the token.
	IsViewer bool `gorm:"-"`
}

// AccountID is the account's global id.
func (a *Advisorship) AccountID() relay.ID { return relay.ID{Kind: KindAccount, Key: a.AccountKey} }

// AdvisorID is the advisor's global id.
func (a *Advisorship) AdvisorID() relay.ID { return relay.ID{Kind: KindAdvisor, Key: a.AdvisorKey} }
