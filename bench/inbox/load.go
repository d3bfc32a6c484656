package inbox

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"clientele/bench/rig"
)

// connection asks one page after the other, from requests that are made before.
type connection struct {
	net.Conn
	in   *bufio.Reader
	text bytes.Buffer
}

func dial(ctx context.Context, addr string) (*connection, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, in: bufio.NewReaderSize(conn, 32<<10)}, nil
}

// ask answers the body, good until the next call.
func (c *connection) ask(request []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	c.text.Reset()
	if _, err := io.Copy(&c.text, answer.Body); err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK || bytes.Contains(c.text.Bytes(), []byte(`"errors":`)) {
		return nil, fmt.Errorf("answered %s: %.300s", answer.Status, c.text.Bytes())
	}
	return c.text.Bytes(), nil
}

// read asks for pages in turn on as many connections as are to be read at once. It answers what a
// page cost, and the first page. report is told how long each took for its client.
func read(ctx context.Context, o Options, addr string, pages [][]byte, report func(string, []int64) *rig.Line) (each time.Duration, first []byte, err error) {
	conns := make([]*connection, o.AtOnce)
	for i := range conns {
		if conns[i], err = dial(ctx, addr); err != nil {
			return 0, nil, err
		}
		defer conns[i].Close()
	}
	text, err := conns[0].ask(pages[0])
	if err != nil {
		return 0, nil, err
	}
	first = bytes.Clone(text)
	if _, _, err := loop(ctx, conns, pages, o.Warm); err != nil {
		return 0, nil, err
	}
	began := time.Now()
	n, times, err := loop(ctx, conns, pages, o.Time)
	if err != nil {
		return 0, nil, err
	}
	each = time.Since(began) / time.Duration(max(n, 1))
	if report != nil {
		report("page", times)
	}
	return each, first, nil
}

func loop(ctx context.Context, conns []*connection, pages [][]byte, d time.Duration) (int64, []int64, error) {
	end := time.Now().Add(d)
	var n atomic.Int64
	times, errs := make([][]int64, len(conns)), make([]error, len(conns))
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			for at := time.Now(); at.Before(end) && ctx.Err() == nil; {
				if _, errs[i] = c.ask(pages[int(n.Add(1))%len(pages)]); errs[i] != nil {
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(at).Nanoseconds())
				at = now
			}
		})
	}
	wg.Wait()
	var all []int64
	for _, t := range times {
		all = append(all, t...)
	}
	return int64(len(all)), all, rig.Summary(ctx, errs)
}
