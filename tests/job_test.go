package tests

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"clientele/events"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

const (
	startText = `mutation($c: CustomerSelection!, $to: BindingTarget!, $key: String) {
		assignCustomers(input: {customers: $c, to: $to, idempotencyKey: $key}) { job { id state } } }`
	moveText = `mutation($c: CustomerSelection!, $to: BindingTarget!) { rebindCustomers(input: {customers: $c, to: $to}) { job { id state } } }`
	jobText  = `query($id: ID!) { job(jobId: $id) { state totalCount doneCount changedCount isResting failures { code count } error { code } eventCursor } }`
	jobWatch = `subscription($id: ID!, $after: String) { jobChanges(jobId: $id, after: $after) { __typename
		... on Event { sequence cursor } ... on JobChanged { job { id state doneCount } } } }`
)

// unassigned selects everybody who has no advisor.
var unassigned = map[string]any{"matching": map[string]any{"isAssigned": false}}

// started begins a job and answers its id.
func (t *tenant) started(query, field string, selection, to any) string {
	t.tb.Helper()
	return t.do("admin", query, map[string]any{"c": selection, "to": to}).text(field + ".job.id")
}

// claimed takes the one job that is due, as a worker would.
func (w *world) claimed() *models.Job {
	w.tb.Helper()
	jobs, err := w.Services.ClaimJobs(context.Background(), 10)
	if err != nil || len(jobs) != 1 {
		w.tb.Fatalf("%d jobs were claimed, %v", len(jobs), err)
	}
	return jobs[0]
}

func (w *world) stepped(j *models.Job) *models.Job {
	w.tb.Helper()
	next, err := w.Services.StepJob(context.Background(), j)
	if err != nil {
		w.tb.Fatalf("step: %v", err)
	}
	return next
}

// job is what the API says of a job.
func (t *tenant) job(id string) *answer {
	t.tb.Helper()
	return &answer{Data: t.do("admin", jobText, map[string]any{"id": id}).field("job")}
}

// beginning is the cursor before the first event of a job.
func (t *tenant) beginning(id string) string {
	t.tb.Helper()
	c, err := events.DecodeCursor(t.job(id).text("eventCursor"), "after")
	if err != nil {
		t.tb.Fatal(err)
	}
	c.Seq = 0
	return events.EncodeCursor(c)
}

// Ensure a job binds everybody it is for, chunk by chunk, and tells each chunk as an event of its own
// stream, which ends with it (rules E5, N4).
func TestJob(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Groups: []string{"tea of anna ben"}}, "main")
		const n = 2*limits.BindBatch + 10
		a.crowd("c", n)
		id := a.started(startText, "assignCustomers", unassigned, a.toGroup("tea"))
		w.worked()
		w.sound()
		// The advisors follow too: each can only be the other's.
		if j := a.job(id); j.text("state") != "FINISHED" || j.field("totalCount") != n+2.0 || j.field("doneCount") != n+2.0 || j.field("changedCount") != n+2.0 {
			t.Errorf("the job is %v", j.Data)
		}
		if left := w.count("SELECT COUNT(*) FROM customer WHERE advisor_id IS NULL"); left != 0 {
			t.Errorf("%d are left", left)
		}
		if bound := w.count("SELECT COUNT(*) FROM binding WHERE source = 'CONSOLE' AND made_by = 'ADMIN:admin'"); bound != n+2 {
			t.Errorf("%d bindings are in the history", bound)
		}
		if n := w.count("SELECT COUNT(*) FROM job WHERE parameters = '' AND progress = ''"); n != 1 {
			t.Error("the job that has ended knows what it was asked for")
		}
		if audits := w.count("SELECT COUNT(*) FROM audit WHERE target_kind = 'Job' AND action = 'assignCustomers'"); audits != 1 {
			t.Errorf("%d rows are in the audit log", audits)
		}
		sub := w.subscribe(w.bearer("admin", a.account), jobWatch, map[string]any{"id": id, "after": a.beginning(id)})
		for i := 1; i <= 5; i++ { // queued, begun, 500, 1,000, the rest
			e := sub.next()
			if e["__typename"] != "JobChanged" || e["sequence"] != float64(i) {
				t.Errorf("event %d is %v", i, e)
			}
		}
		if f := sub.frame(); f.Type != "complete" {
			t.Errorf("after the last event came %s %s", f.Type, f.Payload)
		}
	})
}

