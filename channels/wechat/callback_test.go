package wechat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"clientele/channels/wechat"
	"clientele/channels/wechat/wechattest"
	"clientele/limits"
	"clientele/models"
)

const (
	callbackID = "cb-4f9d1c"
	newToken   = "newtoken"
	newKey     = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
)

// accounts is the credentials port with one account.
type accounts struct {
	callback wechat.Callback
	// old is what Callback remembers, if anything.
	old   *wechat.Callback
	err   error
	asked int
}

func (a *accounts) Callback(_ context.Context, id string) (wechat.Callback, error) {
	a.asked++
	if a.err != nil {
		return wechat.Callback{}, a.err
	}
	if id != callbackID {
		return wechat.Callback{}, models.NotFound("callback", "")
	}
	if a.old != nil {
		return *a.old, nil
	}
	return a.callback, nil
}

func (a *accounts) CallbackNow(ctx context.Context, id string) (wechat.Callback, error) {
	a.old = nil
	return a.Callback(ctx, id)
}

// recorder is an Ingester that stores in memory.
type recorder struct {
	account models.Key
	items   []models.Inbound
	fail    func(ctx context.Context) error
}

func (i *recorder) Ingest(ctx context.Context, account models.Key, in models.Inbound) error {
	if i.fail != nil {
		return i.fail(ctx)
	}
	i.account = account
	i.items = append(i.items, in)
	return nil
}

// world is a handler and the platform that calls it.
type world struct {
	accounts accounts
	ingester recorder
	platform wechattest.Platform
	log      bytes.Buffer
	mux      *http.ServeMux
}

func newWorld(mode wechat.Mode) *world {
	w := &world{mux: http.NewServeMux()}
	w.accounts.callback = wechat.Callback{
		Account: models.Key{1}, AppID: saAppID, OriginalID: "gh_account", Mode: mode,
		Tokens: []string{saToken}, AESKeys: []string{saKey},
	}
	w.platform = wechattest.Platform{
		URL: "/wechat/" + callbackID, Token: saToken, AESKey: saKey, AppID: saAppID, OriginalID: "gh_account",
		Mode: mode, Now: testNow,
	}
	log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.mux.Handle("/wechat/{callback}", wechat.NewCallbackHandler(&w.accounts, &w.ingester, testNow, log))
	return w
}

func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.mux.ServeHTTP(answer, r)
	return answer
}

// post is the request of a message, changed by edit.
func (w *world) post(tb testing.TB, message string, edit func(r *http.Request, query url.Values)) *http.Request {
	tb.Helper()
	r, err := w.platform.PostRequest(tb.Context(), message)
	if err != nil {
		tb.Fatal(err)
	}
	if edit != nil {
		query := r.URL.Query()
		edit(r, query)
		r.URL.RawQuery = query.Encode()
	}
	return r
}

func (w *world) hello() string { return w.platform.Text(fixtureOpenID, 1, "hello") }

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

func mustBody(tb testing.TB, r *http.Request) string {
	tb.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func allModes() []wechat.Mode {
	return []wechat.Mode{wechat.ModePlain, wechat.ModeCompatible, wechat.ModeSecure}
}

// Over a real connection, so that Platform itself is seen to work.
func TestCallbackStoresAndAnswersSuccess(t *testing.T) {
	for _, mode := range allModes() {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(mode)
			server := httptest.NewServer(w.mux)
			defer server.Close()
			p := w.platform
			p.URL = server.URL + p.URL
			for _, c := range []struct {
				message string
				kind    models.InboundKind
				scene   string
			}{
				{p.Text(fixtureOpenID, 1, "a <b> ]]> 你"), models.InboundMessage, ""},
				{p.Image(fixtureOpenID, 2, "media"), models.InboundMessage, ""},
				{p.Subscribe(fixtureOpenID, "s1"), models.InboundFollow, "s1"},
				{p.Subscribe(fixtureOpenID, ""), models.InboundFollow, ""},
				{p.Unsubscribe(fixtureOpenID), models.InboundUnfollow, ""},
				{p.Scan(fixtureOpenID, "s2"), models.InboundScan, "s2"},
				{p.Click(fixtureOpenID, "k"), models.InboundMenu, ""},
			} {
				answer, err := p.Post(t.Context(), c.message)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				if err != nil || answer.Body.Close() != nil || answer.StatusCode != http.StatusOK || string(body) != "success" {
					t.Fatalf("%s: got %d %q, %v", c.message, answer.StatusCode, body, err)
				}
				in := w.ingester.items[len(w.ingester.items)-1]
				checkInbound(t, in)
				if in.Kind != c.kind || in.Scene != c.scene || in.OpenID != fixtureOpenID || w.ingester.account != (models.Key{1}) {
					t.Errorf("%s: got %+v of %v", c.message, in, w.ingester.account)
				}
			}
			if got := w.ingester.items[0].Content.Text; got != "a <b> ]]> 你" {
				t.Errorf("got text %q", got)
			}
			answer, err := p.Verify(t.Context(), "5881231")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.Body.Close() != nil || string(body) != "5881231" {
				t.Errorf("echo: got %q, %v", body, err)
			}
		})
	}
}

