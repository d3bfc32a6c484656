package models

import "clientele/internal/relay"

// Group is a set of advisors with a QR code of its own.
type Group struct {
	AccountID   Key    `gorm:"column:account_id;primaryKey"`
	Key         Key    `gorm:"column:id;primaryKey"`
	Name        string `gorm:"column:name"`
	FoldedName  string `gorm:"column:folded_name"` // Fold(Name); unique in the account
	MemberCount int    `gorm:"column:member_count"`
	CreatedAt   Time   `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt   Time   `gorm:"column:updated_at;autoUpdateTime:false"`
}

// TableName names the table for the mapper; "group" is a word of SQL.
func (Group) TableName() string { return "advisor_group" }

// ID is the group's global id.
func (g *Group) ID() relay.ID { return relay.ID{Kind: KindGroup, Key: g.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Group) IsNode() {}

// GroupList is the groups of one advisor, by name.
type GroupList struct{ Groups []*Group }

// GroupMember says that an advisor belongs to a group.
type GroupMember struct {
	AccountID Key  `gorm:"column:account_id;primaryKey"`
	GroupID   Key  `gorm:"column:group_id;primaryKey"`
	AdvisorID Key  `gorm:"column:advisor_id;primaryKey"`
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (GroupMember) TableName() string { return "group_member" }
