package tests

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/channels/wechat/wechattest"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

const wechatSecret = "0123456789abcdef0123456789abcdef"

// reaching has a world ask what stands for the platform.
func reaching(api *wechattest.API) options {
	return options{sweep: time.Hour, ask: 5 * time.Millisecond, settings: func(s *config.Server) { s.WechatURL = api.URL() }}
}

// platform starts what stands for the platform, and a world that asks it, by one clock.
func platform(t *testing.T, dsn string) (*world, *wechattest.API) {
	t.Helper()
	api := wechattest.NewAPI(t)
	w := start(t, dsn, reaching(api))
	api.Clock(w.clock.Now)
	return w, api
}

// connect gives an account of WECHAT its app secret.
func (t *tenant) connect() {
	t.tb.Helper()
	t.do("admin", `mutation($s: String!) { setAppSecret(input: {secret: $s}) { account { id } } }`, map[string]any{"s": wechatSecret})
}

// connected is an account of WECHAT that the platform knows.
func connected(t *testing.T, w *world, api *wechattest.API, s setup, tag string) (*tenant, *wechattest.App) {
	t.Helper()
	app := api.App("wx-"+tag, wechatSecret)
	s.Channel = "WECHAT"
	a := w.found(s, tag)
	a.connect()
	return a, app
}

// faults are the account's, as it reads them.
func (t *tenant) faults() string {
	t.tb.Helper()
	var all []string
	list, _ := t.do("admin", `{ account { channelFaults { api code since until } } }`, nil).field("account.channelFaults").([]any)
	for _, f := range list {
		f, _ := f.(map[string]any)
		all = append(all, fmt.Sprintf("%v %v until %v", f["api"], f["code"], f["until"]))
	}
	return strings.Join(all, ", ")
}

// Ensure an app secret has 16 to 64 letters and digits, belongs to WECHAT, is nowhere to be read, and only the merchant is told that there is one (rule A4).
func TestAppSecret(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, _ := platform(t, dsn)
		a := w.found(setup{Channel: "WECHAT"}, "main")
		const set = `mutation($s: String!) { setAppSecret(input: {secret: $s}) { account { hasAppSecret } } }`
		for secret, code := range map[string]string{
			strings.Repeat("a", limits.AppSecretMin): "", strings.Repeat("A", limits.AppSecretMax): "", wechatSecret: "",
			strings.Repeat("a", limits.AppSecretMin-1): "INVALID", strings.Repeat("a", limits.AppSecretMax+1): "INVALID", wechatSecret + " ": "INVALID", "": "INVALID",
		} {
			if got := a.try("admin", set, map[string]any{"s": secret}); got.code() != code {
				t.Errorf("a secret of %d characters: %s", len(secret), got.body)
			} else if code != "" && got.Errors[0].Extensions["field"] != "input.secret" {
				t.Errorf("the field is %v", got.Errors[0].Extensions)
			}
		}
		sandbox := w.found(setup{}, "sandbox")
		if got := sandbox.try("admin", set, map[string]any{"s": wechatSecret}); got.code() != "STATE" {
			t.Errorf("on SANDBOX: %s", got.body)
		}
		for who, want := range map[string]any{"admin": true, "integration": true, "analyst": nil} {
			if got := a.do(who, `{ account { hasAppSecret } }`, nil).field("account.hasAppSecret"); got != want {
				t.Errorf("%s reads %v", who, got)
			}
		}
		if got := a.do("admin", `{ auditLog(first: 200) { nodes { action before after } } }`, nil); strings.Contains(string(got.body), wechatSecret) {
			t.Error("the audit log holds the secret")
		}
		for table, column := range testkit.Tables(t, w.Store) {
			w.each(table, column, a.account, func(values []any) {
				for _, v := range values {
					if b, ok := v.([]byte); ok && strings.Contains(string(b), wechatSecret) {
						t.Errorf("%s holds the secret", table)
					}
				}
			})
		}
	})
}

