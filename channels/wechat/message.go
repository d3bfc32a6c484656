package wechat

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"clientele/limits"
	"clientele/models"
)

// How much structure a callback may have. The platform's richest events (lists of pictures,
// results of a mass send) are four elements deep and have fewer than 200.
const (
	xmlDepth    = 8
	xmlElements = 1_024
)

// Message is one callback as the platform wrote it: the elements directly below <xml> that we
// read, by their own names, as text. A field that was absent is empty. Texts are valid UTF-8.
// Source: WeChat official account documentation: receiving messages, receiving events.
type Message struct {
	ToUserName   string // the account's gh_ id
	FromUserName string // the follower's openid
	CreateTime   string // seconds since 1970
	MsgType      string
	MsgID        string // the element MsgId: of this message
	ReportID     string // the element MsgID: of the earlier message that an event reports on

	Content              string
	BizMsgMenuID         string // set if the text is a click on an item of a menu message
	MediaID              string
	PicURL               string
	Recognition          string
	LocationX, LocationY string // latitude and longitude
	Label                string
	Title                string
	Description          string
	URL                  string

	Event    string
	EventKey string

	Encrypt string // the encrypted message; alone in secure mode, beside the others in compatible
}

// field is where the element of that name goes; nil if we do not read it. Names are
// case-sensitive, as the platform writes them.
func (m *Message) field(name string) *string {
	switch name {
	case "ToUserName":
		return &m.ToUserName
	case "FromUserName":
		return &m.FromUserName
	case "CreateTime":
		return &m.CreateTime
	case "MsgType":
		return &m.MsgType
	case "MsgId":
		return &m.MsgID
	case "MsgID":
		return &m.ReportID
	case "Content":
		return &m.Content
	case "bizmsgmenuid":
		return &m.BizMsgMenuID
	case "MediaId":
		return &m.MediaID
	case "PicUrl":
		return &m.PicURL
	case "Recognition":
		return &m.Recognition
	case "Location_X":
		return &m.LocationX
	case "Location_Y":
		return &m.LocationY
	case "Label":
		return &m.Label
	case "Title":
		return &m.Title
	case "Description":
		return &m.Description
	case "Url":
		return &m.URL
	case "Event":
		return &m.Event
	case "EventKey":
		return &m.EventKey
	case "Encrypt":
		return &m.Encrypt
	}
	return nil
}

// ParseMessage reads the XML of a callback. More than limits.CallbackBodyBytes is LIMIT_EXCEEDED;
// INVALID is what is not one well-formed <xml> element, declares a document type or an entity, is
// nested or divided beyond any callback, or has a field of ours twice or with elements inside
// (two readers would understand it differently). Elements that we do not read are skipped.
//
// Bytes that XML does not allow (invalid UTF-8, control characters) become U+FFFD: customers can
// paste them, and a message refused for one would be lost. Ids are checked again by Inbound.
func ParseMessage(body []byte) (Message, error) {
	if len(body) > limits.CallbackBodyBytes {
		return Message{}, models.TooMany("body", limits.CallbackBodyBytes, "the callback is too large")
	}
	if m, ok := scanMessage(body); ok {
		return m, nil
	}
	return parseXML(body)
}

// parseXML is ParseMessage for whatever XML there may be.
func parseXML(body []byte) (Message, error) {
	p := parser{seen: make(map[*string]bool)}
	d := xml.NewDecoder(bytes.NewReader(cleanXML(body)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// The decoder's own text may quote the message.
			return Message{}, malformed("it is not well-formed XML")
		}
		if err := p.token(token); err != nil {
			return Message{}, err
		}
	}
	if !p.root {
		return Message{}, malformed("it has no <xml> element")
	}
	return p.m, nil
}

func malformed(why string) error { return models.Invalid("body", "not a callback: %s", why) }

type parser struct {
	m        Message
	seen     map[*string]bool
	root     bool // <xml> has begun
	depth    int
	elements int
	field    *string // what text goes to; nil outside the fields we read
	text     strings.Builder
}

func (p *parser) token(t xml.Token) error {
	switch t := t.(type) {
	case xml.Directive:
		return malformed("it has a document type or entity declaration")
	case xml.StartElement:
		return p.start(t.Name)
	case xml.EndElement:
		p.end()
	case xml.CharData:
		if p.depth == 0 && len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte("\ufeff")))) > 0 {
			return malformed("it has text outside <xml>")
		}
		if p.field != nil {
			p.text.Write(t)
		}
	}
	return nil // comments and the XML declaration say nothing
}

func (p *parser) start(name xml.Name) error {
	p.depth++
	p.elements++
	switch {
	case p.depth > xmlDepth:
		return malformed("it is nested too deep")
	case p.elements > xmlElements:
		return malformed("it has too many elements")
	case p.field != nil:
		return malformed("a field has elements inside")
	case p.depth == 1:
		if p.root || name != (xml.Name{Local: "xml"}) {
			return malformed("it is not one <xml> element")
		}
		p.root = true
	case p.depth == 2: // directly below <xml>
		if name.Space != "" {
			return nil
		}
		if p.field = p.m.field(name.Local); p.field == nil {
			return nil
		}
		if p.seen[p.field] {
			return malformed("a field is there twice")
		}
		p.seen[p.field] = true
	}
	return nil
}

func (p *parser) end() {
	p.depth--
	if p.field != nil {
		*p.field = p.text.String()
		p.text.Reset()
		p.field = nil
	}
}

// cleanXML is b with what XML does not allow replaced by U+FFFD, which is no part of any markup.
func cleanXML(b []byte) []byte {
	if utf8.Valid(b) && bytes.IndexFunc(b, notXML) < 0 {
		return b
	}
	return bytes.Map(func(r rune) rune {
		if notXML(r) {
			return utf8.RuneError
		}
		return r // an invalid byte comes as utf8.RuneError and is written as U+FFFD
	}, b)
}

// notXML reports whether r is outside XML 1.0's characters.
func notXML(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\ufffe' || r == '\uffff'
}
