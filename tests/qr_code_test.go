package tests

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
)

const codesText = `mutation($c: [QRCodeInput!]!, $key: String) {
	createQRCodes(input: {codes: $c, idempotencyKey: $key}) { isRepeated results { qrCode { id scene advisor { nickname } group { name } } error { code field limit } } } }`

// codes are n codes of one label for an advisor; temporary ones when seconds are given.
func codes(n int, advisor, label string, seconds ...int) []map[string]any {
	all := make([]map[string]any, n)
	for i := range all {
		all[i] = map[string]any{"owner": map[string]any{"advisor": map[string]any{"openid": advisor}}, "label": label}
		if len(seconds) > 0 {
			all[i]["lifeSeconds"] = seconds[0]
		}
	}
	return all
}

// label makes a code with a label and names its scene and id after it.
func (t *tenant) label(label string, owner map[string]any, seconds ...int) {
	t.tb.Helper()
	c := codes(1, "", label, seconds...)
	c[0]["owner"] = owner
	made, _ := t.do("admin", codesText, map[string]any{"c": c}).field("createQRCodes.results").([]any)
	one := &answer{Data: made[0]}
	if one.text("qrCode.id") == "" {
		t.tb.Fatalf("no code %s: %v", label, made)
	}
	t.name("id code "+label, one.text("qrCode.id"))
	t.name("scene "+label, one.text("qrCode.scene"))
}

// Ensure 200 codes are made by as many statements as 20, and that 201 are refused (rule C3).
func TestStatementsOfCodes(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: named("a", 10), Groups: []string{"tea of a0"}}, "main")
		mixed := func(n int) []map[string]any {
			all := codes(n, "", "spring")
			for i := range all {
				all[i]["owner"] = map[string]any{"advisor": map[string]any{"openid": fmt.Sprint("a", i%10)}}
				if i%3 == 0 {
					all[i]["owner"] = map[string]any{"groupId": a.names["id tea"]}
				}
				if i%2 == 0 {
					all[i]["lifeSeconds"] = 3600
				}
			}
			return all
		}
		few := a.statements("admin", codesText, map[string]any{"c": mixed(20), "key": "few"})
		many := a.statements("admin", codesText, map[string]any{"c": mixed(limits.CodeBatch), "key": "many"})
		if few != many || many > 20 {
			t.Errorf("%d statements for 20, %d for 200", few, many)
		}
		if n := w.count("SELECT COUNT(*) FROM qr_code WHERE label = 'spring'"); n != 220 {
			t.Errorf("%d codes", n)
		}
		if n := w.count("SELECT code_count FROM account"); n != 110 {
			t.Errorf("%d permanent codes are counted", n)
		}
		got := a.try("admin", codesText, map[string]any{"c": mixed(limits.CodeBatch + 1)})
		if got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(limits.CodeBatch) || got.Errors[0].Extensions["field"] != "input.codes" {
			t.Errorf("201 codes: %.300s", got.body)
		}
		page := `query($n: Int!) { qrCodes(first: $n) { nodes { scene advisor { nickname groups { name qrCode { scene } } } group { name qrCode { scene } } } } }`
		if small, large := a.statements("admin", page, map[string]any{"n": 20}), a.statements("admin", page, map[string]any{"n": 200}); small != large {
			t.Errorf("a page of 20 codes takes %d statements, of 200 %d", small, large)
		}
		for i := range 60 {
			a.follow(fmt.Sprint("f", i), a.names["scene a0"])
		}
		scans := `query($n: Int!) { scans(first: $n) { nodes { scene customer { openid tags { name } } advisor { nickname } qrCode { advisor { nickname } group { name } } } } }`
		if small, large := a.statements("admin", scans, map[string]any{"n": 5}), a.statements("admin", scans, map[string]any{"n": 60}); small != large {
			t.Errorf("a page of 5 scans takes %d statements, of 60 %d", small, large)
		}
	})
}

