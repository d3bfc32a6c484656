package tests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// pastImported imports a file of past messages and answers its job, once that has ended.
func (t *tenant) pastImported(lines ...string) (job string) {
	t.tb.Helper()
	job = t.do("admin", beginText, map[string]any{"i": t.pastUploading(strings.Join(lines, "\n"))}).text("startImport.job.id")
	t.worked()
	return job
}

func (t *tenant) pastUploading(file string) (id string) {
	t.tb.Helper()
	id = t.do("admin", `mutation { createImport(input: {kind: MESSAGES}) { import { id } } }`, nil).text("createImport.import.id")
	for at := 0; at < len(file); at += limits.ImportPartBytes {
		t.do("admin", appendText, map[string]any{"i": id, "at": at, "data": []byte(file[at:min(at+limits.ImportPartBytes, len(file))])})
	}
	return id
}

// past is a record of a file of past messages.
func past(id, openid, direction, at, text string) string {
	return fmt.Sprintf(`{"id":%q,"openid":%q,"direction":%q,"at":%q,"text":%q}`, id, openid, direction, at, text)
}

// written is what somebody is shown of a conversation, oldest first: "text STATUS".
func (t *tenant) written(who, openid string) (all []string) {
	t.tb.Helper()
	nodes := t.do(who, `query($o: Identifier!) { conversation(customer: {openid: $o}) { messages(first: 100) { nodes { status content { __typename ... on TextContent { text } } } } } }`,
		map[string]any{"o": openid}).field("conversation.messages.nodes").([]any)
	for _, n := range slices.Backward(nodes) {
		m := &answer{Data: n}
		what := m.text("content.text")
		if what == "" {
			what = m.text("content.__typename")
		}
		all = append(all, what+" "+m.text("status"))
	}
	return all
}

const lineText = `query($o: Identifier!) { customer(by: {openid: $o}) { lastInteractionAt } conversation(customer: {openid: $o}) {
	unreadCount hasReplied activeAt contactability { answer reason left until outreachLeft } lastMessage { content { ... on TextContent { text } } } } }`

// longReadable shows messages for longer than those are old that these tests import.
var longReadable = map[string]any{"messageReadableDays": 60}

