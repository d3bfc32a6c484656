package crash

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// The size of a job that is killed: enough chunks that each kill meets one.
const (
	jobCustomers = 12_000
	jobAdvisors  = 3
	jobKills     = 4
)

// Ensure a job goes on where it was when the servers that work at it are killed: nobody is bound
// twice, nobody is left out, and its events have no hole (rules E5, N4, ADR 0024).
func TestJobKilled(t *testing.T) {
	for name, of := range map[string]struct {
		empty func(testing.TB) string
		nodes int
	}{"sqlite": {testkit.EmptySQLite, 1}, "mysql": {testkit.EmptyMySQL, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killJob(t, of.empty(t), of.nodes)
		})
	}
}

func killJob(t *testing.T, dsn string, nodes int) {
	r := foundRig(t, dsn)
	account := r.accounts[0]
	var group models.Key
	r.opened(func(s *store.Store) {
		advisors := testkit.Advisors(t, s, account, jobAdvisors, func(i int, a *models.Advisor) { a.OpenID = models.Ident(fmt.Sprint("member-", i)) })
		testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
			g := &models.Group{AccountID: account.Key, Key: models.NewKey(), Name: "all", FoldedName: "all", MemberCount: jobAdvisors, CreatedAt: tx.Now, UpdatedAt: tx.Now}
			group = g.Key
			if err := tx.InsertGroup(g); err != nil {
				return err
			}
			members := make([]*models.GroupMember, len(advisors))
			for i, a := range advisors {
				members[i] = &models.GroupMember{AccountID: account.Key, GroupID: g.Key, AdvisorID: a.Key, CreatedAt: tx.Now}
			}
			return tx.InsertMembers([]*models.Group{g}, members)
		})
		openids := make([]models.Ident, jobCustomers)
		for i := range openids {
			openids[i] = models.Ident(fmt.Sprint("follower-", i))
		}
		for part := range slices.Chunk(openids, 1_000) {
			testkit.Write(t, s, account.Key, func(tx *store.Tx) error {
				byOpenID, err := tx.EnsureCustomers(part)
				if err != nil {
					return err
				}
				rows, _, err := tx.LockCustomers(slices.Collect(maps.Values(byOpenID)))
				for _, c := range rows {
					c.FollowState, c.FollowedAt = models.Following, tx.Now
				}
				if err != nil {
					return err
				}
				return tx.UpdateCustomers(rows, "follow_state", "followed_at")
			})
		}
	})
	admin := r.admin[account.Key]
	r.startNodes(binary(t, ""), nodes)
	const start = `mutation($g: ID!) { assignCustomers(input: {customers: {matching: {isAssigned: false}}, to: {groupId: $g}, idempotencyKey: "once"}) { job { id } } }`
	var started struct{ Job struct{ ID string } }
	ask := func() string {
		data, err := r.ask(r.nodes[0], admin, start, map[string]any{"g": (&models.Group{Key: group}).ID().String()})
		if err != nil {
			t.Fatalf("start: %v", err)
		}
		if err := json.Unmarshal(data["assignCustomers"], &started); err != nil {
			t.Fatal(err)
		}
		return started.Job.ID
	}
	id := ask()
	var job struct {
		State     string
		DoneCount int
	}
	read := func() {
		data, err := r.ask(r.nodes[0], admin, `query($id: ID!) { job(jobId: $id) { state doneCount } }`, map[string]any{"id": id})
		if err != nil && !passing(err) {
			t.Fatalf("job: %v", err)
		}
		_ = json.Unmarshal(data["job"], &job)
	}
	var met []int
	for n := range jobKills {
		goal := (n + 1) * jobCustomers / (jobKills + 2)
		r.await(fmt.Sprint(goal, " are dealt with"), func() bool { read(); return job.DoneCount >= goal })
		r.killAll(func(db *sql.DB) {
			met = append(met, r.count(db, "SELECT done FROM job"))
			r.exec(db, endJobLeases)
		})
	}
	if again := ask(); again != id {
		t.Errorf("the key answers job %s, not %s", again, id)
	}
	r.await("the job has ended", func() bool { read(); return job.State == "FINISHED" })
	t.Logf("killed at %v of %d", met, jobCustomers)
	r.half(met, jobCustomers)
	r.stop()
	r.openedSQL(func(db *sql.DB) {
		for query, want := range map[string]int{
			"SELECT COUNT(*) FROM customer WHERE advisor_id IS NULL":         0,
			"SELECT COUNT(*) FROM binding":                                   jobCustomers,
			"SELECT COUNT(DISTINCT customer_id) FROM binding":                jobCustomers,
			"SELECT SUM(customer_count) FROM advisor":                        jobCustomers,
			"SELECT done FROM job":                                           jobCustomers,
			"SELECT changed FROM job":                                        jobCustomers,
			"SELECT COUNT(*) FROM job":                                       1,
			"SELECT COUNT(*) FROM event WHERE kind = 'CONVERSATION_CHANGED'": jobCustomers,
			"SELECT COUNT(*) FROM event WHERE kind = 'JOB_ENDED'":            1,
			"SELECT COUNT(*) FROM stream s WHERE s.head <> (SELECT COUNT(*) FROM event e WHERE e.account_id = s.account_id AND e.stream_id = s.id)":          0,
			"SELECT COUNT(*) FROM event e WHERE e.kind = 'JOB_CHANGED' AND e.seq = 1":                                                                        1,
			"SELECT COUNT(*) FROM conversation v JOIN customer c ON c.account_id = v.account_id AND c.id = v.customer_id WHERE v.advisor_id <> c.advisor_id": 0,
		} {
			if got := r.count(db, query); got != want {
				t.Errorf("%s: %d, want %d", query, got, want)
			}
		}
	})
}
