package tests

import (
	"fmt"
	"testing"

	"clientele/internal/testkit"
)

// Ensure the calls that take many items take as many as they say, and not one more.
func TestLimitsOfTheLedger(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
	at := "2026-03-02T00:00:00Z"
	pay := func(n int) *answer {
		var list []map[string]any
		for i := range n {
			list = append(list, map[string]any{"customer": map[string]any{"openid": "wei"}, "transactionId": fmt.Sprint("t", i), "at": at})
		}
		return a.try("integration", payText, map[string]any{"p": list})
	}
	mass := func(n int) *answer {
		return a.try("integration", massText, map[string]any{"key": fmt.Sprint("m", n), "at": at, "to": map[string]any{"openids": named("o", n)}})
	}
	for _, tt := range []struct {
		name  string
		call  func(int) *answer
		most  int
		field string
	}{
		{"payments", pay, 200, "input.payments"},
		{"openids", mass, 10_000, "input.audience.openids"},
	} {
		if got := tt.call(tt.most); got.code() != "" {
			t.Errorf("%d %s: %.300s", tt.most, tt.name, got.body)
		}
		got := tt.call(tt.most + 1)
		if got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(tt.most) || got.Errors[0].Extensions["field"] != tt.field {
			t.Errorf("%d %s: %.300s", tt.most+1, tt.name, got.body)
		}
	}
}
