//go:build !sabotage

package events

import "clientele/models"

// skipped is its argument in what is shipped; see sabotage.go.
func (*Hub) skipped(taken []models.Event) []models.Event { return taken }
