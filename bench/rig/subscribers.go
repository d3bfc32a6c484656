package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Document is what an advisor's app subscribes to.
const Document = `subscription($after: String) { messages(after: $after) { __typename
	... on MessageReceived { sequence message { id sentAt content { ... on TextContent { text } } } conversation { id unreadCount } }
	... on MessageStatusChanged { sequence message { id status } }
	... on ConversationChanged { sequence conversation { id unreadCount } }
	... on CustomerLeft { sequence customerId } } }`

// lastPush is how long the last push may take to arrive after the last answer.
const lastPush = 30 * time.Second

// Subscribers are advisors' apps: each has one connection with one subscription to messages.
type Subscribers struct {
	sockets []*Socket
	wg      sync.WaitGroup
	count   atomic.Int64
	failed  atomic.Pointer[error]
	closed  atomic.Bool
}

// OpenSubscribers connects n subscribers, the i-th as advisor i modulo their number, and returns
// when the product counts all of their subscriptions as open. They come rate a second; 0: as fast
// as they can. seen is told of every event, its text good until it returns, and when the last byte
// of it was read; it is called by a goroutine for each subscriber. Close it.
func (r *Rig) OpenSubscribers(ctx context.Context, n, rate int, seen func(subscriber int, text []byte, at time.Time)) (_ *Subscribers, err error) {
	s := &Subscribers{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	tokens, err := r.AdvisorTokens(n)
	if err != nil {
		return nil, err
	}
	open, err := r.subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	s.sockets, err = dialAll(ctx, n, func(i int, source net.Addr) (*Socket, error) {
		if rate > 0 {
			if err := Sleep(ctx, time.Until(begin.Add(time.Duration(i)*time.Second/time.Duration(rate)))); err != nil {
				return nil, err
			}
		}
		socket, err := Dial(ctx, r.Server.Addr, source, tokens[i%len(tokens)])
		if err != nil {
			return nil, err
		}
		s.wg.Go(func() { s.read(i, socket, seen) })
		return socket, socket.Subscribe(Document, nil)
	})
	if err != nil {
		return nil, err
	}
	// A subscription begins when the server has parked it; nothing tells the client.
	return s, Await(ctx, "subscriptions", func() (bool, error) {
		if err := s.Err(); err != nil {
			return false, err
		}
		now, err := r.subscriptions(ctx)
		return now >= open+n, err
	})
}

func (r *Rig) subscriptions(ctx context.Context) (int, error) {
	m, err := r.Metrics(ctx)
	return int(m["clientele_subscriptions"]), err
}

// OpenBare connects n clients to a bare server, in groups. seen is told of every frame.
func OpenBare(ctx context.Context, addr string, n, groups int, seen func(text []byte, at time.Time)) (*Subscribers, error) {
	s := &Subscribers{}
	var err error
	if s.sockets, err = DialBare(ctx, addr, n, groups); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for i, socket := range s.sockets {
		s.wg.Go(func() {
			s.read(i, socket, func(_ int, text []byte, at time.Time) {
				if seen != nil {
					seen(text, at)
				}
			})
		})
	}
	return s, nil
}

func (s *Subscribers) read(i int, socket *Socket, seen func(int, []byte, time.Time)) {
	for {
		text, err := socket.Next()
		at := time.Now()
		if err == nil && !IsNext(text) {
			err = fmt.Errorf("a subscriber received %s", text)
		}
		if err != nil {
			if !s.closed.Load() {
				s.failed.CompareAndSwap(nil, &err)
			}
			return
		}
		if seen != nil {
			seen(i, text, at)
		}
		s.count.Add(1)
	}
}

// Count is how many events have arrived since the beginning.
func (s *Subscribers) Count() int64 { return s.count.Load() }

// Err is why a subscriber stopped, if one has.
func (s *Subscribers) Err() error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// Await returns when n events have arrived since the beginning.
func (s *Subscribers) Await(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, lastPush)
	defer cancel()
	err := Await(ctx, "push "+strconv.FormatInt(n, 10), func() (bool, error) {
		return s.count.Load() >= n, s.Err()
	})
	if err != nil {
		err = fmt.Errorf("%d arrived: %w", s.count.Load(), err)
	}
	return err
}

// Close drops the connections.
func (s *Subscribers) Close() (err error) {
	s.closed.Store(true)
	for _, socket := range s.sockets {
		err = errors.Join(err, socket.Close())
	}
	s.wg.Wait()
	return err
}
