package tests

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/channels/wechat/wechattest"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

const byAd = "ADD_SCENE_WECHAT_ADVERTISEMENT"

// follower is who has somebody, and how: "ben WECHAT_AD u-wei".
func (t *tenant) follower(openid string) string {
	t.tb.Helper()
	c := t.try("admin", `query($o: Identifier!) { customer(by: {openid: $o}) { unionid advisor { nickname } source followState } }`, map[string]any{"o": openid})
	if c.code() != "" {
		return c.code()
	}
	if c.field("customer.advisor") == nil {
		return fmt.Sprint("nobody ", c.field("customer.unionid"))
	}
	return fmt.Sprint(c.field("customer.advisor.nickname"), " ", c.field("customer.source"), " ", c.field("customer.unionid"))
}

// follows has somebody follow on the platform, which tells us.
func (t *tenant) follows(app *wechattest.App, openid, scene string) {
	t.tb.Helper()
	app.Follow(wechattest.Follower{OpenID: openid, UnionID: "u-" + openid, FollowedAt: t.clock.Now(), Scene: scene})
	t.follow(openid, "")
}

// leaves has somebody stop following.
func (t *tenant) leaves(app *wechattest.App, openid string) {
	t.tb.Helper()
	t.clock.Advance(time.Second)
	app.Unfollow(openid)
	t.arrive(models.Inbound{Kind: models.InboundUnfollow, OpenID: openid})
	t.clock.Advance(time.Second)
}

// answered waits until the platform is not to be asked of anybody.
func (w *world) answered() {
	w.tb.Helper()
	w.await("the platform was asked of everybody", func() bool { return w.count("SELECT COUNT(*) FROM follow_waiting") == 0 })
}

func (t *tenant) settings(changes map[string]any) {
	t.tb.Helper()
	t.do("admin", `mutation($i: UpdateAccountSettingsInput!) { updateAccountSettings(input: $i) { account { id } } }`, map[string]any{"i": changes})
}

// Ensure who follows through an advertisement gets a member of the account's group for them once the platform has said so, and everybody else what they would
// have got at once; that nothing is done to who has an advisor by then, has left, or was erased; and that everybody's unionid becomes known (rules E1, E3, E4, E8, E12).
func TestOriginsOfFollowers(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{
			Advisors: []string{"anna", "ben"}, Groups: []string{"ads of ben", "empty"}, Customers: []string{"back of anna", "returned of anna", "stays of anna", "gone of anna"},
		}, "main")
		a.settings(map[string]any{"advertisementGroupId": a.names["id ads"]})
		notices := func() int64 { return w.count("SELECT COUNT(*) FROM notification WHERE kind = 'CUSTOMER_BOUND'") }
		w.answered() // of those who came by codes
		before := notices()
		want := func(openid, want string) {
			t.Helper()
			if got := a.follower(openid); got != want {
				t.Errorf("%s has %q, want %q", openid, got, want)
			}
		}
		a.follows(app, "ad", byAd)
		a.follows(app, "plain", "")
		w.answered()
		want("ad", "ben WECHAT_AD u-ad")
		want("plain", "nobody u-plain")
		for _, openid := range []string{"back", "returned"} {
			a.leaves(app, openid)
		}
		a.follows(app, "back", "")
		a.follows(app, "returned", byAd)
		w.answered()
		want("back", "anna ADVISOR_QR u-back")
		want("returned", "ben WECHAT_AD u-returned")
		a.follows(app, "anna", byAd) // who is an advisor
		w.answered()
		want("anna", "nobody u-anna")
		if got := notices() - before; got != 2 {
			t.Errorf("%d bindings were notified, want those of the advertisement", got)
		}

		release := app.Stall(wechattest.PathFollowersInfo)
		for _, openid := range []string{"by hand", "scans", "leaves", "again", "erased", "writes"} {
			openid = strings.ReplaceAll(openid, " ", "-")
			a.follows(app, openid, byAd)
			want(openid, "nobody <nil>")
		}
		a.do("admin", `mutation { assignCustomers(input: {customers: {these: [{openid: "by-hand"}]}, to: {advisor: {openid: "anna"}}}) { results { changed: isChanged } } }`, nil)
		if got := a.arrive(models.Inbound{Kind: models.InboundScan, OpenID: "scans", Scene: a.names["scene anna"]}); got != models.ScanBound {
			t.Errorf("a scan: %s", got)
		}
		a.leaves(app, "leaves")
		a.leaves(app, "again")
		a.follows(app, "again", "")
		a.do("admin", `mutation { eraseCustomer(input: {customer: {openid: "erased"}}) { erasure { id } } }`, nil)
		a.leaves(app, "gone")
		a.follows(app, "gone", byAd)
		a.write("gone", "anybody there?") // served by whom they had
		release()
		w.answered()
		want("by-hand", "anna CONSOLE u-by-hand")
		want("scans", "anna ADVISOR_QR u-scans")
		want("leaves", "nobody <nil>")
		want("again", "nobody u-again")
		want("erased", "NOT_FOUND")
		want("writes", "ben WECHAT_AD u-writes")
		want("gone", "anna ADVISOR_QR u-gone")

		a.settings(map[string]any{"isAutoAssignOn": true, "advertisementGroupId": a.names["id empty"]})
		a.follows(app, "auto", "")
		a.follows(app, "unlucky", byAd)
		w.answered()
		if got := a.follower("auto"); !strings.HasSuffix(got, " AUTO_ASSIGN u-auto") {
			t.Errorf("auto has %q", got)
		}
		want("unlucky", "nobody u-unlucky")
		a.settings(map[string]any{"isAutoAssignAfterFailedCode": true})
		a.follows(app, "luckier", byAd)
		w.answered()
		if got := a.follower("luckier"); !strings.HasSuffix(got, " AUTO_ASSIGN u-luckier") {
			t.Errorf("luckier has %q", got)
		}

		// A unionid that somebody else has is nobody's twice.
		app.Follow(wechattest.Follower{OpenID: "double", UnionID: "u-auto", Scene: byAd})
		a.follow("double", "")
		w.answered()
		if got := a.follower("double"); !strings.HasSuffix(got, "AUTO_ASSIGN <nil>") {
			t.Errorf("double has %q", got)
		}
		w.sound()
	})
}

