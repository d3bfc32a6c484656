package models

import "clientele/internal/relay"

// Audit is a row of the audit log (rule R5): written in the transaction of the change, never
// changed. Before and After are JSON of what changed, without texts and credentials.
type Audit struct {
	AccountID  Key    `gorm:"column:account_id;primaryKey"`
	Key        Key    `gorm:"column:id;primaryKey"`
	At         Time   `gorm:"column:at"`
	Role       Role   `gorm:"column:role"`
	Subject    string `gorm:"column:subject"`
	TokenID    string `gorm:"column:token_id"`
	RequestID  string `gorm:"column:request_id"`
	Address    string `gorm:"column:address"` // where the request came from; empty: not known
	Action     string `gorm:"column:action"`
	TargetKind string `gorm:"column:target_kind"`
	TargetID   Key    `gorm:"column:target_id"`
	Before     string `gorm:"column:before_json"`
	After      string `gorm:"column:after_json"`
}

// TableName names the table for the mapper.
func (Audit) TableName() string { return "audit" }

// AuditItem is one item of a batch call that is in the audit log: the whole call is one row of Audit.
type AuditItem struct {
	AccountID Key    `gorm:"column:account_id;primaryKey"`
	AuditID   Key    `gorm:"column:audit_id;primaryKey"`
	No        int    `gorm:"column:no;primaryKey;autoIncrement:false"` // its place in the call, from 0
	TargetID  Key    `gorm:"column:target_id"`
	Outcome   string `gorm:"column:outcome"` // see ItemResult.Outcome
	// Before and After are JSON of the values that changed, or Erased; empty: nothing is told.
	Before string `gorm:"column:before_json"`
	After  string `gorm:"column:after_json"`
}

// TableName names the table for the mapper.
func (AuditItem) TableName() string { return "audit_item" }

// ID is the entry's global id.
func (a *Audit) ID() relay.ID { return relay.ID{Kind: KindAudit, Key: a.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Audit) IsNode() {}

// auditKinds are the kinds of ids of what entries are about.
var auditKinds = map[string]relay.Kind{
	"Account": KindAccount, "Advisor": KindAdvisor, "Group": KindGroup, "QRCode": KindQRCode, "Customer": KindCustomer,
	"Conversation": KindConversation, "Message": KindMessage, "Notification": KindNotification,
	"Tag": KindTag, "TagOption": KindTagOption, "Job": KindJob, "Import": KindImport, "Image": KindImage, "Webhook": KindWebhook,
}

// AuditKind is how entries name what has ids of a kind; empty where they tell of none.
func AuditKind(kind relay.Kind) string {
	for name, k := range auditKinds {
		if k == kind {
			return name
		}
	}
	return ""
}

// Target is the global id of what the entry is about; nil for what has none.
func (a *Audit) Target() *relay.ID {
	kind, ok := auditKinds[a.TargetKind]
	if !ok || a.TargetID.IsZero() {
		return nil
	}
	return &relay.ID{Kind: kind, Key: a.TargetID}
}

// ItemID is the global id of what an item of the entry's call is about.
func (a *Audit) ItemID(item *AuditItem) relay.ID {
	switch a.Action {
	case "createQRCodes":
		return relay.ID{Kind: KindQRCode, Key: item.TargetID}
	case "uploadImages":
		return relay.ID{Kind: KindImage, Key: item.TargetID}
	}
	return relay.ID{Kind: KindCustomer, Key: item.TargetID}
}

// The texts that are null where there are none.

// Token is the `jti`.
func (a *Audit) Token() *string { return optional(a.TokenID) }

// From is the address.
func (a *Audit) From() *string { return optional(a.Address) }

// About is the kind of what the entry is about.
func (a *Audit) About() *string { return optional(a.TargetKind) }

// Was is what was.
func (a *Audit) Was() *string { return optional(a.Before) }

// Is is what is since.
func (a *Audit) Is() *string { return optional(a.After) }
