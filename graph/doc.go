// Package graph is generated from schema/ by gqlgen (`make generate`); this file alone is not.
package graph
