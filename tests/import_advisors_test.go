package tests

import (
	"context"
	"fmt"
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

// staffed imports a file of advisors and answers its job, once that has ended.
func (t *tenant) staffed(file string) (job string) {
	t.tb.Helper()
	job = t.do("admin", beginText, map[string]any{"i": t.uploadingOf("ADVISORS", file, limits.ImportPartBytes)}).text("startImport.job.id")
	t.worked()
	return job
}

// advisor is what is shown of an advisor: "PENDING Anna http://a [tea]".
func (t *tenant) advisor(by, name string) string {
	t.tb.Helper()
	a := t.try("admin", `query($by: AdvisorRef!) { advisor(by: $by) { state nickname avatarUrl externalId groups { name } } }`, map[string]any{"by": map[string]any{by: name}})
	if a.code() != "" {
		return a.code()
	}
	var groups []string
	for _, g := range a.field("advisor.groups").([]any) {
		groups = append(groups, g.(map[string]any)["name"].(string))
	}
	return fmt.Sprint(a.field("advisor.state"), " ", a.field("advisor.nickname"), " ", a.field("advisor.avatarUrl"), " ", a.field("advisor.externalId"), " ", groups)
}

// waitlisted invites people by their WeChat ids.
func (t *tenant) waitlisted(wechatIDs ...string) {
	t.tb.Helper()
	for _, id := range wechatIDs {
		t.do("admin", `mutation($w: Identifier!) { inviteAdvisors(input: {advisors: [{wechatId: $w, nickname: "waits"}]}) { results { advisor { id } } } }`, map[string]any{"w": id})
	}
}

func (t *tenant) dismissed(openid string) {
	t.tb.Helper()
	t.do("admin", `mutation($o: Identifier!) { removeAdvisor(input: {advisor: {openid: $o}}) { advisor { id } } }`, map[string]any{"o": openid})
	t.worked()
}

const aboutText = `query($id: ID!) { job(jobId: $id) { kind madeBy failedItems(first: 200) { nodes { number customer { id } advisor { id } } } } }`

// Ensure a file invites people as a call does, changes those who are advisors, puts them into groups, and tells for each record that it cannot
// do why, which then leaves nothing behind (rules B1 to B4, B7, D1, R5).
func TestImportOfAdvisors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{
			Advisors: []string{"anna", "ben", "carl", "dora"}, Groups: []string{"tea of anna", "coffee", "a;b\\c"},
			Followers: []string{"mei", "lin", "kf_1", "left", "qiu"},
		}, "main")
		other := w.found(setup{Groups: []string{"theirs"}}, "other")
		a.waitlisted("w-1", "w-2")
		a.dismissed("carl")
		a.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: "left"})
		changes := w.count("SELECT COUNT(*) FROM event WHERE kind = 'ADVISOR_CHANGED'")
		counts := func() string {
			return fmt.Sprint("invited ", w.count("SELECT COUNT(*) FROM audit WHERE action = 'inviteAdvisors' AND request_id = 'test'"),
				" changed ", w.count("SELECT COUNT(*) FROM audit WHERE action = 'updateAdvisor'"), " joined ", w.count("SELECT COUNT(*) FROM audit WHERE action = 'addGroupAdvisors'"),
				" told ", w.count("SELECT COUNT(*) FROM notification WHERE kind = 'ADVISOR_ADDED'"), " codes ", w.count("SELECT COUNT(*) FROM qr_code"))
		}
		if got := counts(); got != "invited 6 changed 0 joined 1 told 6 codes 10" {
			t.Fatalf("it begins with %s", got)
		}
		job := a.staffed("Nickname,OPENID,unionid,wechat_id,external_id,avatar_url,groups,state\n" +
			"Mei,mei,u-mei,,e-mei,http://pictures/mei,TEA; a\\;b\\\\c ;tea,\n" + // 1
			"Lin,,,w-lin,,,,PENDING\n" +
			",anna,,,e-anna,http://pictures/anna,coffee,ACTIVE\n" +
			"Benny,ben,,,,,,\n" +
			",carl,,,,,tea,\n" + // 5: invited again, as they were
			"Mei Mei,mei,,,,,coffee,\n" + // again, in turn
			",mei,,,,,coffee,\n" +
			",nobody-1,,,,,,\n" + // 8: no nickname
			"x,nobody-2,,,,,,\n" +
			"x,left,,,,,,\n" + // 10
			"x,kf_1,,,,,,\n" +
			"x,qiu,,,,,tea;unknown,\n" +
			"x,qiu,,,,,theirs,\n" +
			"x,anna,,w-1,,,,\n" + // 14: two people
			"x,dora,u-dora,,,,,\n" + // ACTIVE, and not known by it
			"x,other,,,e-mei,,,\n" + // the external id is somebody's who has another openid
			"x,,,,e-9,,,\n" + // 17: nobody
			"12345678901234567,qiu,,,,,,\n" +
			"x,q iu,,,,,,\n" +
			"x,qiu,,,,javascript:1,,\n" + // 20
			"x,qiu,,,,,,RETIRED\n" +
			"x,qiu\n" +
			"x,dora,,,,,,REMOVED\n" + // 23: passed over
			"x,somebody,,,,,unknown,refused\n" +
			",qiu,u-qiu,w-1,,,,\n" + // 25: who has the invitation is told who they are
			",nobody-2,,w-2,,,,\n" +
			"Benny,ben,,,,,,ACTIVE\n")
		if got := a.failed(job); !slices.Equal(got, []string{
			"8 nickname INVALID", "9 <nil> MUST_FOLLOW_ACCOUNT", "10 <nil> MUST_FOLLOW_ACCOUNT", "11 <nil> ALREADY_SERVICE_AGENT", "12 groups NOT_FOUND", "13 groups NOT_FOUND",
			"14 <nil> CONFLICT", "15 unionid CONFLICT", "16 openid CONFLICT", "17 <nil> INVALID", "18 nickname LIMIT_EXCEEDED", "19 openid INVALID", "20 avatar_url INVALID",
			"21 state INVALID", "22 <nil> INVALID", "26 <nil> MUST_FOLLOW_ACCOUNT",
		}) {
			t.Errorf("what failed: %q", got)
		}
		if j := a.job(job); j.text("state") != "FINISHED" || j.field("totalCount") != 27.0 || j.field("doneCount") != 27.0 || j.field("changedCount") != 7.0 {
			t.Errorf("the job is %v", j.Data)
		}
		for _, who := range []struct{ by, name, want string }{
			{"openid", "mei", `PENDING Mei Mei http://pictures/mei e-mei [a;b\c coffee tea]`},
			{"unionid", "u-mei", `PENDING Mei Mei http://pictures/mei e-mei [a;b\c coffee tea]`},
			{"wechatId", "w-lin", "PENDING Lin <nil> <nil> []"},
			{"openid", "anna", "ACTIVE anna http://pictures/anna e-anna [coffee tea]"},
			{"openid", "ben", "ACTIVE Benny <nil> <nil> []"},
			{"openid", "carl", "PENDING carl <nil> <nil> [tea]"},
			{"openid", "dora", "ACTIVE dora <nil> <nil> []"},
			{"openid", "qiu", "PENDING waits <nil> <nil> []"},
			{"unionid", "u-qiu", "PENDING waits <nil> <nil> []"},
			{"wechatId", "w-1", "PENDING waits <nil> <nil> []"},
			{"wechatId", "w-2", "PENDING waits <nil> <nil> []"},
			{"openid", "nobody-1", "NOT_FOUND"},
			{"openid", "nobody-2", "NOT_FOUND"},
			{"openid", "left", "NOT_FOUND"},
			{"openid", "kf_1", "NOT_FOUND"},
			{"openid", "somebody", "NOT_FOUND"},
			{"openid", "other", "NOT_FOUND"},
		} {
			if got := a.advisor(who.by, who.name); got != who.want {
				t.Errorf("%s is %q, want %q", who.name, got, who.want)
			}
		}
		for name, want := range map[string]float64{"tea": 3, "coffee": 2, `a;b\c`: 1} {
			if got := a.do("admin", `query($id: ID!) { node(id: $id) { ... on Group { memberCount } } }`, map[string]any{"id": a.names["id "+name]}).field("node.memberCount"); got != want {
				t.Errorf("%s has %v members, want %v", name, got, want)
			}
		}
		// As calls would have left it: three invited, three changed who were not invited, three groups; and nobody else's.
		if got := counts(); got != "invited 9 changed 3 joined 4 told 9 codes 12" {
			t.Errorf("it ends with %s", got)
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE role = 'ADMIN' AND subject = 'admin' AND action IN ('inviteAdvisors', 'updateAdvisor') AND target_kind = 'Advisor'"); n != 12 {
			t.Errorf("%d entries of the audit log name who started it", n)
		}
		if n := w.count("SELECT COUNT(*) FROM event WHERE kind = 'ADVISOR_CHANGED'") - changes; n != 3 {
			t.Errorf("%d changes are in the streams of advisors", n)
		}
		items := a.do("admin", aboutText, map[string]any{"id": job})
		if items.text("job.kind") != "IMPORT_ADVISORS" || items.text("job.madeBy") != "ADMIN:admin" {
			t.Errorf("the job is %v", items.Data)
		}
		for _, n := range items.field("job.failedItems.nodes").([]any) {
			item := &answer{Data: n}
			want := map[float64]string{15: a.names["id dora"]}[item.field("number").(float64)]
			if item.field("customer") != nil || want != "" && item.text("advisor.id") != want {
				t.Errorf("an item is about %v", n)
			}
		}
		// Of who waits another name is taken, but none of a service agent.
		if got := a.failed(a.staffed("openid,wechat_id\nmei,w-mei\nkf_1,w-2\n")); !slices.Equal(got, []string{"2 <nil> ALREADY_SERVICE_AGENT"}) {
			t.Errorf("what failed of those who wait: %q", got)
		}
		if got := a.advisor("wechatId", "w-mei"); got != `PENDING Mei Mei http://pictures/mei e-mei [a;b\c coffee tea]` {
			t.Errorf("by the WeChat id that was added, mei is %q", got)
		}
		// The invitation can be answered, and the other account has seen nothing.
		a.do("mei", `mutation { answerInvitation(input: {accept: true}) { advisor { state } } }`, nil)
		if n := w.count("SELECT COUNT(*) FROM advisor WHERE account_id = ?", other.account[:]); n != 0 {
			t.Errorf("the other account has %d advisors", n)
		}
		w.sound()
	})
}

