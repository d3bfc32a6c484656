package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

const (
	eraseText  = `mutation($c: CustomerRef!) { eraseCustomer(input: {customer: $c}) { erasure { id customerId openidDigest cause madeBy begunAt finishedAt messageCount } } }`
	exportText = `mutation($c: CustomerRef!, $first: Int, $after: String) { exportCustomer(input: {customer: $c, first: $first, after: $after}) { lines endCursor auditId } }`
)

// erased returns once every erasure that was begun is finished.
func (w *world) erased() {
	w.tb.Helper()
	w.await("every erasure is finished", func() bool {
		if _, err := w.Services.SweepErasures(context.Background()); err != nil {
			w.tb.Errorf("sweep: %v", err)
		}
		return w.count("SELECT COUNT(*) FROM erasure WHERE finished_at = 0") == 0
	})
}

// holding is the places of all values of the database that hold one of these texts.
func (w *world) holding(texts ...string) []string {
	w.tb.Helper()
	return testkit.Holding(w.tb, w.Store, texts...)
}

// Ensure of a person who is erased nobody is shown anything from the answer on, nothing of them is left in the
// database soon after, what was counted stays counted, and who comes again is somebody new (rules E13, V5, N4).
func TestErasure(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{sweep: time.Hour})
		s := setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold"}, Customers: []string{"qzopenid of anna", "lin of anna"}}
		a, other := w.found(s, "main"), w.found(s, "other")
		before := a.cursor("anna")
		for _, of := range []*tenant{a, other} {
			of.do("admin", updateText, map[string]any{"c": []map[string]any{{"customer": map[string]any{"openid": "qzopenid"}, "nickname": "QzNick 王", "avatarUrl": "https://qz.example/QzPicture", "info": []string{"QzInfo"}}}})
			of.do("admin", `mutation { updateCustomers(input: {customers: [{customer: {openid: "qzopenid"}, region: {city: "QzCity"}}]}) { isRepeated } }`, nil)
			of.do("anna", tagText, map[string]any{"c": tagging([]string{"qzopenid"}, []string{"gold"}, nil)})
			of.write("qzopenid", "QzText one")
			of.write("lin", "of another")
		}
		w.relayed()
		a.do("anna", sendText, sending("qzopenid", "QzAnswer", "k"))
		w.delivered()
		a.do("admin", `mutation { unbindCustomers(input: {customers: {matching: {openids: ["qzopenid", "nobody"], isAssigned: false}}}) { job { id } } }`, nil)
		w.worked()
		id := a.do("admin", `{ customer(by: {openid: "qzopenid"}) { id } }`, nil).text("customer.id")
		feed, _, _ := a.feed(nil, 200)
		live := w.subscribe(w.bearer("anna", a.account), `subscription { messages { __typename ... on CustomerLeft { customerId } } }`, nil)
		secrets := []string{"qzopenid", "QzNick", "QzInfo", "QzCity", "QzText", "QzAnswer"}

		got := a.do("admin", eraseText, map[string]any{"c": map[string]any{"openid": "qzopenid"}})
		if e := live.next(); e["__typename"] != "CustomerLeft" || e["customerId"] != id {
			t.Errorf("the advisor was told %v", e)
		}
		// Hidden at once, before anything is blanked.
		for what, query := range map[string]string{
			"customer": `{ customer(by: {id: "` + id + `"}) { id } }`, "by openid": `{ customer(by: {openid: "qzopenid"}) { id } }`, "node": `{ node(id: "` + id + `") { id } }`,
			"conversation": `{ conversation(customer: {id: "` + id + `"}) { id } }`, "export": `mutation { exportCustomer(input: {customer: {id: "` + id + `"}}) { lines } }`,
		} {
			if code := a.try("admin", query, nil).code(); code != "NOT_FOUND" {
				t.Errorf("%s of who was erased is %q", what, code)
			}
		}
		for who, query := range map[string]string{
			"admin":   `{ customers { nodes { openid nickname avatarUrl } } auditLog { nodes { before after } } bindings { nodes { customer { openid } } } customerChanges(first: 200) { nodes { customer { openid } from to } } a: customers(filter: {search: "qznick"}) { nodes { openid } } }`,
			"anna":    `{ customers { nodes { openid nickname } } inbox { nodes { customer { openid } lastMessage { content { ... on TextContent { text } } } } } }`,
			"analyst": `{ customers { nodes { id } } }`,
		} {
			body := string(a.do(who, query, nil).body)
			for _, secret := range append([]string{id}, secrets...) {
				if strings.Contains(strings.ToLower(body), strings.ToLower(secret)) {
					t.Errorf("%s is shown %s: %.400s", who, secret, body)
				}
			}
		}
		log := string(a.do("admin", `mutation { exportAuditLog(input: {}) { lines } }`, nil).body)
		for _, secret := range secrets {
			if strings.Contains(strings.ToLower(log), strings.ToLower(secret)) {
				t.Errorf("the export of the audit log shows %s", secret)
			}
		}
		if n := strings.Count(log, `\"after\":\"ERASED\"`); n != 3 {
			t.Errorf("%d items of the audit log are hidden: %.2000s", n, log)
		}
		sub := w.subscribe(w.bearer("anna", a.account), `subscription($after: String) { messages(after: $after) { __typename ... on Event { sequence } ... on MessageReceived { conversation { customer { openid } } } } }`, map[string]any{"after": before})
		seen := map[string]int{}
		for last := 0.0; ; {
			e := sub.next()
			seen[e["__typename"].(string)]++
			if seq := e["sequence"].(float64); seq <= last {
				t.Errorf("event %v came behind %v", seq, last)
			} else {
				last = seq
			}
			if e["__typename"] == "CustomerLeft" {
				break
			}
		}
		if seen["MessageReceived"] != 1 || seen["Withdrawn"] < 3 {
			t.Errorf("the advisor's events are %v", seen)
		}
		again, _, _ := a.feed(nil, 200)
		if len(again) != len(feed) {
			t.Errorf("the feed has %d events, it had %d", len(again), len(feed))
		}
		for _, e := range again {
			if e["__typename"] != "Withdrawn" {
				t.Errorf("the feed tells %v", e)
			}
		}
		messages := w.count("SELECT COUNT(*) FROM message WHERE account_id = ?", a.account)

		w.erased()
		mine := func() (places []string) {
			// The other account has the same person.
			all, others := w.holding(secrets...), 0
			for _, p := range all {
				if slices.Contains(places, p) {
					others++
				}
				places = append(places, p)
			}
			return places
		}
		count := map[string]int{}
		for _, p := range mine() {
			count[p]++
		}
		if theirs := other.do("admin", eraseText, map[string]any{"c": map[string]any{"openid": "qzopenid"}}); theirs.text("eraseCustomer.erasure.openidDigest") == got.text("eraseCustomer.erasure.openidDigest") {
			t.Error("two accounts can tell by the digest that they erased one person")
		}
		w.erased()
		if left := w.holding(secrets...); len(left) != 0 {
			t.Errorf("of both who were erased is left: %v", left)
		}
		if len(count) == 0 {
			t.Error("what was looked for was never there")
		}
		receipt := a.do("admin", `{ erasures(openid: "qzopenid") { nodes { id customerId finishedAt messageCount changeCount tagCount auditCount madeBy } } erasure(erasureId: "`+got.text("eraseCustomer.erasure.id")+`") { cause } }`, nil)
		node := receipt.field("erasures.nodes").([]any)[0].(map[string]any)
		if node["customerId"] != id || node["finishedAt"] == nil || node["messageCount"] != 2.0 || node["changeCount"] != 3.0 || node["tagCount"] != 1.0 || node["auditCount"] != 3.0 || node["madeBy"] != "ADMIN:admin" {
			t.Errorf("the receipt is %v", node)
		}
		if n := w.count("SELECT COUNT(*) FROM message WHERE account_id = ?", a.account); n != messages {
			t.Errorf("%d messages are left of %d", n, messages)
		}
		for _, ref := range []map[string]any{{"id": id}, {"openid": "qzopenid"}} {
			if again := a.do("admin", eraseText, map[string]any{"c": ref}).text("eraseCustomer.erasure.id"); again != got.text("eraseCustomer.erasure.id") {
				t.Errorf("erasing %v again makes another erasure", ref)
			}
		}
		w.sound()
		a.write("qzopenid", "hello again")
		if now := a.do("admin", `{ customer(by: {openid: "qzopenid"}) { id nickname advisor { id } } }`, nil); now.text("customer.id") == id || now.field("customer.nickname") != nil || now.field("customer.advisor") != nil {
			t.Errorf("who comes again is %v", now.Data)
		}
	})
}

