package wechat_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"clientele/channels/wechat"
	"clientele/limits"
	"clientele/models"
)

// The fixtures' sender and time; tests run half a minute later.
const (
	fixtureOpenID  = "oFollower-0_1"
	fixtureSeconds = 1_700_000_000
	fixtureMsgID   = "24330000000000001"
)

func testNow() time.Time { return time.Unix(fixtureSeconds+30, 0) }

// want is the Inbound of a fixture; tests check the dedup keys of events by themselves.
func want(kind models.InboundKind, name, scene string, content *models.InboundContent) models.Inbound {
	in := models.Inbound{
		Kind: kind, OpenID: fixtureOpenID, At: models.At(time.Unix(fixtureSeconds, 0)),
		Name: name, Scene: scene, Content: content,
	}
	if kind == models.InboundMessage {
		in.DedupKey = "m:" + fixtureMsgID
	}
	return in
}

func event(kind models.InboundKind, name, scene string) models.Inbound {
	return want(kind, name, scene, nil)
}

func message(c models.InboundContent) models.Inbound {
	return want(models.InboundMessage, "", "", &c)
}

func fixtures() map[string]models.Inbound {
	return map[string]models.Inbound{
		"text":              message(models.InboundContent{Kind: models.ContentText, Text: "你好, <b>is</b> size 38 there?"}),
		"text_from_article": message(models.InboundContent{Kind: models.ContentText, Text: "about this article"}),
		"text_menu_item":    message(models.InboundContent{Kind: models.ContentText, Text: "Satisfied"}),
		"image": message(models.InboundContent{
			Kind: models.ContentImage, MediaRef: "media-image_1", URL: "http://mmbiz.qpic.cn/mmbiz_jpg/abc/0",
		}),
		"voice": message(models.InboundContent{Kind: models.ContentVoice, MediaRef: "media-voice_1"}),
		"voice_recognised": message(models.InboundContent{
			Kind: models.ContentVoice, MediaRef: "media-voice_1", Text: "有没有三十八码",
		}),
		"video":      message(models.InboundContent{Kind: models.ContentVideo, MediaRef: "media-video_1"}),
		"shortvideo": message(models.InboundContent{Kind: models.ContentVideo, MediaRef: "media-video_2"}),
		"location": message(models.InboundContent{
			Kind: models.ContentLocation, Text: "广州市天河区", Latitude: 23.134521, Longitude: 113.358803,
		}),
		"link": message(models.InboundContent{
			Kind: models.ContentLink, Text: "A coat", Description: "Wool, two colours", URL: "https://shop.example/coat?id=7",
		}),
		"unknown_message": message(models.InboundContent{Kind: models.ContentUnsupported}),

		"subscribe":               event(models.InboundFollow, "subscribe", ""),
		"subscribe_qr":            event(models.InboundFollow, "subscribe", "advisor:7"),
		"subscribe_after_payment": event(models.InboundFollow, "subscribe", ""),
		"unsubscribe":             event(models.InboundUnfollow, "unsubscribe", ""),
		"scan":                    event(models.InboundScan, "SCAN", "advisor:7"),
		"scan_number":             event(models.InboundScan, "SCAN", "4711"),
		"click":                   event(models.InboundMenu, "CLICK", ""),
		"scancode_push":           event(models.InboundMenu, "scancode_push", ""),
		"scancode_waitmsg":        event(models.InboundMenu, "scancode_waitmsg", ""),

		"view":                      event(models.InboundOther, "VIEW", ""),
		"view_miniprogram":          event(models.InboundOther, "view_miniprogram", ""),
		"pic_sysphoto":              event(models.InboundOther, "pic_sysphoto", ""),
		"pic_photo_or_album":        event(models.InboundOther, "pic_photo_or_album", ""),
		"pic_weixin":                event(models.InboundOther, "pic_weixin", ""),
		"location_select":           event(models.InboundOther, "location_select", ""),
		"location_report":           event(models.InboundOther, "LOCATION", ""),
		"templatesendjobfinish":     event(models.InboundOther, "TEMPLATESENDJOBFINISH", ""),
		"masssendjobfinish":         event(models.InboundOther, "MASSSENDJOBFINISH", ""),
		"kf_create_session":         event(models.InboundOther, "kf_create_session", ""),
		"kf_close_session":          event(models.InboundOther, "kf_close_session", ""),
		"kf_switch_session":         event(models.InboundOther, "kf_switch_session", ""),
		"user_info_modified":        event(models.InboundOther, "user_info_modified", ""),
		"subscribe_msg_popup_event": event(models.InboundOther, "subscribe_msg_popup_event", ""),
		"unknown_event":             event(models.InboundOther, "an_event_of_tomorrow", ""),
		"click_in_lower_case":       event(models.InboundOther, "click", ""),
		"device_event":              event(models.InboundOther, "bind", ""),
	}
}