// Ensure external ids can be handed on in one file, in the order of its records (rule B7).
func TestImportMovesExternalIDs(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben", "carl"}, Followers: []string{"mei"}}, "main")
		if got := a.failed(a.staffed("openid,external_id\nanna,e1\nben,e2\ncarl,e3\n")); got != nil {
			t.Fatalf("what failed: %q", got)
		}
		a.dismissed("carl")
		got := a.failed(a.staffed("openid,external_id,nickname\nben,e1,\nanna,e4,\nben,e1,\nmei,e2,Mei\ncarl,e5,\nanna,e3,\n"))
		if !slices.Equal(got, []string{"1 <nil> CONFLICT"}) {
			t.Errorf("what failed: %q", got)
		}
		for openid, want := range map[string]string{
			"anna": "ACTIVE anna <nil> e3 []", "ben": "ACTIVE ben <nil> e1 []", "mei": "PENDING Mei <nil> e2 []", "carl": "PENDING carl <nil> e5 []",
		} {
			if got := a.advisor("openid", openid); got != want {
				t.Errorf("%s is %q, want %q", openid, got, want)
			}
		}
	})
}

// Ensure a file makes nobody an advisor who was removed by what names both: their external id, given to somebody else (rules B3, B7).
func TestImportMakesNobodySomebodyElse(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Followers: []string{"old", "new"}}, "main")
		a.staffed("openid,wechat_id,external_id,nickname\nold,w1,E7,old\n")
		a.dismissed("old")
		job := a.staffed("openid,wechat_id,external_id,nickname\nnew,,E7,new\nnew,w1,,new\n")
		if got, want := a.failed(job), []string{"1 openid CONFLICT", "2 openid CONFLICT"}; !slices.Equal(got, want) {
			t.Errorf("failed: %v", got)
		}
		if got := a.advisor("openid", "new"); got != "NOT_FOUND" {
			t.Errorf("the new one is %s", got)
		}
		if got := a.advisor("openid", "old"); got != "REMOVED old <nil> E7 []" {
			t.Errorf("the old one is %s", got)
		}
	})
}

