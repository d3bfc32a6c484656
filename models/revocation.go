package models

// RevocationKind is what a revocation names (rule V1).
type RevocationKind string

// The kinds of revocations.
const (
	RevokedToken   RevocationKind = "TOKEN"   // one token, by its `jti`
	RevokedSubject RevocationKind = "SUBJECT" // tokens with this `sub`, issued before an instant
	RevokedAdvisor RevocationKind = "ADVISOR" // tokens of this advisor, whatever their `sub` calls them, issued before an instant
)

// Revocation is a row that ends tokens before their time. It is in force until ExpiresAt, when
// no such token can be valid any more.
type Revocation struct {
	AccountID Key            `gorm:"column:account_id;primaryKey"`
	Kind      RevocationKind `gorm:"column:kind;primaryKey"`
	// Name is the token's id, the subject, or the advisor's key in hexadecimal.
	Name Ident `gorm:"column:name;primaryKey"`
	// IssuedBefore is zero exactly for TOKEN.
	IssuedBefore Time `gorm:"column:issued_before"`
	ExpiresAt    Time `gorm:"column:expires_at"`
	CreatedAt    Time `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (Revocation) TableName() string { return "revocation" }

// Revocations is what an account has revoked. The zero value covers nothing. It is never changed
// after NewRevocations made it.
type Revocations struct {
	tokens   map[string]struct{}
	subjects map[string]Time
	advisors map[string]Time
}

// NewRevocations gathers the rows of one account.
func NewRevocations(rows []*Revocation) *Revocations {
	r := &Revocations{tokens: map[string]struct{}{}, subjects: map[string]Time{}, advisors: map[string]Time{}}
	for _, row := range rows {
		switch row.Kind {
		case RevokedToken:
			r.tokens[string(row.Name)] = struct{}{}
		case RevokedSubject:
			r.subjects[string(row.Name)] = row.IssuedBefore
		case RevokedAdvisor:
			r.advisors[string(row.Name)] = row.IssuedBefore
		}
	}
	return r
}

// IssuedBefore is the instant before which the tokens of an advisor, with this subject, are revoked;
// zero where none are.
func (r *Revocations) IssuedBefore(subject string, advisor Key) Time {
	return max(r.subjects[subject], r.advisors[advisor.String()])
}

// Covers reports whether a token is revoked. issued is its `iat`, zero without one: such a token
// is older than any instant. advisor is the advisor it names, zero for none or an unknown one.
func (r *Revocations) Covers(tokenID, subject string, advisor Key, issued Time) bool {
	if _, found := r.tokens[tokenID]; found && tokenID != "" {
		return true
	}
	if before, found := r.subjects[subject]; found && issued < before {
		return true
	}
	before, found := r.advisors[advisor.String()]
	return found && issued < before
}
