// Package graph is generated from schema/ by internal/gqlgen (`make generate`). This file, object.go
// and slice.go are not: they put objects and lists together (ADR 0019).
package graph