// Ensure who watches a job is pushed each chunk as it is committed, from the snapshot's cursor on, and
// nobody of another account can (rules N4, V4).
func TestJobIsWatched(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		other := w.found(setup{Advisors: []string{"anna"}}, "other")
		a.crowd("c", limits.BindBatch+1)
		id := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		cursor := a.job(id).text("eventCursor")
		sub := w.subscribe(w.bearer("integration", a.account), jobWatch, map[string]any{"id": id, "after": cursor})
		fresh := w.subscribe(w.bearer("admin", a.account), jobWatch, map[string]any{"id": id})
		if code := w.subscribe(w.bearer("admin", other.account), jobWatch, map[string]any{"id": id}).refused(); code != "NOT_FOUND" {
			t.Errorf("another account: %s", code)
		}
		if code := w.subscribe(w.bearer("admin", a.account), jobWatch, map[string]any{"id": id, "after": a.cursor("anna")}).refused(); code != "INVALID" {
			t.Errorf("a cursor of another stream: %s", code)
		}
		before := w.Hub.Stats()
		j := w.claimed()
		j = w.stepped(j)
		w.stepped(j)
		for _, s := range []*subscription{sub, fresh} {
			for i, want := range []struct {
				state string
				done  float64
			}{{"RUNNING", 0}, {"RUNNING", limits.BindBatch}, {"FINISHED", limits.BindBatch + 2}} {
				e := &answer{Data: any(s.next())}
				if e.field("sequence") != float64(i+2) || e.text("job.state") != want.state || e.field("job.doneCount") != want.done {
					t.Errorf("event %d: %v, want %v", i+2, e.Data, want)
				}
			}
			if f := s.frame(); f.Type != "complete" {
				t.Errorf("after the last event came %s %s", f.Type, f.Payload)
			}
		}
		if after := w.Hub.Stats(); after.FromLog != before.FromLog {
			t.Errorf("%d events were read from the log again", after.FromLog-before.FromLog)
		}
	})
}

// Ensure a revoked token ends an open subscription to a job with 4403 within 5 s (rules V1, V6).
func TestJobWatchEndsWithItsToken(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		id := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		sub := w.subscribe(w.bearer("integration", a.account), jobWatch, map[string]any{"id": id})
		w.clock.Advance(time.Second)
		a.do("admin", `mutation($at: DateTime!) { revokeTokensIssuedBefore(input: {bearer: {subject: "integration"}, at: $at}) { issuedBefore } }`,
			map[string]any{"at": w.clock.Now().Format(time.RFC3339)})
		if code := sub.closed(); code != 4403 {
			t.Errorf("closed with %d", code)
		}
	})
}

// Ensure a job whose worker is gone is taken up by another when the lease has ended, and that the one
// who comes back writes nothing: no chunk is done twice (ADR 0024).
func TestJobIsTakenUp(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		const n = 3 * limits.BindBatch
		a.crowd("c", n-1) // and anna
		id := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		lost := w.stepped(w.claimed())
		w.clock.Advance(limits.JobLease - time.Microsecond)
		if again, err := w.Services.ClaimJobs(t.Context(), 10); err != nil || len(again) != 0 {
			t.Fatalf("%d jobs were claimed while the lease holds, %v", len(again), err)
		}
		w.clock.Advance(time.Microsecond)
		mine := w.claimed()
		if mine.Done != limits.BindBatch {
			t.Errorf("it goes on at %d", mine.Done)
		}
		// Both do the next chunk at one instant.
		var won atomic.Pointer[models.Job]
		wantCounts(t, "the same chunk", together(2, func(i int) string {
			next, err := w.Services.StepJob(context.Background(), []*models.Job{lost, mine}[i])
			if err == nil {
				won.Store(next)
				return "done"
			}
			if errors.Is(err, services.ErrJobLost) {
				return "lost"
			}
			return err.Error()
		}), map[string]int{"done": 1, "lost": 1})
		for j := won.Load(); !j.IsEnded(); {
			j = w.stepped(j)
		}
		if j := a.job(id); j.text("state") != "FINISHED" || j.field("doneCount") != float64(n) || j.field("changedCount") != float64(n-1) {
			t.Errorf("the job is %v", j.Data)
		}
		if bound := w.count("SELECT COUNT(*) FROM binding"); bound != n-1 {
			t.Errorf("%d bindings for %d customers", bound, n-1)
		}
		w.sound()
	})
}