// Ensure a file of advisors may begin with a mark, be in GB18030 and in parts that end anywhere, and that one whose columns are wrong is not begun (rule B7).
func TestImportOfAnyFileOfAdvisors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Groups: []string{"茶"}}, "main")
		chinese, err := simplifiedchinese.GB18030.NewEncoder().String("wechat_id,nickname,groups\ng-1,王小明,茶\ng-2,㐀𠀀,\n")
		if err != nil {
			t.Fatal(err)
		}
		for name, file := range map[string]string{
			"marked": "\uFEFFwechat_id,nickname,groups\r\nm-1,王小明,茶\r\n\r\nm-2,㐀𠀀,\r\n", "g": chinese,
		} {
			id := a.uploadingOf("ADVISORS", file, 7)
			if got := a.do("admin", `query($i: ID!) { import(importId: $i) { kind recordCount } }`, map[string]any{"i": id}).field("import"); fmt.Sprint(got) != "map[kind:ADVISORS recordCount:2]" {
				t.Errorf("%s: the import is %v", name, got)
			}
			job := a.do("integration", beginText, map[string]any{"i": id}).text("startImport.job.id")
			w.worked()
			if got := a.failed(job); got != nil {
				t.Errorf("%s: what failed: %q", name, got)
			}
		}
		for id, want := range map[string]string{
			"m-1": "PENDING 王小明 <nil> <nil> [茶]", "m-2": "PENDING 㐀𠀀 <nil> <nil> []", "g-1": "PENDING 王小明 <nil> <nil> [茶]", "g-2": "PENDING 㐀𠀀 <nil> <nil> []",
		} {
			if got := a.advisor("wechatId", id); got != want {
				t.Errorf("%s is %q, want %q", id, got, want)
			}
		}
		for what, bad := range map[string]string{
			"a column that is unknown": "openid,nick\nx,y\n", "a column of customers": "openid,tags\nx,y\n", "nobody": "nickname,external_id\nx,y\n", "a column twice": "openid,OpenID\nx,y\n", "nothing": "\n\n",
		} {
			id := a.uploadingOf("ADVISORS", bad, 1000)
			if got := a.try("admin", beginText, map[string]any{"i": id}); got.code() != "INVALID" || got.Errors[0].Extensions["field"] != "input.importId" {
				t.Errorf("%s: %.300s", what, got.body)
			}
			a.do("admin", `mutation($i: ID!) { deleteImport(input: {importId: $i}) { importId } }`, map[string]any{"i": id})
		}
	})
}

