package wechat

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"clientele/limits"
	"clientele/models"
)

const (
	dedupKeyBytes  = 191 // the contract of models.Inbound.DedupKey
	eventNameBytes = 64  // twice the longest name the platform has
	cutMark        = "…" // ends a text that was cut
	scenePrefix    = "qrscene_"
)

// Inbound is m as the product understands it (rules K1, G2).
//
//	subscribe                               FOLLOW, Scene from an EventKey that begins with qrscene_
//	unsubscribe                             UNFOLLOW
//	SCAN                                    SCAN, Scene is the EventKey
//	CLICK, scancode_push, scancode_waitmsg  MENU
//	any other event                         OTHER
//	text, image, voice, video, shortvideo,
//	location, link                          MESSAGE
//	any other message                       MESSAGE with UNSUPPORTED content
//
// Names of events are case-sensitive. Only the three menu events open the reply window; VIEW,
// view_miniprogram, pic_* and location_select do not. A click on an item of a menu message
// arrives as a text with bizmsgmenuid and is a MESSAGE: the platform counts it as a menu click,
// and a message opens at least as much as a click under either policy preset. Source: WeChat
// official account documentation: customer service messages, when they may be sent.
//
// At is CreateTime. One that is more than limits.CallbackSkew after now becomes now, since a clock
// that is ahead must not open a window for years; within the skew it is kept, so that two clocks a
// little apart do not reorder a customer's items. An old one is kept: it can only shorten a window.
//
// DedupKey is the MsgId of a message; of an event, its time and a digest of sender, event and
// EventKey, and of MsgID where there is one, since two template messages to one follower may finish
// in one second.
// Source: WeChat official account documentation: receiving messages, on repeats.
//
// INVALID is a message without a usable sender, time or type. What the platform may yet invent is
// never an error.
func (m Message) Inbound(now time.Time) (models.Inbound, error) {
	if !isID(m.FromUserName, limits.OpenIDBytes) {
		return models.Inbound{}, malformed("FromUserName is not an openid")
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(m.CreateTime), 10, 64)
	if err != nil || seconds <= 0 {
		return models.Inbound{}, malformed("CreateTime is not a time")
	}
	if m.MsgType == "" {
		return models.Inbound{}, malformed("MsgType is missing")
	}
	in := models.Inbound{OpenID: m.FromUserName, At: models.At(now)}
	if seconds <= now.Add(limits.CallbackSkew).Unix() {
		in.At = models.At(time.Unix(seconds, 0))
	}
	// Device events and their like have a MsgType of their own; what names an event is no message
	// and must not open a window.
	if m.MsgType == "event" || m.Event != "" {
		in.DedupKey = m.eventKey(seconds)
		err = m.event(&in)
		return in, err
	}
	in.DedupKey = m.messageKey(seconds)
	in.Kind = models.InboundMessage
	content := m.content()
	in.Content = &content
	return in, nil
}

// event sets what a callback of MsgType event says.
func (m Message) event(in *models.Inbound) error {
	if m.Event == "" {
		return malformed("Event is missing")
	}
	in.Name = cut(m.Event, eventNameBytes)
	in.Kind = models.InboundOther
	if m.MsgType != "event" {
		return nil
	}
	var err error
	switch m.Event {
	case "subscribe":
		in.Kind = models.InboundFollow
		// Without the prefix it is no code: a follow after a payment has last_trade_no_… there.
		if key, ok := strings.CutPrefix(m.EventKey, scenePrefix); ok {
			in.Scene, err = scene(key)
		}
	case "unsubscribe":
		in.Kind = models.InboundUnfollow
	case "SCAN":
		in.Kind = models.InboundScan
		in.Scene, err = scene(m.EventKey)
	case "CLICK", "scancode_push", "scancode_waitmsg":
		in.Kind = models.InboundMenu
	}
	return err
}

// scene is the scene key of a code. The platform takes scenes of 64 characters of any script, ours
// are limits.SceneBytes at most. A longer one that it could carry belongs to a code that somebody
// else made; it becomes a digest, which no code of ours has, so that the follow itself is not lost
// and the code counts as unknown. What even the platform could not carry is INVALID.
func scene(key string) (string, error) {
	if len(key) <= limits.SceneBytes {
		return key, nil
	}
	if utf8.RuneCountInString(key) > limits.SceneBytes {
		return "", malformed("EventKey is longer than a scene")
	}
	return "foreign:" + digest(key)[:limits.SceneBytes-len("foreign:")], nil
}

