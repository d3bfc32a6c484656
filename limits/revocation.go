package limits

import "time"

// Revocation. Source: rule V1.
const (
	// RevocationsPerAccount is the most revocations in force in one account. Enforced in the
	// transaction under the account's row lock.
	RevocationsPerAccount = 10_000
	// RevocationLife is how long a revocation is in force when nobody said until when the token
	// lives: longer than any token should.
	RevocationLife = 400 * 24 * time.Hour
)