// Ensure past messages stand where they belong by their time, to the second in the order of the file, and are a record
// alone: nothing is unread, open, told or sent by them; and that who imports them again changes nothing (rule E11, ADR 0032).
func TestImportOfPastMessages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna", "li of ben"}, Followers: []string{"free"}, Settings: longReadable}, "main")
		b := w.found(setup{Followers: []string{"foreign"}, Settings: longReadable}, "other")
		a.write("wei", "hello")
		before := a.do("anna", lineText, map[string]any{"o": "wei"}).Data
		live := w.subscribe(w.bearer("anna", a.account), `subscription { messages { __typename } }`, nil)
		w.await("it listens", func() bool { return w.listening() == 1 })
		day := "2026-01-31 08:00:"
		lines := []string{
			past("3", "wei", "FROM_CUSTOMER", day+"01", "third"),
			past("1", "wei", "FROM_CUSTOMER", day+"00", "first"), past("2", "wei", "FROM_ADVISOR", day+"00", "second"),
			"", "no JSON", past("1", "wei", "FROM_CUSTOMER", day+"09", "the first again"),
			`{"id":"4","openid":"wei","direction":"FROM_CUSTOMER","at":"2026-01-31 08:00:04","kind":"IMAGE","media_ref":"m","advisor_openid":"anna"}`,
			past("5", "free", "FROM_ADVISOR", day+"05", "for free"), past("6", "nobody", "FROM_CUSTOMER", day+"06", "x"), past("7", "foreign", "FROM_CUSTOMER", day+"06", "x"),
			`{"id":"8","openid":"wei","direction":"FROM_ADVISOR","at":"2026-01-31","text":"x","advisor_openid":"nobody"}`, past("9", "wei", "FROM_CUSTOMER", "2036-01-31", "x"),
			past("10", "wei", "FROM_CUSTOMER", "2025-09-03 08:59:59", "older than is kept"), past("11", "free", "FROM_CUSTOMER", "2025-09-03 09:00:00", "as old as is kept"),
		}
		job := a.pastImported(lines...)
		if got, want := a.failed(job), []string{"4 <nil> INVALID", "8 openid NOT_FOUND", "9 openid NOT_FOUND", "10 advisor_openid NOT_FOUND", "11 at INVALID", "12 at INVALID"}; !slices.Equal(got, want) {
			t.Errorf("failed: %q, want %q", got, want)
		}
		if got := a.job(job); got.field("doneCount") != 13.0 || got.field("changedCount") != 6.0 {
			t.Errorf("the job is %v", got.Data)
		}
		want := []string{"first IMPORTED", "second IMPORTED", "third IMPORTED", "MediaContent IMPORTED", "hello RECEIVED"}
		for _, who := range []string{"anna", "admin"} {
			if got := a.written(who, "wei"); !slices.Equal(got, want) {
				t.Errorf("%s reads %q, want %q", who, got, want)
			}
		}
		if after := a.do("anna", lineText, map[string]any{"o": "wei"}).Data; fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("the inbox line was\n%v, and is\n%v", before, after)
		}
		if got := live.next(); got["__typename"] != "CustomersImported" {
			t.Errorf("the advisor is told %v", got)
		}
		if n := w.count("SELECT COUNT(*) FROM notification WHERE kind = 'CUSTOMER_INQUIRY'"); n != 1 {
			t.Errorf("%d inquiries", n)
		}
		line := a.do("admin", lineText, map[string]any{"o": "free"})
		if line.text("conversation.lastMessage.content.text") != "for free" || line.field("conversation.unreadCount") != 0.0 {
			t.Errorf("who had no message has %v", line.Data)
		}

		again := a.pastImported(lines...)
		if got := a.job(again); got.field("changedCount") != 0.0 || got.field("doneCount") != 13.0 {
			t.Errorf("imported again the job is %v", got.Data)
		}
		if got := a.written("admin", "wei"); !slices.Equal(got, want) {
			t.Errorf("imported again: %q", got)
		}
		// The id is the account's: another has its own.
		b.pastImported(past("1", "foreign", "FROM_CUSTOMER", day+"00", "theirs"))
		if got := b.written("admin", "foreign"); !slices.Equal(got, []string{"theirs IMPORTED"}) {
			t.Errorf("another account reads %q", got)
		}

		// Reading up to a past message leaves unread what came in by itself, and no more.
		ids := a.do("anna", `{ conversation(customer: {openid: "wei"}) { messages { nodes { id content { ... on TextContent { text } } } } } }`, nil).field("conversation.messages.nodes").([]any)
		first := (&answer{Data: ids[len(ids)-1]}).text("id")
		a.do("anna", `mutation($m: ID!) { markConversationRead(input: {customer: {openid: "wei"}, upToMessageId: $m}) { conversation { unreadCount } } }`, map[string]any{"m": first})
		if got := a.do("anna", lineText, map[string]any{"o": "wei"}).field("conversation.unreadCount"); got != 1.0 {
			t.Errorf("%v are unread behind a past message", got)
		}
		if got := a.try("anna", `mutation($m: ID!) { resendMessage(input: {messageId: $m, idempotencyKey: "k"}) { message { id } } }`, map[string]any{"m": first}); got.code() != "NOT_FOUND" && got.code() != "STATE" {
			t.Errorf("a past message is sent again: %s", got.body)
		}
		a.do("admin", `mutation { rebindCustomers(input: {customers: {these: [{openid: "wei"}]}, to: {advisor: {openid: "ben"}}, keep: {history: false}}) { results { error { code } } } }`, nil)
		a.pastImported(past("20", "wei", "FROM_CUSTOMER", day+"10", "of old"))
		if got := a.written("ben", "wei"); len(got) != 0 {
			t.Errorf("who got the customer without the history reads %q", got)
		}
		if got := a.try("ben", `query($m: ID!) { node(id: $m) { id } }`, map[string]any{"m": first}).code(); got != "NOT_FOUND" {
			t.Errorf("and by its id %q", got)
		}
		a.do("admin", eraseText, map[string]any{"c": map[string]any{"openid": "wei"}})
		w.erased()
		w.clock.Advance(limits.RetentionInterval)
		w.retain() // the files, whose jobs have ended
		if places := w.holding("second", "of old"); len(places) > 0 {
			t.Errorf("erased, and still in %v", places)
		}
		w.sound()
	})
}

