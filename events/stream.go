package events

import (
	"slices"
	"sync"

	"clientele/limits"
	"clientele/models"
)

// stream is a stream of the log that at least one feed listens to. Everything below mu is
// guarded by it. Locks are taken in the order Hub.mu, stream.mu, queue.mu; no wake function is
// called under any of them.
type stream struct {
	hub *Hub
	id  models.StreamID

	mu    sync.Mutex
	feeds []*Feed
	// epoch, last and floor mean nothing until synced: until the first read of the head.
	epoch Epoch
	// last is the newest number that feeds may be given; everything up to it is durable.
	last int64
	// durable is the newest number that is known to be durable. Above last, there are events
	// that have to be fetched first: durable > last is what "a fill" means in this package.
	durable int64
	floor   int64
	// ring ends at last whenever it holds anything.
	ring ring
	// early holds committed events above last+1, in order: an earlier number is still missing.
	early   []models.Event
	synced  bool
	dead    bool // dead streams are no longer in the hub; their feeds have ended
	filling bool // a fill is queued
	gapped  bool // waits gapWait for a late writer
}

// commit takes an event whose COMMIT has returned. A number that was seen before is ignored.
func (s *stream) commit(e models.Event) {
	switch {
	case s.dead:
		return
	case s.synced && e.Seq <= s.last:
		return
	case e.Seq < s.durable:
		// Something later is committed already, and it may have taken the customer away from
		// this advisor: the rows of a latecomer are not to be trusted (rule V5).
		e.Primed = nil
	}
	s.durable = max(s.durable, e.Seq)
	s.strip(&e)
	if !s.synced || e.Seq > s.last+1 {
		s.keepEarly(e)
		return
	}
	s.push(e)
	s.drainEarly()
}

// strip drops, when e tells that a customer left, the rows of that customer from the events
// before e: the former advisor loses access at once (rule V5).
func (s *stream) strip(e *models.Event) {
	if e.Kind != models.EventCustomerLeft {
		return
	}
	for seq := s.ring.first; s.ring.has(seq); seq++ {
		if old := s.ring.at(seq); old.Customer == e.Customer && old.Seq < e.Seq {
			old.Primed = nil
		}
	}
	for i := range s.early {
		if old := &s.early[i]; old.Customer == e.Customer && old.Seq < e.Seq {
			old.Primed = nil
		}
	}
}

func (s *stream) keepEarly(e models.Event) {
	if len(s.early) == limits.StreamRing {
		// The log has them all; durable remembers how far to read.
		s.early = nil
		return
	}
	i, found := slices.BinarySearchFunc(s.early, e.Seq, func(a models.Event, seq int64) int { return int(a.Seq - seq) })
	if !found {
		s.early = slices.Insert(s.early, i, e)
	}
}

func (s *stream) drainEarly() {
	i := 0
	for ; i < len(s.early) && s.early[i].Seq <= s.last+1; i++ {
		if s.early[i].Seq == s.last+1 {
			s.push(s.early[i])
		}
	}
	if i == len(s.early) {
		s.early = nil
		return
	}
	s.early = slices.Delete(s.early, 0, i)
}

// push appends the event last+1.
func (s *stream) push(e models.Event) {
	s.ring.push(e)
	s.last = e.Seq
	s.durable = max(s.durable, s.last)
}

// absorb appends what of rows, read from the log, is new. Rows are consecutive.
func (s *stream) absorb(rows []models.Event) {
	for _, e := range rows {
		if e.Seq == s.last+1 {
			s.strip(&e)
			s.push(e)
		}
	}
	s.drainEarly()
}

// jump makes upTo the newest number without having the events before it: feeds read the log.
func (s *stream) jump(upTo int64) {
	s.ring = ring{}
	s.last = upTo
	s.drainEarly()
}

// sync begins the stream at the head that was read.
func (s *stream) sync(epoch Epoch, head models.StreamHead) {
	s.epoch, s.synced = epoch, true
	s.durable = max(s.durable, head.Head)
	s.jump(head.Head)
}

// wants reports whether durable events have to be fetched.
func (s *stream) wants() bool { return s.synced && !s.dead && s.durable > s.last }

// missing is the range that wants speaks of, up to the first event in hand.
func (s *stream) missing() (after, upTo int64) {
	if len(s.early) > 0 {
		return s.last, s.early[0].Seq - 1
	}
	return s.last, s.durable
}

// ready reports whether Take would give f something, or set out to fetch it.
func (s *stream) ready(f *Feed) bool {
	if f.opening || f.closed {
		return false
	}
	return f.err != nil || len(f.page) > 0 || !f.waiting && f.pos < s.last
}

// collect appends the wake functions of the feeds that have something to take and were not
// woken since their last Take.
func (s *stream) collect(wakes []func()) []func() {
	for _, f := range s.feeds {
		if f.armed && f.wake != nil && s.ready(f) {
			f.armed = false
			wakes = append(wakes, f.wake)
		}
	}
	return wakes
}

// trim lets go of the events that every feed has taken and of rows that are too old to be
// used, so that a quiet stream holds nothing.
func (s *stream) trim(now models.Time) {
	oldest := s.last
	for _, f := range s.feeds {
		if !f.opening && f.err == nil {
			oldest = min(oldest, f.pos)
		}
	}
	s.ring.dropTo(oldest)
	for seq := s.ring.first; s.ring.has(seq); seq++ {
		unprime(s.ring.at(seq), now)
	}
}

// unprime drops the rows of e that are older than limits.PrimedFor.
func unprime(e *models.Event, now models.Time) {
	if e.Primed != nil && now.Sub(e.Primed.At) > limits.PrimedFor {
		e.Primed = nil
	}
}

// ring holds the newest consecutive events of a stream, at most limits.StreamRing. It grows as
// it is used: most streams never hold more than a few.
type ring struct {
	buf   []models.Event // the event numbered seq is at seq % len(buf)
	first int64
	n     int64
}

func (r *ring) has(seq int64) bool { return seq >= r.first && seq < r.first+r.n }

func (r *ring) at(seq int64) *models.Event { return &r.buf[seq%int64(len(r.buf))] }

// push appends e, whose number follows the newest one's, and drops the oldest when full.
func (r *ring) push(e models.Event) {
	if r.n == 0 {
		r.first = e.Seq
	}
	if r.n == int64(len(r.buf)) {
		if r.n < limits.StreamRing {
			r.grow()
		} else {
			r.first++
			r.n--
		}
	}
	*r.at(e.Seq) = e
	r.n++
}

func (r *ring) grow() {
	const factor = 2
	larger := ring{buf: make([]models.Event, min(max(factor*len(r.buf), factor), limits.StreamRing)), first: r.first, n: r.n}
	for seq := r.first; r.has(seq); seq++ {
		*larger.at(seq) = *r.at(seq)
	}
	*r = larger
}

// dropTo drops the events up to and including seq.
func (r *ring) dropTo(seq int64) {
	for r.n > 0 && r.first <= seq {
		*r.at(r.first) = models.Event{}
		r.first++
		r.n--
	}
	if r.n == 0 {
		r.buf = nil
	}
}
