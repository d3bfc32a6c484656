package models

// Scan is a row of the record of scans: what came of one (rule C2). It is written in the transaction
// of the scan, and never changed.
type Scan struct {
	AccountID  Key   `gorm:"column:account_id;primaryKey"`
	Key        Key   `gorm:"column:id;primaryKey"`
	CustomerID Key   `gorm:"column:customer_id"`
	CodeID     Key   `gorm:"column:code_id"` // zero: no code had the scene
	Scene      Ident `gorm:"column:scene"`
	// Label is the code's; empty: none.
	Label string `gorm:"column:label"`
	// Follows: by it they began to follow.
	Follows   bool        `gorm:"column:follows"`
	Outcome   ScanOutcome `gorm:"column:outcome"`
	AdvisorID Key         `gorm:"column:advisor_id"` // who has the customer after it; zero: nobody
	At        Time        `gorm:"column:at"`         // by the channel's clock
	CreatedAt Time        `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (Scan) TableName() string { return "scan" }

// ShownLabel is the label of the code; nil without one.
func (s *Scan) ShownLabel() *string { return optional(s.Label) }