// Ensure a job rests while the account is closed and goes on when it opens (rule A1).
func TestJobRestsWhileClosed(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		a.crowd("c", limits.BindBatch+20)
		id := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		j := w.stepped(w.claimed())
		a.do("admin", `mutation { closeAccount(input: {confirm: true}) { account { id } } }`, nil)
		if _, err := w.Services.StepJob(t.Context(), j); !errors.Is(err, services.ErrJobRests) {
			t.Errorf("a chunk of a closed account: %v", err)
		}
		if due, err := w.Services.ClaimJobs(t.Context(), 10); err != nil || len(due) != 0 {
			t.Errorf("%d jobs of a closed account were claimed, %v", len(due), err)
		}
		if j := a.job(id); j.text("state") != "RUNNING" || j.field("isResting") != true || j.field("doneCount") != float64(limits.BindBatch) {
			t.Errorf("the job is %v", j.Data)
		}
		a.do("admin", `mutation { acceptTerms(input: {version: "1"}) { account { id } } }`, nil)
		w.stepped(w.claimed())
		if j := a.job(id); j.text("state") != "FINISHED" || j.field("isResting") != false || j.field("doneCount") != limits.BindBatch+21.0 {
			t.Errorf("the job is %v", j.Data)
		}
		w.sound()
	})
}

// Ensure a cancelled job ends at once: the chunk under way does not commit, and what was done stays.
func TestJobIsCancelled(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		a.crowd("c", limits.BindBatch+20)
		id := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		j := w.stepped(w.claimed())
		cancel := func() string {
			t.Helper()
			return a.do("admin", `mutation($id: ID!) { cancelJob(input: {jobId: $id}) { job { state } } }`, map[string]any{"id": id}).text("cancelJob.job.state")
		}
		for range 2 {
			if state := cancel(); state != "CANCELLED" {
				t.Errorf("it is %s", state)
			}
		}
		if _, err := w.Services.StepJob(t.Context(), j); !errors.Is(err, services.ErrJobLost) {
			t.Errorf("a chunk of a cancelled job: %v", err)
		}
		w.clock.Advance(time.Hour)
		if due, err := w.Services.ClaimJobs(t.Context(), 10); err != nil || len(due) != 0 {
			t.Errorf("%d cancelled jobs were claimed, %v", len(due), err)
		}
		if n := w.count("SELECT COUNT(*) FROM binding"); n != limits.BindBatch-1 { // but anna herself
			t.Errorf("%d are bound", n)
		}
		if n := w.count("SELECT COUNT(*) FROM job WHERE parameters = '' AND progress = ''"); n != 1 {
			t.Error("the job that was cancelled knows what it was asked for")
		}
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action = 'cancelJob'"); n != 1 {
			t.Errorf("%d cancellations are in the audit log", n)
		}
		w.sound()
	})
}

// Ensure a job takes the longest lists of customers that a filter may hold, of the longest openids, and
// that the audit log says how many were listed and not who, and that there was a search and not what for (rules E9, R5).
func TestJobOverLists(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		person := a.crowd("person-", 1)[0] // which no key in hexadecimal holds by chance
		var long []string
		for i := range limits.FilterIdents - 1 {
			long = append(long, fmt.Sprintf("%03d%s", i, strings.Repeat("<", limits.OpenIDBytes-3)))
		}
		matching := func(filter map[string]any) map[string]any { return map[string]any{"matching": filter} }
		id := a.started(startText, "assignCustomers", matching(map[string]any{"openids": append(long, person)}), toAdvisor("anna"))
		for j := w.claimed(); !j.IsEnded(); {
			j = w.stepped(j)
		}
		if j := a.job(id); j.text("state") != "FINISHED" || j.field("changedCount") != 1.0 || j.field("doneCount") != 1.0 {
			t.Errorf("the job is %v", j.Data)
		}
		both := map[string]any{"openids": append(long, person), "unionids": append(long, "u"), "search": "Zhang San"}
		a.started(startText, "assignCustomers", matching(both), toAdvisor("anna"))
		log := fmt.Sprint(a.do("admin", `{ auditLog(first: 2, filter: {action: "assignCustomers"}) { nodes { after } } }`, nil).Data)
		if strings.Contains(log, person) || strings.Contains(log, `"openids"`) || strings.Contains(strings.ToLower(log), "zhang") || !strings.Contains(log, `"searched":true`) || !strings.Contains(log, `"listed":1000`) || !strings.Contains(log, `"listed":500`) {
			t.Errorf("the audit log has %s", log)
		}
	})
}