// Ensure nothing waits for the platform where no advertisement leads anywhere, the account is closed or has no app secret; that what waits goes on without an
// answer after limits.OriginPatience, and the unionid comes later; and that a callback is answered meanwhile (rules A1, E3, E4, K1).
func TestOriginsWithoutAnAnswer(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{Advisors: []string{"anna", "ben"}, Groups: []string{"ads of ben"}, Settings: map[string]any{"isAutoAssignOn": true}}, "main")
		rest := func(openid, unionid string) {
			t.Helper()
			if got := a.follower(openid); !strings.HasSuffix(got, " AUTO_ASSIGN "+unionid) {
				t.Errorf("%s has %q", openid, got)
			}
		}
		release := app.Stall(wechattest.PathFollowersInfo)
		a.follows(app, "at-once", byAd)
		rest("at-once", "<nil>")
		release()
		w.answered()
		rest("at-once", "u-at-once")

		a.settings(map[string]any{"advertisementGroupId": a.names["id ads"]})
		app.Fail(wechattest.PathFollowersInfo, 1_000_000, 48001)
		a.do("admin", `mutation($t: String!, $k: String!) { setCallbackCredentials(input: {token: $t, aesKey: $k, mode: PLAIN}) { account { id } } }`, map[string]any{"t": callbackToken, "k": callbackKey})
		pl := wechattest.Platform{
			URL: w.url + a.do("admin", `{ account { callbackPath } }`, nil).text("account.callbackPath"), Token: callbackToken, AESKey: callbackKey,
			AppID: "wx-main", OriginalID: "gh_main", Client: w.http, Now: w.clock.Now,
		}
		app.Follow(wechattest.Follower{OpenID: "patient", UnionID: "u-patient", FollowedAt: w.clock.Now(), Scene: byAd})
		for range 2 { // it repeats itself
			resp, err := pl.Post(t.Context(), pl.Subscribe("patient", ""))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if resp.Body.Close(); resp.StatusCode != http.StatusOK || string(body) != "success" {
				t.Errorf("the callback was answered %d %q", resp.StatusCode, body)
			}
		}
		w.await("the platform refused", func() bool { return strings.Contains(a.faults(), "FOLLOWER_INFO 48001") })
		a.asked()
		if got := a.follower("patient"); got != "nobody <nil>" {
			t.Errorf("patient has %q before they were waited for", got)
		}
		w.clock.Advance(limits.OriginPatience / 2)
		a.follows(app, "later", byAd)
		a.asked() // nothing is being asked while the clock moves, that would be recorded as due behind it
		w.clock.Advance(limits.OriginPatience/2 - time.Second)
		a.asked()
		if got := a.follower("patient"); got != "nobody <nil>" {
			t.Errorf("patient has %q a second too early", got)
		}
		w.clock.Advance(time.Second)
		w.await("it was waited long enough", func() bool { return strings.Contains(a.follower("patient"), "AUTO_ASSIGN") })
		if got := a.follower("later"); got != "nobody <nil>" {
			t.Errorf("later has %q too early", got)
		}
		app.Heal(wechattest.PathFollowersInfo)
		a.asked() // who settled them has recorded when to ask again
		w.clock.Advance(2 * limits.ChannelRefused)
		w.answered()
		rest("patient", "u-patient")
		if got := a.follower("later"); got != "ben WECHAT_AD u-later" {
			t.Errorf("later has %q", got)
		}

		app.Break(wechattest.PathFollowersInfo, 1_000_000)
		a.settings(map[string]any{"advertisementGroupId": nil})
		a.follows(app, "forgotten", byAd)
		rest("forgotten", "<nil>")
		a.asked()
		w.clock.Advance(limits.OriginKept)
		w.answered()
		rest("forgotten", "<nil>")

		a.settings(map[string]any{"advertisementGroupId": a.names["id ads"]})
		app.Heal(wechattest.PathFollowersInfo)
		w.clock.Advance(limits.DeliveryBackoffMax)
		release = app.Stall(wechattest.PathFollowersInfo)
		a.follows(app, "caught", byAd)
		a.do("admin", `mutation { closeAccount(input: {confirm: true}) { account { id } } }`, nil)
		a.follows(app, "closed", byAd)
		if n := w.count("SELECT COUNT(*) FROM follow_waiting WHERE decides = 1"); n != 1 {
			t.Errorf("%d decisions wait while the account is closed, want the one from before", n)
		}
		release()
		w.answered()
		for _, openid := range []string{"caught", "closed"} {
			if got := a.follower(openid); got != "nobody u-"+openid {
				t.Errorf("%s has %q", openid, got)
			}
		}
		other := w.found(setup{Channel: "WECHAT", Advisors: []string{"ben"}, Groups: []string{"ads of ben"}, Settings: map[string]any{"isAutoAssignOn": true}}, "other")
		other.settings(map[string]any{"advertisementGroupId": other.names["id ads"]})
		other.follow("no-secret", "")
		if got := other.follower("no-secret"); got != "ben AUTO_ASSIGN <nil>" {
			t.Errorf("without a secret: %q", got)
		}
		if !w.logged.forget("api=FOLLOWER_INFO") {
			t.Error("nobody was told that the platform does not answer")
		}
		w.sound()
	})
}

