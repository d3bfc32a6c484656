package tests

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"clientele/channels/wechat"
	"clientele/channels/wechat/wechattest"
)

// callbackToken and callbackKey are the credentials that cases set through the API.
const (
	callbackToken = "tokenOfTheTests"
	callbackKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// callback is something that the platform posts to the account's callback URL.
type callback struct {
	// Kind is text, image, subscribe, unsubscribe, scan, click, raw or verify.
	Kind   string `yaml:"kind"`
	OpenID string `yaml:"openid"`
	Text   string `yaml:"text"`  // of a text, of raw, and what is echoed to verify
	ID     int64  `yaml:"id"`    // the message's
	Scene  string `yaml:"scene"` // an advisor's or group's name, or a scene
	Mode   string `yaml:"mode"`  // PLAIN when absent
	Token  string `yaml:"token"` // to sign with, when it is another one
	Key    string `yaml:"key"`   // to encrypt with, likewise
	Times  int    `yaml:"times"`
	// Cut leaves so many bytes of the body; Status is 200 when absent.
	Cut    int `yaml:"cut"`
	Status int `yaml:"status"`
}

func (p *play) platform(c *callback) wechattest.Platform {
	a := p.do("admin", `{ account { callbackPath } }`, nil)
	pl := wechattest.Platform{
		URL: p.url + a.text("account.callbackPath"), Token: callbackToken, AESKey: callbackKey,
		AppID: "wx-main", OriginalID: "gh_main", Mode: wechat.Mode(c.Mode), Client: p.http, Now: p.clock.Now,
	}
	if c.Token != "" {
		pl.Token = c.Token
	}
	return pl
}

func (p *play) calls(c *callback) string {
	pl := p.platform(c)
	if c.Key != "" {
		pl.AESKey = c.Key
	}
	scene := c.Scene
	if known, ok := p.names["scene "+scene]; ok {
		scene = known
	}
	var message string
	switch c.Kind {
	case "text":
		message = pl.Text(c.OpenID, c.ID, c.Text)
	case "image":
		message = pl.Image(c.OpenID, c.ID, c.Text)
	case "subscribe":
		message = pl.Subscribe(c.OpenID, scene)
	case "unsubscribe":
		message = pl.Unsubscribe(c.OpenID)
	case "scan":
		message = pl.Scan(c.OpenID, scene)
	case "click":
		message = pl.Click(c.OpenID, c.Text)
	case "raw":
		message, _ = numbered(c.Text, 0).(string)
	case "verify":
	default:
		return "no such callback: " + c.Kind
	}
	for range max(c.Times, 1) {
		if msg := p.posts(pl, c, message); msg != "" {
			return msg
		}
	}
	return ""
}

func (p *play) posts(pl wechattest.Platform, c *callback, message string) string {
	var r *http.Request
	var err error
	want, status := "success", http.StatusOK
	if c.Kind == "verify" {
		r, err = pl.VerifyRequest(context.Background(), c.Text)
		want = c.Text
	} else {
		r, err = pl.PostRequest(context.Background(), message)
	}
	if err != nil {
		return err.Error()
	}
	if c.Cut > 0 {
		body, _ := io.ReadAll(r.Body)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body[:c.Cut]))), int64(c.Cut)
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if c.Status != 0 {
		status = c.Status
	}
	if resp.StatusCode != status || status == http.StatusOK && string(body) != want {
		return fmt.Sprintf("the callback was answered %d %q, want %d", resp.StatusCode, body, status)
	}
	return ""
}
