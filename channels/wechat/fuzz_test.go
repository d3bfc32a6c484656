package wechat_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"clientele/channels/wechat"
	"clientele/models"
)

// FuzzParseMessage: no body makes a panic, an error without a code, or an Inbound that breaks its
// contract.
func FuzzParseMessage(f *testing.F) {
	for name := range documents(f) {
		f.Add(mustRead(f, name))
	}
	f.Add([]byte("<xml><Content>a\xff\x00</Content></xml>"))
	f.Add([]byte(`<!DOCTYPE xml [<!ENTITY a "b">]><xml><Content>&a;</Content></xml>`))
	f.Add([]byte(`<xml><FromUserName>a</FromUserName><FromUserName>b</FromUserName></xml>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := wechat.ParseMessage(body)
		if err != nil {
			if code := models.CodeOf(err); code != models.CodeInvalid && code != models.CodeLimitExceeded {
				t.Fatal(err)
			}
			return
		}
		in, err := m.Inbound(testNow())
		if err != nil {
			if models.CodeOf(err) != models.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		checkInbound(t, in)
	})
}

// FuzzScanMessage: what the quick way reads, the XML decoder reads as the same.
func FuzzScanMessage(f *testing.F) {
	for name := range documents(f) {
		f.Add(mustRead(f, name))
	}
	for _, body := range []string{
		"<xml><a></a><Content>a]]&gt;b</Content></xml>", "<xml><Content>]]></Content></xml>", "<xml ><Content/></xml>", "<xml><Content><![CDATA[]]]]></Content></xml>",
		"<xml><Content><![CDATA[a]]>b</Content></xml>", "<xml><0></0></xml>", "<xml>\u0085<Content>a</Content></xml>", "<xml><MsgId>1</MsgId><MsgId>2</MsgId></xml>",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		quick, ok := wechat.ScanMessage(body)
		if !ok {
			if quick != (wechat.Message{}) {
				t.Errorf("gave up with %+v", quick)
			}
			return
		}
		if m, err := wechat.ParseXML(body); err != nil || m != quick {
			t.Errorf("read %+v\nXML  %+v, %v", quick, m, err)
		}
	})
}

// documents are the names of the documents in testdata.
func documents(tb testing.TB) map[string]bool {
	tb.Helper()
	files, err := os.ReadDir("testdata")
	if err != nil {
		tb.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), ".xml"); ok {
			names[name] = true
		}
	}
	return names
}

// FuzzDecrypt: no ciphertext makes a panic or an error of its own, and no plaintext that we did not
// lay out passes unless it has the layout in full.
func FuzzDecrypt(f *testing.F) {
	f.Add(saEncrypt, []byte(saPlain))
	f.Add(docEcho, []byte(docEcho))
	f.Add("", []byte{})
	f.Add("====", bytes.Repeat([]byte{32}, 32))
	f.Add(saEncrypt[4:], bytes.Repeat([]byte{1}, 64))
	f.Add(saEncrypt, append([]byte("aaaabbbbccccdddd\x00\x00\x00\x01x"+saAppID), bytes.Repeat([]byte{25}, 25)...))
	box := mustCipher(f, saKey, saAppID)
	f.Fuzz(func(t *testing.T, encrypted string, plain []byte) {
		if _, err := box.Decrypt(encrypted); err != nil && err.Error() != wechat.ErrDecrypt.Error() {
			t.Fatal(err)
		}
		if whole := bytes.Clone(plain[:len(plain)/32*32]); len(whole) > 0 {
			got, err := box.Decrypt(box.EncryptRaw(bytes.Clone(whole)))
			pad := int(whole[len(whole)-1])
			if err == nil && !bytes.Equal(whole[20:len(whole)-pad], append(bytes.Clone(got), saAppID...)) {
				t.Fatalf("%q from %q", got, whole)
			}
		}
		if got, err := box.Decrypt(box.Encrypt(plain)); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%q became %q, %v", plain, got, err)
		}
	})
}
