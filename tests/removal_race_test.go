package tests

import (
	"fmt"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
)

// Ensure a removal wins over whoever comes at the same time (rules B5, E1): after it nobody is bound
// to who was removed, all who were are the other advisor's or nobody's, and the last event of the
// stream says so, though customers wrote on.
func TestRemovalAgainstScansAndMessages(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		const customers, scanners = 40, 30
		var bound []string
		for _, c := range named("c", customers) {
			bound = append(bound, c+" of anna")
		}
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Groups: []string{"tea of anna ben"}, Customers: bound}, "main")
		anna := keyOf(t, a.names["id anna"])
		got := together(2*scanners+1, func(i int) string {
			switch {
			case i == scanners:
				return a.try("admin", `mutation { removeAdvisor(input: {advisor: {openid: "anna"}, handOver: {advisor: {openid: "ben"}}}) { advisor { id } } }`, nil).code()
			case i < scanners:
				return a.scanned(fmt.Sprint("s", i), a.names["scene anna"])
			}
			_, err := w.Services.Ingest(t.Context(), a.account, models.Inbound{
				Kind: models.InboundMessage, OpenID: fmt.Sprint("c", i%customers), At: w.clock.Time(), DedupKey: fmt.Sprint("race ", i),
				Content: &models.InboundContent{Kind: models.ContentText, Text: "hello"},
			})
			if err != nil {
				return err.Error()
			}
			return "written"
		})
		if got[""] != 1 || got["written"] != scanners || got["BOUND"]+got["ADVISOR_INVALID"] != scanners {
			t.Fatalf("outcomes %v", got)
		}
		w.worked()
		a.write("c1", "and again")
		for what, query := range map[string]string{
			"still bound":   "SELECT COUNT(*) FROM customer WHERE advisor_id = ?",
			"conversations": "SELECT COUNT(*) FROM conversation WHERE advisor_id = ?",
			"counted":       "SELECT customer_count FROM advisor WHERE id = ?",
			"memberships":   "SELECT COUNT(*) FROM group_member WHERE advisor_id = ?",
		} {
			if n := w.count(query, anna[:]); n != 0 {
				t.Errorf("%s: %d", what, n)
			}
		}
		if n := w.count(`SELECT s.head - e.seq FROM stream s JOIN event e ON e.account_id = s.account_id AND e.stream_id = s.id
			JOIN notification n ON n.account_id = e.account_id AND n.id = e.notification_id AND n.kind = 'ADVISOR_REMOVED' WHERE s.id = ?`, anna[:]); n != 1 {
			t.Errorf("%d events follow what says that she was removed; one ends her subscriptions", n)
		}
		if n, want := w.count("SELECT customer_count FROM advisor WHERE nickname = 'ben'"), int64(customers+got["BOUND"]); n != want {
			t.Errorf("ben has %d customers, want %d", n, want)
		}
		if n := w.count("SELECT COUNT(*) FROM customer WHERE advisor_id = ?", anna[:]) + w.count("SELECT COUNT(*) FROM customer WHERE advisor_id IS NOT NULL"); n != int64(customers+got["BOUND"]) {
			t.Errorf("%d are bound", n)
		}
		if n := w.count("SELECT member_count FROM advisor_group"); n != 1 {
			t.Errorf("%d members are counted", n)
		}
	})
}

// Ensure a removal's job takes on those, too, who were bound by a transaction that began after the removal's and was done before it, or by a node whose
// clock is ahead (rule B5); and not those who are bound to who was invited again before the job came to them.
func TestRemovalThatBeganBeforeABinding(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1}) // the test works at them when it likes
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Followers: []string{"li", "mei"}}, "main")
		w.clock.Advance(time.Second)
		a.do("admin", assignText, map[string]any{"c": theseOf("li"), "to": toAdvisor("anna")})
		a.scanned("wei", a.names["scene anna"])
		w.clock.Advance(-time.Second)
		a.do("admin", `mutation { removeAdvisor(input: {advisor: {openid: "anna"}, handOver: {advisor: {openid: "ben"}}}) { job { id } } }`, nil)
		w.clock.Advance(time.Minute)
		a.do("admin", `mutation { inviteAdvisors(input: {advisors: [{openid: "anna", nickname: "anna"}]}) { results { error { code } } } }`, nil)
		a.do("anna", `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`, nil)
		a.do("admin", assignText, map[string]any{"c": theseOf("mei"), "to": toAdvisor("anna")})
		jobs, err := w.Services.ClaimJobs(t.Context(), 10)
		if err != nil || len(jobs) != 1 {
			t.Fatalf("%d jobs, %v", len(jobs), err)
		}
		job, err := w.Services.StepJob(t.Context(), jobs[0])
		if err != nil || job.State != models.JobFinished || job.Done != 2 || job.Total != 2 {
			t.Errorf("the job: %+v, %v", job, err)
		}
		for who, advisor := range map[string]string{"li": "ben", "wei": "ben", "mei": "anna"} {
			if n := w.count("SELECT COUNT(*) FROM customer c JOIN advisor a ON a.account_id = c.account_id AND a.id = c.advisor_id WHERE c.openid = ? AND a.openid = ?", []byte(who), []byte(advisor)); n != 1 {
				t.Errorf("%s is not %s's", who, advisor)
			}
		}
		w.sound()
	})
}

