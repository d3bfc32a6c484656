// Package seal keeps secrets sealed at rest (rule A4): AES-256-GCM under a master key that is
// named by an id in every sealed value, bound to the row and field it belongs to. It knows no
// row, no configuration and no clock.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Sizes, in bytes.
const (
	// KeyBytes is the length of a master key.
	KeyBytes = 32
	// KeyIDBytes is the longest id of a master key.
	KeyIDBytes = 32
	// Overhead is the most by which a sealed value is longer than its plain text: version, length
	// and id of the key, nonce, tag. Columns of sealed values leave room for it.
	Overhead = 2 + KeyIDBytes + nonceBytes + tagBytes

	nonceBytes = 12
	tagBytes   = 16
	// version leads every sealed value, so that another form can be told from this one.
	version = 1
)

// Error is why a value could not be opened. Errors of Open and KeyID are one of the constants;
// none holds a key, a plain text or any part of a sealed value.
type Error string

// The failures.
const (
	// ErrMalformed: the value is cut off or no sealed value at all.
	ErrMalformed Error = "the sealed value is malformed"
	// ErrUnknownKey: the value was sealed with a master key that the ring does not hold.
	ErrUnknownKey Error = "the sealed value's master key is unknown"
	// ErrRefused: the value was changed, belongs to another account or field, or was sealed with
	// another key of the same id. Which of them cannot be told.
	ErrRefused Error = "the sealed value cannot be opened with its master key"
)

// Error implements error.
func (e Error) Error() string { return string(e) }

// Key is a master key. It prints as its id alone. The zero Key is no key.
type Key struct {
	id   string
	aead cipher.AEAD
}

// NewKey makes a master key. It fails when the id is not 1 to KeyIDBytes of letters, digits,
// `.`, `_` and `-`, or the secret is not KeyBytes long. The secret is not kept.
func NewKey(id string, secret []byte) (Key, error) {
	if !isKeyID(id) {
		return Key{}, fmt.Errorf("the key's id is not 1 to %d letters, digits, dots, underscores or hyphens", KeyIDBytes)
	}
	if len(secret) != KeyBytes {
		return Key{}, fmt.Errorf("the key has %d bytes; it needs %d", len(secret), KeyBytes)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return Key{}, errors.New("the key cannot be used")
	}
	// Random nonces are safe for 2^32 values of one key; credentials are thousands.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, errors.New("the key cannot be used")
	}
	return Key{id: id, aead: aead}, nil
}

// ID is the name of the key in sealed values.
func (k Key) ID() string { return k.id }

// Format implements fmt.Formatter for every verb: the key's id, never its secret.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "master key "+k.id)
}

// Ring is the master keys in use: the first seals, all open. It is safe for concurrent use.
type Ring struct{ keys []Key }

// NewRing makes a ring of at least one key with different ids.
func NewRing(keys ...Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("a ring needs a master key")
	}
	for i, k := range keys {
		if k.aead == nil {
			return nil, errors.New("a master key is empty")
		}
		if slices.ContainsFunc(keys[:i], func(o Key) bool { return o.id == k.id }) {
			return nil, errors.New("two master keys have the same id")
		}
	}
	return &Ring{keys: slices.Clone(keys)}, nil
}

// Seal seals plain for one field of one account; only Open with the same account and field
// gives it back. Where an account has several rows of a kind, field names the row too
// ("webhook/<key>/secret"). An empty plain text is sealed like any other. It cannot fail.
func (r *Ring) Seal(account [16]byte, field string, plain []byte) []byte {
	k := r.keys[0]
	head := make([]byte, 0, Overhead+len(plain))
	head = append(head, version, byte(len(k.id)))
	head = append(head, k.id...)
	return k.aead.Seal(head, nil, plain, bound(head, account, field))
}

// Open gives back what Seal sealed for the same account and field. It fails with ErrMalformed,
// ErrUnknownKey or ErrRefused.
func (r *Ring) Open(account [16]byte, field string, sealed []byte) ([]byte, error) {
	id, err := KeyID(sealed)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(r.keys, func(k Key) bool { return k.id == id })
	if i < 0 {
		return nil, ErrUnknownKey
	}
	head, body := sealed[:2+len(id)], sealed[2+len(id):]
	plain, err := r.keys[i].aead.Open(nil, nil, body, bound(head, account, field))
	if err != nil {
		return nil, ErrRefused
	}
	return plain, nil
}

// IsCurrent reports whether sealed names the key that Seal uses now; re-sealing (rule A4) passes
// over such values. It does not open them.
func (r *Ring) IsCurrent(sealed []byte) bool {
	id, err := KeyID(sealed)
	return err == nil && id == r.keys[0].id
}

// CurrentID is the id of the key that Seal uses.
func (r *Ring) CurrentID() string { return r.keys[0].id }

// KeyID is the id of the master key that sealed names. It fails with ErrMalformed.
func KeyID(sealed []byte) (string, error) {
	const head = 2
	if len(sealed) < head || sealed[0] != version {
		return "", ErrMalformed
	}
	n := int(sealed[1])
	if n > KeyIDBytes || len(sealed) < head+n+nonceBytes+tagBytes {
		return "", ErrMalformed
	}
	id := string(sealed[head : head+n])
	if !isKeyID(id) {
		return "", ErrMalformed
	}
	return id, nil
}

// bound is the associated data: the head, which is thereby protected too, the account and the
// field. The head tells its own length and the account's is fixed, so no two places share it.
func bound(head []byte, account [16]byte, field string) []byte {
	out := make([]byte, 0, len(head)+len(account)+len(field))
	out = append(out, head...)
	out = append(out, account[:]...)
	return append(out, field...)
}

func isKeyID(s string) bool {
	if s == "" || len(s) > KeyIDBytes {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
