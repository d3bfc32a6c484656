// Package resolvers is thin: decode the arguments, one service call, encode the answer. A rule
// here is in the wrong place.
package resolvers

import (
	"clientele/services"
)

// Resolver is the root of all resolvers. Pages are bounded by its settings.
type Resolver struct {
	Services *services.Services
	// PageDefault and PageMax bound `first`; MessagesMax bounds it for messages (rule X2).
	PageDefault, PageMax, MessagesMax int
	// NodesMax is the most ids of one nodes() call.
	NodesMax int
}
