package models

import "clientele/internal/relay"

// BindingSource says how a customer came to their advisor (rule E2).
type BindingSource string

// The sources of bindings.
const (
	SourceAdvisorQR  BindingSource = "ADVISOR_QR"
	SourceGroupQR    BindingSource = "GROUP_QR"
	SourceConsole    BindingSource = "CONSOLE"
	SourceAPI        BindingSource = "API"
	SourceWechatAd   BindingSource = "WECHAT_AD"
	SourceAutoAssign BindingSource = "AUTO_ASSIGN"
)

// Valid reports whether s is one of the sources.
func (s BindingSource) Valid() bool {
	switch s {
	case SourceAdvisorQR, SourceGroupQR, SourceConsole, SourceAPI, SourceWechatAd, SourceAutoAssign:
		return true
	}
	return false
}

// CustomerOrder is how a list of customers is ordered (rule E9). Lists of one advisor's customers have the
// first three, lists of the account the others.
type CustomerOrder string

// The orders; the first of each are the defaults.
const (
	OrderLatestBound   CustomerOrder = "LATEST_BOUND"
	OrderEarliestBound CustomerOrder = "EARLIEST_BOUND"
	OrderLatestActive  CustomerOrder = "LATEST_ACTIVE"

	OrderNewest CustomerOrder = "NEWEST"
	OrderOldest CustomerOrder = "OLDEST"
)

// IsOfAdvisor reports whether it is an order of one advisor's customers.
func (o CustomerOrder) IsOfAdvisor() bool {
	switch o {
	case OrderLatestBound, OrderEarliestBound, OrderLatestActive:
		return true
	case OrderNewest, OrderOldest:
	}
	return false
}

// Place is where a customer stands in the order: what besides the key orders them.
func (o CustomerOrder) Place(c *Customer) Time {
	switch o {
	case OrderLatestBound, OrderEarliestBound:
		return c.BoundAt
	case OrderLatestActive:
		return c.SortAt
	case OrderNewest, OrderOldest:
	}
	return 0
}

// FollowState is whether the customer follows the account now.
type FollowState string

// The states of following.
const (
	Following  FollowState = "FOLLOWING"
	Unfollowed FollowState = "UNFOLLOWED"
)

// Customer is a follower, or former follower, of an account. The one advisor who serves them is
// a column, so that no customer can have two (rule E1).
type Customer struct {
	AccountID Key    `gorm:"column:account_id;primaryKey"`
	Key       Key    `gorm:"column:id;primaryKey"`
	OpenID    Ident  `gorm:"column:openid"`
	UnionID   Ident  `gorm:"column:unionid"`
	AvatarURL string `gorm:"column:avatar_url"`
	// AvatarID is their picture among the account's images (rule H6); zero: none. One of the two is empty.
	AvatarID Key    `gorm:"column:avatar_id"`
	Nickname string `gorm:"column:nickname"`
	Info     Lines  `gorm:"column:info"` // nil: not for the viewer
	Country  string `gorm:"column:country"`
	Province string `gorm:"column:province"`
	City     string `gorm:"column:city"`
	// Folded is SearchText as it was last written; the store keeps it, with the grams.
	Folded       Folded      `gorm:"column:folded"`
	FollowState  FollowState `gorm:"column:follow_state"`
	FollowedAt   Time        `gorm:"column:followed_at"`
	UnfollowedAt Time        `gorm:"column:unfollowed_at"`

	AdvisorID   Key           `gorm:"column:advisor_id"` // zero: unassigned
	BoundAt     Time          `gorm:"column:bound_at"`
	BoundSource BindingSource `gorm:"column:bound_source"` // empty: never bound
	BoundLabel  string        `gorm:"column:bound_label"`  // of the code that was scanned (rule C3); empty: none, or unassigned
	BoundBy     string        `gorm:"column:bound_by"`
	// SuspendedAt is when the binding was suspended because the customer stopped following (rule
	// E12); 0 while it holds. A suspended binding is not counted; its advisor still reads.
	SuspendedAt Time `gorm:"column:suspended_at"`

	// LastInteractionAt is the last of the five actions. It is a column of the conversation's row,
	// so that a message changes one row and not two; whoever reads a customer reads it with it. (The
	// customer's own column is what the release before wrote; it goes with the next.)
	LastInteractionAt Time `gorm:"->;column:last_interaction_at"`
	// ErasedAt is when the person was erased (rule E13): the row stays for those who count, and nobody is
	// shown it. 0: they were not.
	ErasedAt Time `gorm:"column:erased_at"`
	// SortAt is what a list that was asked for is ordered by, where that is not one of the above.
	SortAt    Time `gorm:"->;column:sort_at"`
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt Time `gorm:"column:updated_at;autoUpdateTime:false"`
}

