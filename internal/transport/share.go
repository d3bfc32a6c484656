package transport

import (
	"context"
	"sync"
)

const (
	// sharesKept is how many results are kept for others who are pushed the same event. They come within moments of each other.
	sharesKept = 512
	// sharedBytes is the largest result that is kept, so that all together are no more than 4 MiB.
	sharedBytes = 8 << 10
)

// shares lets all who are pushed the same event by the same template send one result: of ten devices of a person, one executes. The zero
// value is empty.
type shares struct {
	mu    sync.Mutex
	byKey map[shareKey]*share
	kept  [sharesKept]shareKey // a ring of the keys in byKey
	next  int
}

type shareKey struct {
	template *template
	same     any
}

// share is a result, or the promise of one.
type share struct {
	once sync.Once
	done chan struct{}
	// payload is set before done is closed; nil: there is none to share.
	payload []byte
}

func (s *share) settle(payload []byte) {
	s.once.Do(func() {
		s.payload = payload
		close(s.done)
	})
}

// abandon ends a promise that was not kept. It does nothing where it was, and on nil.
func (s *share) abandon() {
	if s != nil {
		s.settle(nil)
	}
}

// shareKey tells what a result may be shared by; ok is false where it may not be.
func (o *operation) shareKey(e Event) (key shareKey, ok bool) {
	return shareKey{o.template, e.Same}, e.Same != nil && len(o.extensions) == 0
}

// claim returns the result of an event, waiting for who executes it now. Where that is nil the caller executes, and where mine is not nil
// others wait until it is abandoned, or the result was offered.
func (s *shares) claim(ctx context.Context, o *operation, e Event) (payload []byte, mine *share) {
	key, ok := o.shareKey(e)
	if !ok {
		return nil, nil
	}
	s.mu.Lock()
	found := s.byKey[key]
	if found == nil {
		if s.byKey == nil {
			s.byKey = make(map[shareKey]*share, sharesKept)
		}
		mine = &share{done: make(chan struct{})}
		// Who still waits for the oldest has it in hand.
		delete(s.byKey, s.kept[s.next])
		s.byKey[key], s.kept[s.next] = mine, key
		s.next = (s.next + 1) % sharesKept
	}
	s.mu.Unlock()
	if found == nil {
		return nil, mine
	}
	select {
	case <-found.done:
	case <-ctx.Done():
		return nil, nil
	}
	return found.payload, nil
}

// offer gives a result to who waits for it or comes for it. The payload must not change any more.
func (s *shares) offer(o *operation, e Event, payload []byte) {
	key, ok := o.shareKey(e)
	if !ok {
		return
	}
	s.mu.Lock()
	found := s.byKey[key]
	s.mu.Unlock()
	if found == nil {
		return // nobody claimed it: it was taken together with one that was
	}
	if len(payload) > sharedBytes {
		payload = nil
	}
	found.settle(payload)
}
