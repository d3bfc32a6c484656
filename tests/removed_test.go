package tests

import (
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
)

// Ensure nobody is bound to an advisor who refused, let the invitation lapse or was removed, by
// the advisor's code, a group's, or coming back (rules C2, D3, E12). Removing is not built yet, so
// the row says it.
func TestScanOfAnAdvisorWhoIsGone(t *testing.T) {
	for _, state := range []models.AdvisorState{models.AdvisorRefused, models.AdvisorExpired, models.AdvisorRemoved} {
		t.Run(string(state), func(t *testing.T) {
			testkit.Engines(t, func(t *testing.T, dsn string) {
				w := start(t, dsn, options{})
				a := w.found(setup{Advisors: []string{"anna", "ben"}, Groups: []string{"tea of anna"}, Customers: []string{"wei of anna"}}, "main")
				w.clock.Advance(time.Second)
				a.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: "wei"})
				if _, err := w.db.ExecContext(t.Context(), "UPDATE advisor SET state = ? WHERE account_id = ? AND nickname = 'anna'",
					string(state), a.account[:]); err != nil {
					t.Fatal(err)
				}
				w.clock.Advance(time.Second)
				for name, tt := range map[string]struct {
					outcome, want models.ScanOutcome
				}{
					"her code":                    {a.follow("mei", a.names["scene anna"]), models.ScanAdvisorInvalid},
					"her group's code":            {a.follow("lan", a.names["scene tea"]), models.ScanGroupHasNoFree},
					"her code, coming back to it": {a.follow("wei", a.names["scene anna"]), models.ScanAdvisorInvalid},
				} {
					if tt.outcome != tt.want {
						t.Errorf("%s, %s: %s", state, name, tt.outcome)
					}
				}
				for what, query := range map[string]string{
					"bound":     "SELECT COUNT(*) FROM customer WHERE advisor_id IS NOT NULL",
					"counted":   "SELECT COALESCE(SUM(customer_count), 0) FROM advisor",
					"suspended": "SELECT COUNT(*) FROM customer WHERE suspended_at <> 0",
					"inboxes":   "SELECT COUNT(*) FROM conversation WHERE advisor_id IS NOT NULL",
				} {
					if n := w.count(query); n != 0 {
						t.Errorf("%s: %d %s", state, n, what)
					}
				}
				if n := w.count("SELECT COUNT(*) FROM inbound WHERE outcome IN ('ADVISOR_INVALID', 'GROUP_HAS_NO_FREE_ADVISOR')"); n != 3 {
					t.Errorf("%s: %d scans are recorded with their outcome", state, n)
				}
			})
		})
	}
}
