package models

import (
	"fmt"
	"strings"

	"clientele/internal/relay"
)

// NotificationKind is one of the five kinds of rule N1 that exist so far.
type NotificationKind string

// The kinds of notifications.
const (
	NotifyAdvisorAdded    NotificationKind = "ADVISOR_ADDED"
	NotifyAdvisorRemoved  NotificationKind = "ADVISOR_REMOVED"
	NotifyCustomerBound   NotificationKind = "CUSTOMER_BOUND"
	NotifyCustomerInquiry NotificationKind = "CUSTOMER_INQUIRY"
)

// Language is a language that notifications are written in. Who reads them by the API names it; of what is
// sent outside the app it is Account.OutsideLanguage.
type Language string

// The languages.
const (
	LanguageZhCN Language = "ZH_CN"
	LanguageEn   Language = "EN"
)

// Notification tells an advisor of something. An inquiry merges what one customer wrote since
// the conversation was last read (rule N3).
type Notification struct {
	AccountID  Key              `gorm:"column:account_id;primaryKey"`
	Key        Key              `gorm:"column:id;primaryKey"`
	AdvisorID  Key              `gorm:"column:advisor_id"`
	Kind       NotificationKind `gorm:"column:kind"`
	CustomerID Key              `gorm:"column:customer_id"` // zero for ADVISOR_ADDED and ADVISOR_REMOVED
	Source     BindingSource    `gorm:"column:source"`      // of CUSTOMER_BOUND, else empty
	Deadline   Time             `gorm:"column:deadline"`    // of ADVISOR_ADDED, else 0
	Count      int              `gorm:"column:merged"`      // messages of an inquiry, else 1
	At         Time             `gorm:"column:at"`          // made, or last merged into
	ReadAt     Time             `gorm:"column:read_at"`
	CreatedAt  Time             `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (Notification) TableName() string { return "notification" }

// ID is the notification's global id.
func (n *Notification) ID() relay.ID { return relay.ID{Kind: KindNotification, Key: n.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Notification) IsNode() {}

// BindingSource is the source of a CUSTOMER_BOUND; nil for other kinds.
func (n *Notification) BindingSource() *BindingSource {
	if n.Source == "" {
		return nil
	}
	return &n.Source
}

// Title is the headline in a language (rule N1).
func (n *Notification) Title(l Language) string {
	zh := l != LanguageEn
	switch n.Kind {
	case NotifyAdvisorAdded:
		return pick(zh, "顾问邀请", "Invitation to be an advisor")
	case NotifyAdvisorRemoved:
		return pick(zh, "顾问移除", "You are no longer an advisor")
	case NotifyCustomerBound:
		return pick(zh, "新客户绑定", "New customer")
	case NotifyCustomerInquiry:
		return pick(zh, "客户咨询", "Customer inquiry")
	}
	return ""
}

// Body is the text in a language. name is what to call the customer, empty when nothing is
// known; it is never the customer's own words.
func (n *Notification) Body(l Language, name string) string {
	zh := l != LanguageEn
	if name == "" {
		name = pick(zh, "一位客户", "A customer")
	}
	switch n.Kind {
	case NotifyAdvisorAdded:
		at := n.Deadline.Go().Format("2006-01-02 15:04 MST")
		return pick(zh, "请在 "+at+" 前接受或拒绝邀请。", "Accept or refuse it before "+at+".")
	case NotifyAdvisorRemoved:
		return pick(zh, "您已不再是该服务号的顾问。", "You no longer serve this account's customers.")
	case NotifyCustomerBound:
		return pick(zh, name+"已与您绑定。", name+" is now bound to you.")
	case NotifyCustomerInquiry:
		if n.Count == 1 {
			return pick(zh, name+"发来 1 条未读消息。", name+" sent an unread message.")
		}
		return fmt.Sprintf(pick(zh, "%s发来 %d 条未读消息。", "%s sent %d unread messages."), name, n.Count)
	}
	return ""
}

func pick(zh bool, a, b string) string {
	if zh {
		return a
	}
	return b
}

// Link fills the account's conversation template for a customer (rule G13): {id} is the
// customer's global id, {openid} the openid. Empty without a template or customer.
func Link(template string, c *Customer) string {
	if template == "" || c == nil {
		return ""
	}
	return strings.NewReplacer("{id}", c.ID().String(), "{openid}", string(c.OpenID)).Replace(template)
}
