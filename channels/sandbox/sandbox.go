// Package sandbox is the channel of accounts that have no platform behind them (rule K2): the
// embedded default, for the demo, for tests and for learning. It stands for the WeChat platform
// and says so; nobody outside is ever told anything. What its followers do comes in through the
// simulate… mutations; how it answers sends is set by simulateSending and kept in the database.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"clientele/models"
	"clientele/services"
)

// AgentPrefix begins the openids of those whom the simulated platform knows as customer-service
// agents (rule B2).
const AgentPrefix = "kf_"

// ErrUnreachable is what a send meets while the simulated platform cannot be reached.
var ErrUnreachable = fmt.Errorf("the simulated platform cannot be reached: %w", services.ErrNotSent)

// Settings says how the simulated platform of an account answers sends.
type Settings interface {
	SandboxSending(ctx context.Context, account models.Key) (models.SandboxSending, error)
}

// Channel implements services.Channel. It is safe for concurrent use.
type Channel struct{ settings Settings }

// New makes the channel. The settings may be given later with Use, before the first send.
func New() *Channel { return &Channel{} }

// Use gives the channel its settings: the services, which in turn are made with the channel.
func (c *Channel) Use(s Settings) { c.settings = s }

// Send implements services.Channel: it answers as the account's behaviour says.
func (c *Channel) Send(ctx context.Context, a *models.Account, _ models.Ident, _ *models.Message) error {
	how, err := c.settings.SandboxSending(ctx, a.Key)
	if err != nil {
		return err
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
	return nil
}

// ServiceAgents implements services.Channel.
func (*Channel) ServiceAgents(_ context.Context, _ *models.Account, openids []models.Ident) (map[models.Ident]bool, error) {
	agents := map[models.Ident]bool{}
	for _, o := range openids {
		agents[o] = strings.HasPrefix(string(o), AgentPrefix)
	}
	return agents, nil
}
