package models

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"clientele/limits"
)

// The members of a record of a file of past messages (rule E11), besides those that name an advisor, which are called as in a
// file of customers.
const (
	memberID          = "id"
	memberDirection   = "direction"
	memberAt          = "at"
	memberKind        = "kind"
	memberText        = "text"
	memberMediaRef    = "media_ref"
	memberURL         = "url"
	memberDescription = "description"
	memberLatitude    = "latitude"
	memberLongitude   = "longitude"
)

var messageMembers = []string{
	memberID, columnOpenID, columnUnionID, memberDirection, memberAt, memberKind, memberText, memberMediaRef, memberURL, memberDescription,
	memberLatitude, memberLongitude, columnAdvisorID, columnAdvisorOpenID, columnAdvisorUnionID, columnAdvisorWechatID, columnAdvisorExternal,
}

// ImportMessage is one past message of a file. The customer is named by OpenID or else by UnionID.
type ImportMessage struct {
	// ID is the merchant's own name of the message, unique in the account.
	ID              string
	OpenID, UnionID Ident
	Direction       Direction // FROM_CUSTOMER or FROM_ADVISOR
	At              Time
	Content         InboundContent
	Advisor         ImportAdvisor
}

// NewImportMessage reads a record: one JSON object. Times without an offset are of zone; none may lie after now. Errors are
// INVALID and name the member; what they say holds nothing of its value.
func NewImportMessage(line []byte, zone *time.Location, now Time) (m ImportMessage, err *Error) {
	if !utf8.Valid(line) {
		return m, Invalid("", "is not UTF-8")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil || members == nil {
		return m, Invalid("", "is no JSON object")
	}
	for name := range members {
		if !slices.Contains(messageMembers, name) {
			return m, Invalid("", "has a member that is none of: %s", strings.Join(messageMembers, ", "))
		}
	}
	r := memberReader{members: members}
	m = ImportMessage{
		ID: r.text(memberID, limits.ImportMessageIDBytes), OpenID: Ident(r.text(columnOpenID, limits.OpenIDBytes)), UnionID: Ident(r.text(columnUnionID, limits.OpenIDBytes)),
		Direction: Direction(r.text(memberDirection, limits.EventNameBytes)),
		Content: InboundContent{
			Kind: ContentKind(r.text(memberKind, limits.EventNameBytes)), Text: r.text(memberText, limits.InboundTextBytes), MediaRef: r.text(memberMediaRef, limits.MediaRefBytes),
			URL: r.text(memberURL, limits.MediaRefBytes), Description: r.text(memberDescription, limits.MediaRefBytes),
			Latitude: r.degrees(memberLatitude, 90), Longitude: r.degrees(memberLongitude, 180),
		},
	}
	at := r.text(memberAt, limits.EventNameBytes)
	if m.Advisor, err = readAdvisor(func(name string) string { return r.text(name, limits.OpenIDBytes) }); err != nil {
		return m, err
	}
	if r.bad != nil {
		return m, r.bad
	}
	if m.At, err = importTime(at, memberAt, zone, now); err != nil {
		return m, err
	}
	return m, m.check()
}

// check is what a record must say, and say but once.
func (m *ImportMessage) check() *Error {
	if m.Content.Kind == "" {
		m.Content.Kind = ContentText
	}
	switch {
	case m.ID == "":
		return Invalid(memberID, "is missing")
	case m.OpenID == "" && m.UnionID == "":
		return Invalid(columnOpenID, "is missing, and unionid too")
	case m.Direction != FromCustomer && m.Direction != FromAdvisor:
		return Invalid(memberDirection, "is neither %s nor %s", FromCustomer, FromAdvisor)
	case m.At == 0:
		return Invalid(memberAt, "is missing")
	case !m.Content.Kind.Valid():
		return Invalid(memberKind, "is no kind of content")
	case m.Content.Kind == ContentText && m.Content.Text == "":
		return Invalid(memberText, "is missing")
	case m.Content.Kind == ContentLink && m.Content.URL == "":
		return Invalid(memberURL, "is missing")
	}
	return nil
}

// CheckAge refuses what the account does not keep any more (rule G11): it would be deleted within the hour.
func (m *ImportMessage) CheckAge(a *Account, now Time) *Error {
	if m.At >= now.Add(-a.MessageRetention()) {
		return nil
	}
	return Invalid(memberAt, "is more than the %d days ago for which the account keeps messages", a.MessageRetentionDays())
}

// Dedup recognises the message when it is imported again: a digest of its ID, which is kept when the message is erased.
func (m *ImportMessage) Dedup() Ident {
	digest := sha256.Sum256([]byte(m.ID))
	return Ident("import:" + base64.RawURLEncoding.EncodeToString(digest[:]))
}

// Key is a key for the message: among the keys of other messages it stands where they were written, since that is what
// conversations are ordered by; of one instant, in the order of the file. number is that of the record. Two messages of one
// instant have different keys but for one chance in 2³⁴ of the same number in two files.
func (m *ImportMessage) Key(number int64) (k Key) {
	const micros, bits, word = 1_000, 34, 64
	digest := sha256.Sum256([]byte(m.ID))
	at := uint64(max(m.At, 0)) //nolint:gosec // not negative.
	binary.BigEndian.PutUint64(k[:8], at/micros<<16|7<<12|at%micros<<2)
	rest := uint64(number)<<bits | binary.BigEndian.Uint64(digest[:8])>>(word-bits) //nolint:gosec // a place in a file.
	binary.BigEndian.PutUint64(k[8:], 2<<62|rest&(1<<62-1))
	return k
}

// memberReader reads members of an object, and keeps the first thing that is wrong with one.
type memberReader struct {
	members map[string]json.RawMessage
	bad     *Error
}

func (r *memberReader) wrong(name, format string, args ...any) {
	if r.bad == nil {
		r.bad = Invalid(name, format, args...)
	}
}

// text is a member's string; empty where it is absent or null. Identifiers hold no control characters, texts hold any but NUL.
func (r *memberReader) text(name string, most int) (text string) {
	raw := r.members[name]
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return ""
	}
	if json.Unmarshal(raw, &text) != nil {
		r.wrong(name, "is no text")
		return ""
	}
	switch isFree := name == memberText || name == memberDescription; {
	case len(text) > most:
		r.wrong(name, "has %d bytes, at most %d are allowed", len(text), most)
	case isFree && strings.ContainsRune(text, 0) || !isFree && strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }):
		r.wrong(name, "has a character that it cannot have")
	}
	return text
}

// degrees is a member's number; 0 where it is absent or null.
func (r *memberReader) degrees(name string, most float64) (degrees float64) {
	raw := r.members[name]
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return 0
	}
	if json.Unmarshal(raw, &degrees) != nil || degrees < -most || degrees > most {
		r.wrong(name, "is no number from %g to %g", -most, most)
		return 0
	}
	return degrees
}
