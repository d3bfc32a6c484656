package models

// WaitingFollow is a follower of whom the platform is to be asked (rules E3, E8): the present following of a customer, the latest that
// waits.
type WaitingFollow struct {
	AccountID  Key  `gorm:"column:account_id;primaryKey"`
	CustomerID Key  `gorm:"column:customer_id;primaryKey"`
	FollowedAt Time `gorm:"column:followed_at"`
	// Decides: who serves them waits for the answer, up to limits.OriginPatience after Since.
	Decides bool `gorm:"column:decides"`
	Since   Time `gorm:"column:since"`
}

// TableName names the table for the mapper.
func (WaitingFollow) TableName() string { return "follow_waiting" }
