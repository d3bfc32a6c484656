package transport

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// eventPipe is the answer that events are written to. It is safe for concurrent use: who writes holds up the others, and nothing is queued.
type eventPipe struct {
	transport *Events
	exec      graphql.GraphExecutor

	endOnce sync.Once
	ended   chan struct{} // closed once end says why
	end     CloseError
	broke   chan struct{} // closed once a write failed

	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
	wroteAt time.Time
	broken  bool   // a write failed
	shut    bool   // the answer is over: nothing more is written
	began   bool   // its head was sent
	code    uint16 // as StreamClosed of Hooks has it; zero while nothing but the client or the server can end the stream

	isShared bool // it is of many operations
}

func newEventPipe(t *Events, exec graphql.GraphExecutor) *eventPipe {
	return &eventPipe{transport: t, exec: exec, ended: make(chan struct{}), broke: make(chan struct{})}
}

// attach gives the pipe its answer, before anything is written.
func (p *eventPipe) attach(w http.ResponseWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.w, p.control, p.wroteAt = w, http.NewResponseController(w), time.Now()
}

// Close implements [Closer]: the stream ends with an event `error`.
func (p *eventPipe) Close(code uint16, reason string) {
	p.endOnce.Do(func() {
		p.end = CloseError{Code: code, Reason: reason}
		close(p.ended)
	})
}

// begin sends the head of the answer.
func (p *eventPipe) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	header := p.w.Header()
	header.Set("Content-Type", mediaEvents+"; charset=utf-8")
	header.Set("Cache-Control", "no-cache, no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would gather what is written
	header.Set("X-Content-Type-Options", "nosniff")
	// The request was read; what the server allows for that must not end the stream.
	_ = p.control.SetReadDeadline(time.Time{})
	_ = p.control.SetWriteDeadline(time.Now().Add(p.transport.options.WriteTimeout))
	p.w.WriteHeader(http.StatusOK)
	p.began = true
	if hook := p.transport.options.Hooks.StreamOpened; hook != nil {
		hook(p.isShared)
	}
	p.wrote(p.control.Flush())
}

// send writes whole events, and reports whether the client takes them.
func (p *eventPipe) send(events []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.write(events)
}

// write must be called with mu held.
func (p *eventPipe) write(events []byte) bool {
	if p.broken || p.shut {
		return false
	}
	if len(events) == 0 {
		return true
	}
	_ = p.control.SetWriteDeadline(time.Now().Add(p.transport.options.WriteTimeout))
	_, err := p.w.Write(events)
	if err == nil {
		err = p.control.Flush()
	}
	p.wrote(err)
	return err == nil
}

func (p *eventPipe) wrote(err error) {
	if err == nil {
		p.wroteAt = time.Now()
	} else if !p.broken {
		p.broken = true
		p.endBy(CloseAbnormal)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.code = CloseTryAgain
		}
		close(p.broke)
	}
}

// keepAlive writes a comment unless something else was written lately.
func (p *eventPipe) keepAlive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.wroteAt) >= p.transport.options.KeepAlive/2 {
		p.write([]byte(":\n\n"))
	}
}

// fail writes why the stream ends before its time; it is the last that is written.
func (p *eventPipe) fail(ctx context.Context, end CloseError) {
	code := CodeUnavailable
	if end.Code == CloseForbidden {
		code = CodeUnauthenticated
	}
	err := newError(code, "%s", end.Reason)
	err.Extensions["closeCode"] = end.Code
	resp := requestError(ctx, p.exec, nil, gqlerror.List{err})
	var out bytes.Buffer
	appendEvent(&out, "error", "", marshalErrors(resp.Errors))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endBy(end.Code)
	p.write(out.Bytes())
	p.shut = true
}

// complete says that the stream ends as its one operation does.
func (p *eventPipe) complete() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endBy(CloseNormal)
}

// endBy keeps the first code. mu must be held.
func (p *eventPipe) endBy(code uint16) {
	if p.code == 0 {
		p.code = code
	}
}

// finish lets nothing more be written: the request's goroutine is about to return.
func (p *eventPipe) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	select {
	case <-p.transport.closing:
		p.endBy(CloseRestart)
	default:
		p.endBy(CloseNoStatus)
	}
	if hook := p.transport.options.Hooks.StreamClosed; hook != nil && p.began {
		hook(p.isShared, p.code)
	}
}

func (p *eventPipe) isBroken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

// silent is how long ago the client last took something.
func (p *eventPipe) silent() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.wroteAt)
}

// appendEvent appends an event. Lines of the data are lines of the event; JSON needs none but may have some.
func appendEvent(out *bytes.Buffer, name, id string, data []byte) {
	out.WriteString("event: " + name + "\n")
	if id != "" && !strings.ContainsAny(id, "\r\n\x00") {
		out.WriteString("id: " + id + "\n")
	}
	for line := range bytes.SplitSeq(bytes.ReplaceAll(data, []byte("\r"), nil), []byte("\n")) {
		out.WriteString("data: ")
		out.Write(line)
		out.WriteByte('\n')
	}
	out.WriteByte('\n')
}