// Ensure a job is for those who matched when it was asked for (rule E5).
func TestJobIsForWhoMatched(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"wei"}}, "main")
		id := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		w.clock.Advance(time.Second)
		a.scanned("late", "")
		for j := w.claimed(); !j.IsEnded(); {
			j = w.stepped(j)
		}
		if got := a.person("late")["advisor"]; got != nil || a.person("wei")["advisor"] == nil {
			t.Errorf("who came later has %v; the job is %v", got, a.job(id).Data)
		}
	})
}

// Ensure a job whose advisor is removed meanwhile FAILED with the code, and what was done stays.
func TestJobFails(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		a.crowd("c", limits.BindBatch+20)
		id := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		j := w.stepped(w.claimed())
		if _, err := w.db.ExecContext(t.Context(), "UPDATE advisor SET state = 'REMOVED'"); err != nil {
			t.Fatal(err)
		}
		sub := w.subscribe(w.bearer("admin", a.account), jobWatch, map[string]any{"id": id})
		if ended := w.stepped(j); ended.State != models.JobFailed {
			t.Errorf("the job is %s", ended.State)
		}
		if e := (&answer{Data: any(sub.next())}); e.text("job.state") != "FAILED" {
			t.Errorf("told %v", e.Data)
		}
		if f := sub.frame(); f.Type != "complete" {
			t.Errorf("after the last event came %s", f.Type)
		}
		if j := a.job(id); j.text("error.code") != "STATE" || j.field("doneCount") != float64(limits.BindBatch) {
			t.Errorf("the job is %v", j.Data)
		}
	})
}

// Ensure a chunk that cannot be written is tried again with growing pauses, and ends the job when it
// never can.
func TestJobIsTriedAgain(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{jobs: -1})
	a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"wei"}}, "main")
	id := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
	// As a fault of the program would have it.
	if _, err := w.db.ExecContext(t.Context(), "UPDATE job SET parameters = 'rubbish'"); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= limits.JobFaults; n++ {
		next, err := w.Services.StepJob(t.Context(), w.claimed())
		if n < limits.JobFaults {
			if err == nil || next != nil {
				t.Fatalf("fault %d: %v, %v", n, next, err)
			}
			if due, err := w.Services.ClaimJobs(t.Context(), 10); err != nil || len(due) != 0 {
				t.Errorf("fault %d: claimed again at once, %v", n, err)
			}
			w.clock.Advance(time.Minute)
		} else if err != nil || next.State != models.JobFailed {
			t.Errorf("fault %d: %v, %v", n, next, err)
		}
	}
	if j := a.job(id); j.text("state") != "FAILED" || j.text("error.code") != "INTERNAL" {
		t.Errorf("the job is %v", j.Data)
	}
}

// Ensure two jobs over one selection share it: each customer is one's or the other's.
func TestTwoJobsOverOneSelection(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben", "cai"}}, "main")
		const n = 2*limits.BindBatch + 77
		a.crowd("c", n)
		a.do("admin", unbindText, map[string]any{"c": theseOf("c0")})
		ids := []string{a.started(startText, "assignCustomers", unassigned, toAdvisor("anna")), a.started(startText, "assignCustomers", unassigned, toAdvisor("ben"))}
		w.worked()
		changed := 0.0
		for _, id := range ids {
			j := a.job(id)
			if j.text("state") != "FINISHED" {
				t.Errorf("a job is %v", j.Data)
			}
			c, _ := j.field("changedCount").(float64)
			changed += c
		}
		// cai, and whichever of anna and ben the other's job came to first; neither is left.
		if bound := w.count("SELECT COUNT(*) FROM binding"); bound != int64(changed) || bound != n+3 {
			t.Errorf("%d bindings, the jobs say %v, of %d customers", bound, changed, n+3)
		}
		w.sound()
	})
}