func TestCallbackVerification(t *testing.T) {
	for _, c := range []struct {
		name   string
		edit   func(w *world, query url.Values)
		status int
	}{
		{"ok", func(*world, url.Values) {}, http.StatusOK},
		{"wrong signature", func(_ *world, q url.Values) { q.Set("signature", saNonce) }, http.StatusForbidden},
		{"no signature", func(_ *world, q url.Values) { q.Del("signature") }, http.StatusForbidden},
		{"signature of another nonce", func(_ *world, q url.Values) { q.Set("nonce", "1") }, http.StatusForbidden},
		{"no token that counts", func(w *world, q url.Values) {
			w.accounts.callback.Tokens = []string{""}
			q.Set("signature", wechat.Signature("", q.Get("timestamp"), q.Get("nonce")))
		}, http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(wechat.ModeSecure)
			const echo = `<script>alert("1")</script>`
			r, err := w.platform.VerifyRequest(t.Context(), echo)
			if err != nil {
				t.Fatal(err)
			}
			query := r.URL.Query()
			c.edit(w, query)
			r.URL.RawQuery = query.Encode()
			answer := w.serve(r)
			if answer.Code != c.status || (answer.Body.String() == echo) != (c.status == http.StatusOK) {
				t.Errorf("got %d %q", answer.Code, answer.Body)
			}
			if got := answer.Header(); !strings.HasPrefix(got.Get("Content-Type"), "text/plain") ||
				got.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("a browser may take the answer for a page: %v", got)
			}
		})
	}
}

