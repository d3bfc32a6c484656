package models

// InboundRecord is the row that makes a repeated callback harmless (rule K1), the record of
// every scan with its outcome (rule C2), and that of every payment. Messages have none: see
// Message.DedupKey.
type InboundRecord struct {
	AccountID  Key         `gorm:"column:account_id;primaryKey"`
	DedupKey   Ident       `gorm:"column:dedup_key;primaryKey"`
	Kind       InboundKind `gorm:"column:kind"`
	Name       string      `gorm:"column:name"`
	CustomerID Key         `gorm:"column:customer_id"`
	Scene      Ident       `gorm:"column:scene"`
	Outcome    ScanOutcome `gorm:"column:outcome"` // empty unless something was scanned
	AdvisorID  Key         `gorm:"column:advisor_id"`
	At         Time        `gorm:"column:at"` // by the channel's clock
	CreatedAt  Time        `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (InboundRecord) TableName() string { return "inbound" }

// Idempotency is the first result of a call that carried an idempotency key (rule E15).
type Idempotency struct {
	AccountID Key    `gorm:"column:account_id;primaryKey"`
	Subject   Ident  `gorm:"column:subject;primaryKey"`
	IdemKey   Ident  `gorm:"column:idem_key;primaryKey"`
	BodyHash  []byte `gorm:"column:body_hash"`
	ResultID  Key    `gorm:"column:result_id"`
	// Results is what came of each item of a bulk call: JSON of []ItemResult. Nil for other calls.
	Results   []byte `gorm:"column:results"`
	CreatedAt Time   `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (Idempotency) TableName() string { return "idempotency" }

// AppLease says that an advisor's app is open on a node (rule N3): a live message subscription
// renews it; it lapses limits.AppLease after the last renewal.
type AppLease struct {
	AccountID Key  `gorm:"column:account_id;primaryKey"`
	AdvisorID Key  `gorm:"column:advisor_id;primaryKey"`
	NodeID    Key  `gorm:"column:node_id;primaryKey"`
	RenewedAt Time `gorm:"column:renewed_at"`
	ExpiresAt Time `gorm:"column:expires_at"`
}

// TableName names the table for the mapper.
func (AppLease) TableName() string { return "app_lease" }

// Listener is what a customer's message has to know of the advisor it is for (rule N3).
type Listener struct {
	// Online: the advisor is ACTIVE, and ONLINE by their own word.
	Online bool
	// AppOpen: a live message subscription of theirs holds a lease somewhere.
	AppOpen bool
}

// Stream is the counter row of an advisor's event stream.
type Stream struct {
	AccountID Key   `gorm:"column:account_id;primaryKey"`
	Key       Key   `gorm:"column:id;primaryKey"`
	Head      int64 `gorm:"column:head"`
	Floor     int64 `gorm:"column:floor_seq"`
	// ClosedAt is when its advisor was removed: nothing follows until they are invited again. 0: it goes
	// on.
	ClosedAt Time `gorm:"column:closed_at"`
}

// TableName names the table for the mapper.
func (Stream) TableName() string { return "stream" }
