// Package auth holds tokens and the Viewer they prove, and nothing else: it reads no database,
// decides no permission and knows no revocation (services do). One Verifier serves HTTP requests
// and connection_init alike, so that a token is judged by the same rules however it arrives.
package auth

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"clientele/limits"
)

// The numbers of tokens.
const (
	// TokenBytes is the longest token read, in bytes: longer ones are refused before anything of
	// them is decoded.
	TokenBytes = 8 << 10
	// SecretBytes is the shortest HS256 secret, in bytes: the size of the hash, below which the
	// secret is the weaker part (RFC 7518, 3.2).
	SecretBytes = 32
	// RSABits is the shortest RSA key, in bits (RFC 7518, 3.3).
	RSABits = 2048
	// Leeway is how far the clock of whoever signed a token may be from ours.
	Leeway = 30 * time.Second
	// KeyIDBytes is the longest kid, in bytes.
	KeyIDBytes = 64
	// SubjectBytes is the longest `sub`, in bytes: what OpenID Connect allows one.
	SubjectBytes = 255
	// UnionIDBytes is the longest `unionid`, in bytes: that of the column.
	UnionIDBytes = limits.OpenIDBytes
	// TokenIDBytes is the longest `jti`, in bytes.
	TokenIDBytes = 255
	// AccountHexBytes is the length of `acc` and of an advisor's id: a 16-byte key in hexadecimal.
	AccountHexBytes = 32
)

// Role is what a viewer is to the product. Source: rule V2.
type Role string

// The roles of rule V2.
const (
	RoleAdmin       Role = "ADMIN"
	RoleIntegration Role = "INTEGRATION"
	RoleAnalyst     Role = "ANALYST"
	RolePlatform    Role = "PLATFORM"
	RoleAdvisor     Role = "ADVISOR"
)

// Roles is every role, in the order of rule V2.
func Roles() []Role {
	return []Role{RoleAdmin, RoleIntegration, RoleAnalyst, RolePlatform, RoleAdvisor}
}

// IsValid reports whether r is one of Roles. Names are upper case, as in the schema.
func (r Role) IsValid() bool {
	switch r {
	case RoleAdmin, RoleIntegration, RoleAnalyst, RolePlatform, RoleAdvisor:
		return true
	}
	return false
}

// SubjectKind is how the subject of an ADVISOR names the advisor. Source: rule V1.
type SubjectKind string

// The kinds of subject; each is the prefix of `sub` before the colon.
const (
	// SubjectNone is the kind of every role but ADVISOR: the subject is a name and nothing more.
	SubjectNone SubjectKind = ""
	// SubjectID names an advisor by the 32 hexadecimal digits (lower case) of its key.
	SubjectID SubjectKind = "id"
	// SubjectOpenID names an advisor by openid.
	SubjectOpenID SubjectKind = "openid"
	// SubjectExternal names an advisor by the id that the merchant's own system gave it.
	SubjectExternal SubjectKind = "ext"
)

// Viewer is who asks, as a verified token says. It is never changed after it was made, so that
// it may be shared between goroutines.
type Viewer struct {
	Role Role
	// Account is the account's key, 32 hexadecimal digits in lower case; empty exactly for PLATFORM.
	Account string
	// Subject is the claim `sub` as it stands; never empty.
	Subject string
	// SubjectKind and SubjectValue are the Subject of an ADVISOR taken apart; SubjectNone and
	// empty for every other role. That such an advisor exists is for services to find out.
	SubjectKind  SubjectKind
	SubjectValue string
	// UnionID is the claim `unionid`: the person, as whoever signed the token knows them from WeChat; empty
	// when the token has none. It names no row and permits nothing in the account (ADR 0031).
	UnionID string
	// TokenID is the claim `jti`; empty when the token has none, which then cannot be revoked by it.
	TokenID string
	// IssuedAt is the claim `iat`, UTC; zero when the token has none, which is thus older than
	// any moment of a revocation "issued before".
	IssuedAt time.Time
	// Expires is the claim `exp`, UTC, without leeway: a subscription ends at it (rule V6).
	Expires time.Time
}

// String names the viewer for logs: role and account. The subject may be a person's openid and
// stays out.
func (v Viewer) String() string {
	if v.Account == "" {
		return string(v.Role)
	}
	return string(v.Role) + "@" + v.Account
}

// LogValue implements slog.LogValuer, as String.
func (v Viewer) LogValue() slog.Value { return slog.StringValue(v.String()) }

// Grant is what a token is to say of its bearer.
type Grant struct {
	Role Role
	// Account is the account's key, 32 hexadecimal digits in lower case; empty exactly for PLATFORM.
	Account string
	// Subject becomes `sub`; for ADVISOR it is AdvisorSubject's.
	Subject string
	// UnionID becomes `unionid`; empty: the token says nothing of the person.
	UnionID string
	// Life is how long the token is good: whole seconds, at least one. That tokens of
	// issueAdvisorToken live no longer than limits.TokenLife is for its service to enforce.
	Life time.Duration
	// NotIssuedBefore is the least `iat`, which may be ahead of the clock by less than Leeway: tokens
	// issued before it are revoked. Zero: the present second.
	NotIssuedBefore time.Time
}

// AdvisorSubject is the `sub` that names an advisor by value.
func AdvisorSubject(kind SubjectKind, value string) string { return string(kind) + ":" + value }

// Validate reports the first thing about g that no Verifier would accept, as an error that is
// ErrClaims and names the claim.
func (g Grant) Validate() error {
	if g.Life < time.Second || g.Life%time.Second != 0 {
		return claimError("exp")
	}
	_, err := g.viewer()
	return err
}

// viewer checks role, account and subject against each other; issuing and verifying share it,
// so that what is issued is what is accepted.
func (g Grant) viewer() (*Viewer, error) {
	if !g.Role.IsValid() {
		return nil, claimError("role")
	}
	if g.Role == RolePlatform {
		if g.Account != "" {
			return nil, claimError("acc")
		}
	} else if !isKey(g.Account) {
		return nil, claimError("acc")
	}
	if !isName(g.Subject, SubjectBytes) {
		return nil, claimError("sub")
	}
	if g.UnionID != "" && !isName(g.UnionID, UnionIDBytes) {
		return nil, claimError("unionid")
	}
	v := &Viewer{Role: g.Role, Account: g.Account, Subject: g.Subject, UnionID: g.UnionID}
	if g.Role != RoleAdvisor {
		return v, nil
	}
	kind, value, _ := strings.Cut(g.Subject, ":")
	v.SubjectKind, v.SubjectValue = SubjectKind(kind), value
	ok := false
	switch v.SubjectKind {
	case SubjectID:
		ok = isKey(value)
	case SubjectOpenID:
		ok = value != "" && len(value) <= limits.OpenIDBytes
	case SubjectExternal:
		ok = value != "" && len(value) <= limits.ExternalIDBytes
	case SubjectNone:
	}
	if !ok {
		return nil, claimError("sub")
	}
	return v, nil
}

// isKey reports whether s is a row's key in the one spelling in use. The zero key means "none"
// elsewhere, so it never names anything here.
func isKey(s string) bool {
	if len(s) != AccountHexBytes || strings.Trim(s, "0") == "" || s != strings.ToLower(s) {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

// isName reports whether s is 1 to most bytes of UTF-8 that can be printed in one line of a log.
func isName(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) &&
		strings.IndexFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) < 0
}

func claimError(claim string) error { return fmt.Errorf("%w: %s", ErrClaims, claim) }
