package services

import (
	"context"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Simulation is something a follower of a sandbox account does (rule K2).
type Simulation struct {
	Kind   models.InboundKind
	OpenID models.Ident
	Scene  models.Ident
	Text   string
	// Ad is the advertisement that they follow through; nil: none. Not together with Scene.
	Ad *models.InboundAd
	// EventID makes a repeat count once; empty: a new event. Of a payment it is the transaction
	// id, and a repeat of one that recordPayment reported.
	EventID models.Ident
}

// simulations are the permissions of the fields that simulate.
func simulationPermission(k models.InboundKind) Permission {
	switch k {
	case models.InboundFollow:
		return maySimulateFollow
	case models.InboundUnfollow:
		return maySimulateLeave
	case models.InboundScan:
		return maySimulateScan
	case models.InboundMenu:
		return maySimulateMenu
	case models.InboundPayment:
		return maySimulatePayment
	case models.InboundMessage, models.InboundOther:
	}
	return maySimulateMessage
}

// Simulate brings in what a follower does, by the very same way as a channel's callback. It
// works while the account is closed, as the platform does (rule A1). STATE on other channels.
func (s *Services) Simulate(ctx context.Context, in Simulation) (InboundResult, error) {
	c, err := s.begin(ctx, simulationPermission(in.Kind))
	if err != nil {
		return InboundResult{}, err
	}
	if err := mustBeSandbox(c.Account); err != nil {
		return InboundResult{}, err
	}
	if err := in.check(); err != nil {
		return InboundResult{}, err
	}
	if err := s.record(ctx, c, in.Kind); err != nil {
		return InboundResult{}, err
	}
	if in.EventID == "" {
		in.EventID = randomIdent()
	}
	item := models.Inbound{
		Kind: in.Kind, OpenID: string(in.OpenID), DedupKey: "sim:" + string(in.EventID), At: s.Now(),
		Scene: string(in.Scene), Ad: in.Ad, Name: "simulate",
	}
	if in.Kind == models.InboundPayment {
		item.DedupKey = paymentKey(in.EventID)
	}
	if in.Kind == models.InboundMessage {
		item.Content = &models.InboundContent{Kind: models.ContentText, Text: in.Text}
	}
	res, err := s.Ingest(ctx, c.Account.Key, item)
	if err == nil && in.Kind == models.InboundPayment && res.record != nil && res.record.CustomerID != res.Customer.Key {
		return InboundResult{}, &models.Error{Code: models.CodeIdempotencyConflict, Field: "input.transactionId", Message: "the transaction is another customer's"}
	}
	return res, err
}

func (in Simulation) check() error {
	if err := models.CheckIdent(string(in.OpenID), "input.openid", limits.OpenIDBytes); err != nil {
		return err
	}
	if in.EventID != "" {
		field := "input.eventId"
		if in.Kind == models.InboundPayment {
			field = "input.transactionId"
		}
		if err := models.CheckIdent(string(in.EventID), field, limits.OpenIDBytes); err != nil {
			return err
		}
	}
	if in.Ad != nil && in.Scene != "" {
		return models.Invalid("input.advertisement", "nobody follows through a code and an advertisement at once")
	}
	if in.Scene != "" || in.Kind == models.InboundScan {
		if err := models.CheckIdent(string(in.Scene), "input.scene", limits.SceneBytes); err != nil {
			return err
		}
	}
	if in.Kind == models.InboundMessage {
		return models.CheckText(in.Text, "input.text", limits.InboundTextBytes)
	}
	return nil
}

func mustBeSandbox(a *models.Account) error {
	if a.Channel != models.ChannelSandbox {
		return models.Errorf(models.CodeState, "only a SANDBOX account can be simulated")
	}
	return nil
}

// record puts the call itself into the audit log (rule R5).
func (s *Services) record(ctx context.Context, c *Scope, kind models.InboundKind) error {
	return s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		return tx.Audit(store.Change{Action: "simulate", TargetKind: "Account", Target: tx.Account, After: kind})
	})
}

// SetSandbox says how the simulated platform answers sends from now on.
func (s *Services) SetSandbox(ctx context.Context, sending models.SandboxSending) error {
	c, err := s.begin(ctx, maySimulateSending)
	if err != nil {
		return err
	}
	if err := mustBeSandbox(c.Account); err != nil {
		return err
	}
	return s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		before, err := tx.Sandbox(tx.Account)
		if err != nil {
			return err
		}
		if err := tx.SetSandbox(sending); err != nil {
			return err
		}
		return tx.Audit(store.Change{Action: "simulateSending", TargetKind: "Account", Target: tx.Account, Before: before, After: sending})
	})
}

// SandboxSending is how the simulated platform of an account answers sends.
func (s *Services) SandboxSending(ctx context.Context, account models.Key) (models.SandboxSending, error) {
	return s.store.View(ctx).Sandbox(account)
}
