package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Options is what a Verifier and an Issuer have in common. Every field is needed.
type Options struct {
	// Issuer is the `iss` that tokens carry.
	Issuer string
	// Audience is the `aud` that tokens carry, or have among others.
	Audience string
	// Now is the clock.
	Now func() time.Time
}

func (o Options) check() error {
	// An empty expectation would switch the check off in the JWT library.
	if o.Issuer == "" || o.Audience == "" || o.Now == nil {
		return errors.New("tokens need an issuer, an audience and a clock")
	}
	return nil
}

// claims is the payload. Role and Account are ours; the rest is RFC 7519's.
type claims struct {
	jwt.RegisteredClaims
	Role    string `json:"role"`
	Account string `json:"acc,omitempty"`
	UnionID string `json:"unionid,omitempty"`
}

// Verifier turns tokens into Viewers. It is safe for concurrent use.
type Verifier struct {
	keys   KeySource
	parser *jwt.Parser
}

// NewVerifier makes a Verifier of the keys. It fails when an option is missing.
func NewVerifier(keys KeySource, o Options) (*Verifier, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if keys == nil {
		return nil, errors.New("tokens need keys")
	}
	return &Verifier{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{
			jwt.SigningMethodHS256.Alg(), jwt.SigningMethodRS256.Alg(),
			jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg(),
		}),
		jwt.WithIssuer(o.Issuer),
		jwt.WithAudience(o.Audience),
		jwt.WithTimeFunc(o.Now),
		jwt.WithLeeway(Leeway),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		// Without it a token has several spellings, and so several hashes in a log or a cache.
		jwt.WithStrictDecoding(),
	)}, nil
}

// Verify is the viewer of a token that is signed by the key of its `kid` with that key's one
// algorithm, from our issuer, for our audience, not expired (`exp` is required), not before
// `nbf` and `iat` where it has them (Leeway either way), with a role, an account (PLATFORM:
// none) and a subject that fit each other. Whether the token was revoked is asked elsewhere.
// Errors are this package's, and hold nothing of the token.
func (v *Verifier) Verify(token string) (*Viewer, error) {
	if token == "" {
		return nil, ErrMissing
	}
	if len(token) > TokenBytes {
		return nil, ErrTooLong
	}
	var c claims
	reached := false
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		reached = true
		// RFC 7515, 4.1.11: who does not understand an extension named in `crit` refuses.
		if _, found := t.Header["crit"]; found {
			return nil, ErrMalformed
		}
		kid, ok := t.Header["kid"].(string)
		if !ok {
			return nil, ErrUnknownKey
		}
		key, found := v.keys.Find(kid)
		if !found || key.method == nil {
			return nil, ErrUnknownKey
		}
		if t.Method.Alg() != key.method.Alg() {
			return nil, ErrAlgorithm
		}
		return key.verify, nil
	})
	if err != nil {
		return nil, refusal(err, reached)
	}
	viewer, err := Grant{Role: Role(c.Role), Account: c.Account, Subject: c.Subject, UnionID: c.UnionID}.viewer()
	if err != nil {
		return nil, err
	}
	if c.ID != "" && !isName(c.ID, TokenIDBytes) {
		return nil, claimError("jti")
	}
	viewer.TokenID = c.ID
	if !isInstant(c.ExpiresAt.Time) {
		return nil, claimError("exp")
	}
	viewer.Expires = c.ExpiresAt.UTC()
	if c.IssuedAt != nil {
		if !isInstant(c.IssuedAt.Time) || !c.IssuedAt.Before(c.ExpiresAt.Time) {
			return nil, claimError("iat")
		}
		viewer.IssuedAt = c.IssuedAt.UTC()
	}
	return viewer, nil
}

// isInstant keeps out numbers that wrapped around on their way from a JSON float to a time.
func isInstant(t time.Time) bool {
	const lastYear = 9999
	return t.Unix() > 0 && t.Year() <= lastYear
}

