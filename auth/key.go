package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// Key is one key that tokens are checked with. It pins the one algorithm it is for, so that the
// token's own `alg` chooses nothing: neither `none` nor a public key used as a secret can pass.
// The zero Key is no key. A Key prints as its id alone.
type Key struct {
	id     string
	method jwt.SigningMethod
	// verify is a []byte for HS256, else a public key of crypto.
	verify any
}

// NewSecretKey makes an HS256 key, which signs and verifies. It fails when the id is not 1 to
// KeyIDBytes of letters, digits, `.`, `_` and `-`, or the secret is shorter than SecretBytes.
// The secret is copied.
func NewSecretKey(id string, secret []byte) (Key, error) {
	if !IsKeyID(id) {
		return Key{}, errKeyID
	}
	if len(secret) < SecretBytes {
		return Key{}, fmt.Errorf("the secret has %d bytes; it needs at least %d", len(secret), SecretBytes)
	}
	return Key{id: id, method: jwt.SigningMethodHS256, verify: slices.Clone(secret)}, nil
}

// NewPublicKey makes a key that verifies only, from one PEM block "PUBLIC KEY": Ed25519 pins
// EdDSA, ECDSA on P-256 pins ES256, RSA of at least RSABits pins RS256; any other key fails, and
// so does a private one, which has no business in this program.
func NewPublicKey(id string, text []byte) (Key, error) {
	if !IsKeyID(id) {
		return Key{}, errKeyID
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return Key{}, errors.New(`the file has no PEM block "PUBLIC KEY"`)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, errors.New("the public key cannot be read")
	}
	return newPublicKey(id, public)
}

// newPublicKey is NewPublicKey for a key that was read.
func newPublicKey(id string, public any) (Key, error) {
	key := Key{id: id, verify: public}
	switch k := public.(type) {
	case ed25519.PublicKey:
		key.method = jwt.SigningMethodEdDSA
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return Key{}, errors.New("the public key is of another curve than P-256")
		}
		key.method = jwt.SigningMethodES256
	case *rsa.PublicKey:
		if k.N.BitLen() < RSABits {
			return Key{}, fmt.Errorf("the RSA key has %d bits; it needs at least %d", k.N.BitLen(), RSABits)
		}
		key.method = jwt.SigningMethodRS256
	default:
		return Key{}, errors.New("the public key is none of Ed25519, ECDSA and RSA")
	}
	return key, nil
}

// ID is the key's `kid`.
func (k Key) ID() string { return k.id }

// Algorithm is the one `alg` that k accepts: HS256, RS256, ES256 or EdDSA; empty for the zero Key.
func (k Key) Algorithm() string {
	if k.method == nil {
		return ""
	}
	return k.method.Alg()
}

// Format implements fmt.Formatter for every verb: the key's id, never its secret.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "key "+k.id)
}

// KeySource finds the key of a `kid`. Keys is the fixed one; a set that is read again from a
// file or an address (JWKS) is another implementation, which makes a Key of each entry and so
// pins its algorithm. Find is called by many goroutines at once and must not block for long.
type KeySource interface {
	Find(kid string) (Key, bool)
}

// Keys is a fixed set of keys. It is safe for concurrent use.
type Keys struct{ byID map[string]Key }

// NewKeys makes a set of keys with different ids. It fails on a repeated id and on a zero Key:
// one key hidden by another would be a secret that silently opens nothing.
func NewKeys(keys ...Key) (*Keys, error) {
	s := &Keys{byID: make(map[string]Key, len(keys))}
	for _, k := range keys {
		if k.method == nil {
			return nil, errKeyID
		}
		if _, found := s.byID[k.id]; found {
			return nil, errors.New("two keys have the same id")
		}
		s.byID[k.id] = k
	}
	return s, nil
}

// Find implements KeySource.
func (s *Keys) Find(kid string) (Key, bool) {
	k, ok := s.byID[kid]
	return k, ok
}

// IDs is the ids of the keys in order, for logs.
func (s *Keys) IDs() []string { return slices.Sorted(maps.Keys(s.byID)) }

var errKeyID = fmt.Errorf("the key's id is not 1 to %d letters, digits, dots, underscores or hyphens", KeyIDBytes)

// IsKeyID reports whether s may name a key: 1 to KeyIDBytes of A-Z, a-z, 0-9, `.`, `_`, `-`.
func IsKeyID(s string) bool {
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
