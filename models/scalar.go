package models

import (
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"clientele/internal/relay"
)

// The kinds of ids (see relay.ID).
const (
	KindAccount      relay.Kind = "ac"
	KindAdvisor      relay.Kind = "ad"
	KindGroup        relay.Kind = "gr"
	KindQRCode       relay.Kind = "qr"
	KindCustomer     relay.Kind = "cu"
	KindConversation relay.Kind = "co"
	KindMessage      relay.Kind = "me"
	KindNotification relay.Kind = "no"
	KindAudit        relay.Kind = "au"
	KindJob          relay.Kind = "jo"
	KindTag          relay.Kind = "ta"
	KindTagOption    relay.Kind = "to"
	KindImport       relay.Kind = "im"
	KindErasure      relay.Kind = "er"
	KindImage        relay.Kind = "pi"
	KindWebhook      relay.Kind = "wh"
	KindDeadLetter   relay.Kind = "dl"
)

// Ident is an identifier from outside (openid, unionid, WeChat id, scene, external id): bytes
// compared as bytes, kept in VARBINARY. Empty means "none" and is stored as NULL, so that it
// never collides in a unique index.
type Ident string

// Value implements driver.Valuer.
func (i Ident) Value() (driver.Value, error) {
	if i == "" {
		return nil, nil //nolint:nilnil // NULL is what the empty Ident means.
	}
	return []byte(i), nil
}

// Scan implements sql.Scanner.
func (i *Ident) Scan(src any) error {
	text, err := scannedText(src, "an identifier")
	*i = Ident(text)
	return err
}

// scannedText is a column's text; NULL has none. what is what should be in it.
func scannedText(src any, what string) (string, error) {
	switch v := src.(type) {
	case nil:
		return "", nil
	case []byte:
		return string(v), nil
	case string:
		return v, nil
	default:
		return "", fmt.Errorf("%s cannot be read from %T", what, src)
	}
}

// MarshalGQL writes the identifier as a string, null when there is none.
func (i Ident) MarshalGQL(w io.Writer) {
	if i == "" {
		_, _ = io.WriteString(w, "null")
		return
	}
	b, _ := json.Marshal(string(i)) // a string always marshals; bytes that are no UTF-8 become U+FFFD.
	_, _ = w.Write(b)
}

// UnmarshalGQL reads an identifier argument.
func (i *Ident) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return Invalid("", "an identifier is a string")
	}
	*i = Ident(s)
	return nil
}

// MarshalGQL writes the instant as RFC 3339 in UTC with microseconds, null for "never".
func (t Time) MarshalGQL(w io.Writer) {
	if t.IsZero() {
		_, _ = io.WriteString(w, "null")
		return
	}
	const layout = `"2006-01-02T15:04:05.000000Z07:00"`
	_, _ = w.Write(t.Go().AppendFormat(make([]byte, 0, len(layout)), layout))
}

// UnmarshalGQL reads an RFC 3339 text with any offset.
func (t *Time) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return Invalid("", "a DateTime is a string")
	}
	g, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Invalid("", "a DateTime is an RFC 3339 text such as 2026-01-31T08:00:00Z")
	}
	if y := g.Year(); y < 2000 || y > 2199 {
		return Invalid("", "a DateTime lies between the years 2000 and 2199")
	}
	*t = At(g)
	return nil
}

// Base64 is bytes that travel as text.
type Base64 []byte

// MarshalGQL writes the bytes in base64.
func (b Base64) MarshalGQL(w io.Writer) {
	text, _ := json.Marshal([]byte(b)) // bytes always marshal.
	_, _ = w.Write(text)
}

// UnmarshalGQL reads standard base64 with padding, without line breaks.
func (b *Base64) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return Invalid("", "bytes are a string in base64")
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return Invalid("", "bytes are written in standard base64 with padding")
	}
	*b = data
	return nil
}