// Ensure that an advisor who should get the customers and is removed meanwhile gets none: they stay
// without one, and why is told (rule B5).
func TestHandOverToWhoIsGone(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1}) // the test works at them when it likes
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		remove := `mutation($who: Identifier!, $to: BindingTarget) { removeAdvisor(input: {advisor: {openid: $who}, handOver: $to}) { job { id } } }`
		a.do("admin", remove, map[string]any{"who": "anna", "to": map[string]any{"advisor": map[string]any{"openid": "ben"}}})
		a.do("admin", remove, map[string]any{"who": "ben"})
		jobs, err := w.Services.ClaimJobs(t.Context(), 10)
		if err != nil || len(jobs) != 2 {
			t.Fatalf("%d jobs, %v", len(jobs), err)
		}
		for _, job := range jobs {
			for !job.IsEnded() {
				if job, err = w.Services.StepJob(t.Context(), job); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := w.count("SELECT COUNT(*) FROM customer WHERE advisor_id IS NOT NULL"); n != 0 {
			t.Errorf("%d are bound", n)
		}
		if n := w.count("SELECT COUNT(*) FROM job WHERE state = 'FINISHED'"); n != 2 {
			t.Errorf("%d jobs finished", n)
		}
		if n := w.count("SELECT COUNT(*) FROM job_item WHERE code = 'STATE'"); n != 2 {
			t.Errorf("of %d is told why", n)
		}
	})
}

// Ensure customers are spread over a group of which who was removed is a member again, invited anew before their turn came: none is left without an
// advisor for no reason (rule B5).
func TestHandOverToAGroupOfWhoCameBack(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Groups: []string{"tea of ben"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		a.do("admin", `mutation($to: BindingTarget!) { removeAdvisor(input: {advisor: {openid: "anna"}, handOver: $to}) { job { id } } }`, map[string]any{"to": a.toGroup("tea")})
		a.do("admin", `mutation { inviteAdvisors(input: {advisors: [{openid: "anna", nickname: "anna"}]}) { results { error { code } } } }`, nil)
		a.do("anna", `mutation { answerInvitation(input: {accept: true}) { advisor { id } } }`, nil)
		a.do("admin", `mutation($g: ID!) { addGroupAdvisors(input: {groupId: $g, advisors: [{openid: "anna"}]}) { results { error { code } } } }`, map[string]any{"g": a.names["id tea"]})
		j := w.stepped(w.claimed())
		if n := w.count("SELECT COUNT(*) FROM customer WHERE advisor_id IS NOT NULL"); n != 2 || j.State != models.JobFinished || j.Changed != 2 {
			t.Errorf("%d are bound; the job: %+v", n, j)
		}
		w.sound()
	})
}

// Ensure a hand-over cannot be cancelled, which would leave customers bound to who was removed, and goes on (rule B5).
func TestHandOverIsNotCancelled(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{jobs: -1})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Customers: []string{"wei of anna", "li of anna"}}, "main")
		id := a.do("admin", `mutation { removeAdvisor(input: {advisor: {openid: "anna"}, handOver: {advisor: {openid: "ben"}}}) { job { id } } }`, nil).text("removeAdvisor.job.id")
		cancel := func() string {
			return a.try("admin", `mutation($id: ID!) { cancelJob(input: {jobId: $id}) { job { state } } }`, map[string]any{"id": id}).code()
		}
		if got := cancel(); got != "STATE" {
			t.Errorf("before it began: %q", got)
		}
		j := w.claimed()
		if got := cancel(); got != "STATE" {
			t.Errorf("while it runs: %q", got)
		}
		for !j.IsEnded() {
			j = w.stepped(j)
		}
		if n := w.count("SELECT customer_count FROM advisor WHERE nickname = 'ben'"); n != 2 || a.job(id).text("state") != "FINISHED" {
			t.Errorf("ben has %d customers; the job is %v", n, a.job(id).Data)
		}
		w.sound()
	})
}