// Ensure a file fills a group to its last place, and an account to its last advisor, and no further; and who is changed takes no place (rules B1, B7, D1).
func TestImportOfAdvisorsToTheLimits(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Groups: []string{"tea"}}, "main")
		var file strings.Builder
		file.WriteString("wechat_id,nickname,groups\n")
		for i := range limits.AdvisorsPerGroup + 1 {
			fmt.Fprintf(&file, "w%d,W,tea\n", i)
		}
		file.WriteString("w0,Again,tea\nw3000,W,\n")
		job := a.staffed(file.String())
		if got := a.failed(job); !slices.Equal(got, []string{fmt.Sprint(limits.AdvisorsPerGroup+1, " groups LIMIT_EXCEEDED")}) {
			t.Errorf("what failed: %q", got)
		}
		if n := w.count("SELECT COUNT(*) FROM advisor"); n != limits.AdvisorsPerGroup+1 {
			t.Errorf("%d were invited", n)
		}
		if members, said := w.count("SELECT COUNT(*) FROM group_member"), w.count("SELECT member_count FROM advisor_group"); members != limits.AdvisorsPerGroup || said != members {
			t.Errorf("the group has %d members, and says %d", members, said)
		}
		// All but two places of the account are taken.
		file.Reset()
		file.WriteString("wechat_id,nickname\n")
		for i := range limits.AdvisorsPerAccount - limits.AdvisorsPerGroup - 3 {
			fmt.Fprintf(&file, "v%d,V\n", i)
		}
		start := time.Now()
		if got := a.failed(a.staffed(file.String())); got != nil {
			t.Errorf("what failed: %q", got)
		}
		t.Logf("%d in %s", limits.AdvisorsPerAccount, time.Since(start))
		got := a.failed(a.staffed("wechat_id,nickname\nw1,Changed\nx1,X\nx2,X\nx3,X\nw2,Changed\nx1,X again\nx4,X\n"))
		if !slices.Equal(got, []string{"4 <nil> LIMIT_EXCEEDED", "7 <nil> LIMIT_EXCEEDED"}) {
			t.Errorf("what failed: %q", got)
		}
		if n := w.count("SELECT COUNT(*) FROM advisor WHERE state = 'PENDING'"); n != limits.AdvisorsPerAccount {
			t.Errorf("the account has %d advisors", n)
		}
		if got := a.advisor("wechatId", "x1") + a.advisor("wechatId", "w2"); got != "PENDING X again <nil> <nil> []PENDING Changed <nil> <nil> [tea]" {
			t.Errorf("who was changed is %q", got)
		}
		w.sound()
	})
}

