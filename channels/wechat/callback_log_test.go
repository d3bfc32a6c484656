package wechat_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clientele/channels/wechat"
	"clientele/models"
)

// Logs hold ids only, in good and in bad.
func TestCallbackLogsNothingPersonal(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(w *world)
		edit func(r *http.Request, q url.Values)
		want string
	}{
		{"stored", func(*world) {}, nil, "kind=MESSAGE"},
		{"not stored", func(w *world) {
			w.ingester.fail = func(context.Context) error { return errors.New("Duplicate entry '" + fixtureOpenID + " hello'") }
		}, nil, "code=INTERNAL"},
		{"refused", func(w *world) { w.platform.Token = "stolen" }, nil, "wrong signature"},
		{"malformed", func(*world) {}, func(r *http.Request, _ url.Values) {
			setBody(r, "<xml><Content>hello</Content><FromUserName>"+fixtureOpenID+"</FromUserName><hello></xml>")
		}, "status=400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(wechat.ModePlain)
			c.set(w)
			w.serve(w.post(t, w.hello(), c.edit))
			got := w.log.String()
			if !strings.Contains(got, c.want) || !strings.Contains(got, models.Key{1}.String()) {
				t.Errorf("got %s", got)
			}
			for _, secret := range []string{"hello", fixtureOpenID, saToken, saKey, callbackID, "stolen"} {
				if strings.Contains(got, secret) {
					t.Errorf("%q is in %s", secret, got)
				}
			}
		})
	}
}

func TestCallbackKeepsItsSecrets(t *testing.T) {
	var log bytes.Buffer
	c := newWorld(wechat.ModePlain).accounts.callback
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "callback", c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "callback", c)
	if got := log.String(); strings.Contains(got, saToken) || strings.Contains(got, saKey) {
		t.Errorf("got %s", got)
	}
}
