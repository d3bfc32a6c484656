package tests

import (
	"slices"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
)

// Ensure 50 violations are recorded by a call, and of 51 none; and who accepted the terms (rule A1).
func TestViolationsOfACall(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{}, "main")
		record := func(n int) *answer {
			violations := slices.Repeat([]map[string]any{{"kind": "OTHER", "happenedAt": "2020-01-02T03:04:05Z"}}, n)
			return a.try("platform", `mutation($a: ID!, $v: [ViolationInput!]) { recordAccountFacts(input: {accountId: $a, violations: $v}) { account { id } } }`,
				map[string]any{"a": a.names["id account"], "v": violations})
		}
		if got := record(limits.ViolationsPerCall + 1); got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(limits.ViolationsPerCall) {
			t.Errorf("51: %.300s", got.body)
		}
		if n := w.count("SELECT COUNT(*) FROM account WHERE terms_by = 'ADMIN:admin'"); n != 1 {
			t.Error("nobody is recorded as who accepted the terms")
		}
		if n := w.count("SELECT COUNT(*) FROM violation"); n != 0 {
			t.Errorf("%d are recorded by a call that was refused", n)
		}
		if got := record(limits.ViolationsPerCall); got.code() != "" {
			t.Errorf("50: %.300s", got.body)
		}
	})
}
