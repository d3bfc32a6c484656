// Package models holds the nouns: rows with their columns, enumerations, event kinds, pure
// rules and transition tables, and the error vocabulary. It does no I/O, asks no clock and
// imports neither gorm nor gqlgen; whatever is decided here is decided from its arguments.
package models

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// Key is a row's primary key: a UUIDv7 made in the application, kept in BINARY(16). The zero
// Key means "none" and is stored as NULL. Keys made by one process ascend.
type Key [16]byte

// NewKey makes a key that is larger than those made before it in this process.
func NewKey() Key { return Key(uuid.Must(uuid.NewV7())) }

// KeyAfter makes a key that is larger than last as well, whatever the clocks of the nodes say:
// for rows whose order is that of a lock both are made under.
func KeyAfter(last Key) Key {
	k := NewKey()
	if last.Less(k) {
		return k
	}
	k = last
	for i := len(k) - 1; i >= 0; i-- {
		k[i]++
		if k[i] != 0 {
			break
		}
	}
	return k
}

// IsZero reports whether k means "none".
func (k Key) IsZero() bool { return k == Key{} }

// String is the key in hexadecimal, for logs; clients see opaque ids instead.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Less orders keys as the database does: the order in which rows are locked.
func (k Key) Less(o Key) bool { return string(k[:]) < string(o[:]) }

// Value implements driver.Valuer: 16 bytes, or NULL for the zero Key.
func (k Key) Value() (driver.Value, error) {
	if k.IsZero() {
		return nil, nil //nolint:nilnil // NULL is what the zero Key means.
	}
	return k[:], nil
}

// Scan implements sql.Scanner for BINARY(16) and NULL.
func (k *Key) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*k = Key{}
		return nil
	case []byte:
		if len(v) == 0 {
			*k = Key{}
			return nil
		}
		if len(v) != len(k) {
			return fmt.Errorf("a key of %d bytes", len(v))
		}
		copy(k[:], v)
		return nil
	case string:
		return k.Scan([]byte(v))
	}
	return fmt.Errorf("a key cannot be read from %T", src)
}

// MarshalText implements encoding.TextMarshaler: as String, empty for "none".
func (k Key) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = Key{}
		return nil
	}
	parsed, ok := ParseKey(string(text))
	if !ok {
		return fmt.Errorf("%q is no key", text)
	}
	*k = parsed
	return nil
}

// ParseKey reads what String wrote.
func ParseKey(s string) (Key, bool) {
	var k Key
	if len(s) != 2*len(k) {
		return Key{}, false
	}
	_, err := hex.Decode(k[:], []byte(s))
	return k, err == nil
}
