package services

import (
	"context"
	"errors"
	"fmt"

	"clientele/models"
	"clientele/store"
)

// Rekeyed is what Rekey did.
type Rekeyed struct {
	// Accounts were looked at; Values were sealed anew, Kept were sealed with the current key already.
	Accounts, Values, Kept int
	// Closed are the accounts with a value that no key of the ring opens, which was left as it is.
	Closed []models.Key
}

// Rekey seals every credential anew that is not sealed with the first master key (rule A4), an
// account a transaction, while servers run: all of them must hold both keys, and go on opening what
// either sealed. It may be called again: what was done stays done. Values that cannot be opened keep
// nobody else from their turn.
func (s *Services) Rekey(ctx context.Context) (Rekeyed, error) {
	var done Rekeyed
	return done, s.eachAccount(ctx, func(account models.Key) error { return s.rekeyAccount(ctx, account, &done) })
}

func (s *Services) rekeyAccount(ctx context.Context, account models.Key, done *Rekeyed) error {
	var values, kept int
	var closed bool
	err := s.store.Write(ctx, store.System(), account, func(tx *store.Tx) error {
		values, kept, closed = 0, 0, false
		a, err := tx.LockAccount()
		if err != nil {
			return fmt.Errorf("account %s: %w", account, err)
		}
		var columns []string
		for _, v := range []struct {
			column, field string
			sealed        *[]byte
		}{
			{"sealed_token", sealToken, &a.SealedToken},
			{"sealed_token_old", sealToken, &a.SealedTokenOld},
			{"sealed_aes_key", sealAESKey, &a.SealedAESKey},
			{"sealed_aes_key_old", sealAESKey, &a.SealedAESKeyOld},
			{"sealed_app_secret", sealAppSecret, &a.SealedAppSecret},
			{"sealed_url_secret", sealURLSecret, &a.SealedURLSecret},
		} {
			switch {
			case len(*v.sealed) == 0:
				continue
			case s.ring.IsCurrent(*v.sealed):
				kept++
				continue
			}
			plain, err := s.ring.Open(account, v.field, *v.sealed)
			if err != nil {
				closed = true
				continue
			}
			*v.sealed = s.ring.Seal(account, v.field, plain)
			values++
			columns = append(columns, v.column)
		}
		// An access token is asked for anew rather than sealed anew.
		if token, err := tx.AccessToken(account); err == nil && !s.ring.IsCurrent(token.Sealed) {
			if err := tx.DeleteAccessToken(); err != nil {
				return err
			}
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if len(columns) > 0 {
			if err := tx.UpdateAccount(a, columns...); err != nil {
				return err
			}
		}
		more, same, left, err := s.rekeyWebhooks(tx)
		values, kept, closed = values+more, kept+same, closed || left
		return err
	})
	if err != nil {
		return err
	}
	done.Accounts++
	done.Values += values
	done.Kept += kept
	if closed {
		done.Closed = append(done.Closed, account)
	}
	return nil
}
