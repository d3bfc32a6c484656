package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gobwas/ws"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// maxID is the most bytes of an operation's id, as JSON. Ids are kept for as long as a subscription lives.
const maxID = 256

// handle does what a message of the client says. What breaks graphql-transport-ws closes the connection.
func (c *Conn) handle(text []byte) {
	if c.isClosing() {
		// The reader only waits for the peer's close frame now.
		return
	}
	// A map, as encoding/json would take `Type` for a field tagged `type`.
	var message map[string]json.RawMessage
	if json.Unmarshal(text, &message) != nil || message == nil {
		c.shut(CloseInvalidMessage, "a message must be one JSON object")
		return
	}
	kind, ok := decodeString(message["type"])
	if !ok {
		kind = ""
	}
	switch kind {
	case "connection_init":
		c.initialise(message)
	case "ping":
		if c.hasPayloadObject(message) {
			c.pong(message["payload"])
		}
	case "pong":
		c.hasPayloadObject(message)
	case "subscribe":
		c.subscribe(message)
	case "complete":
		if id, ok := c.messageID(message); ok {
			c.stop(id)
		}
	default:
		c.shut(CloseInvalidMessage, "`type` must be connection_init, ping, pong, subscribe or complete")
	}
}

// hasPayloadObject checks a payload that may be absent.
func (c *Conn) hasPayloadObject(message map[string]json.RawMessage) bool {
	if _, ok := decodeObject(message["payload"]); !ok {
		c.shut(CloseInvalidMessage, "`payload` must be an object")
		return false
	}
	return true
}

// messageID returns a message's id as canonical JSON: equal ids are equal then, and it can be written as it is.
func (c *Conn) messageID(message map[string]json.RawMessage) (string, bool) {
	id, ok := decodeString(message["id"])
	if ok && id != "" {
		if canonical, err := json.Marshal(id); err == nil && len(canonical) <= maxID {
			return string(canonical), true
		}
	}
	c.shut(CloseInvalidMessage, "`id` must be a string that is not empty, of at most 254 bytes")
	return "", false
}

func (c *Conn) pong(payload json.RawMessage) {
	out := takeBuffer()
	defer out.free()
	out.begin()
	out.bytes = append(out.bytes, `{"type":"pong"`...)
	if !isNull(payload) {
		out.bytes = appendMember(out.bytes, "payload", payload)
	}
	out.bytes = append(out.bytes, '}')
	out.end(ws.OpText)
	c.send(nil, false, out.bytes)
}

func (c *Conn) initialise(message map[string]json.RawMessage) {
	payload, ok := decodeObject(message["payload"])
	if !ok {
		c.shut(CloseInvalidMessage, "`payload` must be an object")
		return
	}
	c.mu.Lock()
	again := c.phase != phaseOpen
	if !again {
		c.phase = phaseInitialising
	}
	c.mu.Unlock()
	if again {
		c.shut(CloseSecondInit, "too many initialisation requests")
		return
	}
	// Not by the reader: it must see what else comes, and would keep the stack that Init needed.
	c.spawn(func() { c.decide(payload) })
}

// decide asks Init, and acknowledges or closes.
func (c *Conn) decide(payload map[string]any) {
	header := c.header
	c.header = nil
	viewer, expires, err := c.askInit(payload, header)
	if err != nil {
		c.refuse(err)
		return
	}
	out := takeBuffer()
	defer out.free()
	out.begin()
	out.bytes = append(out.bytes, `{"type":"connection_ack"}`...)
	out.end(ws.OpText)

	now := time.Now()
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.viewer = viewer
	c.expires = expires
	c.phase = phaseReady
	c.due = now.Add(never)
	if c.transport.options.PingInterval > 0 {
		c.due = now.Add(c.transport.options.PingInterval)
	}
	c.arm(now)
	c.transport.acquaint(&c.stranger) // before the client knows: who has its acknowledgement has made room
	// Nothing can come before the acknowledgement: writing is held since before the phase changed.
	c.write(out.bytes)
}