// Ensure what becomes of a follower is settled once, however often it is asked for, at the same time and by two nodes of which one dies between the answer and its
// recording; that a hundred followers take one call, and as many statements as one (rules E1, E3, K1).
func TestOriginsAreSettledOnce(t *testing.T) {
	dsn := testkit.MySQL(t) // SQLite is of one node
	one, api := platform(t, dsn)
	o := reaching(api)
	o.clock = one.clock
	two := start(t, dsn, o)
	a, app := connected(t, one, api, setup{Advisors: []string{"anna", "ben"}, Groups: []string{"ads of ben"}, Settings: map[string]any{"isAutoAssignOn": true}}, "main")
	a.settings(map[string]any{"advertisementGroupId": a.names["id ads"]})
	one.answered()
	before := len(app.Calls(wechattest.PathFollowersInfo))
	release := app.Stall(wechattest.PathFollowersInfo)
	const n = 60
	var wg sync.WaitGroup
	for i := range n {
		openid := fmt.Sprintf("f%d", i)
		app.Follow(wechattest.Follower{OpenID: openid, UnionID: "u-" + openid, FollowedAt: one.clock.Now(), Scene: map[bool]string{true: byAd}[i%2 == 0]})
		for _, w := range []*world{one, two} {
			wg.Go(func() {
				_, err := w.Services.Ingest(context.Background(), a.account, models.Inbound{Kind: models.InboundFollow, OpenID: openid, DedupKey: openid, At: one.clock.Time()})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	// Who asks is taken for dead, and another asks too.
	one.await("somebody asks", func() bool { return one.count("SELECT COUNT(*) FROM channel_work WHERE leased_by IS NOT NULL") == 1 })
	one.clock.Advance(limits.ChannelWorkLease + time.Second)
	one.await("another asks", func() bool {
		return one.count("SELECT COUNT(*) FROM channel_work WHERE leased_by IS NOT NULL AND due_at > ?", int64(one.clock.Time())) == 1
	})
	release()
	one.answered()
	if got := one.count("SELECT COUNT(*) FROM customer WHERE bound_source = 'WECHAT_AD'"); got != n/2 {
		t.Errorf("%d came by the advertisement, want %d", got, n/2)
	}
	if got := one.count("SELECT COUNT(*) FROM binding"); got != n {
		t.Errorf("%d changes of bindings, want %d", got, n)
	}
	if got := len(app.Calls(wechattest.PathFollowersInfo)) - before; got > 6 {
		t.Errorf("the platform was asked %d times of %d followers", got, n)
	}
	one.sound()
}

// Ensure the account's follow reply goes to who was bound by an advertisement once the platform has said so, and to nobody who came otherwise without a code (rules E3, H4).
func TestFollowReplyByAdvertisement(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{Advisors: []string{"ben"}, Groups: []string{"ads of ben"}}, "main")
		a.settings(map[string]any{"advertisementGroupId": a.names["id ads"], "followReply": "welcome", "isAutoAssignOn": true})
		a.follows(app, "ad", byAd)
		a.follows(app, "plain", "")
		w.answered()
		a.delivered()
		if got := app.Sent(); len(got) != 1 || got[0].OpenID != "ad" || got[0].Text != "welcome" {
			t.Errorf("the platform was handed %+v", got)
		}
		if got, want := a.follower("plain"), "ben AUTO_ASSIGN u-plain"; got != want {
			t.Errorf("who came otherwise has %q, want %q", got, want)
		}
	})
}
