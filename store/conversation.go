package store

import (
	"gorm.io/gorm"

	"clientele/internal/relay"
	"clientele/models"
)

// Conversations reads conversations by customer; unknown ones are left out.
func (r *Reader) Conversations(account models.Key, customers []models.Key) ([]*models.Conversation, error) {
	return byKeys[models.Conversation](r, account, "customer_id", customers)
}

// InboxFilter says which conversations an inbox page holds; zero fields say nothing.
type InboxFilter struct {
	Unread          bool
	InteractedSince models.Time
	HasReplied      bool
	Tags            TagFilter
	Search          models.Folded
}

// InboxPage reads a page of an advisor's conversations, latest activity first.
func (r *Reader) InboxPage(account, advisor models.Key, f InboxFilter, p relay.Page) ([]*models.Conversation, error) {
	return find[models.Conversation](r, func(db *gorm.DB) *gorm.DB {
		db = db.Where("conversation.account_id = ? AND conversation.advisor_id = ?", account, advisor)
		if f.Unread {
			db = db.Where("unread > 0")
		}
		if f.HasReplied {
			db = db.Where("last_customer_at > last_advisor_at")
		}
		if f.InteractedSince > 0 {
			db = db.Where("last_interaction_at >= ?", f.InteractedSince)
		}
		if tags, args := f.Tags.where("conversation.account_id", "conversation.customer_id"); tags != "" {
			db = db.Where("1 = 1"+tags, args...)
		}
		if f.Search != "" {
			db = db.Where("EXISTS (SELECT 1 FROM customer c WHERE c.account_id = conversation.account_id AND c.id = conversation.customer_id AND INSTR(c.folded, ?) > 0)", string(f.Search))
		}
		return keyset(db, p, "active_at", "customer_id")
	})
}

// LockConversations reads and locks conversations by customer, in key order.
func (tx *Tx) LockConversations(customers []models.Key) ([]*models.Conversation, error) {
	return locked[models.Conversation](tx, phaseConversations, "customer_id", customers)
}

// conversationColumns is everything of a conversation that changes after it was made.
var conversationColumns = []string{
	"advisor_id", "visible_from", "active_at", "last_message_id", "unread", "read_up_to",
	"last_customer_at", "last_advisor_at", "last_interaction_at", "introduced_by", "introduced_until", "inquiry_id",
	"window_end", "window_left", "window_no", "window_from", "window_taken",
	"outreach_month", "outreach_used", "mass_seen",
	"session_end", "session_left", "session_no", "session_month", "session_sent", "session_out",
	"updated_at",
}

// messageColumns is what a customer's message changes of a conversation.
var messageColumns = []string{
	"active_at", "last_message_id", "unread", "last_customer_at", "last_interaction_at", "inquiry_id",
	"window_end", "window_left", "window_no", "window_from", "window_taken", "updated_at",
}

// UpdateWritten writes locked conversations of which nothing changed but what a customer's
// message changes.
func (tx *Tx) UpdateWritten(rows []*models.Conversation) error {
	for _, c := range rows {
		c.UpdatedAt = tx.Now
	}
	return upsertFew(tx, rows, messageColumns...)
}

// boundColumns is what a change of the binding changes of a conversation.
var boundColumns = []string{"advisor_id", "visible_from", "active_at", "unread", "inquiry_id", "updated_at"}

// UpdateBound writes locked conversations of which nothing changed but what a change of the binding
// changes.
func (tx *Tx) UpdateBound(rows []*models.Conversation) error {
	for _, c := range rows {
		c.UpdatedAt = tx.Now
	}
	return upsertFew(tx, rows, boundColumns...)
}

// UpdateConversations writes locked conversations.
func (tx *Tx) UpdateConversations(rows []*models.Conversation) error {
	for _, c := range rows {
		c.UpdatedAt = tx.Now
	}
	return upsertFew(tx, rows, conversationColumns...)
}
