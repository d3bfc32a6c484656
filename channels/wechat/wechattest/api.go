package wechattest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// The paths of the platform's API that API serves.
const (
	PathToken         = "/cgi-bin/stable_token" //nolint:gosec // a path.
	PathSend          = "/cgi-bin/message/custom/send"
	PathQRCode        = "/cgi-bin/qrcode/create"
	PathFollowers     = "/cgi-bin/user/get"
	PathFollowersInfo = "/cgi-bin/user/info/batchget"
	PathAgents        = "/cgi-bin/customservice/getkflist"
)

// The platform's codes that API answers of itself. A test may make it answer any other: App.Fail.
const (
	ErrSystem         = -1
	ErrCredential     = 40001 // also a token that another has replaced
	ErrGrantType      = 40002
	ErrOpenID         = 40003
	ErrMedia          = 40007
	ErrMessageType    = 40008
	ErrAppID          = 40013
	ErrListSize       = 40032
	ErrActionName     = 40052
	ErrActionInfo     = 40053
	ErrURL            = 40066
	ErrArguments      = 40097
	ErrSecret         = 40125
	ErrTokenMissing   = 41001
	ErrAppIDMissing   = 41002
	ErrSecretMissing  = 41004
	ErrTokenExpired   = 42001
	ErrNeedsGet       = 43001
	ErrNeedsPost      = 43002
	ErrBodyEmpty      = 44002
	ErrContentEmpty   = 44004
	ErrContentTooLong = 45002
	ErrQuota          = 45009
	ErrWindow         = 45015 // nothing may be sent, or they do not follow
	ErrQRCodes        = 45029
	ErrBody           = 47001
	ErrAgent          = 65401
)

// errTexts are the errmsg that go with them, where the platform's documentation or answers of it that were published say so.
var errTexts = map[int]string{ //nolint:gochecknoglobals // a table that nobody writes.
	ErrSystem: "system error", ErrCredential: "invalid credential, access_token is invalid or not latest", ErrGrantType: "invalid grant_type",
	ErrOpenID: "invalid openid", ErrMedia: "invalid media_id", ErrMessageType: "invalid message type", ErrAppID: "invalid appid",
	ErrListSize: "invalid openid list size", ErrActionName: "invalid action name", ErrActionInfo: "invalid action info", ErrURL: "invalid url",
	ErrArguments: "invalid args", ErrSecret: "invalid appsecret", ErrTokenMissing: "access_token missing", ErrAppIDMissing: "appid missing",
	ErrSecretMissing: "appsecret missing", ErrTokenExpired: "access_token expired", ErrNeedsGet: "require GET method",
	ErrNeedsPost: "require POST method", ErrBodyEmpty: "empty post data", ErrContentEmpty: "empty content",
	ErrContentTooLong: "content size out of limit", ErrQuota: "reach max api daily quota limit",
	ErrWindow: "response out of time limit or subscription is canceled", ErrQRCodes: "qrcode count out of limit",
	ErrBody: "data format error", ErrAgent: "invalid kf_account",
}

// bodyBytes bounds what API reads of a request.
const bodyBytes = 1 << 20

// API stands for the platform's side of the API that merchants call (WeChat official account documentation: stable_token,
// customer-service messages, parametric QR codes, users, customer-service agents), of any number of service accounts. It answers
// as the documentation says: always HTTP 200 with JSON and errcode, unless a test asked for a fault. What it cannot show is where the
// platform departs from its documentation; and it keeps no reply windows, no daily quotas of its own and no addresses that may call:
// App.Fail and App.Quota stand for these. Safe for concurrent use.
type API struct {
	server *httptest.Server

	mu   sync.Mutex
	now  func() time.Time
	apps map[string]*App
}

// NewAPI serves on a loopback address until the test ends. Its clock is the machine's: see Clock.
func NewAPI(tb testing.TB) *API {
	tb.Helper()
	a := &API{now: Platform{}.now, apps: map[string]*App{}}
	a.server = httptest.NewServer(a)
	tb.Cleanup(func() {
		a.release()
		a.server.Close()
	})
	return a
}

// URL is what stands for https://api.weixin.qq.com.
func (a *API) URL() string { return a.server.URL }

// Clock has the API tell the time by now.
func (a *API) Clock(now func() time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = now
}

