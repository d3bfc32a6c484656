package limits

import "time"

// Tags and what is noted of customers.
const (
	// TagsPerAccount is the most tags of one account. Enforced in the transaction under the
	// account's row lock. Source: rule F1.
	TagsPerAccount = 4
	// OptionsPerTag is the most options of one tag. Enforced in the transaction under the account's
	// row lock. Source: rule F1.
	OptionsPerTag = 50
	// TagNameRunes is the longest name of a tag or an option, in runes, at least 1. Source: rule F1.
	TagNameRunes = 32
	// EditBatch is the most customers whose tags or fields one call changes. Source: rule F2.
	EditBatch = 500
	// TagChanges is the most options that one call names, those of all its customers added up: ten for
	// each of EditBatch. Source: rule F2.
	TagChanges = 5_000
	// FilterTags is the most options that each list of a tag filter names. Source: rule E9.
	FilterTags = 50
	// FilterIdents is the most openids, and the most unionids, that a filter of customers names. Source: rule E9.
	FilterIdents = 500
	// CustomerCount is where the count of a list of customers stops. Source: rule E9.
	CustomerCount = 10_000
	// PageScan is how many customers of an account one page looks at for those that its filter selects;
	// a page that finds too few is short. An advisor's customers are fewer. Source: rule E9.
	PageScan = 20_000
	// InfoLines is the most lines of a customer's info. Source: rule E8.
	InfoLines = 20
	// InfoLineRunes is the longest of them, in runes, at least 1. Source: rule E8.
	InfoLineRunes = 100
	// RegionRunes is the longest name of a country, province or city, in runes. Source: rule E8.
	RegionRunes = 64
	// TagSweepRows is the most rows from which one statement takes a removed option. Source: rule F1.
	TagSweepRows = 1_000
	// TagSweepLease is how long a node that takes removed options off customers keeps others from it.
	TagSweepLease = 30 * time.Second
)
