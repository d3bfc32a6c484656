package models

// Ticket lets its bearer open one event stream as the viewer of the token it was asked with (rule V1). Only its digest is kept.
type Ticket struct {
	Digest []byte `gorm:"column:digest;primaryKey"` // SHA-256
	// Viewer is JSON: the auth.Viewer of the token.
	Viewer    string `gorm:"column:viewer"`
	ExpiresAt Time   `gorm:"column:expires_at"`
}

// TableName names the table for the mapper.
func (Ticket) TableName() string { return "ticket" }