// Ensure what an advisor sends on WECHAT reaches the platform as written, and each answer of the platform makes of the message what the channel says (rules K1, G2, G6).
func TestSendsToThePlatform(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		app.Follow(wechattest.Follower{OpenID: "wei", FollowedAt: w.clock.Now()})
		write := func() { // opens a window of five
			w.clock.Advance(time.Second)
			a.write("wei", "hello")
		}
		status := func(id string) string {
			got := a.do("admin", `query($m: ID!) { node(id: $m) { ... on Message { status failure } } }`, map[string]any{"m": id})
			return fmt.Sprint(got.field("node.status"), " ", got.field("node.failure"))
		}
		write()
		const text = "你好 <b>&amp;</b> \"👋\"\n"
		id := a.send("anna", "wei", text)
		a.delivered()
		if got := app.Sent(); status(id) != "SENT <nil>" || len(got) != 1 || got[0].OpenID != "wei" || got[0].Text != text {
			t.Errorf("the message is %s, the platform has %+v", status(id), got)
		}
		for code, want := range map[int]string{
			45015: "FAILED REPLY_WINDOW_CLOSED", 45047: "FAILED REPLY_WINDOW_CLOSED", 43004: "FAILED NOT_FOLLOWING", 50005: "FAILED NOT_FOLLOWING",
			48002: "FAILED REFUSED", 87014: "FAILED CONTENT_REJECTED", 40003: "FAILED REJECTED", 45002: "FAILED REJECTED", 99999: "FAILED REJECTED",
		} {
			write()
			app.Fail(wechattest.PathSend, 1, code)
			id := a.send("anna", "wei", "again")
			a.delivered()
			if got := status(id); got != want {
				t.Errorf("%d: the message is %s, want %s", code, got, want)
			}
			left := fmt.Sprint(a.do("anna", `{ contactability(customer: {openid: "wei"}) { answer left } }`, nil).field("contactability.answer"))
			if closed := code == 45015 || code == 45047; closed == (left == "FREE") {
				t.Errorf("%d: contact is %s", code, left)
			}
		}
		before := len(app.Sent())
		for _, fault := range []func(){
			func() { app.Fail(wechattest.PathSend, 1, -1) }, func() { app.Fail(wechattest.PathSend, 1, 45011) },
		} {
			write()
			fault()
			id := a.send("anna", "wei", "once more")
			w.await("the platform was busy", func() bool {
				return w.count("SELECT COUNT(*) FROM outbound_gate WHERE paused_until > 0") == 1
			})
			if got := status(id); got != "QUEUED <nil>" {
				t.Errorf("while the platform is busy the message is %s", got)
			}
			w.clock.Advance(time.Minute)
			a.delivered()
			if got := status(id); got != "SENT <nil>" {
				t.Errorf("after it was busy the message is %s", got)
			}
		}
		if got := len(app.Sent()); got != before+2 {
			t.Errorf("%d messages arrived, want 2", got-before)
		}
		for name, fault := range map[string]func(){
			"no answer": func() { app.Lose(wechattest.PathSend, 1) }, "HTTP 502": func() { app.Status(wechattest.PathSend, 1, 502) },
		} {
			write()
			fault()
			id := a.send("anna", "wei", "who knows")
			a.delivered()
			if got := status(id); got != "UNKNOWN <nil>" {
				t.Errorf("%s: the message is %s", name, got)
			}
			w.clock.Advance(2 * time.Minute) // the gate
		}
		other := w.found(setup{Channel: "WECHAT", Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "other")
		other.write("wei", "hello")
		id = other.send("anna", "wei", "nobody to ask")
		other.delivered()
		got := other.do("admin", `query($m: ID!) { node(id: $m) { ... on Message { status failure } } }`, map[string]any{"m": id})
		if got.text("node.failure") != "CHANNEL_UNAVAILABLE" {
			t.Errorf("without a secret: %s", got.body)
		}
	})
}