func (c *Conn) askInit(payload map[string]any, header http.Header) (viewer context.Context, expires time.Time, err error) {
	if c.transport.options.Init == nil {
		return c.ctx, time.Time{}, nil
	}
	defer func() {
		if p := recover(); p != nil {
			_ = recovered(c.ctx, noOperation(c.exec), p) // told to who logs panics; the client is told by the code.
			err = &CloseError{Code: CloseInternal, Reason: "internal system error"}
		}
	}()
	viewer, expires, err = c.transport.options.Init(c.ctx, c, payload, header)
	if viewer == nil {
		viewer = c.ctx
	}
	if conn, ok := ConnFromContext(viewer); err == nil && (!ok || conn != c) {
		// Its operations would outlive the connection.
		err = &CloseError{Code: CloseInternal, Reason: "the context of this connection was lost"}
	}
	if err == nil && !expires.IsZero() && !time.Now().Before(expires) {
		err = &CloseError{Code: CloseForbidden, Reason: "expired"}
	}
	return viewer, expires, err
}

// refuse closes a connection that Init did not want.
func (c *Conn) refuse(err error) {
	if wanted, ok := errors.AsType[*CloseError](err); ok {
		c.Close(wanted.Code, wanted.Reason)
		return
	}
	resp := requestError(c.ctx, c.exec, nil, presentable(err))
	c.shut(CloseForbidden, resp.Errors[0].Message)
}

func (c *Conn) subscribe(message map[string]json.RawMessage) {
	id, ok := c.messageID(message)
	if !ok {
		return
	}
	var payload map[string]json.RawMessage
	if isNull(message["payload"]) || json.Unmarshal(message["payload"], &payload) != nil {
		c.shut(CloseInvalidMessage, "`payload` must be an object")
		return
	}
	params, err := decodeParams(payload)
	if err != nil {
		c.shut(CloseInvalidMessage, err.Error())
		return
	}
	c.mu.Lock()
	if c.phase != phaseReady {
		c.mu.Unlock()
		c.shut(CloseUnauthorized, "unauthorized: wait for connection_ack")
		return
	}
	if c.find(id) != nil {
		c.mu.Unlock()
		c.shut(CloseSubscriberExists, "subscriber for "+id+" already exists")
		return
	}
	limit := c.transport.options.MaxSubscriptions + c.transport.options.MaxOperations
	if c.closing || len(c.operations) >= limit {
		c.mu.Unlock()
		c.sendError(nil, id, nil, gqlerror.List{limitError(limit, "more than %d operations on one connection", limit)})
		return
	}
	o := &operation{conn: c, id: id}
	c.operations = append(c.operations, o)
	c.waiting = append(c.waiting, request{operation: o, params: params})
	if !c.opening {
		c.opening = true
		c.spawn(c.open)
	}
	c.mu.Unlock()
}

// sendError writes an `error` message. With an operation it ends that.
func (c *Conn) sendError(o *operation, id string, opCtx *graphql.OperationContext, errs gqlerror.List) {
	c.mu.Lock()
	ctx := c.viewer // the application's presenter may want what Init put there
	c.mu.Unlock()
	if ctx == nil {
		ctx = c.ctx
	}
	c.sendResponseError(o, id, requestError(ctx, c.exec, opCtx, errs))
}

func (c *Conn) sendResponseError(o *operation, id string, resp *graphql.Response) {
	out := takeBuffer()
	defer out.free()
	out.begin()
	out.bytes = appendHead(out.bytes, id, "error")
	out.bytes = append(appendMember(out.bytes, "payload", marshalErrors(resp.Errors)), '}')
	out.end(ws.OpText)
	c.send(o, o != nil, out.bytes)
}

// appendHead begins a message that belongs to an operation.
func appendHead(b []byte, id, kind string) []byte {
	b = append(b, `{"id":`...)
	b = append(b, id...)
	b = append(b, `,"type":"`...)
	b = append(b, kind...)
	return append(b, '"')
}

// next appends a `next` message with a response as JSON.
func (b *buffer) next(id string, payload []byte) {
	b.begin()
	b.bytes = append(appendHead(b.bytes, id, "next"), `,"payload":`...)
	b.bytes = append(append(b.bytes, payload...), '}')
	b.end(ws.OpText)
}

// complete appends a `complete` message.
func (b *buffer) complete(id string) {
	b.begin()
	b.bytes = append(appendHead(b.bytes, id, "complete"), '}')
	b.end(ws.OpText)
}