// refusal is our word for an error of the JWT library, whose own text may quote the token.
// reached tells whether the key was asked for: a method refused before that was no method of ours.
func refusal(err error, reached bool) error {
	var ours Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, jwt.ErrTokenMalformed):
		return ErrMalformed
	case errors.Is(err, jwt.ErrTokenUnverifiable), !reached:
		return ErrAlgorithm
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return ErrSignature
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return ErrIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return ErrAudience
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return ErrNotYetValid
	case errors.Is(err, jwt.ErrTokenExpired):
		return ErrExpired
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return claimError("exp, iss or aud is missing")
	}
	return ErrClaims
}

// Issuer makes tokens. It is safe for concurrent use.
type Issuer struct {
	key     Key
	options Options
}

// NewIssuer makes an Issuer that signs with an HS256 key; other keys verify only, and fail.
func NewIssuer(key Key, o Options) (*Issuer, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if key.Algorithm() != jwt.SigningMethodHS256.Alg() {
		return nil, errors.New("tokens are issued with an HS256 secret only")
	}
	return &Issuer{key: key, options: o}, nil
}

// Issue makes a token that a Verifier with the same key and options accepts until g.Life has
// passed, and the Viewer it proves, whose TokenID is a fresh UUID. It fails as Grant.Validate
// does. Instants are cut to the second, because a token's are.
func (i *Issuer) Issue(g Grant) (string, *Viewer, error) {
	if err := g.Validate(); err != nil {
		return "", nil, err
	}
	viewer, err := g.viewer()
	if err != nil {
		return "", nil, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", nil, fmt.Errorf("token id: %w", err)
	}
	viewer.TokenID = id.String()
	viewer.IssuedAt = i.options.Now().UTC().Truncate(time.Second)
	if after := g.NotIssuedBefore; viewer.IssuedAt.Before(after) {
		viewer.IssuedAt = after.UTC().Add(time.Second - 1).Truncate(time.Second)
	}
	viewer.Expires = viewer.IssuedAt.Add(g.Life)
	token := jwt.NewWithClaims(i.key.method, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    i.options.Issuer,
			Subject:   g.Subject,
			Audience:  jwt.ClaimStrings{i.options.Audience},
			ExpiresAt: jwt.NewNumericDate(viewer.Expires),
			IssuedAt:  jwt.NewNumericDate(viewer.IssuedAt),
			ID:        viewer.TokenID,
		},
		Role: string(g.Role), Account: g.Account, UnionID: g.UnionID,
	})
	token.Header["kid"] = i.key.id
	text, err := token.SignedString(i.key.verify)
	if err != nil {
		return "", nil, errors.New("the token could not be signed")
	}
	if len(text) > TokenBytes {
		return "", nil, ErrTooLong
	}
	return text, viewer, nil
}

const scheme = "bearer"

// FromHeader is the token of an Authorization header: "Bearer" in any case, then spaces, then
// the token. An empty header is ErrMissing, any other scheme or shape ErrMalformed.
func FromHeader(header string) (string, error) {
	header = strings.Trim(header, " \t")
	if header == "" {
		return "", ErrMissing
	}
	name, token, _ := strings.Cut(header, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(name, scheme) || token == "" || strings.ContainsAny(token, " \t") {
		return "", ErrMalformed
	}
	return token, nil
}

// FromConnectionInit is the token of a connection_init payload: the string under "Authorization",
// the key in any case, with or without "Bearer". Without the key, or with an empty or null value,
// it is ErrMissing; a value of another type, or the key in two spellings, is ErrMalformed:
// choosing one of two tokens would be a guess.
func FromConnectionInit(payload map[string]any) (string, error) {
	var value any
	found := false
	for key, v := range payload {
		if !strings.EqualFold(key, "authorization") {
			continue
		}
		if found {
			return "", ErrMalformed
		}
		found, value = true, v
	}
	if value == nil {
		return "", ErrMissing
	}
	text, ok := value.(string)
	if !ok {
		return "", ErrMalformed
	}
	text = strings.Trim(text, " \t")
	if text == "" {
		return "", ErrMissing
	}
	if !strings.ContainsAny(text, " \t") && !strings.EqualFold(text, scheme) {
		return text, nil
	}
	return FromHeader(text)
}