// content is what a message other than an event says. What cannot be shown as its own kind
// (a location without coordinates, a voice without a reference) is UNSUPPORTED: it still counts as
// written.
func (m Message) content() models.InboundContent {
	ref := m.MediaID
	if !isID(ref, limits.MediaRefBytes) {
		ref = ""
	}
	switch m.MsgType {
	case "text":
		if m.Content != "" {
			return models.InboundContent{Kind: models.ContentText, Text: bounded(m.Content)}
		}
	case "image":
		picture, _ := address(m.PicURL)
		if ref != "" || picture != "" {
			return models.InboundContent{Kind: models.ContentImage, MediaRef: ref, URL: picture}
		}
	case "voice":
		if ref != "" {
			return models.InboundContent{Kind: models.ContentVoice, MediaRef: ref, Text: bounded(m.Recognition)}
		}
	case "video", "shortvideo":
		if ref != "" {
			return models.InboundContent{Kind: models.ContentVideo, MediaRef: ref}
		}
	case "location":
		latitude, ok := degrees(m.LocationX, 90)
		longitude, ok2 := degrees(m.LocationY, 180)
		if ok && ok2 {
			return models.InboundContent{
				Kind: models.ContentLocation, Text: bounded(m.Label), Latitude: latitude, Longitude: longitude,
			}
		}
	case "link":
		return m.link()
	}
	return models.InboundContent{Kind: models.ContentUnsupported}
}

// link is the content of a link. An address that is too long to keep as one, or is not http(s) and
// so must not become something to click on, is shown as text after the description.
func (m Message) link() models.InboundContent {
	c := models.InboundContent{Kind: models.ContentLink, Text: bounded(m.Title), Description: bounded(m.Description)}
	var ok bool
	if c.URL, ok = address(m.URL); !ok && m.URL != "" {
		c.Description = bounded(strings.TrimSpace(m.Description + "\n" + m.URL))
	}
	return c
}

// address is s if it is an http or https address of at most limits.MediaRefBytes; a longer one is
// not cut, since the rest would lead elsewhere.
func address(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) > limits.MediaRefBytes {
		return "", false
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", false
	}
	return s, true
}

// degrees reads an angle between -most and most.
func degrees(s string, most float64) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return f, err == nil && -most <= f && f <= most // NaN is neither
}

// isID reports whether s is an id of the platform: 1 to most visible ASCII characters.
func isID(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// bounded is s, or as much of it as limits.InboundTextBytes holds together with cutMark.
func bounded(s string) string {
	if len(s) <= limits.InboundTextBytes {
		return s
	}
	return cut(s, limits.InboundTextBytes-len(cutMark)) + cutMark
}

// cut is the longest part of s, from its beginning, of whole runes within n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// messageKey is the DedupKey of a message: its MsgId. The documentation promises one only for known
// types; without it the key is made of all that a repeat has in common.
func (m Message) messageKey(seconds int64) string {
	if isID(m.MsgID, dedupKeyBytes-len("m:")) {
		return "m:" + m.MsgID
	}
	return digestKey("n", seconds, m.FromUserName, m.MsgType, m.MsgID, m.Content, m.MediaID, m.PicURL,
		m.LocationX, m.LocationY, m.Label, m.Title, m.Description, m.URL)
}

// eventKey is the DedupKey of an event.
func (m Message) eventKey(seconds int64) string {
	return digestKey("e", seconds, m.FromUserName, m.MsgType, m.Event, m.EventKey, m.ReportID)
}

// digestKey is a key of fixed size, 77 bytes at ten digits of seconds. It is always a digest, not
// only when the parts are long: keys are never changed, so none may hold the openid of a customer
// who is erased (rule E13). The seconds stand first because keys that ascend are cheap to insert.
func digestKey(prefix string, seconds int64, parts ...string) string {
	return prefix + ":" + strconv.FormatInt(seconds, 10) + ":" + digest(parts...)
}

// digest is the SHA-256 of parts in hexadecimal; other parts give another digest, also when their
// concatenation is the same.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(strconv.Itoa(len(p)) + ":" + p)) // a hash never fails to write
	}
	return hex.EncodeToString(h.Sum(nil))
}
