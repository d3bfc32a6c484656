package services

import (
	"context"
	"sync"

	"clientele/limits"
	"clientele/models"
)

// Callback is what a callback of an account is checked with. Nobody changes it.
type Callback struct {
	Account *models.Account
	Tokens  []string
	AESKeys []string
}

// callbacks remembers, by callback id, what was read of accounts that exist.
type callbacks struct {
	mu   sync.Mutex
	read map[string]readCallback
}

type readCallback struct {
	callback Callback
	until    models.Time
}

// Callback finds the account by the last part of its callback URL, as it was at most
// limits.PolicyRecheck ago; what this node changes it knows at once. NOT_FOUND for an unknown one. Who would refuse a callback by it asks
// CallbackNow first.
func (s *Services) Callback(ctx context.Context, id string) (Callback, error) {
	s.callbacks.mu.Lock()
	r, ok := s.callbacks.read[id]
	s.callbacks.mu.Unlock()
	if ok && s.Now() < r.until {
		return r.callback, nil
	}
	return s.CallbackNow(ctx, id)
}

// forget drops what is remembered of an account whose credentials this node has changed.
func (c *callbacks) forget(id models.Ident) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.read, string(id))
}

// CallbackNow is Callback as the database has it now.
func (s *Services) CallbackNow(ctx context.Context, id string) (Callback, error) {
	at := s.Now()
	a, err := s.store.View(ctx).AccountByCallback(models.Ident(id))
	if a, err = known(a, err, "account", ""); err != nil {
		return Callback{}, err
	}
	cb, until := Callback{Account: a}, at.Add(limits.PolicyRecheck)
	token, key := [][]byte{a.SealedToken}, [][]byte{a.SealedAESKey}
	if end := a.RotatedAt.Add(limits.CallbackRotation); at < end {
		until = min(until, end) // the replaced ones are good until then and no longer
		token, key = append(token, a.SealedTokenOld), append(key, a.SealedAESKeyOld)
	}
	if cb.Tokens, err = s.unseal(a.Key, sealToken, token); err != nil {
		return Callback{}, err
	}
	if cb.AESKeys, err = s.unseal(a.Key, sealAESKey, key); err != nil {
		return Callback{}, err
	}
	s.callbacks.mu.Lock()
	s.callbacks.read[id] = readCallback{callback: cb, until: until}
	s.callbacks.mu.Unlock()
	return cb, nil
}