// TableName names the table for the mapper.
func (Customer) TableName() string { return "customer" }

// ID is the customer's global id.
func (c *Customer) ID() relay.ID { return relay.ID{Kind: KindCustomer, Key: c.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Customer) IsNode() {}

// Source is how the present binding was made; nil while unassigned.
func (c *Customer) Source() *BindingSource {
	if c.AdvisorID.IsZero() {
		return nil
	}
	return &c.BoundSource
}

// Label is that of the code by which the present binding was made; nil without one.
func (c *Customer) Label() *string { return optional(c.BoundLabel) }

// BoundTo is the advisor who serves the customer now; zero while unassigned or suspended.
func (c *Customer) BoundTo() Key {
	if !c.SuspendedAt.IsZero() {
		return Key{}
	}
	return c.AdvisorID
}

// WasFollowing reports whether the customer followed at an instant, as far as the row tells: of
// the present span of following, or the last.
func (c *Customer) WasFollowing(at Time) bool {
	return !c.FollowedAt.IsZero() && c.FollowedAt <= at && (c.FollowState == Following || at < c.UnfollowedAt)
}

// isPerson reports whether the customer and the advisor are one person (rule E1: nobody is
// their own customer).
func (c *Customer) isPerson(a *Advisor) bool {
	return a.OpenID == c.OpenID || a.UnionID != "" && a.UnionID == c.UnionID
}

// IsPersonOf reports whether the customer and the advisor are one person.
func (c *Customer) IsPersonOf(a *Advisor) bool { return c.isPerson(a) }

// BindingChange is what happened to a binding; a row of the history (rule E2).
type BindingChange string

// The changes of bindings.
const (
	BindingBound     BindingChange = "BOUND"
	BindingRebound   BindingChange = "REBOUND" // from one advisor to another
	BindingUnbound   BindingChange = "UNBOUND"
	BindingSuspended BindingChange = "SUSPENDED"
	BindingRestored  BindingChange = "RESTORED"
)

// Binding is a row of the history of bindings: one change of the binding of one customer.
type Binding struct {
	AccountID  Key           `gorm:"column:account_id;primaryKey"`
	Key        Key           `gorm:"column:id;primaryKey"`
	CustomerID Key           `gorm:"column:customer_id"`
	AdvisorID  Key           `gorm:"column:advisor_id"`
	FormerID   Key           `gorm:"column:former_id"` // of REBOUND: who had the customer before
	Change     BindingChange `gorm:"column:change_kind"`
	Source     BindingSource `gorm:"column:source"`
	Label      string        `gorm:"column:label"` // of the code that was scanned (rule C3); empty: none
	By         string        `gorm:"column:made_by"`
	At         Time          `gorm:"column:at"`
}

// TableName names the table for the mapper.
func (Binding) TableName() string { return "binding" }

// ShownLabel is the label of the code that was scanned; nil without one.
func (b *Binding) ShownLabel() *string { return optional(b.Label) }

// MadeBy is the role and subject of who made the change; nil when a customer's action did.
func (b *Binding) MadeBy() *string { return optional(b.By) }

// ShownNickname is the nickname; nil until one is set.
func (c *Customer) ShownNickname() *string { return optional(c.Nickname) }

// PictureURL is the picture's address; nil until one is set.
func (c *Customer) PictureURL() *string { return optional(c.AvatarURL) }

// InfoLines is the info; nil when it is not for the viewer.
func (c *Customer) InfoLines() []string { return c.Info }

// Region is where the customer lives; nil until somebody says.
func (c *Customer) Region() *Region {
	r := Region{Country: c.Country, Province: c.Province, City: c.City}
	if r == (Region{}) {
		return nil
	}
	return &r
}

// Region is where somebody lives; empty parts are not known.
type Region struct{ Country, Province, City string }

// InCountry is the country; nil when not known.
func (r *Region) InCountry() *string { return optional(r.Country) }

// InProvince is the province; nil when not known.
func (r *Region) InProvince() *string { return optional(r.Province) }

// InCity is the city; nil when not known.
func (r *Region) InCity() *string { return optional(r.City) }
