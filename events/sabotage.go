//go:build sabotage

package events

import (
	"os"
	"sync/atomic"

	"clientele/models"
)

// eachSkipped is how many events are handed out before one is left out.
const eachSkipped = 10

// handed counts what was handed out, for skipped.
var handed atomic.Int64

// skipped leaves an event out of those that a feed takes, if CLIENTELE_SABOTAGE says
// skip-an-event: the feed goes on behind it. The crash tests show by it that they notice
// (tests/crash); it is compiled into no binary but theirs.
func (*Hub) skipped(taken []models.Event) []models.Event {
	if os.Getenv("CLIENTELE_SABOTAGE") != "skip-an-event" {
		return taken
	}
	kept := make([]models.Event, 0, len(taken))
	for _, e := range taken {
		if handed.Add(1)%eachSkipped != 0 {
			kept = append(kept, e)
		}
	}
	return kept
}
