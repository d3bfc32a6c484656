package wechattest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// What the documentation of the platform says.
const (
	tokenLife      = 2 * time.Hour
	tokenEarly     = 5 * time.Minute // before the end of a token's life there is another beside it
	forceEvery     = 30 * time.Second
	forcePerDay    = 20
	followersPage  = 10_000
	infoBatch      = 100
	permanentCodes = 100_000
	codeSeconds    = 2_592_000
	codeDefault    = 60
	sceneRunes     = 64
	textBytes      = 2048
	inviteLife     = 24 * time.Hour
)

// route is how a path is served. serve answers the answer, or a code; API.mu is held.
type route struct {
	post  bool
	serve func(p *App, r *http.Request, body map[string]any) (any, int)
}

var routes = map[string]route{ //nolint:gochecknoglobals // a table that nobody writes.
	PathToken:         {post: true, serve: (*App).stableToken},
	PathSend:          {post: true, serve: (*App).send},
	PathQRCode:        {post: true, serve: (*App).createCode},
	PathFollowersInfo: {post: true, serve: (*App).batchGet},
	PathFollowers:     {serve: (*App).userGet},
	PathAgents:        {serve: (*App).getKfList},
}

func ok() any { return status{ErrMsg: "ok"} }

func (p *App) stableToken(_ *http.Request, body map[string]any) (any, int) {
	secret, _ := body["secret"].(string)
	switch {
	case body["grant_type"] != "client_credential":
		return nil, ErrGrantType
	case secret == "":
		return nil, ErrSecretMissing
	case secret != p.secret:
		return nil, ErrSecret
	}
	now := p.api.now()
	if body["force_refresh"] == true && now.Sub(p.forced) >= forceEvery {
		if dayOf(p.forced) != dayOf(now) {
			p.forcedTimes = 0
		}
		if p.forcedTimes >= forcePerDay {
			return nil, ErrQuota
		}
		p.forced = now
		p.forcedTimes++
		p.kill()
	}
	value := p.valid()
	return map[string]any{"access_token": value, "expires_in": int(p.tokens[value].ends.Sub(now).Seconds())}, 0
}

// send takes a customer-service message. Which reply windows are open it does not know.
func (p *App) send(_ *http.Request, body map[string]any) (any, int) {
	openid, _ := body["touser"].(string)
	kind, _ := body["msgtype"].(string)
	f := p.followers[openid]
	switch {
	case f == nil:
		return nil, ErrOpenID
	case f.left:
		return nil, ErrWindow
	}
	content, _ := body[kind].(map[string]any)
	text, _ := content["content"].(string)
	if code := contentFault(kind, content, text); code != 0 {
		return nil, code
	}
	if by, asked := body["customservice"].(map[string]any); asked {
		if account, _ := by["kf_account"].(string); !p.hasAgent(account) {
			return nil, ErrAgent
		}
	}
	p.sent = append(p.sent, Sent{OpenID: openid, Type: kind, Text: text, Body: body})
	return ok(), 0
}

// contentFault is what is wrong with a message's content; 0: nothing.
func contentFault(kind string, content map[string]any, text string) int {
	needs := ""
	switch kind {
	case "text":
		switch {
		case text == "":
			return ErrContentEmpty
		case len(text) > textBytes:
			return ErrContentTooLong
		}
		return 0
	case "image", "voice", "mpnews":
		needs = "media_id"
	case "miniprogrampage", "music", "video":
		needs = "thumb_media_id"
	case "news", "msgmenu", "wxcard", "mpnewsarticle":
		if len(content) == 0 {
			return ErrContentEmpty
		}
		return 0
	default:
		return ErrMessageType
	}
	if id, _ := content[needs].(string); id == "" {
		return ErrMedia
	}
	return 0
}

func (p *App) hasAgent(account string) bool {
	for i, k := range p.agents {
		if !k.invited && kfAccount(i) == account {
			return true
		}
	}
	return false
}

// createCode makes a QR code. Of a permanent one whose scene was used before it is not published whether it counts anew; here it does.
func (p *App) createCode(_ *http.Request, body map[string]any) (any, int) {
	action, _ := body["action_name"].(string)
	info, _ := body["action_info"].(map[string]any)
	scene, _ := info["scene"].(map[string]any)
	named, code := sceneOf(action, scene)
	if code != 0 {
		return nil, code
	}
	t := Ticket{Action: action, Scene: named, Ticket: "gQ" + rand.Text() + rand.Text() + "==", URL: "http://weixin.qq.com/q/02" + rand.Text()}
	out := map[string]any{"ticket": t.Ticket, "url": t.URL}
	switch action {
	case "QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE":
		if p.permanent >= permanentCodes {
			return nil, ErrQRCodes
		}
		p.permanent++
	default:
		seconds, asked := body["expire_seconds"].(float64)
		if !asked {
			seconds = codeDefault
		}
		if seconds < 1 || seconds > codeSeconds {
			return nil, ErrArguments
		}
		t.Expires = int(seconds)
		out["expire_seconds"] = t.Expires
	}
	p.tickets = append(p.tickets, t)
	return out, 0
}

