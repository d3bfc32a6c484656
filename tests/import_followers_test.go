package tests

import (
	"fmt"
	"testing"
	"time"

	"clientele/channels/wechat/wechattest"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

const importFollowersText = `mutation($k: String) { importFollowers(input: {idempotencyKey: $k}) { isRepeated job { id kind state } } }`

// Ensure all who follow a WECHAT account become customers as the platform has them, page by page, by a job that tells how it gets on; that nobody is welcomed,
// notified or assigned; that it waits while the platform does not answer, and for its next day when the quota is used up (rules E1, E11, K1).
func TestImportOfFollowers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		api := wechattest.NewAPI(t)
		o := reaching(api)
		o.jobs = -1
		w := start(t, dsn, o)
		api.Clock(w.clock.Now)
		a, app := connected(t, w, api, setup{
			Advisors: []string{"anna"}, Customers: []string{"wei of anna"}, Settings: map[string]any{"isAutoAssignOn": true},
		}, "main")
		w.answered() // of wei the platform knows nothing yet
		app.Pages(150, false)
		app.Follow(wechattest.Follower{OpenID: "wei", UnionID: "u-wei"})
		for i := range 299 {
			app.Follow(wechattest.Follower{OpenID: fmt.Sprintf("f%d", i), UnionID: fmt.Sprintf("u%d", i), FollowedAt: testkit.Start.Add(-time.Hour)})
		}
		app.Unfollow("f7")
		quiet := func() string {
			return fmt.Sprint(w.count("SELECT COUNT(*) FROM notification"), w.count("SELECT COUNT(*) FROM message"), w.count("SELECT COUNT(*) FROM binding"))
		}
		before := quiet()
		first := a.do("admin", importFollowersText, map[string]any{"k": "k1"})
		job := first.text("importFollowers.job.id")
		if first.text("importFollowers.job.kind") != "IMPORT_FOLLOWERS" || first.field("importFollowers.isRepeated") != false {
			t.Errorf("begun as %s", first.body)
		}
		if again := a.do("admin", importFollowersText, map[string]any{"k": "k1"}); again.text("importFollowers.job.id") != job || again.field("importFollowers.isRepeated") != true {
			t.Errorf("again: %s", again.body)
		}
		if got := a.try("integration", importFollowersText, map[string]any{"k": "k1"}); got.code() != "STATE" {
			t.Errorf("another meanwhile: %s", got.body)
		}
		waits := func(what string, d time.Duration) {
			t.Helper()
			if _, err := w.Services.StepJob(t.Context(), w.claimed()); err == nil {
				t.Errorf("%s, and the job went on", what)
			}
			w.clock.Advance(d)
		}
		app.Break(wechattest.PathFollowers, 100) // a GET is asked again over each connection that was kept
		waits("no answer", time.Minute)
		app.Heal(wechattest.PathFollowers)
		app.Quota(wechattest.PathFollowersInfo, 1)
		j := w.stepped(w.claimed())
		if got := a.job(job); got.field("totalCount") != 299.0 || got.field("doneCount") != 100.0 || got.field("changedCount") != 99.0+1 {
			t.Errorf("after a chunk the job is %v", got.Data)
		}
		if err := w.Services.ReleaseJob(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		waits("the quota is used up", time.Minute)
		waits("the quota is known to be used up", 14*time.Hour)
		if jobs, err := w.Services.ClaimJobs(t.Context(), 1); err != nil || len(jobs) != 0 {
			t.Errorf("before the platform's next day: %v, %v", jobs, err)
		}
		app.Heal(wechattest.PathFollowersInfo)
		w.clock.Advance(time.Hour)
		calls := len(app.Calls(wechattest.PathFollowers))
		for j = w.claimed(); j.State == models.JobRunning; {
			j = w.stepped(j)
		}
		if got := a.job(job); got.text("state") != "FINISHED" || got.field("doneCount") != 299.0 || got.field("changedCount") != 299.0 {
			t.Errorf("the job ends as %v", got.Data)
		}
		if n := len(app.Calls(wechattest.PathFollowers)) - calls; n > 2 {
			t.Errorf("the platform was asked for %d pages, where one was left and the end", n)
		}
		if got := quiet(); got != before {
			t.Errorf("notifications, messages and bindings were %s and are %s", before, got)
		}
		for openid, want := range map[string]string{"wei": "anna ADVISOR_QR u-wei", "f0": "nobody u0", "f298": "nobody u298", "f7": "NOT_FOUND"} {
			if got := a.follower(openid); got != want {
				t.Errorf("%s has %q, want %q", openid, got, want)
			}
		}
		if got := a.person("f0")["followedAt"]; got != "2026-03-02T00:00:00.000Z" && got != "2026-03-02T00:00:00Z" && got != "2026-03-02T00:00:00.000000Z" {
			t.Errorf("f0 follows since %v", got)
		}
		sandbox := w.found(setup{}, "sandbox")
		if got := sandbox.try("admin", importFollowersText, nil); got.code() != "STATE" {
			t.Errorf("on SANDBOX: %s", got.body)
		}
		secretless := w.found(setup{Channel: "WECHAT"}, "secretless")
		id := secretless.do("admin", importFollowersText, nil).text("importFollowers.job.id")
		if j, err := w.Services.StepJob(t.Context(), w.claimed()); err != nil || j.State != models.JobFailed {
			t.Errorf("without an app secret: %v, %v", j, err)
		}
		if got := secretless.do("admin", `query($id: ID!) { job(jobId: $id) { error { code } } }`, map[string]any{"id": id}).text("job.error.code"); got != "STATE" {
			t.Errorf("without an app secret the job failed with %s", got)
		}
		if limits.FollowersInfo != 100 {
			t.Error("the numbers above are for chunks of 100")
		}
		w.sound()
	})
}