// Ensure a chunk takes as many statements for many records as for few, and a line that has no end costs one error (rule E11).
func TestImportOfPastMessagesByChunks(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		records := func(from, n int) string {
			var b strings.Builder
			for i := range n {
				fmt.Fprintln(&b, past(fmt.Sprint("m", from+i), []string{"wei", "li"}[i%2], "FROM_CUSTOMER", "2026-01-31 08:00:00", fmt.Sprint("text ", from+i)))
			}
			return b.String()
		}
		begin := func(file string) string {
			return a.do("admin", beginText, map[string]any{"i": a.pastUploading(file)}).text("startImport.job.id")
		}
		counts := map[int]int64{}
		for _, n := range []int{50, 2 * limits.BindBatch} {
			begin(records(10_000*n, n))
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

		long := strings.Repeat("x", 2*limits.ImportWindow+limits.ImportRecordBytes)
		id := begin(records(0, 3) + long + "\n" + records(3, limits.ImportRecords) + strings.Repeat(" ", limits.ImportWindow) + records(limits.ImportRecords+3, 1))
		steps := 0
		for j := w.claimed(); !j.IsEnded(); steps++ {
			j = w.stepped(j)
		}
		if got := a.job(id); got.field("totalCount") != float64(limits.ImportRecords+5) || got.field("doneCount") != float64(limits.ImportRecords+5) ||
			got.field("changedCount") != float64(limits.ImportRecords+4) || !slices.Equal(a.failed(id), []string{"4 <nil> INVALID"}) {
			t.Errorf("in %d steps: %v, failed %v", steps, got.Data, a.failed(id))
		}
		if got := a.try("admin", `mutation($i: ID!) { startImport(input: {importId: $i}) { job { id } } }`, map[string]any{"i": a.pastUploading(" \n\n")}).code(); got != "INVALID" {
			t.Errorf("a file without a record: %q", got)
		}
	})
}

// Ensure of two imports of the same messages at once, the other way round, each comes once (rule E11).
func TestImportsOfTheSamePastMessages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		const n = 300
		var forth, back []string
		for i := range n {
			forth = append(forth, past(fmt.Sprint("m", i), []string{"wei", "li"}[i%2], "FROM_CUSTOMER", "2026-01-31 08:00:00", "x"))
		}
		for _, line := range slices.Backward(forth) {
			back = append(back, line)
		}
		one, two := a.pastUploading(strings.Join(forth, "\n")), a.pastUploading(strings.Join(back, "\n"))
		var both sync.WaitGroup
		for _, id := range []string{one, two} {
			both.Go(func() { a.do("admin", beginText, map[string]any{"i": id}) })
		}
		both.Wait()
		w.contended()
		if got := w.count("SELECT COUNT(*) FROM message WHERE status = 'IMPORTED'"); got != n {
			t.Errorf("%d messages of %d", got, n)
		}
		if got := w.count("SELECT COUNT(*) FROM job WHERE state = 'FINISHED' AND done = ?", n); got != 2 {
			t.Errorf("%d jobs did all", got)
		}
		if got := w.count("SELECT SUM(changed) FROM job"); got != n {
			t.Errorf("they changed %d", got)
		}
	})
}
