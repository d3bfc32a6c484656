package tests

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
)

// exported is the account's advisors as a file, so many of them a page.
func (t *tenant) exported(first int, of string) string {
	t.tb.Helper()
	var file strings.Builder
	var after any
	for {
		page := t.do("integration", `mutation($first: Int, $after: String) { exportAdvisors(input: {first: $first, after: $after`+of+`}) { lines endCursor auditId } }`,
			map[string]any{"first": first, "after": after})
		for _, l := range page.field("exportAdvisors.lines").([]any) {
			file.WriteString(l.(string) + "\r\n")
		}
		if after = page.field("exportAdvisors.endCursor"); after == nil {
			return file.String()
		}
	}
}

// Ensure an export has every advisor once, whatever the pages, that each page is in the audit log, and that its file changes nothing when it is imported, whatever
// people and groups are called; and what is changed in it changes (rules B7, R5).
func TestAdvisorsGoThroughAFile(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{
			Advisors: []string{"anna", "ben", "carl"}, Groups: []string{"tea of anna ben", "coffee of anna", `a;b\`, "=sum", `"quoted", x`}, Followers: []string{"mei"}, Customers: []string{"wei of anna"},
		}, "main")
		other := w.found(setup{Advisors: []string{"theirs"}}, "other")
		if got := a.failed(a.staffed("wechat_id,unionid,external_id,nickname,avatar_url,groups\n" +
			"w1,,+1,\"'=1+1\",,\n" + // the nickname =1+1
			"w2,u2,=cmd,\"''=1\",http://x/?a=1,\"=sum;a\\;b\\\\\"\n" + // the nickname '=1
			"-w3,,,@me,http://x/\"\"\"q\"\"\",\"\"\"quoted\"\", x\"\n" +
			"w4,,,\"a,\"\"b\"\"\",,\n" +
			"w5,,,＝1,,\n" +
			"w6,,,'x,,tea\n" +
			"w7,,,王小明,,\n")); !slices.Equal(got, []string{"3 <nil> INVALID"}) {
			t.Fatalf("what failed: %q", got)
		}
		if got := a.failed(a.staffed("wechat_id,nickname,groups\n-w3,@me,\"\"\"quoted\"\", x\"\n")); got != nil {
			t.Fatalf("what failed: %q", got)
		}
		if got := a.advisor("wechatId", "w2"); got != `PENDING '=1 http://x/?a=1 =cmd [=sum a;b\]` {
			t.Errorf("what was written with an apostrophe is %q", got)
		}
		// All five states.
		a.dismissed("carl")
		w.clock.Advance(limits.InvitationLife)
		a.waitlisted("w8")
		a.do("id:"+keyOf(t, a.do("admin", `{ advisor(by: {wechatId: "w8"}) { id } }`, nil).text("advisor.id")).String(), `mutation { answerInvitation(input: {accept: false}) { advisor { state } } }`, nil)
		a.waitlisted("w9")
		whole, pages := a.exported(limits.ExportPage, ""), int64(1)
		for first, n := range map[int]int64{1: 12, 4: 3, 11: 2, 12: 1} {
			if parts := a.exported(first, ""); parts != whole {
				t.Errorf("%d at a time the export differs: %s", first, parts)
			}
			pages += n
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action = 'exportAdvisors' AND role = 'INTEGRATION'"); n != pages {
			t.Errorf("%d pages are in the log, want %d", n, pages)
		}
		rows, err := csv.NewReader(strings.NewReader(whole)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(rows[0], " "); got != "openid unionid wechat_id external_id nickname avatar_url groups state id presence customer_count invited_at answered_at" {
			t.Errorf("the columns are %s", got)
		}
		var told []string
		for _, row := range rows[1:] {
			told = append(told, strings.Join(slices.Concat(row[:8], row[9:11]), "|"))
			for _, cell := range row {
				if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@") {
					t.Errorf("a cell begins like a formula: %q", cell)
				}
			}
			if _, err := time.Parse(time.RFC3339, row[11]); err != nil {
				t.Error(err)
			}
		}
		if want := []string{
			"anna||||anna||coffee;tea|ACTIVE|ONLINE|1", "ben||||ben||tea|ACTIVE|ONLINE|0", "carl||||carl|||REMOVED|OFFLINE|0",
			"||w1|'+1|'=1+1|||EXPIRED|OFFLINE|0", `|u2|w2|'=cmd|''=1|http://x/?a=1|'=sum;a\;b\\|EXPIRED|OFFLINE|0`, `||w4||a,"b"|||EXPIRED|OFFLINE|0`, "||w5||'＝1|||EXPIRED|OFFLINE|0",
			"||w6||'x||tea|EXPIRED|OFFLINE|0", "||w7||王小明|||EXPIRED|OFFLINE|0", `||'-w3||'@me||"quoted", x|EXPIRED|OFFLINE|0`, "||w8||waits|||REFUSED|OFFLINE|0", "||w9||waits|||PENDING|OFFLINE|0",
		}; !slices.Equal(told, want) {
			t.Errorf("the export is\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
		if id := rows[1][8]; id != a.names["id anna"] {
			t.Errorf("the id is %q", id)
		}
		if strings.Contains(whole, "theirs") || strings.Contains(other.exported(10, ""), "anna") {
			t.Error("an account's export holds another's advisors")
		}
		for state, want := range map[string]int{"ACTIVE": 2, "PENDING": 1, "EXPIRED": 7, "REFUSED": 1, "REMOVED": 1} {
			if n := strings.Count(a.exported(3, ", state: "+state), "\r\n") - 1; n != want {
				t.Errorf("%d are %s, want %d", n, state, want)
			}
		}
		for code, of := range map[string]string{"INVALID": "first: 0", "LIMIT_EXCEEDED": fmt.Sprint("first: ", limits.ExportPage+1)} {
			if got := a.try("admin", `mutation { exportAdvisors(input: {`+of+`}) { lines } }`, nil); got.code() != code || got.Errors[0].Extensions["field"] != "input.first" {
				t.Errorf("%s: %.300s", of, got.body)
			}
		}
		if got := a.try("admin", `mutation { exportAdvisors(input: {after: "x"}) { lines } }`, nil); got.code() != "INVALID" {
			t.Errorf("a cursor of nothing: %.300s", got.body)
		}

		// There and back.
		marked := a.exported(5, ", hasByteOrderMark: true")
		if marked != "\uFEFF"+whole {
			t.Errorf("with a mark the file is %.300q", marked)
		}
		state := func() string {
			var all []string
			for _, query := range []string{
				"SELECT COUNT(*) FROM audit WHERE action NOT LIKE '%Import' AND action <> 'exportAdvisors'", "SELECT COUNT(*) FROM notification", "SELECT COUNT(*) FROM group_member",
				"SELECT COUNT(*) FROM event e JOIN advisor a ON a.account_id = e.account_id AND a.id = e.stream_id", "SELECT MAX(updated_at) FROM advisor", "SELECT MAX(updated_at) FROM advisor_group",
			} {
				all = append(all, fmt.Sprint(w.count(query)))
			}
			return strings.Join(all, " ") + a.exported(limits.ExportPage, "")
		}
		w.clock.Advance(time.Second)
		before := state()
		for _, file := range []string{whole, marked} {
			job := a.staffed(file)
			if j := a.job(job); j.field("changedCount") != 0.0 || j.field("doneCount") != 12.0 || len(a.failed(job)) != 0 {
				t.Errorf("what was not changed changes %v, %q", j.Data, a.failed(job))
			}
		}
		if after := state(); after != before {
			t.Errorf("what was not changed is\n%s\nand was\n%s", after, before)
		}
		edited := strings.NewReplacer("anna,,,,anna,", "anna,,,,Anna,", ",REFUSED,", ",,", "w9,,waits,,", "w9,,waits,,coffee").Replace(whole)
		job := a.staffed(edited)
		if j := a.job(job); j.field("changedCount") != 3.0 || len(a.failed(job)) != 0 {
			t.Errorf("what was changed changes %v, %q", j.Data, a.failed(job))
		}
		if got := a.advisor("openid", "anna") + a.advisor("wechatId", "w8") + a.advisor("wechatId", "w9"); got != "ACTIVE Anna <nil> <nil> [coffee tea]PENDING waits <nil> <nil> []PENDING waits <nil> <nil> [coffee]" {
			t.Errorf("what was changed is %q", got)
		}
	})
}

// Ensure a page of an export takes as many statements for many advisors as for few.
func TestStatementsOfAnExportOfAdvisors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Groups: []string{"tea", "coffee"}}, "main")
		file := "wechat_id,nickname,groups\n"
		for i := range 100 {
			file += fmt.Sprintf("w%d,W,tea;coffee\n", i)
		}
		a.staffed(file)
		const query = `mutation($n: Int) { exportAdvisors(input: {first: $n}) { lines } }`
		if few, many := a.statements("admin", query, map[string]any{"n": 3}), a.statements("admin", query, map[string]any{"n": 90}); few != many {
			t.Errorf("%d statements for 3, %d for 90", few, many)
		}
	})
}
