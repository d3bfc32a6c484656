package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"clientele/channels/wechat"
)

// Callbacks is one keep-alive connection on which the platform posts text messages in plain
// mode. It writes and reads bytes without net/http, which would cost this process as much as the
// server. One goroutine uses it.
type Callbacks struct {
	addr string
	conn net.Conn  // nil before the first message
	used time.Time // last
	head []byte    // of a request, up to the length
	body []byte
	out  []byte
	in   []byte
	at   string
}

// lastID is the MsgId given last; they ascend over runs, as the platform's do.
var lastID atomic.Int64

func init() { lastID.Store(time.Now().UnixNano()) }

// freshTime is how long a connection may lie unused before it is made anew: servers end those on
// which nothing comes, a new one after seconds.
const freshTime = 5 * time.Second

// NewCallbacks makes a connection, which is opened with the first message. The signature of the
// address stays good for an hour.
func (r *Rig) NewCallbacks() *Callbacks {
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), "bench"
	head := fmt.Sprintf("POST /wechat/%s?signature=%s&timestamp=%s&nonce=%s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/xml\r\nContent-Length: ",
		r.Set.CallbackID, wechat.Signature(callbackToken, timestamp, nonce), timestamp, nonce, r.Server.Addr)
	return &Callbacks{addr: r.Server.Addr, head: []byte(head), in: make([]byte, 4<<10), at: timestamp}
}

// TextPrefix is what the text of a posted message begins with; the number it was posted with
// follows.
const TextPrefix = "n="

// Post posts a text of a customer and waits until it is stored. Its text is TextPrefix and n.
func (c *Callbacks) Post(ctx context.Context, openid string, n int) error {
	if err := c.freshen(ctx); err != nil {
		return err
	}
	b := append(c.body[:0], "<xml><ToUserName><![CDATA["+originalID+"]]></ToUserName><FromUserName><![CDATA["...)
	b = append(append(b, openid...), "]]></FromUserName><CreateTime>"...)
	b = append(append(b, c.at...), "</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA["+TextPrefix...)
	b = append(strconv.AppendInt(b, int64(n), 10), " is the green tea of this spring in the shop again?]]></Content><MsgId>"...)
	c.body = append(strconv.AppendInt(b, lastID.Add(1), 10), "</MsgId></xml>"...)
	o := append(c.out[:0], c.head...)
	o = append(strconv.AppendInt(o, int64(len(c.body)), 10), "\r\n\r\n"...)
	c.out = append(o, c.body...)
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	if err := c.answer(); err != nil {
		return err
	}
	c.used = time.Now()
	return nil
}

func (c *Callbacks) freshen(ctx context.Context) error {
	if c.conn != nil && time.Since(c.used) < freshTime {
		return nil
	}
	if err := c.Close(); err != nil {
		return err
	}
	d := net.Dialer{Timeout: dialTime}
	conn, err := d.DialContext(ctx, "tcp", c.addr)
	if err == nil {
		c.conn = conn
	}
	return err
}

var (
	statusOK   = []byte("HTTP/1.1 200 ")
	headEnd    = []byte("\r\n\r\n")
	lengthName = []byte("Content-Length: ")
	success    = []byte("success")
)

// answer reads one answer, which must be 200 and "success".
func (c *Callbacks) answer() error {
	for n := 0; ; {
		m, err := c.conn.Read(c.in[n:])
		n += m
		if err != nil {
			return err
		}
		got := c.in[:n]
		end := bytes.Index(got, headEnd)
		if end < 0 {
			if n == len(c.in) {
				return errors.New("the answer's head is too long")
			}
			continue
		}
		if !bytes.HasPrefix(got, statusOK) {
			return fmt.Errorf("a callback was answered %q", got)
		}
		i := bytes.Index(got[:end], lengthName)
		if i < 0 {
			return fmt.Errorf("a callback was answered without a length: %q", got)
		}
		length, _, _ := bytes.Cut(got[i+len(lengthName):], []byte("\r"))
		size, err := strconv.Atoi(string(length))
		if err != nil {
			return err
		}
		body := got[end+len(headEnd):]
		if len(body) < size {
			continue
		}
		if !bytes.Equal(body, success) {
			return fmt.Errorf("a callback was answered %q", got)
		}
		return nil
	}
}

// Close drops the connection.
func (c *Callbacks) Close() error {
	if c.conn == nil {
		return nil
	}
	conn := c.conn
	c.conn = nil
	return conn.Close()
}
