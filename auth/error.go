package auth

// Error is why a token was refused. All errors of this package that a caller's token can cause
// are one of the constants below, or wrap one: errors.As(err, new(Error)) tells them from others,
// and the server answers each with UNAUTHENTICATED. No error holds any part of a token.
type Error string

// The refusals.
const (
	ErrMissing     Error = "no token was given"
	ErrMalformed   Error = "the token is malformed"
	ErrTooLong     Error = "the token is too long"
	ErrAlgorithm   Error = "the token's algorithm is not that of its key"
	ErrUnknownKey  Error = "the token's key is unknown"
	ErrSignature   Error = "the token's signature is wrong"
	ErrExpired     Error = "the token has expired"
	ErrNotYetValid Error = "the token is not valid yet"
	ErrIssuer      Error = "the token is from another issuer"
	ErrAudience    Error = "the token is for another audience"
	// ErrClaims is wrapped by an error that names the claim that is missing or wrong.
	ErrClaims Error = "the token's claims are wrong"
)

// Error implements error.
func (e Error) Error() string { return string(e) }
