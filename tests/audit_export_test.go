package tests

import (
	"encoding/json"
	"fmt"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
)

// Ensure an export of the audit log has every entry once, newest first, whatever the pages, with the results of
// the items of calls for many, and what each of them changed (rule R5).
func TestAuditIsExported(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		people := a.crowd("c", 70)
		for i := range 5 {
			items := []map[string]any{{"customer": map[string]any{"openid": "nobody"}, "nickname": "Name"}}
			for _, p := range people {
				items = append(items, map[string]any{"customer": map[string]any{"openid": p}, "nickname": fmt.Sprint("Name", i)})
			}
			a.do("admin", updateText, map[string]any{"c": items})
		}
		export := func(first int) (entries []map[string]any) {
			var after any
			for {
				page := a.do("admin", `mutation($first: Int, $after: String) { exportAuditLog(input: {first: $first, after: $after, filter: {action: "updateCustomers"}}) { lines endCursor } }`,
					map[string]any{"first": first, "after": after})
				for _, l := range page.field("exportAuditLog.lines").([]any) {
					var e map[string]any
					if err := json.Unmarshal([]byte(l.(string)), &e); err != nil {
						t.Fatal(err)
					}
					entries = append(entries, e)
				}
				if after = page.field("exportAuditLog.endCursor"); after == nil {
					return entries
				}
			}
		}
		whole := export(limits.ExportPage)
		if len(whole) != 5 {
			t.Fatalf("%d entries", len(whole))
		}
		for i, e := range whole {
			items := e["items"].([]any)
			if len(items) != 71 || items[0].(map[string]any)["outcome"] != "NOT_FOUND" || items[70].(map[string]any)["outcome"] != "OK" || items[70].(map[string]any)["targetId"] == nil {
				t.Errorf("an entry has the items %v", items)
			}
			was := "" // newest first
			if i < 4 {
				was = fmt.Sprint("Name", 3-i)
			}
			if got, want := fmt.Sprint(items[70].(map[string]any)["before"], items[70].(map[string]any)["after"]), fmt.Sprintf("map[nickname:%s] map[nickname:Name%d]", was, 4-i); got != want {
				t.Errorf("an item tells %s, want %s", got, want)
			}
			if _, tells := items[0].(map[string]any)["before"]; tells {
				t.Errorf("an item that changed nothing tells %v", items[0])
			}
			if e["role"] != "ADMIN" || e["at"] == nil || e["action"] != "updateCustomers" {
				t.Errorf("an entry is %v", e)
			}
		}
		for first := 1; first < 4; first++ {
			if parts := export(first); fmt.Sprint(parts) != fmt.Sprint(whole) {
				t.Errorf("%d at a time the export differs", first)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action = 'exportAuditLog'"); n != 1+5+3+2 {
			t.Errorf("%d pages are in the log", n)
		}
		// As if the calls had been for thousands: a page ends behind the entries whose items were read together, and the export goes on.
		_, err := w.db.ExecContext(t.Context(), "INSERT INTO audit_item (account_id, audit_id, no, target_id, outcome, before_json, after_json) SELECT i.account_id, i.audit_id, 1000 + 100 * i.no + k.no, i.target_id, i.outcome, '', ''"+
			" FROM audit_item i JOIN audit_item k ON k.account_id = i.account_id AND k.audit_id = i.audit_id")
		if err != nil {
			t.Fatal(err)
		}
		for i := range limits.AuditItemsRead - 4 {
			a.nicknamed("wei", fmt.Sprint("Wei", i))
		}
		if all := export(limits.ExportPage); len(all) != limits.AuditItemsRead+1 || all[20]["id"] != whole[4]["id"] {
			t.Errorf("%d entries are exported", len(all))
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action = 'exportAuditLog'"); n != 1+5+3+2+2 {
			t.Errorf("%d pages are in the log with that", n)
		}
	})
}
