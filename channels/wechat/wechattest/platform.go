// Package wechattest stands for the WeChat platform in tests. The real platform posts only to
// public addresses of registered accounts and cannot be reached from a test; this one signs,
// encrypts and posts as its documentation says, and is checked against the documentation's
// published examples through the functions of package wechat that it shares. What it cannot show
// is where the platform departs from its documentation.
package wechattest

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"clientele/channels/wechat"
)

// Platform sends callbacks of one service account to one URL, as WeChat would. It keeps no state:
// safe for concurrent use, and a copy with another Token or AESKey is the platform after the
// console's values were changed, or a forger.
type Platform struct {
	URL        string // the account's callback URL, e.g. server.URL + "/wechat/" + callbackID
	Token      string
	AESKey     string // 43 characters; needed in ModeCompatible and ModeSecure
	AppID      string
	OriginalID string // the gh_ id that messages are addressed to
	// Mode is how bodies travel; empty is wechat.ModePlain.
	Mode wechat.Mode
	// Client sends; nil is http.DefaultClient.
	Client *http.Client
	// Now dates signatures and messages; nil is time.Now.
	Now func() time.Time
}

// Post sends one callback, signed and in the form of Mode. The caller closes the answer's body.
// The platform would take an answer other than 200 with "success" or nothing as a failure and send
// the callback twice more; a test does so by calling Post again.
func (p Platform) Post(ctx context.Context, message string) (*http.Response, error) {
	r, err := p.PostRequest(ctx, message)
	if err != nil {
		return nil, err
	}
	return p.client().Do(r)
}

// PostRequest is what Post sends, for tests that change it first or serve it directly.
func (p Platform) PostRequest(ctx context.Context, message string) (*http.Request, error) {
	query, timestamp, nonce := p.sign()
	body := message
	if p.Mode == wechat.ModeCompatible || p.Mode == wechat.ModeSecure {
		box, err := wechat.NewCipher(p.AESKey, p.AppID)
		if err != nil {
			return nil, err
		}
		encrypted := box.Encrypt([]byte(message))
		query.Set("encrypt_type", "aes")
		query.Set("msg_signature", wechat.Signature(p.Token, timestamp, nonce, encrypted))
		if p.Mode == wechat.ModeSecure {
			body = element("xml", cdata("ToUserName", p.OriginalID)+cdata("Encrypt", encrypted))
		} else {
			body = strings.TrimSuffix(message, "</xml>") + cdata("Encrypt", encrypted) + "</xml>"
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "text/xml")
	return r, nil
}

// Verify sends the check that the console makes when the URL is set; the answer's body must be
// echo and nothing else. The caller closes it.
func (p Platform) Verify(ctx context.Context, echo string) (*http.Response, error) {
	r, err := p.VerifyRequest(ctx, echo)
	if err != nil {
		return nil, err
	}
	return p.client().Do(r)
}

// VerifyRequest is what Verify sends.
func (p Platform) VerifyRequest(ctx context.Context, echo string) (*http.Request, error) {
	query, _, _ := p.sign()
	query.Set("echostr", echo)
	return http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"?"+query.Encode(), http.NoBody)
}

// Text is a follower's text. id is the MsgId: a repeat has the same.
func (p Platform) Text(openID string, id int64, text string) string {
	return p.message(openID, "text", cdata("Content", text)+number("MsgId", id))
}

// Image is a follower's image; its address is made from mediaID.
func (p Platform) Image(openID string, id int64, mediaID string) string {
	return p.message(openID, "image", cdata("PicUrl", "https://mmbiz.qpic.cn/mmbiz_jpg/"+mediaID+"/0")+
		cdata("MediaId", mediaID)+number("MsgId", id))
}

// Subscribe is a new follower. scene is that of the QR code they followed through, empty for none.
func (p Platform) Subscribe(openID, scene string) string {
	if scene == "" {
		return p.event(openID, "subscribe", cdata("EventKey", ""))
	}
	return p.event(openID, "subscribe", cdata("EventKey", "qrscene_"+scene)+cdata("Ticket", "ticket-of-"+scene))
}

// Unsubscribe is a follower who leaves.
func (p Platform) Unsubscribe(openID string) string {
	return p.event(openID, "unsubscribe", cdata("EventKey", ""))
}

// Scan is a follower who scans a QR code.
func (p Platform) Scan(openID, scene string) string {
	return p.event(openID, "SCAN", cdata("EventKey", scene)+cdata("Ticket", "ticket-of-"+scene))
}

// Click is a follower who clicks a menu item of type click.
func (p Platform) Click(openID, key string) string {
	return p.event(openID, "CLICK", cdata("EventKey", key))
}

func (p Platform) event(openID, name, rest string) string {
	return p.message(openID, "event", cdata("Event", name)+rest)
}

// message is a callback with the elements that all have, dated now.
func (p Platform) message(openID, kind, rest string) string {
	return element("xml", cdata("ToUserName", p.OriginalID)+cdata("FromUserName", openID)+
		number("CreateTime", p.now().Unix())+cdata("MsgType", kind)+rest)
}

// sign is the query that every request has, with the two values that go into other signatures.
func (p Platform) sign() (query url.Values, timestamp, nonce string) {
	timestamp, nonce = strconv.FormatInt(p.now().Unix(), 10), rand.Text()
	return url.Values{
		"signature": {wechat.Signature(p.Token, timestamp, nonce)},
		"timestamp": {timestamp},
		"nonce":     {nonce},
	}, timestamp, nonce
}

func (p Platform) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (p Platform) client() *http.Client {
	if p.Client == nil {
		return http.DefaultClient
	}
	return p.Client
}

func element(name, content string) string { return "<" + name + ">" + content + "</" + name + ">" }

func number(name string, n int64) string { return element(name, strconv.FormatInt(n, 10)) }

// cdata is an element with text as the platform writes it: in CDATA, or escaped where the text
// would end that too early.
func cdata(name, text string) string {
	if strings.Contains(text, "]]>") {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(text)) // a Builder never fails to write
		return element(name, b.String())
	}
	return element(name, "<![CDATA["+text+"]]>")
}
