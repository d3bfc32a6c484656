package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"clientele/auth"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
	"clientele/store"
)

// crowd is a channel that knows who follows its account, in order, and answers fault instead while there is one.
type crowd struct {
	sending
	people       []services.FollowerInfo
	page         int
	fault        error
	pages, infos int // how often it was asked
}

func (c *crowd) Followers(_ context.Context, _ *models.Account, after models.Ident) (services.FollowersPage, error) {
	if c.pages++; c.fault != nil {
		return services.FollowersPage{}, c.fault
	}
	start := 1 + slices.IndexFunc(c.people, func(f services.FollowerInfo) bool { return f.OpenID == after })
	if start == 0 && after != "" {
		return services.FollowersPage{}, fmt.Errorf("%s follows nobody", after)
	}
	p := services.FollowersPage{Total: int64(len(c.people))}
	for _, f := range c.people[start:min(start+c.page, len(c.people))] {
		p.OpenIDs = append(p.OpenIDs, f.OpenID)
		p.Next = f.OpenID
	}
	return p, nil
}

func (c *crowd) FollowersInfo(_ context.Context, _ *models.Account, openids []models.Ident) (infos []services.FollowerInfo, err error) {
	if c.infos++; c.fault != nil {
		return nil, c.fault
	}
	if len(openids) > limits.FollowersInfo {
		return nil, errors.New("too many")
	}
	for _, f := range c.people {
		if slices.Contains(openids, f.OpenID) {
			infos = append(infos, f)
		}
	}
	return infos, nil
}

// closedUntil is what a channel answers that does not ask its platform until then.
type closedUntil models.Time

func (closedUntil) Error() string              { return "not asked" }
func (c closedUntil) ClosedUntil() models.Time { return models.Time(c) }

func (sh *shop) asAdmin() context.Context {
	return services.WithScope(context.Background(), &services.Scope{
		Viewer: &auth.Viewer{Role: auth.RoleAdmin, Account: sh.account.Key.String(), Subject: "admin"}, Account: sh.account,
	})
}

// change changes customers' rows.
func (sh *shop) change(change func(i int, c *models.Customer), columns ...string) {
	sh.tb.Helper()
	testkit.Write(sh.tb, sh.store, sh.account.Key, func(tx *store.Tx) error {
		rows, _, err := tx.LockCustomers(sh.customers)
		if err != nil {
			return err
		}
		for _, c := range rows {
			change(slices.Index(sh.customers, c.Key), c)
		}
		return tx.UpdateCustomers(rows, columns...)
	})
}

// claimed takes the one job that is due.
func (n *node) claimed(tb testing.TB) *models.Job {
	tb.Helper()
	jobs, err := n.ClaimJobs(tb.Context(), 2)
	if err != nil || len(jobs) != 1 {
		tb.Fatalf("claimed %v, %v", jobs, err)
	}
	return jobs[0]
}

// stepped does the next chunk of a job.
func (n *node) stepped(ctx context.Context, tb testing.TB, j *models.Job) *models.Job {
	tb.Helper()
	next, err := n.StepJob(ctx, j)
	if err != nil {
		tb.Fatal(err)
	}
	return next
}