// Ensure all nodes ask with one access token, one of them renews it before it ends, and one that the platform does not take any more is renewed once (rule K1).
func TestAccessTokenIsShared(t *testing.T) {
	dsn := testkit.MySQL(t) // SQLite is of one node
	one, api := platform(t, dsn)
	o := reaching(api)
	o.clock = one.clock
	two := start(t, dsn, o)
	a, app := connected(t, one, api, setup{}, "main")
	account := a.account
	asked := func() int { return len(app.Calls(wechattest.PathToken)) }
	all := func() {
		t.Helper()
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				w := []*world{one, two}[i%2]
				row, err := w.Store.View(t.Context()).Account(account)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := w.Platform.ServiceAgents(t.Context(), row, agentsAsked); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		one.clock.Advance(limits.ServiceAgentsAge) // so that the next ask the platform
	}
	all()
	if got := asked(); got != 1 {
		t.Errorf("%d tokens were asked for, want 1", got)
	}
	one.clock.Advance(2*time.Hour - limits.AccessTokenEarly) // renewed early
	all()
	if got := asked(); got != 2 {
		t.Errorf("%d tokens were asked for near the end of the first, want 2", got)
	}
	for name, lost := range map[string]func(){"another has replaced it": app.KillTokens, "it expired": app.ExpireTokens} {
		before := asked()
		lost()
		all()
		if got := asked() - before; got != 1 {
			t.Errorf("%s: %d tokens were asked for", name, got)
		}
		if got := a.faults(); got != "" {
			t.Errorf("%s: faults are %s", name, got)
		}
	}
}

var agentsAsked = []services.Person{{WechatID: "kf1"}}

// Ensure what the platform refuses as a whole is not asked again before it can be, on no node, is told to the merchant, and goes on by itself or when it was mended (rule K1).
func TestChannelFaults(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		app.Follow(wechattest.Follower{OpenID: "wei", FollowedAt: w.clock.Now()})
		a.write("wei", "hello")
		w.await("the codes are told", func() bool { return w.count("SELECT COUNT(*) FROM channel_work") == 0 })
		app.Fail(wechattest.PathSend, 1, 45009)
		a.send("anna", "wei", "too many today")
		a.delivered()
		now := w.clock.Now()
		midnight := time.Date(now.Year(), now.Month(), now.Day(), 16, 0, 0, 0, time.UTC) // in China
		if !midnight.After(now) {
			midnight = midnight.Add(24 * time.Hour)
		}
		if got, want := a.faults(), "MESSAGES 45009 until "+midnight.Format("2006-01-02T15:04:05.000000Z"); got != want {
			t.Errorf("faults are %s, want %s", got, want)
		}
		if got := a.do("anna", `{ account { channelFaults { code } } }`, nil).field("account.channelFaults"); got != nil {
			t.Errorf("an advisor reads %v", got)
		}
		calls := len(app.Calls(wechattest.PathSend))
		w.clock.Advance(2 * time.Minute)
		a.send("anna", "wei", "too many still")
		a.delivered()
		if got := len(app.Calls(wechattest.PathSend)); got != calls {
			t.Errorf("the platform was asked %d times while its quota is used up", got-calls)
		}
		w.clock.Set(midnight)
		a.write("wei", "good morning")
		a.send("anna", "wei", "good morning")
		a.delivered()
		if got := app.Sent(); len(got) != 1 || got[0].Text != "good morning" {
			t.Errorf("the next day the platform has %+v", got)
		}
		if got := a.faults(); got != "" {
			t.Errorf("the next day's faults are %s", got)
		}
		if _, metrics := get(t, w, http.MethodGet, "/metrics", nil); !strings.Contains(metrics, `clientele_platform_calls_total{answer="45009",api="MESSAGES"} 1`) {
			t.Error("the refusal is not counted")
		}

		api.App("wx-main", strings.Repeat("b", 32)) // somebody changed it on the platform
		w.clock.Advance(3 * time.Hour)              // and the token has ended
		a.write("wei", "hello")
		a.send("anna", "wei", "by a wrong secret")
		w.await("nothing can be asked", func() bool { return strings.Contains(a.faults(), "ACCESS_TOKEN 40125") })
		a.do("admin", `mutation($s: String!) { setAppSecret(input: {secret: $s}) { account { id } } }`, map[string]any{"s": strings.Repeat("b", 32)})
		if got := a.faults(); got != "" {
			t.Errorf("after the secret was set anew faults are %s", got)
		}
		w.clock.Advance(time.Minute)
		a.delivered()
		if got := app.Sent(); got[len(got)-1].Text != "by a wrong secret" {
			t.Errorf("the last message is %+v", got[len(got)-1])
		}
	})
}

