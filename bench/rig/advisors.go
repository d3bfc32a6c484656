package rig

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// dialers is how many connections are opened at the same time.
const dialers = 32

// sources is over how many loopback addresses connections are spread: each has ports for some
// twenty thousand.
const sources = 8

// AdvisorTokens are the tokens of the first n advisors, or of all where there are fewer.
func (r *Rig) AdvisorTokens(n int) ([]string, error) {
	tokens := make([]string, min(n, r.Set.Advisors))
	for i := range tokens {
		var err error
		if tokens[i], err = r.AdvisorToken(i); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// dialAll opens n connections, some at a time. What was opened is answered also with an error, for
// the caller to close.
func dialAll(ctx context.Context, n int, dial func(i int, source net.Addr) (*Socket, error)) ([]*Socket, error) {
	sockets, errs := make([]*Socket, n), make([]error, dialers)
	var wg sync.WaitGroup
	for d := range dialers {
		wg.Go(func() {
			for i := d; i < n && ctx.Err() == nil; i += dialers {
				s, err := dial(i, Source(i))
				sockets[i] = s
				if err != nil {
					errs[d] = fmt.Errorf("connection %d: %w", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := firstOf(append(errs, ctx.Err())...); err != nil {
		return slices.DeleteFunc(sockets, func(s *Socket) bool { return s == nil }), err
	}
	return sockets, nil
}

// Source is the address that the i-th connection comes from.
func Source(i int) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%sources))}
}

// Await asks again and again until a condition holds, within ctx and a minute.
func Await(ctx context.Context, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		ok, err := holds()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-again.C:
		}
	}
}

// Sleep waits; ctx ends it early.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var (
	nextType = []byte(`"type":"next"`)
	errorKey = []byte(`"errors":`)
	cursor   = []byte(`"cursor":"`)
	sequence = []byte(`"sequence":`)
	marker   = []byte(`"text":"` + TextPrefix)
)

// IsNext reports whether a message is a subscription's event without errors.
func IsNext(text []byte) bool {
	return bytes.Contains(text, nextType) && !bytes.Contains(text, errorKey)
}

// Number is the number that a pushed message was posted with; -1 for another.
func Number(text []byte) int {
	return int(number(text, marker))
}

// Sequence is the number of a pushed event in its stream; -1 where there is none.
func Sequence(text []byte) int64 { return number(text, sequence) }

// Cursor is the cursor of a pushed event; empty where there is none.
func Cursor(text []byte) string {
	_, rest, _ := bytes.Cut(text, cursor)
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}

// number is what follows a mark; -1 without a number there.
func number(text, mark []byte) int64 {
	_, rest, ok := bytes.Cut(text, mark)
	if !ok || len(rest) == 0 || rest[0] < '0' || rest[0] > '9' {
		return -1
	}
	n := int64(0)
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int64(c-'0')
	}
	return n
}