// Ensure a chunk takes as many statements for as many records as it holds as for 50, what is done stays when the account is closed, and
// the job goes on behind it, on another node too (rules A1, B7).
func TestImportOfAdvisorsByChunks(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Groups: []string{"tea"}}, "main")
		file := func(from, n int, nickname string) string {
			text := "wechat_id,external_id,nickname,groups\n"
			for i := range n {
				text += fmt.Sprintf("p%d,e%d,%s,%s\n", from+i, from+i, nickname, []string{"tea", ""}[min(i, 1)])
			}
			return text
		}
		for _, nickname := range []string{"new", "known"} {
			counts := map[int]int64{}
			for _, n := range []int{50, limits.ImportAdvisors} {
				a.do("admin", beginText, map[string]any{"i": a.uploadingOf("ADVISORS", file(1000+n, n, nickname), limits.ImportPartBytes)})
				j := w.claimed()
				var statements atomic.Int64
				j, err := w.Services.StepJob(store.CountStatements(context.Background(), &statements), j)
				if err != nil || j.State != models.JobFinished || j.Changed != int64(n) {
					t.Fatalf("of %d the job is %+v, %v", n, j, err)
				}
				counts[n] = statements.Load()
			}
			if counts[50] != counts[limits.ImportAdvisors] {
				t.Errorf("statements of a chunk of %s ones: %v", nickname, counts)
			}
		}
		before := w.count("SELECT COUNT(*) FROM advisor")
		id := a.do("admin", beginText, map[string]any{"i": a.uploadingOf("ADVISORS", file(5000, 2*limits.ImportAdvisors+10, "P"), limits.ImportPartBytes)}).text("startImport.job.id")
		claimed := w.claimed()
		j := w.stepped(claimed)
		if _, err := w.Services.StepJob(context.Background(), claimed); err == nil {
			t.Error("a chunk was done twice")
		}
		a.do("admin", `mutation { closeAccount(input: {confirm: true}) { account { id } } }`, nil)
		if _, err := w.Services.StepJob(context.Background(), j); err == nil {
			t.Error("a chunk was done while the account is closed")
		}
		if n := w.count("SELECT COUNT(*) FROM advisor") - before; n != limits.ImportAdvisors {
			t.Errorf("%d were invited before it was closed", n)
		}
		a.do("admin", `mutation { acceptTerms(input: {version: "1"}) { account { id } } }`, nil)
		// Whoever had the job is gone, and another takes it up.
		for j = w.claimed(); !j.IsEnded(); {
			j = w.stepped(j)
		}
		if got := a.job(id); got.field("changedCount") != 2.0*limits.ImportAdvisors+10 || len(a.failed(id)) != 0 {
			t.Errorf("the job is %v", got.Data)
		}
		if n := w.count("SELECT COUNT(*) FROM advisor") - before; n != 2*limits.ImportAdvisors+10 {
			t.Errorf("%d were invited", n)
		}
		if n := w.count("SELECT COUNT(*) FROM notification") - w.count("SELECT COUNT(*) FROM advisor"); n != 0 {
			t.Errorf("%d notifications too many", n)
		}
	})
}

