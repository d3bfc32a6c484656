package wechattest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/channels/wechat/wechattest"
	"clientele/internal/testkit"
)

// client calls the API as a merchant would.
type client struct {
	tb testing.TB
	*wechattest.App
	api   *wechattest.API
	clock *testkit.Clock
}

func newClient(t *testing.T) *client {
	t.Helper()
	c := &client{tb: t, api: wechattest.NewAPI(t), clock: testkit.NewClock()}
	c.api.Clock(c.clock.Now)
	c.App = c.api.App("wx1", "secret")
	return c
}

type object = map[string]any

// do calls a path; in is nil of a GET.
func (c *client) do(path, token string, query url.Values, in any) (object, error) {
	c.tb.Helper()
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	if token != "" {
		query.Set("access_token", token)
	}
	method, body := http.MethodGet, []byte(nil)
	if in != nil {
		method = http.MethodPost
		var err error
		if body, err = json.Marshal(in); err != nil {
			c.tb.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(c.tb.Context(), method, c.api.URL()+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		c.tb.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	var out object
	if err := json.Unmarshal(raw, &out); err != nil {
		c.tb.Fatalf("%s: %v", raw, err)
	}
	return out, nil
}

// call is do where the platform answers.
func (c *client) call(path string, query url.Values, in any) object {
	c.tb.Helper()
	out, err := c.do(path, c.Token(), query, in)
	if err != nil {
		c.tb.Fatal(err)
	}
	return out
}

func (c *client) refuses(out object, code int) {
	c.tb.Helper()
	if got, _ := out["errcode"].(float64); int(got) != code {
		c.tb.Errorf("answered %v, want errcode %d", out, code)
	}
}

func (c *client) token(secret string, force bool) object {
	c.tb.Helper()
	out, err := c.do(wechattest.PathToken, "", nil, object{"grant_type": "client_credential", "appid": "wx1", "secret": secret, "force_refresh": force})
	if err != nil {
		c.tb.Fatal(err)
	}
	return out
}

func text(openid, content string) object {
	return object{"touser": openid, "msgtype": "text", "text": object{"content": content}}
}

// Ensure a token is the same for its life, that near its end there are two that are valid, and that one asked for by force kills the other.
func TestTokens(t *testing.T) {
	c := newClient(t)
	c.Follow(wechattest.Follower{OpenID: "o1"})
	value := func(out object) string { v, _ := out["access_token"].(string); return v }
	first := c.token("secret", false)
	if len(value(first)) < 100 || first["expires_in"] != 7200.0 {
		t.Errorf("token %v", first)
	}
	c.clock.Advance(114 * time.Minute)
	if again := c.token("secret", false); value(again) != value(first) || again["expires_in"] != 360.0 {
		t.Errorf("again %v, first %v", again, first)
	}
	c.clock.Advance(2 * time.Minute)
	second := c.token("secret", false)
	if value(second) == value(first) {
		t.Error("no new token near the end of the old one's life")
	}
	works := func(out object, code int) {
		t.Helper()
		got, err := c.do(wechattest.PathSend, value(out), nil, text("o1", "hello"))
		if err != nil {
			t.Fatal(err)
		}
		c.refuses(got, code)
	}
	works(first, 0)
	works(second, 0)
	c.clock.Advance(5 * time.Minute)
	works(first, 42001)
	works(second, 0)
	third := c.token("secret", true)
	works(second, 40001)
	works(third, 0)
	if soon := c.token("secret", true); value(soon) != value(third) {
		t.Error("two by force within 30 s")
	}
	for range 19 {
		c.clock.Advance(30 * time.Second)
		c.refuses(c.token("secret", true), 0)
	}
	c.clock.Advance(30 * time.Second)
	c.refuses(c.token("secret", true), 45009)
	c.ExpireTokens()
	works(c.token("secret", false), 0)
	works(third, 40001)
	works(object{}, 41001)
	works(object{"access_token": "other"}, 40001)
	c.refuses(c.token("wrong", false), 40125)
	c.KillTokens()
	works(c.token("secret", false), 0)
	if out, err := c.do(wechattest.PathToken, "", nil, object{"grant_type": "client_credential", "appid": "wx2", "secret": "s"}); err != nil {
		t.Error(err)
	} else {
		c.refuses(out, 40013)
	}
	if n := len(c.Sent()); n != 6 {
		t.Errorf("%d messages were taken", n)
	}
}

// Ensure messages are taken from who may have them, in the form that the documentation gives.
func TestSend(t *testing.T) {
	c := newClient(t)
	c.Follow(wechattest.Follower{OpenID: "o1"})
	c.Follow(wechattest.Follower{OpenID: "o2"})
	c.Unfollow("o2")
	c.Agent("kf1")
	c.InviteAgent("kf2")
	for _, tt := range []struct {
		in   object
		code int
	}{
		{text("o1", "你好"), 0},
		{text("o2", "hello"), 45015},
		{text("o3", "hello"), 40003},
		{text("o1", ""), 44004},
		{text("o1", strings.Repeat("a", 2048)), 0},
		{text("o1", strings.Repeat("a", 2049)), 45002},
		{object{"touser": "o1", "msgtype": "smell"}, 40008},
		{object{"touser": "o1", "msgtype": "image", "image": object{"media_id": "m"}}, 0},
		{object{"touser": "o1", "msgtype": "image", "image": object{}}, 40007},
		{object{"touser": "o1", "msgtype": "text", "text": object{"content": "a"}, "customservice": object{"kf_account": "kf1@test"}}, 0},
		{object{"touser": "o1", "msgtype": "text", "text": object{"content": "a"}, "customservice": object{"kf_account": "kf2@test"}}, 65401},
	} {
		c.refuses(c.call(wechattest.PathSend, nil, tt.in), tt.code)
	}
	sent := c.Sent()
	if len(sent) != 4 || sent[0].OpenID != "o1" || sent[0].Text != "你好" || sent[2].Type != "image" {
		t.Errorf("sent %+v", sent)
	}
	agents := c.call(wechattest.PathAgents, nil, nil)["kf_list"]
	if list, _ := agents.([]any); len(list) != 2 || list[0].(object)["kf_wx"] != "kf1" || list[1].(object)["invite_wx"] != "kf2" ||
		list[1].(object)["invite_status"] != "waiting" || list[1].(object)["kf_wx"] != nil {
		t.Errorf("agents %v", agents)
	}
}

// Ensure QR codes have the documented bounds.
func TestCodes(t *testing.T) {
	c := newClient(t)
	code := func(action, scene string, seconds int) object {
		in := object{"action_name": action, "action_info": object{"scene": object{"scene_str": scene}}}
		if seconds != 0 {
			in["expire_seconds"] = seconds
		}
		return c.call(wechattest.PathQRCode, nil, in)
	}
	c.PermanentCodes(99_999)
	c.refuses(code("QR_LIMIT_STR_SCENE", strings.Repeat("a", 64), 0), 0)
	c.refuses(code("QR_LIMIT_STR_SCENE", "b", 0), 45029)
	c.refuses(code("QR_STR_SCENE", strings.Repeat("a", 65), 0), 40053)
	c.refuses(code("QR_STR_SCENE", "", 0), 40053)
	c.refuses(code("QR_ODD", "a", 0), 40052)
	c.refuses(code("QR_STR_SCENE", "a", 2_592_001), 40097)
	if out := code("QR_STR_SCENE", "a", 2_592_000); out["expire_seconds"] != 2_592_000.0 || out["ticket"] == "" {
		t.Errorf("temporary code %v", out)
	}
	tickets := c.Tickets()
	if len(tickets) != 2 || tickets[0].Expires != 0 || tickets[1].Scene != "a" || !strings.HasPrefix(tickets[1].URL, "http://weixin.qq.com/q/") {
		t.Errorf("tickets %+v", tickets)
	}
}

// Ensure followers are listed by pages, in order and with both ends, and told of as the documentation says.
func TestFollowers(t *testing.T) {
	for _, lastSaysSo := range []bool{false, true} {
		c := newClient(t)
		c.Pages(2, lastSaysSo)
		for i := range 4 {
			c.Follow(wechattest.Follower{OpenID: fmt.Sprintf("o%d", i), UnionID: "u", Scene: "ADD_SCENE_WECHAT_ADVERTISEMENT"})
		}
		var got []string
		after, pages := "", 0
		for {
			out := c.call(wechattest.PathFollowers, url.Values{"next_openid": {after}}, nil)
			pages++
			if out["total"] != 4.0-float64(min(pages-1, 1)) {
				t.Errorf("page %d: %v", pages, out)
			}
			if data, some := out["data"].(object); some {
				for _, o := range data["openid"].([]any) {
					got = append(got, o.(string))
				}
			}
			if after, _ = out["next_openid"].(string); after == "" {
				break
			}
			c.Unfollow("o1")
		}
		if want := []string{"o0", "o1", "o2", "o3"}; !slices.Equal(got, want) {
			t.Errorf("listed %v", got)
		}
		if want := map[bool]int{true: 2, false: 3}[lastSaysSo]; pages != want {
			t.Errorf("%d pages, want %d", pages, want)
		}
		info := func(n int) object {
			var list []object
			for i := range n {
				list = append(list, object{"openid": fmt.Sprintf("o%d", i), "lang": "zh_CN"})
			}
			return c.call(wechattest.PathFollowersInfo, nil, object{"user_list": list})
		}
		list, _ := info(100)["user_info_list"].([]any)
		if len(list) != 100 || list[0].(object)["subscribe_scene"] != "ADD_SCENE_WECHAT_ADVERTISEMENT" || list[0].(object)["unionid"] != "u" ||
			list[0].(object)["subscribe_time"] != float64(testkit.Start.Unix()) || len(list[1].(object)) != 2 || list[1].(object)["subscribe"] != 0.0 {
			t.Errorf("info %v", list)
		}
		c.refuses(info(101), 40032)
	}
}

// Ensure every fault does what it says, once for each time that it was asked for.
func TestFaults(t *testing.T) {
	c := newClient(t)
	c.Follow(wechattest.Follower{OpenID: "o1"})
	send := func() (object, error) { return c.do(wechattest.PathSend, c.Token(), nil, text("o1", "hello")) }
	c.Fail(wechattest.PathSend, 2, 45011)
	for range 2 {
		out, err := send()
		if err != nil {
			t.Fatal(err)
		}
		c.refuses(out, 45011)
	}
	c.Break(wechattest.PathSend, 1)
	if _, err := send(); err == nil || len(c.Sent()) != 0 {
		t.Errorf("broken: %v, sent %v", err, c.Sent())
	}
	c.Lose(wechattest.PathSend, 1)
	if _, err := send(); err == nil || len(c.Sent()) != 1 {
		t.Errorf("lost: %v, sent %v", err, c.Sent())
	}
	c.Status(wechattest.PathSend, 1, http.StatusBadGateway)
	if _, err := send(); err == nil || len(c.Sent()) != 1 {
		t.Errorf("status: %v, sent %v", err, c.Sent())
	}
	c.Quota(wechattest.PathSend, 1)
	for _, code := range []int{0, 45009} {
		c.refuses(c.call(wechattest.PathSend, nil, text("o1", "a")), code)
	}
	c.clock.Advance(15 * time.Hour) // midnight in Shanghai
	c.refuses(c.call(wechattest.PathSend, nil, text("o1", "a")), 0)
	c.Heal(wechattest.PathSend)
	release := c.Stall(wechattest.PathSend)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := send(); err != nil {
			t.Errorf("stalled: %v", err)
		}
	})
	c.refuses(c.call(wechattest.PathAgents, nil, nil), 0)
	if len(c.Sent()) != 3 {
		t.Errorf("sent %v while it stalls", c.Sent())
	}
	release()
	wg.Wait()
	calls := c.Calls(wechattest.PathSend)
	if len(calls) != 9 || calls[0].ErrCode != 45011 || calls[8].ErrCode != 0 || calls[8].Body["touser"] != "o1" || calls[8].Query.Has("access_token") {
		t.Errorf("calls %+v", calls)
	}
	for path, code := range map[string]int{"/cgi-bin/other": 40066, wechattest.PathSend: 43002} {
		c.refuses(c.call(path, nil, nil), code)
	}
	c.refuses(c.call(wechattest.PathFollowers, nil, object{}), 43001)
}