// Ensure a job moves those whom its filter still selects when their turn comes: who was given to
// somebody else meanwhile stays there.
func TestJobBesideCalls(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben", "cai"}}, "main")
		people := a.crowd("c", 600)
		for i := 0; i < len(people); i += 300 {
			a.do("admin", assignText, map[string]any{"c": theseOf(people[i : i+300]...), "to": toAdvisor("anna")})
		}
		w.clock.Advance(time.Second)
		admin := w.bearer("admin", a.account)
		var id string
		together(7, func(i int) string {
			if i == 0 {
				id = a.told(admin, moveText, map[string]any{"c": map[string]any{"matching": map[string]any{"advisor": map[string]any{"openid": "anna"}}}, "to": toAdvisor("ben")},
					"rebindCustomers.job.id")
				return ""
			}
			mine := people[(i-1)*50 : i*50]
			return a.told(admin, rebindText, map[string]any{"c": theseOf(mine...), "to": toAdvisor("cai")}, "rebindCustomers.isRepeated")
		})
		w.worked()
		if n := w.count("SELECT customer_count FROM advisor WHERE nickname = 'cai'"); n != 300 {
			t.Errorf("cai has %d", n)
		}
		if n := w.count("SELECT customer_count FROM advisor WHERE nickname = 'anna'"); n != 0 {
			t.Errorf("anna has %d left; the job is %v", n, a.job(id).Data)
		}
		w.sound()
	})
}

// Ensure a chunk of 500 costs as many statements as one of 50.
func TestStatementsOfJobs(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		step := func(n int) int64 {
			t.Helper()
			a.crowd(fmt.Sprint("c", n, "-"), n-int(w.count("SELECT COUNT(*) FROM customer WHERE advisor_id IS NULL")))
			a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
			j := w.claimed()
			var count atomic.Int64
			next, err := w.Services.StepJob(store.CountStatements(t.Context(), &count), j)
			if err != nil || next.Done != int64(n) {
				t.Fatalf("%v, %v", next, err)
			}
			if !next.IsEnded() {
				w.stepped(next)
			}
			return count.Load()
		}
		// anna, who is no customer of hers, fails in each.
		if few, many := step(50), step(limits.BindBatch); few != many || many > 22 {
			t.Errorf("%d statements for 50, %d for %d", few, many, limits.BindBatch)
		}
	})
}

// Ensure a chunk of 500 costs as many statements as one of 50, of every job on customers: of one advisor's, of a list, of a tag, rebound with
// nothing kept, unbound, and handed over when their advisor is removed.
func TestStatementsOfJobKinds(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"to", "from50", "from500"}, Tags: []string{"level of gold silver"}, Groups: []string{"tea of to"}}, "main")
		step := func(n int) int64 {
			t.Helper()
			j := w.claimed()
			var count atomic.Int64
			next, err := w.Services.StepJob(store.CountStatements(t.Context(), &count), j)
			if err != nil || next.Done != int64(n) || next.Changed != int64(n) {
				t.Fatalf("%+v, %v", next, err)
			}
			for !next.IsEnded() {
				next = w.stepped(next)
			}
			return count.Load()
		}
		counts := map[string][]int64{}
		for _, n := range []int{50, limits.BindBatch} {
			from := fmt.Sprint("from", n)
			people := a.crowd(fmt.Sprint("c", n, "-"), n)
			matching := func(filter map[string]any) map[string]any { return map[string]any{"matching": filter} }
			theirs := map[string]any{"advisor": map[string]any{"openid": from}}
			bound := func() {
				t.Helper()
				a.do("admin", assignText, map[string]any{"c": theseOf(people...), "to": toAdvisor(from)})
			}
			run := func(what, query string, variables map[string]any) {
				t.Helper()
				a.do("admin", query, variables)
				counts[what] = append(counts[what], step(n))
			}
			run("assign a list", startText, map[string]any{"c": matching(map[string]any{"openids": people}), "to": toAdvisor(from)})
			a.noted(people)
			run("rebind with nothing kept", rebindJobText, map[string]any{"c": matching(theirs), "to": a.toGroup("tea"), "keep": keepNothing})
			a.do("admin", unbindText, map[string]any{"c": theseOf(people...)})
			a.do("admin", tagText, map[string]any{"c": tagging(people, []string{"gold"}, nil)})
			run("assign who have a tag", startText, map[string]any{"c": matching(map[string]any{"tags": map[string]any{"any": []any{map[string]any{"name": "gold"}}}}), "to": toAdvisor(from)})
			run("unbind", `mutation($c: CustomerSelection!) { unbindCustomers(input: {customers: $c}) { job { id } } }`, map[string]any{"c": matching(theirs)})
			a.do("admin", tagText, map[string]any{"c": tagging(people, nil, []string{"gold"})})
			bound()
			run("hand over", `mutation($o: Identifier!, $to: BindingTarget) { removeAdvisor(input: {advisor: {openid: $o}, handOver: $to}) { job { id } } }`,
				map[string]any{"o": from, "to": a.toGroup("tea")})
			a.do("admin", unbindText, map[string]any{"c": theseOf(people...)})
		}
		for what, got := range counts {
			if len(got) != 2 || got[0] != got[1] || got[1] > 36 {
				t.Errorf("%s: %v statements for 50 and 500", what, got)
			}
		}
		w.sound()
	})
}

