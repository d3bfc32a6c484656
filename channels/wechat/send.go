package wechat

import (
	"context"
	"errors"
	"net/http"

	"clientele/models"
	"clientele/services"
)

// customMessage is a customer-service message. Source: WeChat official account documentation: sending
// customer-service messages.
type customMessage struct {
	ToUser  string      `json:"touser"`
	MsgType string      `json:"msgtype"`
	Text    messageText `json:"text"`
}

type messageText struct {
	Content string `json:"content"`
}

// Send implements services.Channel: it hands over a text. What the platform says to it:
//
//	45015           REPLY_WINDOW_CLOSED; the window is over
//	45047           REPLY_WINDOW_CLOSED; nothing is left of it
//	43004, 50005    NOT_FOLLOWING
//	48002           REFUSED
//	87014           CONTENT_REJECTED
//	-1, 45011       not now: it is tried again
//	45009           DAILY_QUOTA_USED_UP, as are all that follow, without asking, before the platform's next day; of the access token too
//	40001, 40013, 40125, 40164, 48001, 48004, 61007
//	                the account as a whole: nothing is handed over for limits.ChannelRefused
//	any other       REJECTED
//
// An account without an app secret has no channel: CHANNEL_UNAVAILABLE.
func (c *Channel) Send(ctx context.Context, account *models.Account, to models.Ident, m *models.Message) error {
	if m.Kind != models.ContentText {
		return &services.Refusal{Reason: models.FailedNoChannel}
	}
	in := customMessage{ToUser: string(to), MsgType: "text", Text: messageText{m.Text}}
	err := c.call(ctx, account, models.APIMessages, http.MethodPost, "/cgi-bin/message/custom/send", nil, in, nil)
	var refused *Error
	switch {
	case errors.Is(err, services.ErrNoSecret):
		return &services.Refusal{Reason: models.FailedNoChannel}
	case isSpent(err):
		return &services.Refusal{Reason: models.FailedQuota}
	case err == nil || errors.Is(err, services.ErrNotSent) || !errors.As(err, &refused):
		return err
	}
	switch refused.Code {
	case CodeWindowOver:
		return &services.Refusal{Reason: models.FailedWindowClosed, WindowOver: true}
	case CodeWindowSpent:
		return &services.Refusal{Reason: models.FailedWindowClosed, WindowSpent: true}
	case CodeMustFollow, CodeNotFollowing:
		return &services.Refusal{Reason: models.FailedNotFollowing}
	case CodeRefuses:
		return &services.Refusal{Reason: models.FailedRefused}
	case CodeRisky:
		return &services.Refusal{Reason: models.FailedContent}
	default:
		return &services.Refusal{Reason: models.FailedRejected}
	}
}
