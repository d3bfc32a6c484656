package models

import (
	"database/sql/driver"
	"fmt"

	"clientele/internal/relay"
)

// QRCodeKind is what a QR code leads to.
type QRCodeKind string

// The kinds of codes.
const (
	QRCodeAdvisor QRCodeKind = "ADVISOR"
	QRCodeGroup   QRCodeKind = "GROUP"
)

// QRCode is a code that leads to an advisor or a group: their own, which is made with them and is
// permanent (rule C1), or one with a label that the merchant made (rule C3). Scene is the key that the
// platform carries from the picture to the callback.
type QRCode struct {
	AccountID Key        `gorm:"column:account_id;primaryKey"`
	Key       Key        `gorm:"column:id;primaryKey"`
	Scene     Ident      `gorm:"column:scene"`
	Kind      QRCodeKind `gorm:"column:kind"`
	OwnerID   Key        `gorm:"column:owner_id"` // the advisor or group
	// Own: it is the one that was made with its owner. An owner has one, which the database enforces.
	Own Sole `gorm:"column:own"`
	// Label is what the merchant calls it; empty exactly for the owner's own.
	Label string `gorm:"column:label"`
	// ExpiresAt is from when on a temporary code leads nowhere; 0: it is permanent.
	ExpiresAt Time `gorm:"column:expires_at"`
	// PlatformURL is what its picture says, as the platform answered; empty: it does not know the code, or need not.
	PlatformURL string `gorm:"column:platform_url"`
	// Refusal is the number with which the platform refused to know it when it was last told; 0: it did not.
	Refusal   int  `gorm:"column:refusal"`
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
}

// Sole is true, or NULL where it is false, so that a unique index admits one true and any number of
// others.
type Sole bool

// Value implements driver.Valuer.
func (s Sole) Value() (driver.Value, error) {
	if !s {
		return nil, nil //nolint:nilnil // NULL is what false means.
	}
	return int64(1), nil
}

// Scan implements sql.Scanner.
func (s *Sole) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*s = false
	case int64:
		*s = v != 0
	case []byte:
		*s = string(v) != "0"
	default:
		return fmt.Errorf("a flag cannot be read from %T", src)
	}
	return nil
}

// TableName names the table for the mapper.
func (QRCode) TableName() string { return "qr_code" }

// ID is the code's global id.
func (q *QRCode) ID() relay.ID { return relay.ID{Kind: KindQRCode, Key: q.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*QRCode) IsNode() {}

// IsExpired reports whether a temporary code leads nowhere any more at an instant.
func (q *QRCode) IsExpired(at Time) bool { return !q.ExpiresAt.IsZero() && at >= q.ExpiresAt }

// ShownLabel is the label; nil for an owner's own code.
func (q *QRCode) ShownLabel() *string { return optional(q.Label) }

// PlatformRefusal is Refusal; nil for none.
func (q *QRCode) PlatformRefusal() *int {
	if q.Refusal == 0 {
		return nil
	}
	return &q.Refusal
}

// QRCodeFormat is as what a code is drawn.
type QRCodeFormat string

// The formats of pictures.
const (
	QRCodePNG QRCodeFormat = "PNG"
	QRCodeSVG QRCodeFormat = "SVG"
)

// QRCodePicture is the picture of a code (rule C4).
type QRCodePicture struct {
	URL       string // what it says
	MediaType string
	Size      int    // in pixels
	Data      string // the file, in base64
}

// ScanOutcome is what came of a scan (rule C2).
type ScanOutcome string

// The outcomes of a scan.
const (
	ScanBound          ScanOutcome = "BOUND"
	ScanAlreadyBound   ScanOutcome = "ALREADY_BOUND_TO_THIS_ADVISOR"
	ScanBoundToAnother ScanOutcome = "BOUND_TO_ANOTHER_ADVISOR"
	ScanAdvisorInvalid ScanOutcome = "ADVISOR_INVALID"
	ScanAdvisorFull    ScanOutcome = "ADVISOR_FULL"
	ScanGroupInvalid   ScanOutcome = "GROUP_INVALID"
	ScanGroupHasNoFree ScanOutcome = "GROUP_HAS_NO_FREE_ADVISOR"
	ScanSelf           ScanOutcome = "SELF"
	ScanAccountClosed  ScanOutcome = "ACCOUNT_CLOSED"
)

// ScanTarget is what the code of a scan leads to, as it stands under the row locks.
type ScanTarget struct {
	Code    *QRCode  // nil: no code has this scene
	Advisor *Advisor // the code's advisor, or the member drawn for a group's code; nil: none
	// GroupExists tells a group's code whose group was deleted from one without a free member.
	GroupExists bool
	// IsMember reports whether an advisor belongs to the code's group; nil for an advisor's code.
	IsMember func(advisor Key) bool
	// At is when it was scanned, by the channel's clock.
	At Time
}

// Scan decides the outcome of a scan by c at now (rules C2, D3, E1). Only with BOUND is the
// customer bound, to t.Advisor. A code that expired leads to nobody, whoever scans it.
func (t ScanTarget) Scan(account *Account, c *Customer, now Time) ScanOutcome {
	isGroup := t.Code != nil && t.Code.Kind == QRCodeGroup
	switch {
	case !account.IsOpen():
		return ScanAccountClosed
	case t.Code == nil, !isGroup && t.Advisor == nil:
		return ScanAdvisorInvalid
	case !isGroup && t.Code.IsExpired(t.At):
		return ScanAdvisorInvalid
	case isGroup && (!t.GroupExists || t.Code.IsExpired(t.At)):
		return ScanGroupInvalid
	case !c.BoundTo().IsZero() && isGroup:
		if t.IsMember(c.BoundTo()) {
			return ScanAlreadyBound
		}
		return ScanBoundToAnother
	case !isGroup && c.isPerson(t.Advisor):
		return ScanSelf
	case !isGroup && t.Advisor.StateAt(now) != AdvisorActive:
		return ScanAdvisorInvalid // also to who is theirs until a job has handed them over (rule B5)
	case !isGroup && c.BoundTo() == t.Advisor.Key:
		return ScanAlreadyBound
	case !c.BoundTo().IsZero():
		return ScanBoundToAnother
	case isGroup && t.Advisor == nil:
		return ScanGroupHasNoFree
	case t.Advisor.IsFull():
		return ScanAdvisorFull
	}
	return ScanBound
}