const rebindJobText = `mutation($c: CustomerSelection!, $to: BindingTarget!, $keep: RebindKeepInput) { rebindCustomers(input: {customers: $c, to: $to, keep: $keep}) { job { id } } }`

// Ensure an account has at most 100 jobs that have not ended.
func TestJobsPerAccount(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		call := func() *answer {
			return a.try("admin", startText, map[string]any{"c": unassigned, "to": toAdvisor("anna")})
		}
		var last string
		for range limits.JobsPerAccount {
			last = call().text("assignCustomers.job.id")
		}
		if got := call(); got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(limits.JobsPerAccount) {
			t.Errorf("job 101: %s", got.body)
		}
		a.do("admin", `mutation($id: ID!) { cancelJob(input: {jobId: $id}) { job { state } } }`, map[string]any{"id": last})
		if got := call(); got.code() != "" {
			t.Errorf("job 100: %s", got.body)
		}
	})
}

// Ensure jobs are read for 30 days after they ended, and then gone with their items and streams.
func TestRetentionOfJobs(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Followers: []string{"wei"}}, "main")
		w.settled()
		old := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna")) // anna herself fails
		w.worked()
		w.clock.Advance(time.Microsecond)
		young := a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		w.worked()
		w.clock.Advance(limits.JobLife + limits.ClockSkew)
		if done := w.retain(); done.Jobs != 1 {
			t.Errorf("%d jobs went", done.Jobs)
		}
		if code := a.try("admin", jobText, map[string]any{"id": old}).code(); code != "NOT_FOUND" {
			t.Errorf("the old one: %q", code)
		}
		if got := a.job(young).text("state"); got != "FINISHED" {
			t.Errorf("the young one: %q", got)
		}
		key := keyOf(t, old)
		for _, query := range []string{
			"SELECT COUNT(*) FROM job_item WHERE job_id = ?", "SELECT COUNT(*) FROM stream WHERE id = ?", "SELECT COUNT(*) FROM event WHERE stream_id = ?",
		} {
			if n := w.count(query, key[:]); n != 0 {
				t.Errorf("%s: %d", query, n)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM job_item"); n != 1 {
			t.Errorf("%d items stay", n)
		}
	})
}

// Ensure a page of jobs costs as many statements whatever its size.
func TestStatementsOfJobPages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna"}}, "main")
		for range 20 {
			a.started(startText, "assignCustomers", unassigned, toAdvisor("anna"))
		}
		const query = `query($n: Int) { jobs(first: $n) { nodes { kind state isResting failures { code count } } } }`
		if few, many := a.statements("admin", query, map[string]any{"n": 2}), a.statements("admin", query, map[string]any{"n": 20}); few != many || many > 3 {
			t.Errorf("%d statements for 2, %d for 20", few, many)
		}
	})
}