// Ensure the receipt of an erasure waits for the file of an image that the person alone had, however long storage keeps it, and for none that somebody else
// uses or brings again; and that an erasure which waits keeps no other from its end (rules E13, H6).
func TestErasureWaitsForItsImage(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "lin of anna", "mei of anna", "zhao of anna"}}, "main")
		shared, own := a.upload("admin", imageOf(t, "PNG", 4, 3))[0], imageOf(t, "PNG", 5, 3)
		for openid, id := range map[string]string{"wei": shared, "lin": shared, "mei": a.upload("admin", own)[0]} {
			if got := a.do("admin", avatarText, map[string]any{"o": openid, "i": id}); strings.Contains(string(got.body), `"code"`) {
				t.Fatalf("%s", got.body)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM audit_item WHERE before_json = ? AND after_json = ?", `{"avatarImageId":null}`, `{"avatarImageId":"`+shared+`"}`); n != 2 {
			t.Errorf("%d items of the audit log tell that somebody got the image, want 2", n)
		}
		erase := func(openid string) func() string {
			a.do("admin", eraseText, map[string]any{"c": map[string]any{"openid": openid}})
			return func() string {
				if _, err := w.Services.SweepErasures(t.Context()); err != nil {
					t.Fatal(err)
				}
				if at, is := a.do("admin", `query($o: Identifier) { erasures(openid: $o) { nodes { finishedAt } } }`, map[string]any{"o": openid}).field("erasures.nodes").([]any)[0].(map[string]any)["finishedAt"].(string); is {
					return at
				}
				return ""
			}
		}
		if erase("wei")() == "" {
			t.Error("the image is somebody else's too, and the receipt waits")
		}
		mei := erase("mei")
		if got := a.upload("admin", own); len(got) != 1 || mei() == "" {
			t.Error("somebody brought the image again, and the receipt waits")
		}
		// A folder that is not empty stands where the file was: no disk deletes it.
		file := filesIn(t, folder)
		i := slices.IndexFunc(file, func(path string) bool { return strings.HasSuffix(path, keyOf(t, shared).String()) })
		if err := errors.Join(os.Remove(file[i]), os.MkdirAll(filepath.Join(file[i], "x"), 0o700)); err != nil {
			t.Fatal(err)
		}
		lin := erase("lin")
		if lin() != "" {
			t.Error("the image is there, and the receipt says that nothing is")
		}
		if _, err := w.Services.SweepImages(t.Context()); err == nil {
			t.Error("the file was deleted")
		}
		w.clock.Advance(limits.EraseRetry)
		if lin() != "" {
			t.Error("the file is there, and the receipt says that nothing is")
		}
		if erase("zhao")() == "" {
			t.Error("an erasure waits for the file of another")
		}
		if err := os.Remove(filepath.Join(file[i], "x")); err != nil {
			t.Fatal(err)
		}
		// Somebody who was giving the file back may have died, or may not.
		_, err := w.db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO image_file (account_id, id, image_id, due_at) VALUES (X'%s', X'%s', X'%s', %d)",
			a.account, models.NewKey(), keyOf(t, shared), w.Services.Now().Add(2*limits.ImageFileRetry)))
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(limits.ImageFileRetry)
		w.sweptImages()
		if lin() != "" {
			t.Error("the file may be written again, and the receipt says that nothing is")
		}
		w.clock.Advance(limits.ImageFileRetry)
		w.sweptImages()
		if at, want := lin(), w.Services.Now().Go().UTC().Format("2006-01-02T15:04:05.000000Z"); at != want {
			t.Errorf("with the file gone the receipt says %q, want %s", at, want)
		}
	})
}