func TestCallbackRefuses(t *testing.T) {
	type edit = func(r *http.Request, q url.Values)
	set := func(key, value string) edit { return func(_ *http.Request, q url.Values) { q.Set(key, value) } }
	body := func(s string) edit { return func(r *http.Request, _ url.Values) { setBody(r, s) } }
	padded := "<xml>" + strings.Repeat(" ", limits.CallbackBodyBytes) + "</xml>"
	for _, c := range []struct {
		name   string
		mode   wechat.Mode
		set    func(w *world)
		edit   edit
		status int
	}{
		{name: "unknown callback", edit: func(r *http.Request, _ url.Values) { r.URL.Path = "/wechat/other" }, status: 403},
		{name: "wrong signature", edit: set("signature", strings.Repeat("0", 40)), status: 403},
		{name: "signature in capitals", edit: func(_ *http.Request, q url.Values) {
			q.Set("signature", strings.ToUpper(q.Get("signature")))
		}, status: 403},
		{name: "another token", set: func(w *world) { w.platform.Token = "stolen" }, status: 403},
		{name: "timestamp changed", edit: set("timestamp", strconv.Itoa(fixtureSeconds)), status: 403},
		{name: "timestamp stale", set: func(w *world) {
			w.platform.Now = func() time.Time { return testNow().Add(-limits.CallbackSkew - time.Second) }
		}, status: 403},
		{name: "timestamp ahead", set: func(w *world) {
			w.platform.Now = func() time.Time { return testNow().Add(limits.CallbackSkew + time.Second) }
		}, status: 403},
		{name: "timestamp not a number", edit: func(_ *http.Request, q url.Values) {
			q.Set("timestamp", "now")
			q.Set("signature", wechat.Signature(saToken, "now", q.Get("nonce")))
		}, status: 403},
		{name: "plain body in secure mode", set: func(w *world) { w.accounts.callback.Mode = wechat.ModeSecure }, status: 403},
		{name: "plain body in a mode that nobody set", set: func(w *world) { w.accounts.callback.Mode = "" }, status: 403},
		{name: "addressed to another account", set: func(w *world) { w.platform.OriginalID = "gh_other" }, status: 403},
		{name: "encrypted and addressed to another account", mode: wechat.ModeSecure, set: func(w *world) {
			w.platform.OriginalID = "gh_other"
		}, status: 403},
		{name: "wrong msg_signature", mode: wechat.ModeSecure, edit: set("msg_signature", strings.Repeat("0", 40)), status: 403},
		{name: "no msg_signature", mode: wechat.ModeSecure, edit: func(_ *http.Request, q url.Values) { q.Del("msg_signature") }, status: 403},
		{name: "encrypted part of another request", mode: wechat.ModeSecure, edit: func(r *http.Request, _ url.Values) {
			setBody(r, "<xml><Encrypt>"+saEncrypt+"</Encrypt></xml>")
		}, status: 403},
		{name: "wrong msg_signature beside a plain body", mode: wechat.ModeCompatible, edit: set("msg_signature", ""), status: 403},
		{name: "encrypted part taken out", mode: wechat.ModeCompatible, edit: func(r *http.Request, _ url.Values) {
			setBody(r, newWorld(wechat.ModePlain).hello())
		}, status: 403},
		{name: "another app id", mode: wechat.ModeSecure, set: func(w *world) { w.platform.AppID = "wx0000000000000000" }, status: 403},
		{name: "another key", mode: wechat.ModeSecure, set: func(w *world) { w.platform.AESKey = newKey }, status: 403},
		{name: "no key", mode: wechat.ModeSecure, set: func(w *world) { w.accounts.callback.AESKeys = nil }, status: 403},
		{name: "no key in compatible mode", mode: wechat.ModeCompatible, set: func(w *world) { w.accounts.callback.AESKeys = nil }, status: 403},
		{name: "truncated", edit: body("<xml><MsgType>te"), status: 400},
		{name: "empty", edit: body(""), status: 400},
		{name: "document type", edit: body("<!DOCTYPE xml><xml></xml>"), status: 400},
		{name: "sender twice", edit: body("<xml><FromUserName>a</FromUserName><FromUserName>b</FromUserName></xml>"), status: 400},
		{name: "sender too long", edit: func(r *http.Request, _ url.Values) {
			setBody(r, "<xml><ToUserName>gh_account</ToUserName><FromUserName>"+strings.Repeat("o", limits.OpenIDBytes+1)+
				"</FromUserName><CreateTime>1700000000</CreateTime><MsgType>text</MsgType></xml>")
		}, status: 400},
		{name: "body broke off", edit: func(r *http.Request, _ url.Values) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("<xml>"), failing{io.ErrUnexpectedEOF}))
		}, status: 400},
		{name: "too large", edit: body(padded), status: 413},
		{name: "too large of unknown length", edit: func(r *http.Request, _ url.Values) {
			setBody(r, padded)
			r.ContentLength = -1
		}, status: 413},
		{name: "too large by its own word", edit: func(r *http.Request, _ url.Values) {
			r.Body, r.ContentLength = io.NopCloser(failing{errors.New("it was read")}), limits.CallbackBodyBytes+1
		}, status: 413},
		{name: "too large and unsigned", edit: func(r *http.Request, q url.Values) {
			setBody(r, padded)
			q.Del("signature")
		}, status: 403},
		{name: "body too slow", edit: func(r *http.Request, _ url.Values) {
			r.Body = io.NopCloser(failing{os.ErrDeadlineExceeded})
		}, status: 503},
		{name: "platform has hung up", edit: func(r *http.Request, _ url.Values) {
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			*r = *r.WithContext(ctx)
			r.Body = io.NopCloser(failing{io.ErrUnexpectedEOF})
		}, status: 503},
		{name: "credentials cannot be read", set: func(w *world) { w.accounts.err = errors.New("database gone") }, status: 503},
		{name: "not stored", set: func(w *world) {
			w.ingester.fail = func(context.Context) error { return models.Errorf(models.CodeUnavailable, "full") }
		}, status: 503},
		{name: "another method", edit: func(r *http.Request, _ url.Values) { r.Method = http.MethodPut }, status: 405},
		{name: "only the head", edit: func(r *http.Request, _ url.Values) { r.Method = http.MethodHead }, status: 405},
	} {
		t.Run(c.name, func(t *testing.T) {
			mode := c.mode
			if mode == "" {
				mode = wechat.ModePlain
			}
			w := newWorld(mode)
			if c.set != nil {
				c.set(w)
			}
			answer := w.serve(w.post(t, w.hello(), c.edit))
			if answer.Code != c.status || strings.Contains(answer.Body.String(), "success") {
				t.Errorf("got %d %q, want %d", answer.Code, answer.Body, c.status)
			}
			if len(w.ingester.items) != 0 {
				t.Errorf("it was stored: %+v", w.ingester.items)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// An unknown callback id cannot be told from a wrong signature, and neither reads the body.
func TestCallbackUnknownAndUnsignedLookAlike(t *testing.T) {
	w := newWorld(wechat.ModePlain)
	unread := func(r *http.Request) { r.Body = io.NopCloser(failing{errors.New("the body was read")}) }
	unknown := w.serve(w.post(t, w.hello(), func(r *http.Request, _ url.Values) {
		r.URL.Path = "/wechat/other"
		unread(r)
	}))
	unsigned := w.serve(w.post(t, w.hello(), func(r *http.Request, q url.Values) {
		q.Set("signature", "")
		unread(r)
	}))
	if unknown.Code != http.StatusForbidden || unknown.Code != unsigned.Code || unknown.Body.String() != unsigned.Body.String() {
		t.Errorf("got %d %q and %d %q", unknown.Code, unknown.Body, unsigned.Code, unsigned.Body)
	}
	if a, b := headers(unknown), headers(unsigned); a != b {
		t.Errorf("got headers %s and %s", a, b)
	}
	if unsigned.Header().Get("Connection") != "close" {
		t.Error("the server would read the rest of the body")
	}
}

func headers(r *httptest.ResponseRecorder) string {
	var b strings.Builder
	_ = r.Header().Write(&b) // a Builder never fails to write
	return b.String()
}

func TestCallbackModes(t *testing.T) {
	for _, c := range []struct {
		name     string
		platform wechat.Mode
		set      func(c *wechat.Callback)
	}{
		{"plain body while changing over", wechat.ModePlain, func(c *wechat.Callback) { c.Mode = wechat.ModeCompatible }},
		{"encrypted body while changing over", wechat.ModeSecure, func(c *wechat.Callback) { c.Mode = wechat.ModeCompatible }},
		{"console secure before we are", wechat.ModeSecure, func(c *wechat.Callback) { c.Mode = wechat.ModePlain }},
		{"console compatible, no key here", wechat.ModeCompatible, func(c *wechat.Callback) {
			c.Mode, c.AESKeys = wechat.ModePlain, nil
		}},
		{"console compatible, we secure", wechat.ModeCompatible, func(c *wechat.Callback) { c.Mode = wechat.ModeSecure }},
		{"gh_ id not known", wechat.ModePlain, func(c *wechat.Callback) { c.OriginalID = "" }},
		{"new token and key, platform still has the old", wechat.ModeSecure, func(c *wechat.Callback) {
			c.Tokens, c.AESKeys = []string{newToken, saToken}, []string{newKey, saKey}
		}},
		{"token changed, key not", wechat.ModeSecure, func(c *wechat.Callback) {
			c.Tokens, c.AESKeys = []string{saToken, newToken}, []string{newKey, saKey}
		}},
		{"a key that is none before a good one", wechat.ModeSecure, func(c *wechat.Callback) {
			c.AESKeys = []string{"none", saKey}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(c.platform)
			c.set(&w.accounts.callback)
			answer := w.serve(w.post(t, w.hello(), nil))
			if answer.Code != http.StatusOK || answer.Body.String() != "success" || len(w.ingester.items) != 1 {
				t.Errorf("got %d %q, stored %d", answer.Code, answer.Body, len(w.ingester.items))
			}
		})
	}
}

// Beside an encrypted part the plain one is not proved by anything: it must not count.
func TestCallbackIgnoresPlainFieldsBesideEncrypted(t *testing.T) {
	w := newWorld(wechat.ModeCompatible)
	r := w.post(t, w.hello(), nil)
	setBody(r, strings.Replace(mustBody(t, r), "hello", "forged", 1))
	if answer := w.serve(r); answer.Code != http.StatusOK || len(w.ingester.items) != 1 {
		t.Fatalf("got %d", answer.Code)
	}
	if got := w.ingester.items[0].Content.Text; got != "hello" {
		t.Errorf("got %q", got)
	}
}

// A retry, and a recording within the skew, are the same item to the Ingester; later the recording
// is refused.
func TestCallbackReplayed(t *testing.T) {
	for _, mode := range allModes() {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(mode)
			r := w.post(t, w.platform.Subscribe(fixtureOpenID, "s"), nil)
			body := mustBody(t, r)
			for range 2 {
				setBody(r, body)
				if answer := w.serve(r); answer.Body.String() != "success" {
					t.Fatalf("got %d %q", answer.Code, answer.Body)
				}
			}
			if len(w.ingester.items) != 2 || w.ingester.items[0] != w.ingester.items[1] {
				t.Errorf("got %+v", w.ingester.items)
			}
		})
	}
}

func TestCallbackEdgeOfSkew(t *testing.T) {
	for _, skew := range []time.Duration{-limits.CallbackSkew, limits.CallbackSkew} {
		w := newWorld(wechat.ModePlain)
		w.platform.Now = func() time.Time { return testNow().Add(skew) }
		if answer := w.serve(w.post(t, w.hello(), nil)); answer.Code != http.StatusOK {
			t.Errorf("%v: got %d", skew, answer.Code)
		}
	}
}

func TestCallbackSlowIngestIsUnavailableAtCallbackTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechat.ModePlain)
		w.ingester.fail = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		begin := time.Now()
		answer := w.serve(w.post(t, w.hello(), nil))
		if answer.Code != http.StatusServiceUnavailable || time.Since(begin) != limits.CallbackTime {
			t.Errorf("got %d after %v", answer.Code, time.Since(begin))
		}
	})
}