// Ensure an import of followers makes customers of those who follow, fills what is not known of others and nothing else, tells what it could not write, goes on
// on another node where one died, asks for a page once, and takes as many statements for a full chunk as for one follower (rules E1, E8, E11).
func TestImportFollowers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		sh := newShop(t, s, 7)
		now := clock.Time()
		sh.change(func(i int, c *models.Customer) {
			switch i {
			case 1:
				c.UnionID = "other"
			case 2: // they came back and nobody told us
				c.FollowState, c.UnfollowedAt, c.SuspendedAt = models.Unfollowed, now.Add(-time.Hour), now.Add(-time.Hour)
			case 3: // they left after the platform made its answer
				c.FollowState, c.UnfollowedAt, c.SuspendedAt = models.Unfollowed, now, now
			case 4:
				c.AdvisorID, c.BoundAt, c.UnionID = models.Key{}, 0, "taken"
			}
		}, "unionid", "follow_state", "unfollowed_at", "suspended_at", "advisor_id", "bound_at")
		testkit.Write(t, s, sh.account.Key, func(tx *store.Tx) error {
			rows, err := tx.LockAdvisors([]models.Key{sh.advisor.Key})
			if err != nil {
				return err
			}
			rows[0].UnionID, rows[0].CustomerCount = "person", 4
			return tx.UpdateAdvisors(rows, "unionid", "customer_count")
		})
		ch := &crowd{page: 120}
		follow := func(openid, unionid models.Ident, since time.Duration) {
			ch.people = append(ch.people, services.FollowerInfo{OpenID: openid, UnionID: unionid, Follows: true, FollowedAt: now.Add(since)})
		}
		for i, unionid := range []models.Ident{"u-0", "u-1", "u-2", "u-3", "taken", "person", "u-6"} {
			follow(models.Ident(fmt.Sprintf("customer-%d", i)), unionid, -time.Minute)
		}
		follow("new-0", "taken", -time.Hour)
		follow("new-1", "twice", -time.Hour)
		follow("new-2", "twice", -time.Hour)
		ch.people = append(ch.people, services.FollowerInfo{OpenID: "left"})
		follow("wrong", "a b", 0)
		for i := len(ch.people); i < 250; i++ {
			follow(models.Ident(fmt.Sprintf("new-%d", i)), "", -time.Hour)
		}
		n := newNode(t, s, ch)
		n2 := another(t, n, dsn, clock, ch)
		if _, err := n.EraseCustomer(sh.asAdmin(), services.CustomerRef{OpenID: "customer-6"}); err != nil {
			t.Fatal(err)
		}
		told := sh.count("SELECT COUNT(*) FROM event WHERE kind = 'CUSTOMERS_IMPORTED'")

		job, repeated, err := n.ImportFollowers(sh.asAdmin(), "k1")
		if err != nil || repeated {
			t.Fatal(job, repeated, err)
		}
		if again, repeated, err := n.ImportFollowers(sh.asAdmin(), "k1"); err != nil || !repeated || again.Key != job.Key {
			t.Errorf("again %v, %v, %v", again, repeated, err)
		}
		if _, _, err := n.ImportFollowers(sh.asAdmin(), ""); models.CodeOf(err) != models.CodeState {
			t.Errorf("a second import: %v", err)
		}
		var full, one atomic.Int64
		j := n.stepped(t.Context(), t, n.claimed(t))
		if j.Total != 250 || j.Done != 100 || j.Changed != 4+3+88 {
			t.Errorf("after a chunk the job is %+v", j)
		}
		// The node dies in the middle of the next chunk: nobody hears of it again.
		clock.Advance(limits.JobLease + time.Second)
		j = n2.stepped(store.CountStatements(t.Context(), &full), t, n2.claimed(t))
		j = n2.stepped(t.Context(), t, j)
		if _, err := n.StepJob(t.Context(), job); !errors.Is(err, services.ErrJobLost) {
			t.Errorf("the one who was taken for dead: %v", err)
		}
		if j.Done != 220 || ch.pages != 2+1 || ch.infos != 3+1 {
			t.Errorf("after two pages %d are done, asked for pages %d times, about followers %d times", j.Done, ch.pages, ch.infos)
		}
		j = n2.stepped(t.Context(), t, j)
		if j = n2.stepped(t.Context(), t, j); j.State != models.JobFinished || j.Done != 250 || j.Cursor != "" || j.Failures != `{"CONFLICT":3,"INVALID":1,"SELF":1}` {
			t.Errorf("the job ends as %+v", j)
		}
		for openid, want := range map[string]string{
			"customer-0": "u-0 FOLLOWING true 0", "customer-1": "other FOLLOWING true 0", "customer-2": "u-2 FOLLOWING true 1", "customer-3": "u-3 UNFOLLOWED true 1",
			"customer-4": "taken FOLLOWING false 0", "customer-5": " FOLLOWING true 0", "customer-6": "u-6 FOLLOWING false 0", "new-0": " FOLLOWING false 0",
			"new-1": "twice FOLLOWING false 0", "new-2": " FOLLOWING false 0", "new-249": " FOLLOWING false 0",
		} {
			rows, err := s.View(t.Context()).CustomersByOpenID(sh.account.Key, []models.Ident{models.Ident(openid)})
			if err != nil || len(rows) != 1 {
				t.Errorf("%s: %v, %v", openid, rows, err)
				continue
			}
			c := rows[0]
			if got := fmt.Sprint(c.UnionID, " ", c.FollowState, " ", !c.AdvisorID.IsZero(), " ", min(1, c.SuspendedAt)); got != want {
				t.Errorf("%s is %q, want %q", openid, got, want)
			}
			if c.FollowState == models.Following && c.FollowedAt > now || openid == "customer-2" && c.FollowedAt != now.Add(-time.Minute) {
				t.Errorf("%s follows since %v", openid, c.FollowedAt.Go())
			}
		}
		if rows, err := s.View(t.Context()).CustomersByOpenID(sh.account.Key, []models.Ident{"left", "wrong"}); err != nil || len(rows) != 0 {
			t.Errorf("of who left, and of an unusable answer, was made %v, %v", rows, err)
		}
		items := sh.count("SELECT COUNT(*) FROM job_item WHERE target_id IN (SELECT id FROM customer WHERE openid IN (?, ?, ?, ?))",
			[]byte("customer-1"), []byte("customer-5"), []byte("new-0"), []byte("new-2"))
		for what, got := range map[string]int{
			"failed items that name their customer": items - 4,
			"chunks of which an advisor is told":    sh.count("SELECT COUNT(*) FROM event WHERE kind = 'CUSTOMERS_IMPORTED'") - told - 1,
			"notifications":                         sh.count("SELECT COUNT(*) FROM notification"),
			"messages":                              sh.count("SELECT COUNT(*) FROM message"),
			"changes of bindings":                   sh.count("SELECT COUNT(*) FROM binding") - 1, // the erasure's
			"audit entries":                         sh.count("SELECT COUNT(*) FROM audit WHERE action = 'importFollowers' AND target_kind = 'Job'") - 1,
			"customers counted wrongly":             sh.count("SELECT customer_count FROM advisor") - 3, // less the erased one
		} {
			if got != 0 {
				t.Errorf("%s: %d more or fewer than there should be", what, got)
			}
		}

		// Once more everything is known; and one follower takes as many statements as a hundred do.
		ch.people = append(ch.people[:7], services.FollowerInfo{OpenID: "last", UnionID: "u-last", Follows: true})
		ch.people = ch.people[len(ch.people)-1:]
		if _, _, err = n.ImportFollowers(sh.asAdmin(), "k2"); err != nil {
			t.Fatal(err)
		}
		j = n.stepped(store.CountStatements(t.Context(), &one), t, n.claimed(t))
		if j.Changed != 1 || full.Load() > one.Load()+2 {
			t.Errorf("a chunk takes %d statements, one follower %d; the job is %+v", full.Load(), one.Load(), j)
		}
	})
}