// Ensure who the platform knows as a customer-service agent by WeChat id cannot be invited, and who it cannot say that of can once it answers (rule B2).
func TestAgentsOfThePlatform(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{Followers: []string{"ben"}}, "main")
		app.Agent("agent1")
		app.InviteAgent("invited1")
		invite := func(id string) *answer {
			return a.try("admin", `mutation($a: AdvisorInvitationInput!) { inviteAdvisors(input: {advisors: [$a]}) { results { error { code } } } }`,
				map[string]any{"a": map[string]any{"wechatId": id, "nickname": "x"}})
		}
		code := func(got *answer) string {
			if c := got.code(); c != "" {
				return c
			}
			results, _ := got.field("inviteAdvisors.results").([]any)
			return (&answer{Data: results[0]}).text("error.code")
		}
		app.Fail(wechattest.PathAgents, 1, -1)
		if got := code(invite("ben1")); got != "UNAVAILABLE" || !w.logged.forget("the channel did not say who is a service agent") {
			t.Errorf("while the platform is busy: %q", got)
		}
		for id, want := range map[string]string{"agent1": "ALREADY_SERVICE_AGENT", "invited1": "", "ben1": ""} {
			if got := code(invite(id)); got != want {
				t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		calls := len(app.Calls(wechattest.PathAgents))
		if got := code(invite("cai1")); got != "" || len(app.Calls(wechattest.PathAgents)) != calls {
			t.Errorf("within a minute: %q, and the platform was asked again", got)
		}
		w.clock.Advance(limits.ServiceAgentsAge)
		for _, none := range []int{65400, 48001, 48004, 61007} {
			app.Fail(wechattest.PathAgents, 1, none)
			if got := code(invite(fmt.Sprintf("agent%d", none))); got != "" {
				t.Errorf("%d: %q", none, got)
			}
			w.clock.Advance(limits.ServiceAgentsAge)
		}
		if got := a.faults(); got != "" {
			t.Errorf("faults are %s", got)
		}
		app.Fail(wechattest.PathAgents, 1, -1)
		if got := a.try("admin", `mutation { inviteAdvisors(input: {advisors: [{openid: "ben", nickname: "x"}]}) { results { error { code } } } }`, nil); code(got) != "" {
			t.Errorf("who has no WeChat id, of whom the platform can say nothing: %s", got.body)
		}
		// A call that is repeated does not need the platform (rule E15).
		app.Heal(wechattest.PathAgents)
		w.clock.Advance(limits.ServiceAgentsAge)
		once := func() *answer {
			return a.try("admin", `mutation { inviteAdvisors(input: {advisors: [{wechatId: "dai1", nickname: "x"}], idempotencyKey: "k1"}) { isRepeated results { error { code } } } }`, nil)
		}
		if got := once(); code(got) != "" {
			t.Errorf("with a key: %s", got.body)
		}
		w.clock.Advance(limits.ServiceAgentsAge)
		app.Fail(wechattest.PathAgents, 1, -1)
		if got := once(); code(got) != "" || got.field("inviteAdvisors.isRepeated") != true {
			t.Errorf("repeated while the platform is busy: %s", got.body)
		}
		app.Heal(wechattest.PathAgents)
		app.Agent("late1")
		if got := code(invite("late1")); got != "ALREADY_SERVICE_AGENT" {
			t.Errorf("a new agent: %q", got)
		}
		a.do("admin", `mutation { inviteAdvisors(input: {advisors: [{wechatId: "eve1", externalId: "e1", nickname: "x"}]}) { results { error { code } } } }`, nil)
		app.Agent("eve1")
		w.clock.Advance(limits.ServiceAgentsAge)
		if got := a.try("ext:e1", `mutation { answerInvitation(input: {accept: true, openid: "ben"}) { advisor { id } } }`, nil).code(); got != "ALREADY_SERVICE_AGENT" {
			t.Errorf("who became an agent since they were invited: %q", got)
		}
	})
}