// Ensure a name is taken out of what jobs were asked for whatever signs it has (rule E13).
func TestErasureOfAnyName(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		for _, name := range []string{`plain`, `"quoted"`, `back\slash`, `<a&b>`, `%_'`} {
			a.scanned(name, a.names["scene anna"])
			a.do("admin", `mutation($o: [Identifier!]) { rebindCustomers(input: {customers: {matching: {openids: $o}}, to: {advisor: {openid: "anna"}}}) { job { id } } }`,
				map[string]any{"o": []string{name, "another"}})
			a.do("admin", `mutation($o: Identifier!) { eraseCustomer(input: {customer: {openid: $o}}) { erasure { id } } }`, map[string]any{"o": name})
		}
		if n := w.count("SELECT COUNT(*) FROM job WHERE parameters LIKE ?", `%"openids":["`+models.Erased+`","another"]%`); n != 5 {
			t.Errorf("of 5 jobs that listed who was erased %d list nobody else any more", n)
		}
		a.scanned("two", a.names["scene anna"])
		if _, err := w.db.ExecContext(t.Context(), "UPDATE customer SET unionid = ? WHERE openid = ?", []byte("u-two"), []byte("two")); err != nil {
			t.Fatal(err)
		}
		a.do("admin", `mutation { rebindCustomers(input: {customers: {matching: {unionids: ["u-two", "another"]}}, to: {advisor: {openid: "anna"}}}) { job { id } } }`, nil)
		a.do("admin", `mutation { eraseCustomer(input: {customer: {unionid: "u-two"}}) { erasure { id } } }`, nil)
		if n := w.count("SELECT COUNT(*) FROM job WHERE parameters LIKE ?", `%"unionids":["`+models.Erased+`","another"]%`); n != 1 {
			t.Error("a job lists the unionid of who was erased")
		}
	})
}

// Ensure what waits to be sent to a person who is erased is not sent, and two erasures, a rebind and a message of
// theirs at the same time leave one erasure and no trace (rules E13, G6).
func TestErasureAmongOthers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna"}}, "main")
		a.do("admin", `mutation { simulateSending(input: {sending: STALL}) { sending } }`, nil)
		for round := range 8 {
			who := fmt.Sprintf("qz%dperson", round)
			a.follow(who, a.names["scene anna"])
			a.do("admin", updateText, map[string]any{"c": []map[string]any{{"customer": map[string]any{"openid": who}, "nickname": "QzNick"}}})
			var all sync.WaitGroup
			for _, by := range []string{"admin", "integration"} {
				all.Go(func() {
					if got := a.try(by, eraseText, map[string]any{"c": map[string]any{"openid": who}}).code(); got != "" {
						t.Errorf("one of two who erase is told %s", got)
					}
				})
			}
			all.Go(func() {
				a.try("admin", rebindText, map[string]any{"c": theseOf(who), "to": toAdvisor("ben"), "keep": map[string]any{}})
			})
			all.Go(func() {
				a.try("admin", updateText, map[string]any{"c": []map[string]any{{"customer": map[string]any{"openid": who}, "nickname": "QzLate"}}})
			})
			all.Wait()
		}
		w.erased()
		if n := w.count("SELECT COUNT(*) FROM erasure"); n != 8 {
			t.Errorf("%d erasures of 8 people", n)
		}
		listed, after := map[any]bool{}, any(nil)
		for pages := 1; ; pages++ {
			page := a.do("admin", `query($after: String) { erasures(first: 3, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }`, map[string]any{"after": after})
			for _, e := range page.field("erasures.nodes").([]any) {
				listed[e.(map[string]any)["id"]] = true
			}
			if after = page.field("erasures.pageInfo.endCursor"); page.field("erasures.pageInfo.hasNextPage") == false {
				if pages != 3 || len(listed) != 8 {
					t.Errorf("%d pages list %d erasures", pages, len(listed))
				}
				break
			}
		}
		if left := w.holding("QzNick", "QzLate", "qz0person", "qz7person"); len(left) != 0 {
			t.Errorf("what is left: %v", left)
		}
		w.sound()
	})
}

// Ensure an export has everything that is kept of a person, once and in order, page by page, and each page is in
// the audit log (rule E13, R5).
func TestExport(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold"}, Customers: []string{"wei of anna", "lin of anna"}}, "main")
		a.nicknamed("wei", "Wei")
		a.do("anna", tagText, map[string]any{"c": tagging([]string{"wei"}, []string{"gold"}, nil)})
		for i := range 5 {
			a.write("wei", fmt.Sprint("message ", i))
		}
		a.write("lin", "of another")
		export := func(first int) (kinds []string, pages int) {
			var after any
			for {
				page := a.do("admin", exportText, map[string]any{"c": map[string]any{"openid": "wei"}, "first": first, "after": after})
				pages++
				lines := page.field("exportCustomer.lines").([]any)
				if len(lines) > first {
					t.Fatalf("%d lines", len(lines))
				}
				for _, l := range lines {
					var record map[string]any
					if err := json.Unmarshal([]byte(l.(string)), &record); err != nil {
						t.Fatal(err)
					}
					if record["kind"] == "customer" && (fmt.Sprint(record["tags"]) != "[gold]" || record["windowEnd"] != w.clock.Now().UTC().Add(limits.ReplyWindow).Format(time.RFC3339Nano) || record["windowLeft"] != float64(limits.ReplyMessages)) {
						t.Errorf("the customer is exported as %v", record)
					}
					kinds = append(kinds, fmt.Sprintf("%v %v%v%v%v", record["kind"], record["nickname"], record["to"], record["text"], record["change"]))
				}
				if after = page.field("exportCustomer.endCursor"); after == nil {
					return kinds, pages
				}
			}
		}
		whole, _ := export(limits.ExportPage)
		want := []string{
			"customer Wei<nil><nil><nil>", "binding <nil><nil><nil>BOUND", "scan <nil><nil><nil><nil>", "customer_change <nil>[Wei]<nil><nil>", "customer_change <nil>[gold]<nil><nil>",
			"message <nil><nil>message 0<nil>", "message <nil><nil>message 1<nil>", "message <nil><nil>message 2<nil>", "message <nil><nil>message 3<nil>", "message <nil><nil>message 4<nil>",
		}
		if !slices.Equal(whole, want) {
			t.Errorf("the export is %q", whole)
		}
		audited := w.count("SELECT COUNT(*) FROM audit WHERE action = 'exportCustomer'")
		for first := 1; first < 6; first++ {
			parts, pages := export(first)
			if !slices.Equal(parts, want) {
				t.Errorf("%d at a time the export is %q", first, parts)
			}
			audited += int64(pages)
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action = 'exportCustomer'"); n != audited {
			t.Errorf("%d pages are in the audit log, %d were given", n, audited)
		}
		for _, bad := range []struct {
			variables map[string]any
			code      string
		}{
			{map[string]any{"first": 0}, "INVALID"}, {map[string]any{"first": limits.ExportPage + 1}, "LIMIT_EXCEEDED"}, {map[string]any{"after": "rubbish"}, "INVALID"},
		} {
			bad.variables["c"] = map[string]any{"openid": "wei"}
			if code := a.try("admin", exportText, bad.variables).code(); code != bad.code {
				t.Errorf("%v is %q, want %q", bad.variables, code, bad.code)
			}
		}
	})
}

