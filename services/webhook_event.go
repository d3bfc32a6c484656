package services

import (
	"encoding/base64"
	"encoding/json"
	"errors"

	"clientele/events"
	"clientele/models"
)

// webhookEvent says what receivers are told of one kind of events of the account's stream (rule N7): ids and small facts, no text that
// anybody wrote, no name (whoever may know asks the API).
type webhookEvent struct {
	// of is what the body's `type` says.
	of string
	// data is the body's `data`, of an event whose subject was just read; nil: the subject is gone, and the event is withdrawn.
	data func(p *models.Primed) map[string]any
}

// webhookEvents has a row for each models.AccountEventKind; a test holds it.
var webhookEvents = map[models.AccountEventKind]webhookEvent{
	models.AccountCustomerChanged: {"customer.changed", func(p *models.Primed) map[string]any {
		if p.Change == nil || !isThere(p.Customer) {
			return nil
		}
		return withCustomer(p.Customer, map[string]any{"field": p.Change.Field})
	}},
	models.AccountBindingChanged: {"binding.changed", func(p *models.Primed) map[string]any {
		if p.Binding == nil || !isThere(p.Customer) {
			return nil
		}
		return withCustomer(p.Customer, map[string]any{
			"change": p.Binding.Change, "source": p.Binding.Source, "advisorId": advisorID(p.Binding.AdvisorID), "formerAdvisorId": advisorID(p.Binding.FormerID),
		})
	}},
	models.AccountCodeScanned: {"code.scanned", func(p *models.Primed) map[string]any {
		if p.Scan == nil || !isThere(p.Customer) {
			return nil
		}
		data := map[string]any{"outcome": p.Scan.Outcome, "isFollow": p.Scan.Follows, "advisorId": advisorID(p.Scan.AdvisorID), "codeId": nil}
		if !p.Scan.CodeID.IsZero() {
			data["codeId"] = (&models.QRCode{Key: p.Scan.CodeID}).ID().String()
		}
		return withCustomer(p.Customer, data)
	}},
	models.AccountCustomersImported:  {"customers.imported", func(*models.Primed) map[string]any { return map[string]any{} }},
	models.AccountInvitationAccepted: {"invitation.accepted", invited},
	models.AccountInvitationRefused:  {"invitation.refused", invited},
	models.AccountInvitationExpired:  {"invitation.expired", invited},
}

// invited is data about who was invited.
func invited(p *models.Primed) map[string]any {
	if p.Advisor == nil {
		return nil
	}
	return map[string]any{"advisorId": p.Advisor.ID().String()}
}

// The types of what is no event of the stream.
const (
	webhookWithdrawn   = "withdrawn"    // an event whose subject may not be told any more (rule N4)
	webhookEventsLost  = "events.lost"  // events that were not sent and are not kept
	webhookLogRestored = "log.restored" // older cursors do not go on
	webhookTest        = "test"
)

// isThere reports whether a customer may be told of (rule E13).
func isThere(c *models.Customer) bool { return c != nil && c.ErasedAt.IsZero() }

// withCustomer is data about a customer: their id, and the openid by which the merchant's systems know them.
func withCustomer(c *models.Customer, data map[string]any) map[string]any {
	data["customerId"], data["openid"] = c.ID().String(), string(c.OpenID)
	return data
}

// errUnknownEvent: a node of a newer release writes what this one cannot tell; the newer ones send it.
var errUnknownEvent = errors.New("an event of a kind that this release does not know")

// parcel is one thing that is sent to a receiver: once to several times, with the same id.
type parcel struct {
	id string
	at models.Time
	// event is what is told; nil: a notice or a test, whose type and data stand in `of` and `data`.
	event  *models.Event
	cursor string
	of     string
	data   map[string]any
	// letter is the dead letter that is replayed; nil: it is none.
	letter *models.DeadLetter
	test   bool
}

// eventParcel is an event of the account's stream, of an epoch of the log.
func eventParcel(e *models.Event, epoch events.Epoch) *parcel {
	cursor := cursorAt(epoch, e.ID(), e.Seq)
	return &parcel{id: "evt_" + cursor, at: e.At, event: e, cursor: cursor}
}

// noticeParcel is what a webhook is told before any event.
func noticeParcel(w *models.Webhook, cursor string) *parcel {
	p := &parcel{id: "ntc_" + keyText(w.NoticeID), of: webhookLogRestored, at: w.NoticeAt, cursor: cursor, data: map[string]any{}}
	if w.Notice == models.DeadLetterNotKept {
		p.of, p.data = webhookEventsLost, map[string]any{"firstSequence": w.NoticeFrom, "lastSequence": w.NoticeTo}
	}
	return p
}

// testParcel is a test.
func testParcel(w *models.Webhook) *parcel {
	return &parcel{id: "tst_" + keyText(w.TestID), of: webhookTest, at: w.TestAt, data: map[string]any{}, test: true}
}

func keyText(k models.Key) string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// webhookBody is what is posted.
type webhookBody struct {
	Type      string         `json:"type"`
	Timestamp any            `json:"timestamp"`
	AccountID string         `json:"accountId"`
	WebhookID string         `json:"webhookId"`
	Sequence  int64          `json:"sequence,omitempty"`
	Cursor    string         `json:"cursor,omitempty"`
	IsReplay  bool           `json:"isReplay,omitempty"`
	Data      map[string]any `json:"data"`
}

// body is what a parcel says, as its subject is now; errUnknownEvent.
func (p *parcel) body(w *models.Webhook, subject *models.Primed) ([]byte, error) {
	b := webhookBody{
		Type: p.of, Timestamp: instant(p.at), AccountID: (&models.Account{Key: w.AccountID}).ID().String(), WebhookID: w.ID().String(), Cursor: p.cursor, Data: p.data,
		IsReplay: p.letter != nil,
	}
	if p.event != nil {
		of, known := webhookEvents[models.AccountEventKind(p.event.Kind)]
		if !known {
			return nil, errUnknownEvent
		}
		b.Type, b.Sequence, b.Data = of.of, p.event.Seq, of.data(subject)
		if b.Data == nil {
			b.Type, b.Data = webhookWithdrawn, map[string]any{}
		}
	}
	return json.Marshal(b)
}
