// Package resolvers is thin: decode the arguments, one service call, encode the answer.
package resolvers

// Resolver is the root of all resolvers.
type Resolver struct{}
