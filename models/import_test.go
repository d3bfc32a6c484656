package models

import (
	"testing"
	"time"
)

// Ensure who is named by a column is told by its name (rule E11).
func TestAdvisorColumns(t *testing.T) {
	for column, text := range map[string]string{
		columnAdvisorID: "YWQBoiFjDIp9AKWBAbcZInOA", columnAdvisorOpenID: "o", columnAdvisorUnionID: "u", columnAdvisorWechatID: "w", columnAdvisorExternal: "e", "": "",
	} {
		a, err := readAdvisor(func(name string) string {
			if name == column {
				return text
			}
			return ""
		})
		if err != nil || a.Column() != column || a.IsZero() != (column == "") {
			t.Errorf("%s: %+v, %v", column, a, err)
		}
	}
}

// Ensure times of a file are of the account's zone unless they say, and lie from the year 2000 to now, the very instant (rule E11).
func TestImportTimes(t *testing.T) {
	zone := time.FixedZone("", 8*60*60)
	now := time.Date(2026, 1, 31, 8, 0, 0, 1000, zone)
	for text, want := range map[string]time.Time{
		"2026-01-31T08:00:00.000001+08:00": now, "2026-01-31T08:00:00.000002+08:00": {}, "2026-01-31 08:00:00": now.Add(-time.Microsecond), "2026-01-31T00:00:00Z": now.Add(-time.Microsecond),
		"2000-01-01": time.Date(2000, 1, 1, 0, 0, 0, 0, zone), "2000/1/1 0:00": time.Date(2000, 1, 1, 0, 0, 0, 0, zone), "1999-12-31 23:59:59": {}, "31.1.2026": {},
	} {
		got, err := importTime(text, "c", zone, At(now))
		if want.IsZero() != (err != nil) || err == nil && got != At(want) || err != nil && (err.Code != CodeInvalid || err.Field != "c") {
			t.Errorf("%s is %v, %v", text, got.Go(), err)
		}
	}
}
