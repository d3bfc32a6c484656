package models

// ChannelWork is something that is to be asked of an account's platform beside jobs and messages (rule K1): there is a row while
// something waits.
type ChannelWork struct {
	AccountID Key        `gorm:"column:account_id;primaryKey"`
	API       ChannelAPI `gorm:"column:api;primaryKey"`
	// DueAt is from when on a node may take it; while one has it, when its lease ends.
	DueAt    Time `gorm:"column:due_at"`
	LeasedBy Key  `gorm:"column:leased_by"` // a turn at it; zero: nobody has it
	Attempts int  `gorm:"column:attempts"`  // fruitless ones in a row
}

// TableName names the table for the mapper.
func (ChannelWork) TableName() string { return "channel_work" }

// WaitingQRCode is a code of which the platform is to be told (rule C1).
type WaitingQRCode struct {
	AccountID Key  `gorm:"column:account_id;primaryKey"`
	DueAt     Time `gorm:"column:due_at;primaryKey"`
	CodeID    Key  `gorm:"column:code_id;primaryKey"`
}

// TableName names the table for the mapper.
func (WaitingQRCode) TableName() string { return "qr_code_waiting" }
