package wechat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clientele/channels/wechat"
	"clientele/limits"
	"clientele/models"
)

func mustRead(tb testing.TB, fixture string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", fixture+".xml"))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func mustParse(tb testing.TB, body string) wechat.Message {
	tb.Helper()
	m, err := wechat.ParseMessage([]byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestParseMessageReads(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"CDATA", `<xml><Content><![CDATA[a<b>&amp;]]></Content></xml>`, "a<b>&amp;"},
		{"escaped text", `<xml><Content>a&lt;b&#x4f60;</Content></xml>`, "a<b你"},
		{"pieces in order", `<xml><Content>a<![CDATA[b]]><!-- no -->c</Content></xml>`, "abc"},
		{"declaration and byte order mark", "\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml><Content>a</Content></xml>\n", "a"},
		{"absent", `<xml></xml>`, ""},
		{"name in another case is another", `<xml><content>a</content></xml>`, ""},
		{"name of another namespace is another", `<xml xmlns:x="urn:x"><x:Content>a</x:Content></xml>`, ""},
		{"nested deeper is not ours", `<xml><Info><Content>a</Content></Info><Content>b</Content></xml>`, "b"},
		{"unread elements may repeat", `<xml><New>1</New><New>2</New><Content>a</Content></xml>`, "a"},
		{"invalid UTF-8 is replaced", "<xml><Content>a\xff\xc3b</Content></xml>", "a\ufffd\ufffdb"},
		{"control characters are replaced", "<xml><Content><![CDATA[a\x00\x08b\tc\ufffe]]></Content></xml>", "a\ufffd\ufffdb\tc\ufffd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mustParse(t, c.body).Content; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestParseMessageRefuses(t *testing.T) {
	deep := strings.Repeat("<a>", wechat.XMLDepth-1) + strings.Repeat("</a>", wechat.XMLDepth-1)
	many := strings.Repeat("<a/>", wechat.XMLElements-1)
	mustParse(t, "<xml>"+deep+"</xml>")
	mustParse(t, "<xml>"+many+"</xml>")

	laughs := `<!DOCTYPE xml [<!ENTITY a "haha">`
	for _, name := range []string{"b", "c", "d", "e", "f"} {
		prior := string(name[0] - 1)
		laughs += `<!ENTITY ` + name + ` "` + strings.Repeat("&"+prior+";", 10) + `">`
	}
	laughs += `]><xml><Content>&f;</Content></xml>`

	for _, c := range []struct {
		name, body string
		want       models.Code
	}{
		{"empty", "", models.CodeInvalid},
		{"not XML", `{"Content":"a"}`, models.CodeInvalid},
		{"another root", `<html><Content>a</Content></html>`, models.CodeInvalid},
		{"two roots", `<xml></xml><xml></xml>`, models.CodeInvalid},
		{"text after the root", `<xml></xml>a`, models.CodeInvalid},
		{"truncated in text", `<xml><Content><![CDATA[a`, models.CodeInvalid},
		{"truncated before the end", `<xml><Content>a</Content>`, models.CodeInvalid},
		{"crossed elements", `<xml><Content>a</xml></Content>`, models.CodeInvalid},
		{"document type", `<!DOCTYPE xml><xml></xml>`, models.CodeInvalid},
		{"document type elsewhere", `<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml></xml>`, models.CodeInvalid},
		{"document type inside", `<xml><!DOCTYPE xml><Content>a</Content></xml>`, models.CodeInvalid},
		{"entity declared and expanded", laughs, models.CodeInvalid},
		{"entity unknown", `<xml><Content>&nbsp;</Content></xml>`, models.CodeInvalid},
		{"another encoding", `<?xml version="1.0" encoding="GBK"?><xml></xml>`, models.CodeInvalid},
		{"nested too deep", "<xml><a>" + deep + "</a></xml>", models.CodeInvalid},
		{"too many elements", "<xml><a/>" + many + "</xml>", models.CodeInvalid},
		{"field twice", `<xml><FromUserName>a</FromUserName><FromUserName>b</FromUserName></xml>`, models.CodeInvalid},
		{"field twice, once empty", `<xml><MsgId/><MsgId>1</MsgId></xml>`, models.CodeInvalid},
		{"field with elements", `<xml><FromUserName>a<b/></FromUserName></xml>`, models.CodeInvalid},
		{"too large", "<xml>" + strings.Repeat(" ", limits.CallbackBodyBytes) + "</xml>", models.CodeLimitExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := wechat.ParseMessage([]byte(c.body))
			if models.CodeOf(err) != c.want || m != (wechat.Message{}) {
				t.Errorf("got %+v, %v, want %s", m, err, c.want)
			}
		})
	}
}