// deadlines is a writer that, as a server's does, takes a deadline for reading.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

func TestCallbackBoundsTheReadingOfTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechat.ModePlain)
		answer := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		w.mux.ServeHTTP(answer, w.post(t, w.hello(), nil))
		if len(answer.set) != 2 || !answer.set[0].Equal(time.Now().Add(limits.CallbackTime)) || !answer.set[1].IsZero() {
			t.Errorf("got %v", answer.set)
		}
	})
}

// Ensure nothing is refused by credentials that were changed a moment ago, and what is right by
// those that are remembered asks for no others.
func TestCallbackByRememberedCredentials(t *testing.T) {
	for name, tt := range map[string]struct {
		mode   wechat.Mode
		old    func(*wechat.Callback)
		status int
		asked  int
	}{
		"the same":           {mode: wechat.ModePlain, old: func(*wechat.Callback) {}, status: 200, asked: 1},
		"another token":      {mode: wechat.ModePlain, old: func(c *wechat.Callback) { c.Tokens = []string{newToken} }, status: 200, asked: 2},
		"another mode":       {mode: wechat.ModePlain, old: func(c *wechat.Callback) { c.Mode = wechat.ModeSecure }, status: 200, asked: 2},
		"another key":        {mode: wechat.ModeSecure, old: func(c *wechat.Callback) { c.AESKeys = []string{newKey} }, status: 200, asked: 2},
		"another account's":  {mode: wechat.ModePlain, old: func(c *wechat.Callback) { c.Mode, c.Account = wechat.ModeSecure, models.Key{2} }, status: 403, asked: 2},
		"neither one's mode": {mode: wechat.ModeSecure, old: func(*wechat.Callback) {}, status: 403, asked: 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(tt.mode)
			old := w.accounts.callback
			tt.old(&old)
			w.accounts.old = &old
			if name == "neither one's mode" {
				w.platform.Mode = wechat.ModePlain
			}
			answer := w.serve(w.post(t, w.hello(), nil))
			if answer.Code != tt.status || w.accounts.asked != tt.asked {
				t.Errorf("status %d after %d questions, want %d after %d", answer.Code, w.accounts.asked, tt.status, tt.asked)
			}
		})
	}
}
