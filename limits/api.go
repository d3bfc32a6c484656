package limits

import "time"

// The API. Each is the default of a setting. Source: rule X2.
const (
	PageDefault            = 50               // PageDefault is the number of items of a page when `first` is absent.
	PageMax                = 200              // PageMax is the most items of a page.
	QueryDepth             = 12               // QueryDepth is the deepest selection, counted through fragments.
	QueryTokens            = 2_000            // QueryTokens is the most lexical tokens of a document.
	QueryAliases           = 30               // QueryAliases is the most aliases of a document, fragments counted where they are spread.
	BodyBytes              = 1 << 20          // BodyBytes is the largest request body and WebSocket message, in bytes.
	HeaderBytes            = 64 << 10         // HeaderBytes is the largest header of a request, its address included, in bytes.
	OperationTime          = 10 * time.Second // OperationTime is how long one query or mutation may take.
	SubscriptionsPerSocket = 50               // SubscriptionsPerSocket is the most subscriptions of one WebSocket.
	QueryFields            = 300              // QueryFields is the most selections in one selection set; checking them grows with their square.
	QueryComparisons       = 30_000           // QueryComparisons is the most steps in which validation compares the fields of a document with those that are answered under the same name.
	QueryValues            = 50_000           // QueryValues is the most values in the arguments of an operation, variables put in wherever they are used.
	QueryRootFields        = 30               // QueryRootFields is the most fields of an operation's root, fragments counted where they are spread.
	QueryDirectives        = 50               // QueryDirectives is the most directives of a document's operations and fragments.
	ErrorsShown            = 20               // ErrorsShown is the most errors of an answer; one more says how many there are.
	QueryRows              = 20_000           // QueryRows is the most rows one operation may ask for, pages inside pages multiplied.
	RatePerToken           = 1_000            // RatePerToken is what a node gives one token a second, in charges: an operation is one, and one more for each RowsPerCharge rows.
	RatePerAccount         = 5_000            // RatePerAccount is what it gives all tokens of an account together.
	RowsPerCharge          = 100              // RowsPerCharge is how many rows cost as much as an operation.
	RefusalBytes           = 320              // RefusalBytes is how many bytes of a document that is refused before it is executed cost as much as an operation, beside 1: 16 KiB cost 52.
	RateBurst              = 10 * time.Second // RateBurst is for how long what nobody asked for is saved up.
	NodesPerCall           = 100              // NodesPerCall is the most ids of one nodes() call.
)