// sceneOf is the scene of a code, or what is wrong with it.
func sceneOf(action string, scene map[string]any) (string, int) {
	const permanentScenes = 100_000 // of numbers
	text, _ := scene["scene_str"].(string)
	id, _ := scene["scene_id"].(float64)
	switch action {
	case "QR_STR_SCENE", "QR_LIMIT_STR_SCENE":
		if n := utf8.RuneCountInString(text); n < 1 || n > sceneRunes {
			return "", ErrActionInfo
		}
		return text, 0
	case "QR_SCENE", "QR_LIMIT_SCENE":
		if id == 0 || action == "QR_LIMIT_SCENE" && (id < 1 || id > permanentScenes) {
			return "", ErrActionInfo
		}
		return strconv.FormatFloat(id, 'f', -1, 64), 0
	}
	return "", ErrActionName
}

// batchGet tells of followers. Of who has left, or never was one, it tells the openid alone.
func (p *App) batchGet(_ *http.Request, body map[string]any) (any, int) {
	list, _ := body["user_list"].([]any)
	if len(list) < 1 || len(list) > infoBatch {
		return nil, ErrListSize
	}
	told := make([]map[string]any, 0, len(list))
	for _, entry := range list {
		asked, _ := entry.(map[string]any)
		openid, _ := asked["openid"].(string)
		if openid == "" {
			return nil, ErrOpenID
		}
		told = append(told, p.info(openid))
	}
	return map[string]any{"user_info_list": told}, 0
}

func (p *App) info(openid string) map[string]any {
	f := p.followers[openid]
	if f == nil || f.left {
		return map[string]any{"subscribe": 0, "openid": openid}
	}
	info := map[string]any{
		"subscribe": 1, "openid": openid, "nickname": "", "sex": 0, "language": "zh_CN", "city": "", "province": "", "country": "",
		"headimgurl": "", "subscribe_time": f.FollowedAt.Unix(), "remark": "", "groupid": 0, "tagid_list": []int{},
		"subscribe_scene": f.Scene, "qr_scene": 0, "qr_scene_str": "",
	}
	if f.UnionID != "" {
		info["unionid"] = f.UnionID
	}
	return info
}

func (p *App) userGet(r *http.Request, _ map[string]any) (any, int) {
	after := 0
	if from := r.URL.Query().Get("next_openid"); from != "" {
		f := p.followers[from]
		if f == nil {
			return nil, ErrOpenID
		}
		after = f.order
	}
	var all []*follower
	total := 0
	for _, f := range p.followers {
		if f.left {
			continue
		}
		if total++; f.order > after {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *follower) int { return cmp.Compare(a.order, b.order) })
	more := len(all) > p.page
	all = all[:min(len(all), p.page)]
	out := map[string]any{"total": total, "count": len(all), "next_openid": ""}
	if len(all) == 0 {
		return out, 0
	}
	openids := make([]string, len(all))
	for i, f := range all {
		openids[i] = f.OpenID
	}
	out["data"] = map[string]any{"openid": openids}
	if more || !p.lastSaysSo {
		out["next_openid"] = openids[len(openids)-1]
	}
	return out, 0
}

func kfAccount(i int) string { return fmt.Sprintf("kf%d@test", i+1) }

func (p *App) getKfList(*http.Request, map[string]any) (any, int) {
	const firstID = 1001
	list := make([]map[string]any, 0, len(p.agents))
	for i, k := range p.agents {
		entry := map[string]any{
			"kf_account": kfAccount(i), "kf_nick": fmt.Sprintf("agent %d", i+1), "kf_id": strconv.Itoa(firstID + i),
			"kf_headimgurl": "http://mmbiz.qpic.cn/mmbiz/agent/0",
		}
		if k.invited {
			entry["invite_wx"], entry["invite_status"] = k.wx, "waiting"
			entry["invite_expire_time"] = p.api.now().Add(inviteLife).Unix()
		} else {
			entry["kf_wx"] = k.wx
		}
		list = append(list, entry)
	}
	return map[string]any{"kf_list": list}, 0
}
