package services

import (
	"context"
	"sync"

	"clientele/internal/imagefile"
	"clientele/limits"
	"clientele/models"
)

var imageLimits = imagefile.Limits{Pixels: limits.ImagePixels, FramePixels: limits.ImageFramePixels, Frames: limits.ImageFrames, Memory: limits.ImageDecodeBytes}

// unpacking waits for a place among limits.ImagesDecodedAtOnce, of which an account has one; done gives it back.
func (s *Services) unpacking(ctx context.Context, account models.Key) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	busy := models.Errorf(models.CodeUnavailable, "too many images are being read; try again")
	own := s.decoders.of(account)
	select {
	case own.place <- struct{}{}:
	case <-ctx.Done():
		s.decoders.forget(account)
		return nil, busy
	}
	select {
	case s.decoding <- struct{}{}:
		return func() {
			<-s.decoding
			<-own.place
			s.decoders.forget(account)
		}, nil
	case <-ctx.Done():
		<-own.place
		s.decoders.forget(account)
		return nil, busy
	}
}

// decoders are the accounts whose images are unpacked, or wait for it. It is safe for concurrent use.
type decoders struct {
	mu        sync.Mutex
	byAccount map[models.Key]*decoder
}

// decoder is the one place of an account; known is how many have it or want it.
type decoder struct {
	place chan struct{}
	known int
}

// of is the account's place, until as many calls of forget.
func (d *decoders) of(account models.Key) *decoder {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.byAccount[account]
	if own == nil {
		own = &decoder{place: make(chan struct{}, 1)}
		d.byAccount[account] = own
	}
	own.known++
	return own
}

func (d *decoders) forget(account models.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.byAccount[account]
	if own.known--; own.known == 0 {
		delete(d.byAccount, account)
	}
}