// Ensure a code that is made while others are told of is told of by the node that is at it, and none twice (rule C1).
func TestCodesMadeMeanwhile(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{}, "main")
		a.asked()
		release := app.Stall(wechattest.PathQRCode)
		for i := range 3 {
			a.group(fmt.Sprintf("tea%d", i))
			w.await("a node tells of it", func() bool { return w.count("SELECT COUNT(*) FROM channel_work WHERE leased_by IS NOT NULL") == 1 })
		}
		release()
		a.asked()
		scenes := map[string]bool{}
		for _, told := range app.Tickets() {
			scenes[told.Scene] = true
		}
		if len(scenes) != 3 || len(app.Tickets()) != 3 {
			t.Errorf("the platform was told %d times of %d codes, want 3 of 3", len(app.Tickets()), len(scenes))
		}
	})
}

// Ensure an access token is used to its end while no other is to be had, a refusal of any kind keeps nodes from asking for one, and one that is about a secret
// which was changed meanwhile counts for nothing (rule K1).
func TestAccessTokenIsNotToBeHad(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{}, "main")
		a.asked()
		row, err := w.Store.View(t.Context()).Account(a.account)
		if err != nil {
			t.Fatal(err)
		}
		ask := func() error {
			w.clock.Advance(limits.ServiceAgentsAge)
			_, err := w.Platform.ServiceAgents(t.Context(), row, agentsAsked)
			return err
		}
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		asked := func() int { return len(app.Calls(wechattest.PathToken)) }
		w.clock.Advance(2*time.Hour - limits.AccessTokenEarly - limits.ServiceAgentsAge)
		app.Fail(wechattest.PathToken, 1, 40125)
		if err := ask(); err != nil || a.faults() != "" || !w.logged.forget("is good for a while") {
			t.Errorf("near its end, while no other is to be had: %v, faults are %s", err, a.faults())
		}
		before := asked()
		if err := ask(); err != nil || asked() != before+1 {
			t.Errorf("a minute later: %v, asked %d times", err, asked()-before)
		}
		w.clock.Advance(2 * time.Hour)
		app.Fail(wechattest.PathToken, 1, 89503) // of no kind that we know
		before = asked()
		for range 5 {
			if _, err := w.Platform.ServiceAgents(t.Context(), row, agentsAsked); err == nil {
				t.Error("asked without a token")
			}
		}
		if got := asked() - before; got != 1 || !strings.HasPrefix(a.faults(), "ACCESS_TOKEN 89503") {
			t.Errorf("a refused token was asked for %d times, faults are %s", got, a.faults())
		}
		w.clock.Advance(limits.ChannelRefused)
		release := app.Stall(wechattest.PathToken)
		app.Fail(wechattest.PathToken, 1, 40125)
		answered := make(chan error, 1)
		go func() {
			_, err := w.Platform.ServiceAgents(t.Context(), row, agentsAsked)
			answered <- err
		}()
		w.await("a token is asked for by the secret before", func() bool { return w.count("SELECT COUNT(*) FROM access_token WHERE leased_until > 0") == 1 })
		a.connect()
		release()
		<-answered
		if got := a.faults(); got != "" {
			t.Errorf("after the secret was set the faults are those of the one before: %s", got)
		}
		// A node that died while it asked.
		w.clock.Advance(3 * time.Hour)
		if _, err := w.db.ExecContext(t.Context(), "UPDATE access_token SET leased_until = ?, sealed = NULL", int64(w.clock.Time().Add(time.Second))); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := w.Platform.ServiceAgents(t.Context(), row, agentsAsked)
			answered <- err
		}()
		w.clock.Advance(time.Second)
		if err := <-answered; err != nil {
			t.Errorf("after the lease of a dead node: %v", err)
		}
	})
}

