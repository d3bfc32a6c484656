// Package sandbox is the channel of accounts that have no platform behind them (rule K2): the
// embedded default, for the demo, for tests and for learning. It stands for the WeChat platform
// and says so; without an endpoint nobody outside is ever told anything. What its followers do comes
// in through the simulate… mutations; how it answers sends is set by simulateSending and kept in the
// database.
//
// # The endpoint
//
// With an endpoint (the setting --sandbox-url) another program stands for the platform: what
// simulateSending would accept is handed to it instead. Each message is one request
//
//	POST <endpoint>
//	Content-Type: application/json
//
//	{"account": "…", "openid": "…", "messageId": "…", "kind": "TEXT", "text": "…"}
//
// where account and messageId are the ids of the API. The same messageId may come again: when the
// message was resent, or when the endpoint answered 503. What it answers:
//
//   - 2xx: it took the message, which is SENT. The body does not matter.
//   - 503: it certainly did not take it. The account's messages wait and are tried again.
//   - 4xx whose body is {"reason": "REFUSED"}: it will not have it, which is FAILED with that reason:
//     REPLY_WINDOW_CLOSED, NOT_FOLLOWING, REFUSED, CONTENT_REJECTED or REJECTED. "windowOver" and
//     "windowSpent", if true, say that the reply window has ended, or that nothing is left of it
//     (rule G2).
//   - anything else, redirects too, or no answer within limits.ChannelTime: nobody knows, which is
//     UNKNOWN.
//
// Only where no connection was made is a request known not to have arrived; then it is as after 503.
// A connection is kept for the next request and closed when idle for 30 s; an endpoint that closes
// it earlier may cost a message its answer.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"clientele/models"
	"clientele/services"
)

// AgentPrefix begins the openids and WeChat ids of those whom the simulated platform knows as customer-service
// agents (rule B2).
const AgentPrefix = "kf_"

// ErrUnreachable is what a send meets while the simulated platform cannot be reached.
var ErrUnreachable = fmt.Errorf("the simulated platform cannot be reached: %w", services.ErrNotSent)

// Settings says how the simulated platform of an account answers sends.
type Settings interface {
	SandboxSending(ctx context.Context, account models.Key) (models.SandboxSending, error)
}

// Channel implements services.Channel. It is safe for concurrent use.
type Channel struct {
	settings Settings
	endpoint *endpoint // nil: nobody stands for the platform but this package
}

// New makes the channel. The settings may be given later with Use, before the first send.
func New() *Channel { return &Channel{} }

// Use gives the channel its settings: the services, which in turn are made with the channel.
func (c *Channel) Use(s Settings) { c.settings = s }

// Reach has the program at an http or https address stand for the platform, see the endpoint
// above. It is called before the first send.
func (c *Channel) Reach(address string) { c.endpoint = newEndpoint(address) }

// Send implements services.Channel: it answers as the account's behaviour says, and where that is
// to accept, as the endpoint does.
func (c *Channel) Send(ctx context.Context, a *models.Account, to models.Ident, m *models.Message) error {
	how, err := c.settings.SandboxSending(ctx, a.Key)
	if err != nil {
		return fmt.Errorf("the simulated platform: %w: %w", err, services.ErrNotSent)
	}
	switch how {
	case models.SandboxRefuseWindow:
		return &services.Refusal{Reason: models.FailedWindowClosed, WindowOver: true}
	case models.SandboxRefuseCustomer:
		return &services.Refusal{Reason: models.FailedRefused}
	case models.SandboxUnreachable:
		return ErrUnreachable
	case models.SandboxSilent:
		return errors.New("the simulated platform took the message and did not answer")
	case models.SandboxStall:
		<-ctx.Done()
		return ctx.Err()
	case models.SandboxAccept:
	}
	if c.endpoint != nil {
		return c.endpoint.send(ctx, a, to, m)
	}
	return nil
}

// CodeBase begins what the pictures of codes say: an address that leads nowhere, for ever. Behind it
// stands the scene, as simulateScan takes it.
const CodeBase = "https://sandbox.invalid/q/"

// CodeURL implements services.Channel: the simulated platform knows every code from the beginning.
func (*Channel) CodeURL(_ *models.Account, code *models.QRCode) string {
	return CodeBase + url.PathEscape(string(code.Scene))
}

// ServiceAgents implements services.Channel.
func (*Channel) ServiceAgents(_ context.Context, _ *models.Account, people []services.Person) ([]bool, error) {
	agents := make([]bool, len(people))
	for i, p := range people {
		agents[i] = strings.HasPrefix(string(p.OpenID), AgentPrefix) || strings.HasPrefix(string(p.WechatID), AgentPrefix)
	}
	return agents, nil
}
