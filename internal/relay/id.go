// Package relay holds the two Relay server specifications as the API follows them: opaque,
// typed global ids, and keyset connections with their cursors. It knows no noun.
package relay

import (
	"encoding/base64"
	"io"
)

// Kind is the two-letter type prefix inside an id, e.g. "cu" for a customer.
type Kind string

const kindBytes = 2

// ID is a global id: which noun, and its key. Clients see 24 characters of base64url and
// must treat them as opaque. The zero ID is not valid.
type ID struct {
	Kind Kind
	Key  [16]byte
}

// String is the id as clients see it.
func (id ID) String() string {
	b := make([]byte, 0, kindBytes+len(id.Key))
	b = append(b, id.Kind...)
	b = append(b, id.Key[:]...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseID reads what String wrote. It reports false for anything else; whether the kind is the
// expected one is the caller's question.
func ParseID(s string) (ID, bool) {
	const n = kindBytes + 16
	if len(s) != base64.RawURLEncoding.EncodedLen(n) {
		return ID{}, false
	}
	var b [n]byte
	if m, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s)); err != nil || m != n {
		return ID{}, false
	}
	for _, c := range b[:kindBytes] {
		if c < 'a' || c > 'z' {
			return ID{}, false
		}
	}
	id := ID{Kind: Kind(b[:kindBytes])}
	copy(id.Key[:], b[kindBytes:])
	return id, true
}

// MarshalGQL writes the id as a JSON string.
func (id ID) MarshalGQL(w io.Writer) {
	var raw [kindBytes + len(id.Key)]byte
	b := append(append(raw[:0], id.Kind...), id.Key[:]...)
	const most = 32 // of the text, with its quotes
	text := base64.RawURLEncoding.AppendEncode(append(make([]byte, 0, most), '"'), b)
	_, _ = w.Write(append(text, '"'))
}

// UnmarshalGQL reads an ID argument. What is no id becomes the zero ID, which every
// resolver refuses as INVALID with the argument's name, where a coercion error could not name it.
func (id *ID) UnmarshalGQL(v any) error {
	s, _ := v.(string)
	*id, _ = ParseID(s)
	return nil
}
