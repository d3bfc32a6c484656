package services

import (
	"context"
	"errors"
	"sync"
	"time"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// CodeMaker is a channel whose platform has to be told of a code before anybody can scan it (rule C1).
type CodeMaker interface {
	// MakeCode tells the platform of a code that leads somewhere for so long, 0: for ever, and answers what its picture says. Telling it again leads
	// nobody elsewhere. A *CodeRefusal: it will not have this code. Any other error: it is told again.
	MakeCode(ctx context.Context, account *models.Account, code *models.QRCode, life time.Duration) (url string, err error)
}

// CodeRefusal is a platform's refusal of one code, with its number.
type CodeRefusal struct{ Code int }

// Error implements error.
func (*CodeRefusal) Error() string { return "the platform refused a code" }

// insertQRCodes writes new codes of an account, and has its platform be told of them where that is needed: once it can be asked.
func (s *Services) insertQRCodes(tx *store.Tx, account *models.Account, codes []*models.QRCode) error {
	if err := tx.InsertQRCodes(codes); err != nil || len(codes) == 0 {
		return err
	}
	if _, tells := s.channels[account.Channel].(CodeMaker); !tells || !account.HasAppSecret() {
		return nil // setting the secret has it be told of all
	}
	waiting := make([]*models.WaitingQRCode, len(codes))
	for i, q := range codes {
		waiting[i] = &models.WaitingQRCode{AccountID: tx.Account, DueAt: tx.Now, CodeID: q.Key}
	}
	return errors.Join(tx.InsertWaitingQRCodes(waiting), tx.WakeChannelWork(models.APIQRCodes))
}

// toldCode is what the platform said of one code.
type toldCode struct {
	waiting *models.WaitingQRCode
	code    *models.QRCode // nil: it is gone, has expired, or is known
	asked   bool
	// url or refusal is set when the platform answered.
	url     string
	refusal int
}

func (t *toldCode) answered() bool { return t.code == nil || t.url != "" || t.refusal != 0 }

// tellCodes implements channelWorker: it tells the platform of up to limits.CodesTold codes, some at a time. A code that it refuses is
// told again after limits.CodeRetry.
func (s *Services) tellCodes(ctx context.Context, account *models.Account, t *turn) error {
	told, err := s.waitingCodes(ctx, account)
	if err != nil {
		return err
	}
	maker, tells := s.channels[account.Channel].(CodeMaker)
	if t.failed = errCannotAsk; tells {
		t.failed = s.makeCodes(ctx, account, maker, told)
	}
	return t.record(ctx, func(tx *store.Tx) (left models.Time, none bool, err error) {
		var done, again []*models.WaitingQRCode
		var codes []*models.QRCode
		for _, c := range told {
			if !c.answered() && !c.asked {
				continue
			}
			done = append(done, c.waiting)
			if !c.answered() { // behind the others, which may be
				again = append(again, &models.WaitingQRCode{AccountID: tx.Account, DueAt: tx.Now, CodeID: c.code.Key})
				continue
			}
			if c.code == nil {
				continue
			}
			c.code.PlatformURL, c.code.Refusal = c.url, c.refusal
			codes = append(codes, c.code)
			if c.refusal != 0 {
				again = append(again, &models.WaitingQRCode{AccountID: tx.Account, DueAt: tx.Now.Add(limits.CodeRetry), CodeID: c.code.Key})
			}
		}
		if len(codes) > 0 {
			if err := tx.TellQRCodes(codes); err != nil {
				return 0, false, err
			}
		}
		if err := errors.Join(tx.DeleteWaitingQRCodes(done), tx.InsertWaitingQRCodes(again)); err != nil {
			return 0, false, err
		}
		next, err := tx.WaitingQRCodes(tx.Account, 1)
		if err != nil || len(next) == 0 {
			return 0, true, err
		}
		return next[0].DueAt, false, nil
	})
}

// waitingCodes reads the codes of which the platform is to be told next.
func (s *Services) waitingCodes(ctx context.Context, account *models.Account) ([]*toldCode, error) {
	r, now := s.store.View(ctx), s.Now()
	waiting, err := r.WaitingQRCodes(account.Key, limits.CodesTold)
	if err != nil {
		return nil, err
	}
	var keys []models.Key
	for i, w := range waiting {
		if w.DueAt > now {
			waiting = waiting[:i]
			break
		}
		keys = append(keys, w.CodeID)
	}
	codes, err := r.QRCodes(account.Key, keys)
	if err != nil {
		return nil, err
	}
	byKey := make(map[models.Key]*models.QRCode, len(codes))
	for _, q := range codes {
		byKey[q.Key] = q
	}
	told := make([]*toldCode, len(waiting))
	for i, w := range waiting {
		told[i] = &toldCode{waiting: w}
		if q := byKey[w.CodeID]; q != nil && !q.IsExpired(now) && q.PlatformURL == "" {
			told[i].code = q
		}
	}
	return told, nil
}

// makeCodes tells the platform of them, limits.CodesAtOnce at a time, until one is not answered; the error is why.
func (s *Services) makeCodes(ctx context.Context, account *models.Account, maker CodeMaker, told []*toldCode) error {
	work := make(chan *toldCode, len(told))
	for _, c := range told {
		if c.code != nil {
			work <- c
		}
	}
	close(work)
	var once sync.Once
	var failed error
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range min(limits.CodesAtOnce, len(work)) {
		wg.Go(func() {
			for c := range work {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.makeCode(ctx, account, maker, c); err != nil {
					once.Do(func() {
						failed = err
						close(stop)
					})
				}
			}
		})
	}
	wg.Wait()
	return failed
}

func (s *Services) makeCode(ctx context.Context, account *models.Account, maker CodeMaker, c *toldCode) error {
	// A stop of the process does not tear the call: it would be made again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.ChannelTime)
	defer cancel()
	var life time.Duration
	if !c.code.ExpiresAt.IsZero() {
		if life = c.code.ExpiresAt.Sub(s.Now()); life < time.Second {
			c.code = nil // the platform counts in seconds
			return nil
		}
	}
	c.asked = true
	url, err := maker.MakeCode(ctx, account, c.code, life)
	var refused *CodeRefusal
	switch {
	case errors.As(err, &refused):
		c.refusal = refused.Code
	case err != nil:
		return err
	default:
		c.url = url
	}
	return nil
}