// Ensure an account makes 99,000 permanent codes with a label and not one more, also of calls that come
// together, and that temporary and own codes are always to be had (rules C1, C3).
func TestLastCode(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		const calls, each, places = 8, 10, 45
		if _, err := w.db.ExecContext(t.Context(), "UPDATE account SET code_count = ?", limits.LabelledCodes-places); err != nil {
			t.Fatal(err)
		}
		admin := w.bearer("admin", a.account)
		var mu sync.Mutex
		sum := map[string]int{}
		together(calls, func(i int) string {
			c := append(codes(each, "anna", "shop"), codes(1, "anna", "shop", 3600)...)
			got, err := w.tryPost(admin, marshal(map[string]any{"query": codesText, "variables": map[string]any{"c": c}}))
			if err != nil {
				return err.Error()
			}
			results, _ := got.field("createQRCodes.results").([]any)
			mu.Lock()
			defer mu.Unlock()
			for n, r := range results {
				one := &answer{Data: r}
				code := one.text("error.code")
				sum[code]++
				if code != "" && (one.field("error.limit") != float64(limits.LabelledCodes) || one.text("error.field") != fmt.Sprintf("input.codes.%d", n)) {
					t.Errorf("error %v", r)
				}
			}
			return ""
		})
		if sum[""] != places+calls || sum["CODE_LIMIT"] != calls*each-places || len(sum) != 2 {
			t.Errorf("outcomes %v", sum)
		}
		if n := w.count("SELECT code_count FROM account"); n != limits.LabelledCodes {
			t.Errorf("%d codes are counted", n)
		}
		a.hire("ben")
		a.group("tea", "ben")
		if a.names["scene ben"] == "" || a.names["scene tea"] == "" {
			t.Error("an advisor or a group got no code")
		}
	})
}

// Ensure an owner has one own code, whatever is written beside it (rule C1).
func TestOneOwnCode(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		a.label("spring", toAdvisor("anna"))
		copied := "INSERT INTO qr_code (account_id, id, scene, kind, owner_id, own, label) SELECT account_id, '0123456789abcdef', 'copied', kind, owner_id, own, label FROM qr_code WHERE label = ?"
		if w.Store.IsEmbedded() {
			copied = "INSERT INTO qr_code (account_id, id, scene, kind, owner_id, own, label) SELECT account_id, CAST('0123456789abcdef' AS BLOB), CAST('copied' AS BLOB), kind, owner_id, own, label FROM qr_code WHERE label = ?"
		}
		if _, err := w.db.ExecContext(t.Context(), copied, ""); err == nil {
			t.Error("an owner has two own codes")
		}
		if _, err := w.db.ExecContext(t.Context(), copied, "spring"); err != nil {
			t.Errorf("an owner has no two codes of one label: %v", err)
		}
		if got := a.do("anna", `{ viewer { advisor { qrCode { scene label } } } }`, nil); got.text("viewer.advisor.qrCode.scene") != a.names["scene anna"] {
			t.Errorf("own code %s", got.body)
		}
	})
}

// Ensure a temporary code is known for 30 days after it expired and not longer, and a permanent one for
// ever (rule C3).
func TestExpiredCodesAreForgotten(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		const life = time.Hour
		a.label("brief", toAdvisor("anna"), int(life/time.Second))
		a.label("lasting", toAdvisor("anna"))
		a.follow("wei", a.names["scene brief"])
		retained := func() int {
			t.Helper()
			done, err := w.Services.Retain(context.Background(), func(context.Context) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			return done.QRCodes
		}
		w.clock.Advance(life + limits.CodeKept + limits.ClockSkew)
		if n := retained(); n != 0 {
			t.Errorf("%d codes are forgotten in their last instant", n)
		}
		w.clock.Advance(limits.RetentionInterval)
		if n := retained(); n != 1 || w.count("SELECT COUNT(*) FROM qr_code WHERE label = 'lasting'") != 1 {
			t.Errorf("%d codes are forgotten", n)
		}
		got := a.do("admin", `{ scans { nodes { label outcome qrCode { id } } } }`, nil)
		first, _ := got.field("scans.nodes").([]any)
		if one := (&answer{Data: first[0]}); len(first) != 1 || one.text("label") != "brief" || one.text("outcome") != "BOUND" || one.field("qrCode") != nil {
			t.Errorf("scans %s", got.body)
		}
	})
}
