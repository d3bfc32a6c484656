// Package webcall asks programs over HTTP for what must not happen twice, and tells what they
// certainly have not been asked from what nobody knows.
package webcall

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// ErrNotAsked is wrapped by what Do answers when no connection was made: the other side has nothing.
var ErrNotAsked = errors.New("no connection was made")

const (
	// idleTime is how long a connection is kept for the next request.
	idleTime = 30 * time.Second
	// idleConnections is how many are kept to a host.
	idleConnections = 256
)

// Client asks. It follows no redirect, which would ask twice, and goes through the proxy that the
// environment names. The zero Client is none: see New. Safe for concurrent use.
type Client struct{ http *http.Client }

// New makes a client with connections of its own.
func New() *Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Client{http: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: idleTime, Protocols: protocols,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do asks, and answers the status and up to most bytes of the body; a longer one is an error. It has no
// time of its own: the request's context ends it.
func (c *Client) Do(r *http.Request, most int64) (status int, body []byte, err error) {
	var connected atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) }, // again, when one that was kept had died before a byte was written
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	answer, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		if !connected.Load() {
			return 0, nil, fmt.Errorf("%w: %w", ErrNotAsked, err)
		}
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err == nil && int64(len(body)) > most {
		body, err = body[:most], fmt.Errorf("the answer has more than %d bytes", most)
	}
	return answer.StatusCode, body, err
}

// CloseIdle closes the connections that are kept for later.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }
