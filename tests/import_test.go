package tests

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

const (
	appendText = `mutation($i: ID!, $at: Int!, $data: Base64!) { uploadImport(input: {importId: $i, offset: $at, data: $data}) { import { size recordCount } } }`
	beginText  = `mutation($i: ID!) { startImport(input: {importId: $i}) { job { id state totalCount } import { job { id } expiresAt } } }`
	failedText = `query($id: ID!, $after: String) { job(jobId: $id) { failedItems(first: 200, after: $after) { nodes { number customer { openid } error { code message field } } } } }`
)

// uploading begins an import of customers and uploads a file in parts of some size.
func (t *tenant) uploading(file string, part int) (id string) {
	t.tb.Helper()
	return t.uploadingOf("CUSTOMERS", file, part)
}

// uploadingOf is uploading of a kind of file.
func (t *tenant) uploadingOf(kind, file string, part int) (id string) {
	t.tb.Helper()
	id = t.do("admin", `mutation($k: ImportKind!) { createImport(input: {kind: $k}) { import { id kind size recordCount madeBy job { id } expiresAt } } }`,
		map[string]any{"k": kind}).text("createImport.import.id")
	for at := 0; at < len(file); at += part {
		t.do("admin", appendText, map[string]any{"i": id, "at": at, "data": []byte(file[at:min(at+part, len(file))])})
	}
	return id
}

// imported imports a file and answers its job, once that has ended.
func (t *tenant) imported(file string) (job string) {
	t.tb.Helper()
	job = t.do("admin", beginText, map[string]any{"i": t.uploading(file, limits.ImportPartBytes)}).text("startImport.job.id")
	t.worked()
	return job
}

// failed is what of a job failed: "2 openid INVALID".
func (t *tenant) failed(job string) (all []string) {
	t.tb.Helper()
	for _, n := range t.do("admin", failedText, map[string]any{"id": job}).field("job.failedItems.nodes").([]any) {
		item := n.(map[string]any)
		why := item["error"].(map[string]any)
		if number := item["number"].(float64); !strings.HasPrefix(why["message"].(string), fmt.Sprintf("record %v: ", number)) {
			t.tb.Errorf("the error of item %v says %q", number, why["message"])
		}
		all = append(all, fmt.Sprint(item["number"], " ", why["field"], " ", why["code"]))
	}
	return all
}

// person is what is shown of a customer.
func (t *tenant) person(openid string) map[string]any {
	t.tb.Helper()
	return t.do("admin", `query($o: Identifier!) { customer(by: {openid: $o}) { openid unionid nickname avatarUrl info followState followedAt region { country province city }
		tags { name } advisor { nickname } source boundAt } }`, map[string]any{"o": openid}).field("customer").(map[string]any)
}

// Ensure a file brings customers with all that it says of them, writes what it says of those who are known, and
// tells for each record that it cannot do why, which then leaves nothing behind (rule E11).
func TestImport(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{
			Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold silver", "taste of green"},
			Customers: []string{"wei of anna"}, Followers: []string{"left", "free"}, Settings: map[string]any{"isAutoAssignOn": false},
		}, "main")
		a.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: "left"})
		a.nicknamed("wei", "Old")
		a.do("admin", inviteText, map[string]any{"a": []map[string]any{{"openid": "free", "nickname": "Fay"}}})
		w.relayed()
		live := w.subscribe(w.bearer("anna", a.account), `subscription { messages { __typename } }`, nil)
		feed := w.subscribe(w.bearer("admin", a.account), changeWatch, nil)
		notices, audits := w.count("SELECT COUNT(*) FROM notification"), w.count("SELECT COUNT(*) FROM audit")

		job := a.imported("\uFEFFOpenID,unionid,nickname,info,country,province,city,tags,followed_at,advisor_openid,source,bound_at\r\n" +
			"new1,u1,王小明,\"likes tea\nhas a dog\",CN,广东,深圳,gold; Green,2025-01-02 03:04:05,anna,WECHAT_AD,2025-02-03T00:00:00+08:00\r\n" +
			"\r\n" +
			"new2,,,,,,,,,,,\r\n" +
			"wei,u2,New,,,,,SILVER,,anna,,\r\n" + // theirs already
			"free,,Free,,,,,,,ben,API,\r\n" +
			"wei,,Lost,,,,,,,ben,,\r\n" + // 5
			"left,,Left,,,,,,,ben,,\r\n" +
			"new3,,,,,,,bronze,,,,\r\n" +
			"new3,,,,,,,,,nobody,,\r\n" +
			",,,,,,,,,,,\r\n" +
			"new3,,,,,,,,2999-01-01,,,\r\n" + // 10
			"new3,,,,,,,,,,FRIEND,\r\n" +
			"new3,too few\r\n" +
			"new 3,,,,,,,,,,,\r\n" +
			"new3,,\"quote\" inside,,,,,,,,,\r\n" +
			"new3,," + strings.Repeat("字", limits.CustomerNicknameRunes+1) + ",,,,,,,,,\r\n" + // 15
			"new3,,,,,,,,yesterday,,,\r\n" +
			"new4,,,,,,,,,anna,,\r\n" +
			"anna,,,,,,,,,anna,,\r\n" +
			"new6,,,,,,,,,free,,\r\n") // PENDING
		if got := a.failed(job); !slices.Equal(got, []string{
			"5 advisor_openid BOUND_TO_ANOTHER_ADVISOR", "6 advisor_openid NOT_FOLLOWING", "7 tags NOT_FOUND", "8 advisor_openid NOT_FOUND", "9 openid INVALID", "10 followed_at INVALID",
			"11 source INVALID", "12 <nil> INVALID", "13 openid INVALID", "14 <nil> INVALID", "15 nickname LIMIT_EXCEEDED", "16 followed_at INVALID", "18 advisor_openid SELF",
			"19 advisor_openid STATE",
		}) {
			t.Errorf("what failed: %q", got)
		}
		if j := a.job(job); j.text("state") != "FINISHED" || j.field("totalCount") != 19.0 || j.field("doneCount") != 19.0 || j.field("changedCount") != 5.0 {
			t.Errorf("the job is %v", j.Data)
		}
		for openid, want := range map[string]map[string]any{
			"new1": {
				"openid": "new1", "unionid": "u1", "nickname": "王小明", "info": []any{"likes tea", "has a dog"}, "followState": "FOLLOWING",
				"followedAt": "2025-01-01T19:04:05.000000Z", "region": map[string]any{"country": "CN", "province": "广东", "city": "深圳"},
				"tags": []any{map[string]any{"name": "gold"}, map[string]any{"name": "green"}}, "advisor": map[string]any{"nickname": "anna"},
				"source": "WECHAT_AD", "boundAt": "2025-02-02T16:00:00.000000Z",
			},
			"new2": {"nickname": nil, "advisor": nil, "followState": "FOLLOWING", "source": nil},
			"wei":  {"unionid": "u2", "nickname": "New", "tags": []any{map[string]any{"name": "silver"}}, "source": "ADVISOR_QR"},
			"free": {"nickname": "Free", "advisor": map[string]any{"nickname": "ben"}, "source": "API"},
			"left": {"nickname": nil, "followState": "UNFOLLOWED"},
			"new4": {"advisor": map[string]any{"nickname": "anna"}, "source": "API"},
		} {
			got := a.person(openid)
			for field, value := range want {
				if fmt.Sprint(got[field]) != fmt.Sprint(value) {
					t.Errorf("%s has %s %v, want %v", openid, field, got[field], value)
				}
			}
		}
		if a.try("admin", `{ customer(by: {openid: "new3"}) { id } }`, nil).code() != "NOT_FOUND" {
			t.Error("a record that failed left a customer")
		}
		w.sound()
		// One event for each advisor, no notification; what was known and changed is in the feed.
		if e := live.next(); e["__typename"] != "CustomersImported" {
			t.Errorf("the advisor was told %v", e)
		}
		if n := w.count("SELECT COUNT(*) FROM notification"); n != notices {
			t.Errorf("%d notifications were made", n-notices)
		}
		if n := w.count("SELECT COUNT(*) FROM audit"); n != audits+2 {
			t.Errorf("%d entries are in the audit log", n-audits)
		}
		var told []string
		for range 3 {
			told = append(told, changed(feed.next()))
		}
		slices.Sort(told)
		if want := []string{"free NICKNAME [] [Free]", "wei NICKNAME [Old] [New]", "wei TAGS [] [silver]"}; !slices.Equal(told, want) {
			t.Errorf("the feed tells %v", told)
		}
		if n := w.count("SELECT COUNT(*) FROM binding WHERE source IN ('WECHAT_AD', 'API') AND made_by = 'ADMIN:admin' AND change_kind = 'BOUND'"); n != 3 {
			t.Errorf("%d bindings are in the history", n)
		}
		a.imported("openid\nnew1\nnew5\n")
		if got := a.person("new1"); got["nickname"] != "王小明" {
			t.Errorf("an empty file's nickname is %v", got["nickname"])
		}
	})
}

// Ensure a file in GB18030, in parts that end anywhere, is read like one in UTF-8, and a million bytes of one bad
// record do not cost the others (rule E11).
func TestImportOfAnyFile(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		var rows strings.Builder
		rows.WriteString("昵称在后,openid\n")
		text := "openid,nickname\n"
		for i := range 40 {
			text += fmt.Sprintf("g%d,\"王%d\n", i, i)[:len(fmt.Sprintf("g%d,", i))] + fmt.Sprintf("王小明%d\n", i)
		}
		file, err := simplifiedchinese.GB18030.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		id := a.uploading(file, 37)
		job := a.do("integration", beginText, map[string]any{"i": id}).text("startImport.job.id")
		w.worked()
		if j := a.job(job); j.field("changedCount") != 40.0 || j.field("totalCount") != 40.0 {
			t.Errorf("the job is %v", j.Data)
		}
		if got := a.person("g39"); got["nickname"] != "王小明39" {
			t.Errorf("the last is called %v", got["nickname"])
		}
		for what, bad := range map[string]string{
			"a column that is unknown": "openid,birthday\nx,y\n", "no openid": "nickname\nx\n", "a column twice": "openid,OpenID\nx,y\n",
			"nothing": "\n\n", "no header that can be read": "\"openid\nx", "another's words": rows.String(),
			"UTF-16, as spreadsheet programs save it": "\xff\xfeo\x00p\x00e\x00n\x00i\x00d\x00\n\x00x\x00\n\x00", "UTF-16 without a mark": "o\x00p\x00e\x00n\x00i\x00d\x00\n\x00x\x00\n\x00",
		} {
			id := a.uploading(bad, 1000)
			if got := a.try("admin", beginText, map[string]any{"i": id}); got.code() != "INVALID" || got.Errors[0].Extensions["field"] != "input.importId" {
				t.Errorf("%s: %.300s", what, got.body)
			}
			a.do("admin", `mutation($i: ID!) { deleteImport(input: {importId: $i}) { importId } }`, map[string]any{"i": id})
		}
		if got := a.try("admin", beginText, map[string]any{"i": a.uploading("", 1)}); got.code() != "INVALID" {
			t.Errorf("an empty file: %.300s", got.body)
		}
		many := "openid,nickname\n"
		for i := range 2*limits.ImportRecords + 1 {
			switch i {
			case 700:
				many += "bad,\"" + strings.Repeat("x", limits.ImportRecordBytes) + "\n"
			case limits.ImportRecords + 500:
				many += strings.Repeat("y", limits.ImportRecordBytes+1) + "\n"
			default:
				many += fmt.Sprintf("m%d,M\n", i)
			}
		}
		job = a.imported(many)
		if j := a.job(job); j.field("changedCount") != 2.0*limits.ImportRecords-1 || fmt.Sprint(j.field("failures")) != "[map[code:INVALID count:2]]" {
			t.Errorf("the job is %v", j.Data)
		}
		if got := a.failed(job); !slices.Equal(got, []string{"701 <nil> INVALID", fmt.Sprint(limits.ImportRecords+501, " <nil> INVALID")}) {
			t.Errorf("what failed: %q", got)
		}
	})
}

// Ensure an upload that is interrupted goes on where it was, and no part is taken twice or out of turn; limits hold
// (rule E11).
func TestImportIsUploaded(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		other := w.found(setup{Advisors: []string{"anna"}}, "other")
		id := a.uploading("openid\nx1\n", 1000)
		put := func(at int, data string) *answer {
			return a.try("admin", appendText, map[string]any{"i": id, "at": at, "data": []byte(data)})
		}
		for _, step := range []struct {
			at   int
			data string
			code string
		}{
			{10, "x2\n", ""},
			{10, "x2\n", ""},
			{10, "x3\n", "INVALID"},
			{11, "2\n", "INVALID"},
			{14, "x4\n", "INVALID"},
			{-1, "x", "LIMIT_EXCEEDED"},
			{13, "", "INVALID"},
			{13, strings.Repeat("x", limits.ImportPartBytes+1), "LIMIT_EXCEEDED"},
			{13, "x3", ""},
		} {
			if got := put(step.at, step.data); got.code() != step.code {
				t.Errorf("%d bytes at %d: %.200s", len(step.data), step.at, got.body)
			}
		}
		var most sync.WaitGroup
		var same sync.Map
		for i := range 8 {
			most.Go(func() { same.Store(i, put(15, "\nx4\n").code()) })
		}
		most.Wait()
		same.Range(func(_, code any) bool {
			if code != "" {
				t.Errorf("one of eight who say the same is told %v", code)
			}
			return true
		})
		if got := a.do("admin", `query($i: ID!) { import(importId: $i) { size recordCount job { id } expiresAt } }`, map[string]any{"i": id}).field("import"); fmt.Sprint(got) != "map[expiresAt:2026-03-03T02:00:00.000000Z job:<nil> recordCount:4 size:19]" &&
			got.(map[string]any)["size"] != 19.0 {
			t.Errorf("the import is %v", got)
		}
		if got := other.try("admin", appendText, map[string]any{"i": id, "at": 19, "data": []byte("x")}).code(); got != "NOT_FOUND" {
			t.Errorf("another account is told %q", got)
		}
		if got := put(19, strings.Repeat("y", limits.ImportPartBytes)).code(); got != "" {
			t.Errorf("the largest part is %q", got)
		}
		job := a.do("admin", beginText, map[string]any{"i": id}).text("startImport.job.id")
		if again := a.do("admin", beginText, map[string]any{"i": id}).text("startImport.job.id"); again != job {
			t.Error("starting it twice makes two jobs")
		}
		if got := put(15, "\nx4\n").code(); got != "" {
			t.Errorf("a part that was taken before it was started is %q", got)
		}
		if got := put(19+limits.ImportPartBytes, "x"); got.code() != "STATE" || got.Errors[0].Extensions["field"] != "input.importId" {
			t.Errorf("a part for an import that was started: %.200s", got.body)
		}
		if got := a.try("admin", `mutation($i: ID!) { deleteImport(input: {importId: $i}) { importId } }`, map[string]any{"i": id}); got.code() != "STATE" || got.Errors[0].Extensions["field"] != "input.importId" {
			t.Errorf("discarding it then: %.200s", got.body)
		}
		// Ten may be open.
		var all sync.WaitGroup
		codes := make([]string, limits.ImportsOpen+2)
		for i := range codes {
			all.Go(func() {
				codes[i] = a.try("admin", `mutation { createImport(input: {kind: CUSTOMERS}) { import { id } } }`, nil).code()
			})
		}
		all.Wait()
		count := map[string]int{}
		for _, c := range codes {
			count[c]++
		}
		if want := map[string]int{"": limits.ImportsOpen - 1, "LIMIT_EXCEEDED": 3}; !maps.Equal(count, want) {
			t.Errorf("of %d who begin one: %v", len(codes), count)
		}
		// One that was given up is none of them.
		gone := a.do("admin", `query { auditLog(first: 1, filter: {action: "createImport"}) { nodes { targetId } } }`, nil).field("auditLog.nodes").([]any)[0].(map[string]any)["targetId"]
		a.do("admin", `mutation($i: ID!) { deleteImport(input: {importId: $i}) { importId } }`, map[string]any{"i": gone})
		if got := a.try("admin", `mutation { createImport(input: {kind: CUSTOMERS}) { import { id } } }`, nil).code(); got != "" {
			t.Errorf("one in the place of one that was given up is %q", got)
		}
		// What is left alone for a day is forgotten, with its bytes, and so is what was deleted or has ended.
		w.settled()
		w.clock.Advance(limits.ImportLife + limits.ClockSkew + time.Second)
		if done := w.retain(); done.Imports != limits.ImportsOpen {
			t.Errorf("%d imports were forgotten", done.Imports)
		}
		a.do("admin", `mutation($i: ID!) { cancelJob(input: {jobId: $i}) { job { id } } }`, map[string]any{"i": job})
		w.clock.Advance(limits.RetentionInterval)
		w.retain()
		if n := w.count("SELECT COUNT(*) FROM import") + w.count("SELECT COUNT(*) FROM import_part"); n != 0 {
			t.Errorf("%d rows of files are left", n)
		}
	})
}

// Ensure a file grows to 1 GiB and no byte further (rule E11). What was uploaded before is told to the database alone.
func TestImportAsLargeAsMayBe(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{}, "main")
		id := a.uploading("openid\nx1\n", 1000)
		put := func(at int64, data string) string {
			got := a.try("admin", appendText, map[string]any{"i": id, "at": at, "data": []byte(data)})
			if got.code() == "LIMIT_EXCEEDED" && got.Errors[0].Extensions["limit"] != float64(limits.ImportBytes) {
				t.Errorf("the limit is told as %v", got.Errors[0].Extensions["limit"])
			}
			return got.code()
		}
		if _, err := w.db.ExecContext(t.Context(), "UPDATE import SET size = ?", limits.ImportBytes-2); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			at   int64
			data string
			code string
		}{
			{limits.ImportBytes - 2, "abc", "LIMIT_EXCEEDED"}, {limits.ImportBytes - 2, "ab", ""}, {limits.ImportBytes, "c", "LIMIT_EXCEEDED"},
		} {
			if got := put(step.at, step.data); got != step.code {
				t.Errorf("%d bytes at %d: %q, want %q", len(step.data), step.at, got, step.code)
			}
		}
		if n := w.count("SELECT size FROM import"); n != limits.ImportBytes {
			t.Errorf("the file has %d bytes", n)
		}
	})
}

// Ensure a chunk takes as many statements for as many records as a statement writes as for 50, what is done stays when the account is closed, and
// the job goes on behind it (rules A1, E11).
func TestImportByChunks(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold"}}, "main")
		file := func(from, n int) string {
			text := "openid,nickname,tags,advisor_openid\n"
			for i := range n {
				text += fmt.Sprintf("p%d,P,gold,%s\n", from+i, []string{"anna", "ben"}[i%2])
			}
			return text
		}
		counts := map[int]int64{}
		for _, n := range []int{50, 2 * limits.BindBatch} {
			a.do("admin", beginText, map[string]any{"i": a.uploading(file(n, n), limits.ImportPartBytes)})
			j := w.claimed()
			var statements atomic.Int64
			j, err := w.Services.StepJob(store.CountStatements(context.Background(), &statements), j)
			if err != nil || j.State != models.JobFinished || j.Changed != int64(n) {
				t.Fatalf("of %d the job is %+v, %v", n, j, err)
			}
			counts[n] = statements.Load()
		}
		if counts[50] != counts[2*limits.BindBatch] {
			t.Errorf("statements of a chunk: %v", counts)
		}
		id := a.do("admin", beginText, map[string]any{"i": a.uploading(file(5000, 2*limits.ImportRecords+10), limits.ImportPartBytes)}).text("startImport.job.id")
		j := w.stepped(w.claimed())
		a.do("admin", `mutation { closeAccount(input: {confirm: true}) { account { id } } }`, nil)
		if _, err := w.Services.StepJob(context.Background(), j); err == nil {
			t.Error("a chunk was done while the account is closed")
		}
		a.do("admin", `mutation { acceptTerms(input: {version: "1"}) { account { id } } }`, nil)
		for j = w.claimed(); !j.IsEnded(); {
			j = w.stepped(j)
		}
		if got := a.job(id); got.field("changedCount") != 2.0*limits.ImportRecords+10 || len(a.failed(id)) != 0 {
			t.Errorf("the job is %v", got.Data)
		}
		if n := w.count("SELECT SUM(customer_count) FROM advisor"); n != int64(2*limits.ImportRecords+2*limits.BindBatch+60) {
			t.Errorf("the advisors have %d customers", n)
		}
		a.do("admin", beginText, map[string]any{"i": a.uploading(file(1, 1), limits.ImportPartBytes)})
		if _, err := w.db.ExecContext(t.Context(), "DELETE FROM import_part"); err != nil {
			t.Fatal(err)
		}
		if j, err := w.Services.StepJob(t.Context(), w.claimed()); err != nil || j.State != models.JobFailed {
			t.Errorf("without its file the job is %+v, %v", j, err)
		}
		w.sound()
	})
}

// Ensure of two imports of the same people, while they follow by themselves, everybody comes once (rules E1, E11).
func TestImportsOfTheSame(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}}, "main")
		const n = 400
		forth, back := "openid,advisor_openid\n", "openid,advisor_openid\n"
		for i := range n {
			forth += fmt.Sprintf("s%d,anna\n", i)
			back += fmt.Sprintf("s%d,anna\n", n-1-i)
		}
		one, two := a.uploading(forth, 100_000), a.uploading(back, 100_000)
		var all sync.WaitGroup
		for _, id := range []string{one, two} {
			all.Go(func() { a.do("admin", beginText, map[string]any{"i": id}) })
		}
		all.Go(func() {
			for i := range n / 20 {
				_, err := w.Services.Ingest(context.Background(), a.account, models.Inbound{
					Kind: models.InboundFollow, DedupKey: fmt.Sprint("f", i), OpenID: fmt.Sprintf("s%d", 20*i), At: models.At(w.clock.Now()),
				})
				if err != nil {
					t.Errorf("follower %d: %v", i, err)
				}
			}
		})
		all.Wait()
		w.contended()
		if got := w.count("SELECT COUNT(*) FROM customer WHERE advisor_id IS NOT NULL"); got != n {
			t.Errorf("%d of %d have an advisor", got, n)
		}
		if got := w.count("SELECT COUNT(*) FROM job WHERE state = 'FINISHED' AND done = ?", n); got != 2 {
			t.Errorf("%d jobs did all", got)
		}
		w.sound()
	})
}

// Ensure an import brings pictures of customers, keeps what a record leaves empty, and names the column of one that is none (rules E8, E11).
func TestImportOfPictures(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Followers: []string{"mei", "lin"}}, "main")
		a.imported("openid,avatar_url\nmei,https://pictures.example/mei.png\nnew,http://pictures.example/new.png\n")
		job := a.imported("openid,avatar_url\nmei,\nlin,ftp://pictures.example/lin.png\n")
		if got := a.failed(job); !slices.Equal(got, []string{"2 avatar_url INVALID"}) {
			t.Errorf("what failed: %q", got)
		}
		for openid, want := range map[string]any{"mei": "https://pictures.example/mei.png", "new": "http://pictures.example/new.png", "lin": nil} {
			if got := a.person(openid)["avatarUrl"]; got != want {
				t.Errorf("%s has %v, want %v", openid, got, want)
			}
		}
	})
}

// Ensure an import takes up bindings that wait since their customers left, as new ones, of the same advisor or another, with its source, label and instant; that
// the advisors are told, and have the tags; and that a file which changes nothing tells nobody (rules E2, E11, E12, V5).
func TestImportTakesUpBindings(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold silver"}, Customers: []string{"wei of anna", "li of anna", "bao of anna"}}, "main")
		a.do("anna", tagText, map[string]any{"c": tagging([]string{"wei", "li"}, []string{"gold"}, nil)})
		a.write("li", "hello")
		a.do("admin", `mutation { closeAccount(input: {confirm: true}) { account { id } } }`, nil)
		for _, who := range []string{"wei", "li"} {
			a.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: who})
			a.follow(who, "")
		}
		a.do("admin", `mutation { acceptTerms(input: {version: "1"}) { account { id } } }`, nil)
		w.relayed()
		watch := `subscription { messages { __typename ... on CustomerLeft { customerId } } }`
		anna, ben := w.subscribe(w.bearer("anna", a.account), watch, nil), w.subscribe(w.bearer("ben", a.account), watch, nil)

		job := a.imported("openid,tags,label,source,bound_at,advisor_openid\n" +
			"wei,gold;silver,shop 1,GROUP_QR,2026-01-02T00:00:00Z,anna\nli,gold,,,,ben\n" +
			"new1,silver,shop 2,ADVISOR_QR,2026-01-05T00:00:00Z,anna\nnew2,,,,2026-01-03T00:00:00Z,anna\n")
		if got := a.failed(job); len(got) != 0 {
			t.Errorf("what failed: %q", got)
		}
		li := a.do("admin", `{ customer(by: {openid: "li"}) { id } }`, nil).text("customer.id")
		for _, want := range []string{"CustomerLeft " + li, "CustomersImported <nil>"} {
			if e := anna.next(); fmt.Sprint(e["__typename"], " ", e["customerId"]) != want {
				t.Errorf("anna was told %v, want %s", e, want)
			}
		}
		if e := ben.next(); e["__typename"] != "CustomersImported" {
			t.Errorf("ben was told %v", e)
		}
		for openid, want := range map[string]string{
			"wei": "BOUND GROUP_QR shop 1 anna <nil> 2026-01-02T00:00:00.000000Z shop 1", "li": "REBOUND API <nil> ben anna " + w.clock.Now().UTC().Format("2006-01-02T15:04:05.000000Z") + " <nil>",
			"new1": "BOUND ADVISOR_QR shop 2 anna <nil> 2026-01-05T00:00:00.000000Z shop 2",
		} {
			got := a.do("admin", `query($o: Identifier!) { bindings(first: 1, filter: {customer: {openid: $o}}) { nodes { change source label at advisor { nickname } formerAdvisor { nickname } customer { label } } } }`, map[string]any{"o": openid})
			b := got.field("bindings.nodes").([]any)[0].(map[string]any)
			name := func(of any) any {
				if of == nil {
					return nil
				}
				return of.(map[string]any)["nickname"]
			}
			if is := fmt.Sprint(b["change"], " ", b["source"], " ", b["label"], " ", name(b["advisor"]), " ", name(b["formerAdvisor"]), " ", b["at"], " ", b["customer"].(map[string]any)["label"]); is != want {
				t.Errorf("%s is %s, want %s", openid, is, want)
			}
		}
		const has = "map[customer:map[openid:%s tags:%v] unreadCount:%d]"
		inbox := `{ inbox { nodes { unreadCount customer { openid tags { name } } } } }`
		gold, silver := "map[name:gold]", "map[name:silver]"
		if got, want := a.do("ben", inbox, nil).field("inbox.nodes"), "["+fmt.Sprintf(has, "li", "["+gold+"]", 0)+"]"; fmt.Sprint(got) != want {
			t.Errorf("ben has %v, want %s", got, want)
		}
		got := fmt.Sprint(a.do("anna", inbox, nil).field("inbox.nodes"))
		for _, want := range []string{
			fmt.Sprintf(has, "wei", "["+gold+" "+silver+"]", 0), fmt.Sprintf(has, "new1", "["+silver+"]", 0) + " " + fmt.Sprintf(has, "new2", "[]", 0) + "]",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("anna has %s, not %s", got, want)
			}
		}
		w.sound()

		const told = "SELECT COUNT(*) FROM event WHERE kind = 'CUSTOMERS_IMPORTED'"
		w.relayed()
		before := w.count(told)
		a.imported("openid,tags\nwei,gold\n")
		w.relayed()
		if n := w.count(told); n != before {
			t.Errorf("a file that changes nothing made %d events", n-before)
		}
		a.imported("openid,nickname\nbao,Bao\n")
		if e := anna.next(); e["__typename"] != "CustomersImported" {
			t.Errorf("of another nickname anna was told %v", e)
		}
	})
}