func TestInboundOfEachKind(t *testing.T) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	wants := fixtures()
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".xml")
		if !ok {
			continue // the fuzzers' corpus
		}
		t.Run(name, func(t *testing.T) {
			want, ok := wants[name]
			if !ok {
				t.Fatal("a fixture that nobody expects anything of")
			}
			delete(wants, name)
			if name == "masssendjobfinish" {
				want.OpenID = "mphelper" // the platform itself, not a follower
			}
			got, err := mustParse(t, string(mustRead(t, name))).Inbound(testNow())
			if err != nil {
				t.Fatal(err)
			}
			checkInbound(t, got)
			if want.DedupKey == "" {
				want.DedupKey = got.DedupKey
			}
			if (got.Content == nil) != (want.Content == nil) || got.Content != nil && *got.Content != *want.Content {
				t.Errorf("got content %+v, want %+v", got.Content, want.Content)
			}
			got.Content, want.Content = nil, nil
			if got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
	for name := range wants {
		t.Errorf("no fixture %s", name)
	}
}

// checkInbound holds what models.Inbound promises of every value.
func checkInbound(tb testing.TB, in models.Inbound) {
	tb.Helper()
	sizes := []struct {
		name        string
		value       string
		least, most int
	}{
		{"OpenID", in.OpenID, 1, limits.OpenIDBytes},
		{"DedupKey", in.DedupKey, 1, 191},
		{"Scene", in.Scene, 0, limits.SceneBytes},
		{"Name", in.Name, 0, 64},
	}
	if in.Content != nil {
		sizes = append(sizes, []struct {
			name        string
			value       string
			least, most int
		}{
			{"Text", in.Content.Text, 0, limits.InboundTextBytes},
			{"Description", in.Content.Description, 0, limits.InboundTextBytes},
			{"MediaRef", in.Content.MediaRef, 0, limits.MediaRefBytes},
			{"URL", in.Content.URL, 0, limits.MediaRefBytes},
		}...)
	}
	for _, s := range sizes {
		if len(s.value) < s.least || len(s.value) > s.most || !utf8.ValidString(s.value) {
			tb.Errorf("%s has %d bytes, valid %t", s.name, len(s.value), utf8.ValidString(s.value))
		}
	}
	if (in.Kind == models.InboundMessage) != (in.Content != nil) || (in.Kind == models.InboundMessage) != (in.Name == "") {
		tb.Errorf("%s with content %v and name %q", in.Kind, in.Content, in.Name)
	}
	if in.At <= 0 {
		tb.Errorf("it happened at %d", in.At)
	}
}

func text(edit func(m *wechat.Message)) wechat.Message {
	m := wechat.Message{
		ToUserName: "gh_account", FromUserName: fixtureOpenID, CreateTime: strconv.Itoa(fixtureSeconds),
		MsgType: "text", MsgID: fixtureMsgID, Content: "hello",
	}
	if edit != nil {
		edit(&m)
	}
	return m
}

func TestInboundTime(t *testing.T) {
	now := testNow()
	edge := now.Add(limits.CallbackSkew)
	for _, c := range []struct {
		name    string
		created int64
		want    time.Time
	}{
		{"present", fixtureSeconds, time.Unix(fixtureSeconds, 0)},
		{"old is kept", 1, time.Unix(1, 0)},
		{"ahead within the skew is kept", edge.Unix(), edge},
		{"ahead of the skew is now", edge.Unix() + 1, now},
		{"years ahead is now", now.AddDate(5, 0, 0).Unix(), now},
		{"the end of time is now", 1<<63 - 1, now},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, err := text(func(m *wechat.Message) { m.CreateTime = strconv.FormatInt(c.created, 10) }).Inbound(now)
			if err != nil || in.At != models.At(c.want) {
				t.Errorf("got %v, %v, want %v", in.At.Go(), err, c.want)
			}
		})
	}
}

func TestInboundRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(m *wechat.Message)
	}{
		{"no sender", func(m *wechat.Message) { m.FromUserName = "" }},
		{"sender too long", func(m *wechat.Message) { m.FromUserName = strings.Repeat("o", limits.OpenIDBytes+1) }},
		{"sender not ASCII", func(m *wechat.Message) { m.FromUserName = "o\ufffd" }},
		{"sender with a space", func(m *wechat.Message) { m.FromUserName = "o o" }},
		{"no time", func(m *wechat.Message) { m.CreateTime = "" }},
		{"time zero", func(m *wechat.Message) { m.CreateTime = "0" }},
		{"time negative", func(m *wechat.Message) { m.CreateTime = "-1" }},
		{"time not a number", func(m *wechat.Message) { m.CreateTime = "yesterday" }},
		{"time beyond 64 bits", func(m *wechat.Message) { m.CreateTime = "9223372036854775808" }},
		{"no type", func(m *wechat.Message) { m.MsgType = "" }},
		{"event without a name", func(m *wechat.Message) { m.MsgType = "event" }},
		{"scanned scene too long", func(m *wechat.Message) {
			m.MsgType, m.Event, m.EventKey = "event", "SCAN", strings.Repeat("s", limits.SceneBytes+1)
		}},
		{"followed scene too long", func(m *wechat.Message) {
			m.MsgType, m.Event, m.EventKey = "event", "subscribe", "qrscene_"+strings.Repeat("店", limits.SceneBytes+1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := text(c.edit).Inbound(testNow()); models.CodeOf(err) != models.CodeInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestInboundScene(t *testing.T) {
	of := func(t *testing.T, event, key string) string {
		t.Helper()
		in, err := text(func(m *wechat.Message) { m.MsgType, m.Event, m.EventKey = "event", event, key }).Inbound(testNow())
		if err != nil {
			t.Fatal(err)
		}
		checkInbound(t, in)
		return in.Scene
	}
	longest := strings.Repeat("s", limits.SceneBytes)
	for _, c := range []struct{ name, event, key, want string }{
		{"follow drops one prefix", "subscribe", "qrscene_qrscene_a", "qrscene_a"},
		{"follow of an empty scene", "subscribe", "qrscene_", ""},
		{"scan has no prefix to drop", "SCAN", "qrscene_a", "qrscene_a"},
		{"longest", "SCAN", longest, longest},
		{"longest followed", "subscribe", "qrscene_" + longest, longest},
		{"click has none", "CLICK", "a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := of(t, c.event, c.key); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("somebody else's of 64 Chinese characters is told apart", func(t *testing.T) {
		a, b := strings.Repeat("店", limits.SceneBytes), strings.Repeat("店", limits.SceneBytes-1)+"铺"
		got := of(t, "subscribe", "qrscene_"+a)
		if got == "" || got != of(t, "SCAN", a) || got == of(t, "SCAN", b) {
			t.Errorf("got %q", got)
		}
	})
}

func TestInboundContent(t *testing.T) {
	most := limits.InboundTextBytes
	long := "https://shop.example/" + strings.Repeat("x", limits.MediaRefBytes)
	for _, c := range []struct {
		name string
		edit func(m *wechat.Message)
		want models.InboundContent
	}{
		{
			"text as long as may be is whole", func(m *wechat.Message) { m.Content = strings.Repeat("a", most) },
			models.InboundContent{Kind: models.ContentText, Text: strings.Repeat("a", most)},
		},
		{
			"longer text is cut and marked", func(m *wechat.Message) { m.Content = strings.Repeat("a", most+1) },
			models.InboundContent{Kind: models.ContentText, Text: strings.Repeat("a", most-len(wechat.CutMark)) + wechat.CutMark},
		},
		{
			"cut at a rune border", func(m *wechat.Message) { m.Content = "ab" + strings.Repeat("你", most/3) },
			models.InboundContent{
				Kind: models.ContentText,
				Text: "ab" + strings.Repeat("你", (most-2-len(wechat.CutMark))/3) + wechat.CutMark,
			},
		},
		{
			"empty text", func(m *wechat.Message) { m.Content = "" },
			models.InboundContent{Kind: models.ContentUnsupported},
		},
		{
			"type in another case", func(m *wechat.Message) { m.MsgType = "Text" },
			models.InboundContent{Kind: models.ContentUnsupported},
		},
		{
			"image without reference but with address", func(m *wechat.Message) { m.MsgType, m.PicURL = "image", "http://a.example/1" },
			models.InboundContent{Kind: models.ContentImage, URL: "http://a.example/1"},
		},
		{
			"image with nothing", func(m *wechat.Message) { m.MsgType = "image" },
			models.InboundContent{Kind: models.ContentUnsupported},
		},
		{"voice with an endless reference", func(m *wechat.Message) {
			m.MsgType, m.MediaID = "voice", strings.Repeat("m", limits.MediaRefBytes+1)
		}, models.InboundContent{Kind: models.ContentUnsupported}},
		{
			"location off the earth", func(m *wechat.Message) { m.MsgType, m.LocationX, m.LocationY = "location", "90.1", "0" },
			models.InboundContent{Kind: models.ContentUnsupported},
		},
		{
			"location not a number", func(m *wechat.Message) { m.MsgType, m.LocationX, m.LocationY = "location", "NaN", "0" },
			models.InboundContent{Kind: models.ContentUnsupported},
		},
		{
			"location at the edge", func(m *wechat.Message) { m.MsgType, m.LocationX, m.LocationY = "location", "-90", "180" },
			models.InboundContent{Kind: models.ContentLocation, Latitude: -90, Longitude: 180},
		},
		{"link too long to keep is text", func(m *wechat.Message) {
			m.MsgType, m.Title, m.Description, m.URL = "link", "t", "d", long
		}, models.InboundContent{Kind: models.ContentLink, Text: "t", Description: "d\n" + long}},
		{
			"link that is a script is text", func(m *wechat.Message) { m.MsgType, m.URL = "link", "javascript:alert(1)" },
			models.InboundContent{Kind: models.ContentLink, Description: "javascript:alert(1)"},
		},
		{
			"link without address", func(m *wechat.Message) { m.MsgType, m.Title = "link", "t" },
			models.InboundContent{Kind: models.ContentLink, Text: "t"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, err := text(c.edit).Inbound(testNow())
			if err != nil {
				t.Fatal(err)
			}
			checkInbound(t, in)
			if *in.Content != c.want {
				t.Errorf("got %.80v (%d), want %.80v (%d)", *in.Content, len(in.Content.Text), c.want, len(c.want.Text))
			}
		})
	}
}

func TestDedupKey(t *testing.T) {
	key := func(t *testing.T, m wechat.Message) string {
		t.Helper()
		in, err := m.Inbound(testNow())
		if err != nil {
			t.Fatal(err)
		}
		checkInbound(t, in)
		if strings.Contains(in.DedupKey, in.OpenID) {
			t.Errorf("%s holds the openid", in.DedupKey)
		}
		return in.DedupKey
	}
	click := func(edit func(m *wechat.Message)) wechat.Message {
		return text(func(m *wechat.Message) {
			*m = wechat.Message{
				ToUserName: m.ToUserName, FromUserName: m.FromUserName, CreateTime: m.CreateTime,
				MsgType: "event", Event: "CLICK", EventKey: "a",
			}
			if edit != nil {
				edit(m)
			}
		})
	}
	noID := func(m *wechat.Message) { m.MsgID = "" }
	for _, c := range []struct {
		name string
		a, b wechat.Message
		same bool
	}{
		{"message by its id alone", text(nil), text(func(m *wechat.Message) { m.CreateTime, m.Content = "1700000005", "other" }), true},
		{"message with another id", text(nil), text(func(m *wechat.Message) { m.MsgID = "2" }), false},
		{"message without an id, sent again", text(noID), text(noID), true},
		{"message without an id, other text", text(noID), text(func(m *wechat.Message) { m.MsgID, m.Content = "", "b" }), false},
		{"event sent again", click(nil), click(nil), true},
		{"event written otherwise", click(nil), click(func(m *wechat.Message) { m.CreateTime = " 01700000000 " }), true},
		{"event of another second", click(nil), click(func(m *wechat.Message) { m.CreateTime = "1700000001" }), false},
		{"event of another sender", click(nil), click(func(m *wechat.Message) { m.FromUserName = "oOther" }), false},
		{"event of another name", click(nil), click(func(m *wechat.Message) { m.Event = "SCAN" }), false},
		{"event of another key", click(nil), click(func(m *wechat.Message) { m.EventKey = "b" }), false},
		{"event about another message", click(nil), click(func(m *wechat.Message) { m.ReportID = "1" }), false},
		{"event whose parts join alike", click(nil), click(func(m *wechat.Message) { m.Event, m.EventKey = "CLICKa", "" }), false},
		{
			"event with an endless key", click(func(m *wechat.Message) { m.Event, m.EventKey = "VIEW", strings.Repeat("u", 5_000) }),
			click(func(m *wechat.Message) { m.Event, m.EventKey = "VIEW", strings.Repeat("u", 5_001) }), false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a, b := key(t, c.a), key(t, c.b); (a == b) != c.same {
				t.Errorf("got %s and %s, want same %t", a, b, c.same)
			}
		})
	}
}
