package limits

// Accounts.
const (
	// AccountNameRunes is the longest account name, in runes after trimming.
	// Enforced by models.CheckName; column account.name.
	AccountNameRunes = 64
	// ViolationFreeDays is how many days back a violation keeps an account from opening.
	// Enforced by models.Account.MayOpen. Source: rule A1.
	ViolationFreeDays = 365
	// ViolationsPerCall is how many violations one recordAccountFacts call may carry.
	// Enforced by services.Accounts.
	ViolationsPerCall = 50
	// MiniPrograms is the most mini-programs that an account links, for cards. Source: rule A2.
	MiniPrograms = 50
	// TermsVersionBytes is the longest version name of terms or service rules, in bytes.
	TermsVersionBytes = 32
)