// asked waits until the platform was told of everything it can be.
func (t *tenant) asked() {
	t.tb.Helper()
	t.await("the platform was told of the codes", func() bool {
		return t.count("SELECT COUNT(*) FROM channel_work WHERE due_at <= ? OR leased_by IS NOT NULL", int64(t.clock.Time())) == 0
	})
}

// Ensure each code of a WECHAT account, an advisor's, a group's, a labelled one, is made known to the platform by itself, with its scene and its life, and has a picture then (rules C1, C3, C4).
func TestCodesOfThePlatform(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		app := api.App("wx-main", wechatSecret)
		a := w.found(setup{Channel: "WECHAT", Advisors: named("anna", 70), Groups: []string{"tea of anna0"}}, "main") // more than are told at once
		codes := func() []map[string]any {
			var all []map[string]any
			list, _ := a.do("admin", `{ qrCodes(first: 200) { nodes { id scene label url refusal expiresAt } } }`, nil).field("qrCodes.nodes").([]any)
			for _, c := range list {
				c, _ := c.(map[string]any)
				all = append(all, c)
			}
			return all
		}
		for _, c := range codes() {
			if c["url"] != nil {
				t.Errorf("without an app secret a code says %v", c["url"])
			}
		}
		if n := w.count("SELECT COUNT(*) FROM channel_work"); n != 0 {
			t.Errorf("%d accounts without an app secret are to be asked", n)
		}
		a.connect()
		a.asked()
		if got := len(app.Tickets()); got != 71 {
			t.Errorf("the platform was told of %d codes, want 71", got)
		}
		a.do("admin", `mutation($o: ID!) { createQRCodes(input: {codes: [{owner: {groupId: $o}, label: "for ever"},
			{owner: {groupId: $o}, label: "a day", lifeSeconds: 86400}]}) { results { error { code } } } }`, map[string]any{"o": a.names["id tea"]})
		a.asked()
		byScene := map[string]wechattest.Ticket{}
		for _, told := range app.Tickets() {
			byScene[told.Scene] = told
		}
		for _, c := range codes() {
			scene, _ := c["scene"].(string)
			told, ok := byScene[scene]
			if !ok || c["url"] != told.URL || c["refusal"] != nil {
				t.Errorf("a code is %v, the platform's %+v", c, told)
			}
			if lives := c["label"] == "a day"; lives != (told.Expires > 0) || lives && (told.Expires > 86400 || told.Expires < 86300) {
				t.Errorf("%v lives %d s", c["label"], told.Expires)
			}
		}
		picture := a.do("anna0", `query($c: ID!) { qrCodePicture(codeId: $c) { url data } }`, map[string]any{"c": ownCode(a, "anna0")})
		if got := picture.text("qrCodePicture.url"); got != byScene[a.names["scene anna0"]].URL {
			t.Errorf("the picture says %q", got)
		}
	})
}

func ownCode(a *tenant, advisor string) string {
	return a.do("admin", `query($o: Identifier!) { advisor(by: {openid: $o}) { qrCode { id } } }`, map[string]any{"o": advisor}).text("advisor.qrCode.id")
}

