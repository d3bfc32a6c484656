// Package limits holds every number of the product, each with its unit, its source
// (a rule of docs/rules.md, or an ADR) and who enforces it. It imports nothing and knows
// nothing: a number that is written anywhere else is a mistake. Sizes that a merchant may
// tune are not limits; they are settings of internal/config, whose defaults stand here.
//
// A file is a theme, one group of constants each, and a section of docs/limits.md, in the order that
// docs/docs_test.go has.
package limits