// Ensure who stopped following is erased when their account says, to the microsecond, and not one who came back, nor
// under a setting that changed meanwhile (rule E12).
func TestUnfollowed(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{sweep: time.Hour})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "lin of anna", "bo of anna"}}, "main")
		leaves := func(who string) {
			a.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: who})
		}
		sweep := func() int {
			t.Helper()
			w.clock.Advance(limits.UnfollowInterval)
			n, err := w.Services.SweepUnfollowed(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		set := func(settings string) {
			t.Helper()
			a.do("admin", `mutation { updateAccountSettings(input: {`+settings+`}) { account { onUnfollow eraseAfterDays } } }`, nil)
		}
		leaves("wei")
		leaves("lin")
		w.clock.Advance(100 * 24 * time.Hour)
		if n := sweep(); n != 0 {
			t.Errorf("under KEEP %d were erased", n)
		}
		a.follow("lin", "")
		if got := a.person("lin"); fmt.Sprint(got["advisor"]) != "map[nickname:anna]" || got["source"] != "ADVISOR_QR" {
			t.Errorf("who came back is %v", got)
		}
		leaves("bo")
		set("onUnfollow: ERASE_AFTER, eraseAfterDays: 200")
		if n := sweep(); n != 0 {
			t.Errorf("before their time %d were erased", n)
		}
		if n, err := w.Services.SweepUnfollowed(context.Background()); n != 0 || err != nil {
			t.Errorf("a second sweep within the interval erased %d, %v", n, err)
		}
		w.clock.Advance(100*24*time.Hour - 3*limits.UnfollowInterval - time.Microsecond)
		if n := sweep(); n != 0 {
			t.Errorf("a microsecond before their time %d were erased", n)
		}
		w.clock.Advance(time.Microsecond)
		if n := sweep(); n != 1 || a.try("admin", `{ customer(by: {openid: "wei"}) { id } }`, nil).code() != "NOT_FOUND" {
			t.Errorf("at their time %d were erased", n)
		}
		set("onUnfollow: ERASE_NOW")
		leaves("lin")
		if n := sweep(); n != 2 {
			t.Errorf("at once %d were erased", n)
		}
		if n := w.count("SELECT COUNT(*) FROM erasure WHERE cause = 'UNFOLLOWED' AND made_by = ''"); n != 3 {
			t.Errorf("%d erasures", n)
		}
		w.erased()
		w.sound()
		for settings, code := range map[string]string{"eraseAfterDays: 0": "INVALID", "eraseAfterDays: 1": "", "eraseAfterDays: 3650": "", "eraseAfterDays: 3651": "INVALID"} {
			if got := a.try("admin", `mutation { updateAccountSettings(input: {`+settings+`}) { account { id } } }`, nil).code(); got != code {
				t.Errorf("%s is %q, want %q", settings, got, code)
			}
		}
		b := w.found(setup{Channel: "WECHAT"}, "wechat")
		if got := fmt.Sprint(b.do("admin", `{ account { onUnfollow eraseAfterDays } }`, nil).Data); !strings.Contains(got, "ERASE_AFTER") || !strings.Contains(got, "30") {
			t.Errorf("an account of WECHAT has %s", got)
		}
	})
}