// Ensure an import of followers waits while the platform does not answer, until the time that it names, and while the account is closed; that it ends when it is
// cancelled or can never be done; and that it begins again when the one whom it was at is erased (rules A1, E11, E13, K1).
func TestImportFollowersWaits(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		clock := testkit.NewClock()
		s := testkit.Store(t, dsn, clock)
		sh := newShop(t, s, 1)
		ch := &crowd{page: limits.FollowersPage}
		for i := range 150 {
			ch.people = append(ch.people, services.FollowerInfo{OpenID: models.Ident(fmt.Sprintf("f%03d", i)), Follows: true, FollowedAt: clock.Time()})
		}
		n := newNode(t, s, ch)
		start := func() {
			t.Helper()
			if _, _, err := n.ImportFollowers(sh.asAdmin(), ""); err != nil {
				t.Fatal(err)
			}
		}
		idle := func() {
			t.Helper()
			if jobs, err := n.ClaimJobs(t.Context(), 1); err != nil || len(jobs) != 0 {
				t.Fatalf("claimed %v, %v", jobs, err)
			}
		}
		start()
		ch.fault = errors.New("no connection")
		for range limits.JobFaults + 1 {
			if _, err := n.StepJob(t.Context(), n.claimed(t)); err == nil {
				t.Fatal("done though the platform does not answer")
			}
			idle()
			clock.Advance(time.Minute)
		}
		tomorrow := clock.Time().Add(10 * time.Hour)
		ch.fault = closedUntil(tomorrow)
		if _, err := n.StepJob(t.Context(), n.claimed(t)); err == nil {
			t.Fatal("done though the quota is used up")
		}
		clock.Advance(9 * time.Hour)
		idle()
		clock.Advance(time.Hour)
		ch.fault = closedUntil(clock.Time().Add(100 * time.Hour)) // by a clock of its own
		if _, err := n.StepJob(t.Context(), n.claimed(t)); err == nil {
			t.Fatal("done though the platform is not asked")
		}
		clock.Advance(limits.JobRest - time.Second)
		idle()
		clock.Advance(time.Second)
		ch.fault = nil
		j := n.stepped(t.Context(), t, n.claimed(t))
		if j.Done != 100 || j.Faults != 0 {
			t.Errorf("the job is %+v", j)
		}
		if err := n.ReleaseJob(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		// Closed in the middle of a chunk, and then.
		closing := func(c models.Capability) {
			testkit.Write(t, s, sh.account.Key, func(tx *store.Tx) error {
				a, err := tx.LockAccount()
				if err != nil {
					return err
				}
				a.Capability = c
				return tx.UpdateAccount(a, "capability")
			})
		}
		j = n.claimed(t)
		closing(models.CapabilityClosed)
		if _, err := n.StepJob(t.Context(), j); !errors.Is(err, services.ErrJobRests) {
			t.Errorf("closed: %v", err)
		}
		idle()
		closing(models.CapabilityOpen)
		if _, err := n.EraseCustomer(sh.asAdmin(), services.CustomerRef{OpenID: "f099"}); err != nil {
			t.Fatal(err)
		}
		if rows := sh.count("SELECT COUNT(*) FROM job WHERE progress LIKE '%f099%'"); rows != 0 {
			t.Error("the job keeps the openid of who is erased")
		}
		j = n.stepped(t.Context(), t, n.claimed(t))
		if j.Done != 200 || j.Changed != 101 {
			t.Errorf("begun again the job is %+v", j)
		}
		if _, err := n.CancelJob(sh.asAdmin(), j.Key); err != nil {
			t.Fatal(err)
		}
		if _, err := n.StepJob(t.Context(), j); !errors.Is(err, services.ErrJobLost) {
			t.Errorf("cancelled: %v", err)
		}
		start()
		ch.fault = services.ErrNoSecret
		if j = n.stepped(t.Context(), t, n.claimed(t)); j.State != models.JobFailed || j.ErrorCode != models.CodeState || j.Cursor != "" {
			t.Errorf("the job is %+v", j)
		}
		if _, _, err := newNode(t, s, sending(nil)).ImportFollowers(sh.asAdmin(), ""); models.CodeOf(err) != models.CodeState {
			t.Errorf("a channel that knows nobody: %v", err)
		}
	})
}