// App registers a service account; of one that is registered it changes the secret, after which its tokens are invalid.
func (a *API) App(appID, secret string) *App {
	a.mu.Lock()
	defer a.mu.Unlock()
	app := a.apps[appID]
	if app == nil {
		app = newApp(a)
		a.apps[appID] = app
	}
	if app.secret != secret {
		app.secret, app.tokens = secret, nil
	}
	return app
}

// ServeHTTP answers one call.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, bodyBytes))
	if err != nil {
		return // whoever called has gone
	}
	call := Call{Path: r.URL.Path, Query: r.URL.Query()}
	call.Query.Del("access_token")
	a.mu.Lock()
	handle, code := routes[r.URL.Path], 0
	switch {
	case handle.serve == nil:
		code = ErrURL
	case handle.post && r.Method != http.MethodPost:
		code = ErrNeedsPost
	case !handle.post && r.Method != http.MethodGet:
		code = ErrNeedsGet
	case handle.post && len(raw) == 0:
		code = ErrBodyEmpty
	case handle.post && json.Unmarshal(raw, &call.Body) != nil:
		code = ErrBody
	}
	var app *App
	if code == 0 {
		app, code = a.caller(r, call.Body)
	}
	if app == nil {
		a.mu.Unlock()
		a.answer(w, failed(code))
		return
	}
	var fault fault
	if code == 0 {
		fault = app.fault(r.URL.Path)
	}
	a.mu.Unlock()

	if fault.stalled != nil {
		select {
		case <-fault.stalled:
		case <-r.Context().Done():
			return
		}
	}
	a.mu.Lock()
	var out any
	if code == 0 {
		code = cmp.Or(fault.errcode, app.spend(r.URL.Path))
	}
	if code == 0 {
		out, code = handle.serve(app, r, call.Body)
	}
	if code != 0 {
		out = failed(code)
	}
	call.ErrCode = code
	app.calls = append(app.calls, call)
	a.mu.Unlock()
	switch {
	case fault.closes:
		hangUp(w)
	case fault.status != 0:
		http.Error(w, http.StatusText(fault.status), fault.status)
	default:
		a.answer(w, out)
	}
}

// caller is the account that a call is for, and what is wrong with its token; nil when there is no such account. mu must be held.
func (a *API) caller(r *http.Request, body map[string]any) (*App, int) {
	if r.URL.Path == PathToken {
		id, _ := body["appid"].(string)
		switch app := a.apps[id]; {
		case id == "":
			return nil, ErrAppIDMissing
		case app == nil:
			return nil, ErrAppID
		default:
			return app, 0
		}
	}
	token := r.URL.Query().Get("access_token")
	if token == "" {
		return nil, ErrTokenMissing
	}
	for _, app := range a.apps {
		if t := app.tokens[token]; t != nil {
			return app, t.fault(a.now())
		}
	}
	return nil, ErrCredential
}

// failed is the answer that tells of a code, with the request's id as the platform writes it.
func failed(code int) any {
	text := errTexts[code]
	if text == "" {
		text = "error"
	}
	return status{ErrCode: code, ErrMsg: fmt.Sprintf("%s rid: %08x-%08x-%08x", text, code, len(text), 1)}
}

// status is what every answer but those with content consists of.
type status struct {
	ErrCode int    `json:"errcode"`
	ErrMsg  string `json:"errmsg"`
}

func (*API) answer(w http.ResponseWriter, out any) {
	w.Header().Set("Content-Type", "application/json; encoding=utf-8")
	_ = json.NewEncoder(w).Encode(out) // whoever called may have gone
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil && !errors.Is(err, http.ErrHijacked) {
		return
	}
	_ = conn.Close() // that is all it is for
}

// release lets go whatever stalls, so that the server can close.
func (a *API) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, app := range a.apps {
		for path := range app.stalls {
			app.letGo(path)
		}
	}
}

// Call is one call that an account made with a token of its own.
type Call struct {
	Path string
	// Query is the address's, without the token.
	Query url.Values
	// Body is the decoded JSON; nil of a GET. Numbers are float64.
	Body map[string]any
	// ErrCode is what was decided; 0 is success. Whoever called may not have heard it: App.Lose.
	ErrCode int
}