// Ensure a platform that does not answer is told again, one code that it refuses keeps no other from being told and is told again the next day, and two nodes tell of no code twice (rule C1).
func TestCodesThatThePlatformRefuses(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{Advisors: []string{"anna"}}, "main")
		a.asked()
		code := func(label string) string {
			list, _ := a.do("admin", `query($l: String!) { qrCodes(filter: {label: $l}) { nodes { url refusal } } }`, map[string]any{"l": label}).field("qrCodes.nodes").([]any)
			one, _ := list[0].(map[string]any)
			return fmt.Sprint(one["url"] != nil, " ", one["refusal"])
		}
		label := func(name, life string) {
			a.do("admin", `mutation($l: String!) { createQRCodes(input: {codes: [{owner: {advisor: {openid: "anna"}}, label: $l`+life+`}]}) { results { error { code } } } }`,
				map[string]any{"l": name})
		}
		app.Fail(wechattest.PathQRCode, 1, 40097)
		label("refused", "")
		a.asked()
		label("other", "")
		a.asked()
		if code("refused") != "false 40097" || code("other") != "true <nil>" {
			t.Errorf("refused: %s; the other: %s", code("refused"), code("other"))
		}
		w.clock.Advance(limits.CodeRetry)
		a.asked()
		if got := code("refused"); got != "true <nil>" {
			t.Errorf("the next day: %s", got)
		}
		for name, fault := range map[string]func(){
			"busy": func() { app.Fail(wechattest.PathQRCode, 1, -1) }, "silent": func() { app.Lose(wechattest.PathQRCode, 1) },
			"gone": func() { app.Status(wechattest.PathQRCode, 1, 500) }, "broken": func() { app.Break(wechattest.PathQRCode, 1) },
		} {
			fault()
			label(name, "")
			w.await("it failed", func() bool { return w.count("SELECT COUNT(*) FROM channel_work WHERE attempts = 1") == 1 })
			if got := code(name); got != "false <nil>" {
				t.Errorf("%s: %s", name, got)
			}
			w.clock.Advance(limits.DeliveryBackoff)
			a.asked()
			if got := code(name); got != "true <nil>" {
				t.Errorf("%s, told again: %s", name, got)
			}
		}
		app.Fail(wechattest.PathQRCode, 1, -1)
		label("a minute", ", lifeSeconds: 60")
		w.await("it failed", func() bool { return w.count("SELECT COUNT(*) FROM channel_work WHERE attempts = 1") == 1 })
		w.clock.Advance(time.Minute)
		a.asked()
		if n := w.count("SELECT COUNT(*) FROM qr_code_waiting"); n != 0 || code("a minute") != "false <nil>" {
			t.Errorf("a code that expired meanwhile: %s, %d wait", code("a minute"), n)
		}
		scenes := map[string]int{}
		for _, told := range app.Tickets() {
			scenes[told.Scene]++
		}
		if again := len(app.Tickets()) - len(scenes); again > 1 { // the one of which it had not said that it knew it
			t.Errorf("the platform was told again of %d codes that it knew", again)
		}
		if !w.logged.forget("is asked again") {
			t.Error("no fault was logged")
		}
	})
}

// Ensure a lease that a dead node left is taken over, and what it was told meanwhile is not recorded twice (rule C1).
func TestCodesOfADeadNode(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		api := wechattest.NewAPI(t)
		o := reaching(api)
		w := start(t, dsn, o)
		api.Clock(w.clock.Now)
		a, app := connected(t, w, api, setup{}, "main")
		a.asked() // whether there is anything to tell, when the secret was set
		release := app.Stall(wechattest.PathQRCode)
		a.group("tea")
		w.await("a node tells of it", func() bool {
			return w.count("SELECT COUNT(*) FROM channel_work WHERE leased_by IS NOT NULL") == 1
		})
		// Another took it over meanwhile, and told of it.
		key := models.NewKey()
		if _, err := w.db.ExecContext(t.Context(), "UPDATE channel_work SET leased_by = ?, due_at = ?", key[:], int64(w.clock.Time().Add(limits.ChannelWorkLease))); err != nil {
			t.Fatal(err)
		}
		release()
		w.await("the first has given up", func() bool { return len(app.Tickets()) == 1 })
		w.clock.Advance(limits.ChannelWorkLease)
		a.asked()
		w.await("the code is told", func() bool { return w.count("SELECT COUNT(*) FROM qr_code WHERE platform_url <> ''") == 1 })
		if n := w.count("SELECT COUNT(*) FROM channel_work"); n != 0 {
			t.Errorf("%d accounts are still to be asked", n)
		}
	})
}
