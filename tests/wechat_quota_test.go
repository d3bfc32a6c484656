package tests

import (
	"fmt"
	"testing"
	"time"

	"clientele/channels/wechat/wechattest"
	"clientele/internal/testkit"
	"clientele/models"
)

// Ensure a message for which the platform's quota of the day is used up, that of messages or that of tokens, FAILED at once with that reason and gives its allowance
// back, as does each that follows without the platform being asked; that none waits or has others wait; and that it is resent the next day (rules K1, G4, G6).
func TestQuotaOfTheDay(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, api := platform(t, dsn)
		a, app := connected(t, w, api, setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		app.Follow(wechattest.Follower{OpenID: "wei", FollowedAt: w.clock.Now()})
		w.await("the codes are told", func() bool { return w.count("SELECT COUNT(*) FROM channel_work") == 0 })
		status := func(id string) string {
			got := a.do("anna", `query($m: ID!) { node(id: $m) { ... on Message { status failure } } }`, map[string]any{"m": id})
			return fmt.Sprint(got.field("node.status"), " ", got.field("node.failure"))
		}
		left := func() string {
			return fmt.Sprint(a.do("anna", `{ contactability(customer: {openid: "wei"}) { left } }`, nil).field("contactability.left"))
		}
		now := w.clock.Now()
		midnight := time.Date(now.Year(), now.Month(), now.Day(), 16, 0, 0, 0, time.UTC) // in China
		if !midnight.After(now) {
			midnight = midnight.Add(24 * time.Hour)
		}
		for _, tt := range []struct{ part, path string }{{"MESSAGES", wechattest.PathSend}, {"ACCESS_TOKEN", wechattest.PathToken}} {
			if app.KillTokens(); tt.path == wechattest.PathToken {
				w.clock.Advance(3 * time.Hour) // and no other is good any more
			}
			a.write("wei", "hello")
			free := left()
			app.Fail(tt.path, 1, 45009)
			first := a.send("anna", "wei", "too many today")
			a.delivered()
			if got := status(first); got != "FAILED DAILY_QUOTA_USED_UP" || left() != free {
				t.Errorf("%s: the message is %s, %s are left of %s", tt.part, got, left(), free)
			}
			if got, want := a.faults(), tt.part+" 45009 until "+midnight.Format("2006-01-02T15:04:05.000000Z"); got != want {
				t.Errorf("%s: faults are %s, want %s", tt.part, got, want)
			}
			calls := len(app.Calls(tt.path))
			w.clock.Set(midnight.Add(-time.Second))
			a.write("wei", "hello?")
			for range 3 {
				id := a.send("anna", "wei", "still too many")
				a.delivered()
				if got := status(id); got != "FAILED DAILY_QUOTA_USED_UP" {
					t.Errorf("%s: the next message is %s", tt.part, got)
				}
			}
			if got := len(app.Calls(tt.path)); got != calls || w.count("SELECT COUNT(*) FROM outbound_gate") != 0 {
				t.Errorf("%s: asked %d times more, %d gates", tt.part, got-calls, w.count("SELECT COUNT(*) FROM outbound_gate"))
			}
			w.clock.Set(midnight)
			sent := len(app.Sent())
			a.do("anna", resendText, map[string]any{"id": first, "key": models.NewKey().String()})
			a.delivered()
			if got := status(first); got != "SENT <nil>" || len(app.Sent()) != sent+1 {
				t.Errorf("%s: the next day the message is %s, %d arrived", tt.part, got, len(app.Sent())-sent)
			}
			midnight = midnight.Add(24 * time.Hour)
		}
	})
}