// Ensure of two files of the same people, while they are invited by calls and answer, everybody is one advisor and in the group once (rules B2, B7).
func TestImportsOfTheSameAdvisors(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		const n = 120
		people := named("s", n)
		a := w.found(setup{Groups: []string{"tea", "coffee"}, Followers: people}, "main")
		forth, back := "openid,nickname,groups\n", "openid,nickname,groups\n"
		for i := range n {
			forth += people[i] + ",Forth,tea;coffee\n"
			back += people[n-1-i] + ",Back,coffee;tea\n"
		}
		one, two := a.uploadingOf("ADVISORS", forth, 100_000), a.uploadingOf("ADVISORS", back, 100_000)
		a.waitlisted("w-1", "w-2", "w-3")
		var all sync.WaitGroup
		for _, id := range []string{one, two} {
			all.Go(func() { a.do("admin", beginText, map[string]any{"i": id}) })
		}
		all.Go(func() {
			for i := range n / 20 {
				a.do("admin", `mutation($o: Identifier!) { inviteAdvisors(input: {advisors: [{openid: $o, nickname: "called"}]}) { results { error { code } } } }`, map[string]any{"o": people[20*i]})
			}
		})
		for i := range 3 {
			// Who was invited by a WeChat id turns out to be one of them.
			all.Go(func() {
				id := a.do("admin", `query($w: Identifier!) { advisor(by: {wechatId: $w}) { id } }`, map[string]any{"w": fmt.Sprint("w-", i+1)}).text("advisor.id")
				a.try("id:"+keyOf(t, id).String(), `mutation($o: Identifier) { answerInvitation(input: {accept: true, openid: $o}) { advisor { id } } }`, map[string]any{"o": people[40*i+7]})
			})
		}
		all.Wait()
		w.contended()
		if got := w.count("SELECT COUNT(*) FROM advisor WHERE openid IS NOT NULL"); got != n {
			t.Errorf("%d of %d are advisors", got, n)
		}
		if members, said := w.count("SELECT COUNT(*) FROM group_member"), w.count("SELECT SUM(member_count) FROM advisor_group"); members != 2*n || said != members {
			t.Errorf("the groups have %d members, and say %d", members, said)
		}
		if got := w.count("SELECT COUNT(*) FROM job WHERE state = 'FINISHED' AND done = ? AND failures = '{}'", n); got != 2 {
			t.Errorf("%d jobs did all", got)
		}
	})
}
