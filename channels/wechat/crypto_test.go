package wechat_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"clientele/channels/wechat"
	"clientele/models"
)

// The official-account example that SDKs are tested with.
const (
	saToken     = "pamtest"
	saKey       = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	saAppID     = "wxb11529c136998cb6"
	saRandom    = "aaaabbbbccccdddd"
	saPlain     = "我是中文abcd123"
	saEncrypt   = "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg=="
	saTimestamp = "1409304348"
	saNonce     = "xxxxxx"
)

// The platform documentation's own example of the same scheme, whose receiver is a corp id.
const (
	docToken   = "QDG6eK"
	docKey     = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	docAppID   = "wx5823bf96d3bd56c7"
	docEcho    = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
	docMessage = "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/s" +
		"YYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwG" +
		"c2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4E" +
		"hzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2Yoy" +
		"yH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="
)

func TestSignature(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []string
		want  string
	}{
		{"sorted and joined", []string{"345", "123"}, "9f537aeb751ec72605f57f94a2f6dc3e3958e1dd"},
		{"of an address", []string{saToken, saTimestamp, saNonce}, "76480565cbe296026c53aaacd1ad523a1ddba24f"},
		{"of a body", []string{saToken, saTimestamp, saNonce, saEncrypt}, "82c962d39941aa48552f90ef55aa323dc620cc10"},
		{"of an encrypted echo", []string{docToken, "1409659589", "263014780", docEcho}, "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"},
		{"of an encrypted message", []string{docToken, "1409659813", "1372623149", docMessage}, "477715d11cdb4164915debcba66cb864d751f3e6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := strings.Join(c.parts, " ")
			if got := wechat.Signature(c.parts...); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if strings.Join(c.parts, " ") != before {
				t.Error("the caller's parts were reordered")
			}
		})
	}
}

func mustCipher(tb testing.TB, key, appID string) *wechat.Cipher {
	tb.Helper()
	c, err := wechat.NewCipher(key, appID)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestPublishedExamples(t *testing.T) {
	t.Run("text decrypts", func(t *testing.T) {
		got, err := mustCipher(t, saKey, saAppID).Decrypt(saEncrypt)
		if err != nil || string(got) != saPlain {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("text encrypts to the same", func(t *testing.T) {
		if got := mustCipher(t, saKey, saAppID).EncryptWith(saRandom, []byte(saPlain)); got != saEncrypt {
			t.Errorf("got %s", got)
		}
	})
	t.Run("echo decrypts", func(t *testing.T) {
		got, err := mustCipher(t, docKey, docAppID).Decrypt(docEcho)
		if err != nil || string(got) != "1616140317555161061" {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("message decrypts and parses", func(t *testing.T) {
		body, err := mustCipher(t, docKey, docAppID).Decrypt(docMessage)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wechat.ParseMessage(body)
		want := wechat.Message{
			ToUserName: docAppID, FromUserName: "mycreate", CreateTime: "1409659813",
			MsgType: "text", Content: "hello", MsgID: "4561255354251345929",
		}
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestEncryptDecrypt(t *testing.T) {
	box := mustCipher(t, saKey, saAppID)
	for n := range 100 { // every length of padding, three times
		message := bytes.Repeat([]byte{'x'}, n)
		encrypted := box.Encrypt(message)
		if got, err := box.Decrypt(encrypted); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("%d bytes: got %q, %v", n, got, err)
		}
		if box.Encrypt(message) == encrypted {
			t.Fatalf("%d bytes: encrypted alike twice", n)
		}
	}
}

func TestNewCipher(t *testing.T) {
	for _, c := range []struct{ name, key, appID string }{
		{"no key", "", saAppID},
		{"short key", saKey[:42], saAppID},
		{"long key", saKey + "A", saAppID},
		{"not base64", strings.Repeat("!", 43), saAppID},
		{"line ends instead of characters", saKey[:41] + "\r\n", saAppID},
		{"line end after the key", saKey + "\n", saAppID},
		{"no app id", saKey, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := wechat.NewCipher(c.key, c.appID)
			if models.CodeOf(err) != models.CodeInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Every way to be wrong has one answer.
func TestDecryptRefuses(t *testing.T) {
	box := mustCipher(t, saKey, saAppID)
	// plain is 64 bytes with a padding of pad; the length field is what it says.
	plain := func(length uint32, pad int, edit func(b []byte)) string {
		b := bytes.Repeat([]byte{byte(pad)}, 64)
		copy(b, saRandom)
		binary.BigEndian.PutUint32(b[16:], length)
		copy(b[20:], "hello"+saAppID)
		if edit != nil {
			edit(b)
		}
		return box.EncryptRaw(b)
	}
	const pad = 64 - 20 - len("hello") - len(saAppID)
	if got, err := box.Decrypt(plain(5, pad, nil)); err != nil || string(got) != "hello" {
		t.Fatalf("the base of the cases: %q, %v", got, err)
	}
	// over is padded alike throughout, and right but for the padding being longer than a block.
	over := bytes.Repeat([]byte{40}, 96)
	copy(over, saRandom+"\x00\x00\x00\x12"+strings.Repeat("m", 0x12)+saAppID)
	for _, c := range []struct{ name, encrypted string }{
		{"empty", ""},
		{"not base64", "?" + saEncrypt[1:]},
		{"no block", base64.StdEncoding.EncodeToString([]byte("short"))},
		{"half a block", base64.StdEncoding.EncodeToString(make([]byte, 48))},
		{"garbage", base64.StdEncoding.EncodeToString(make([]byte, 64))},
		{"cut", saEncrypt[:44]},
		{"another app id", mustCipher(t, saKey, "wx0000000000000000").Encrypt([]byte("hello"))},
		{"longer app id", mustCipher(t, saKey, saAppID+"x").Encrypt([]byte("hello"))},
		{"another key", mustCipher(t, docKey, saAppID).Encrypt([]byte("hello"))},
		{"padding of none", plain(5, pad, func(b []byte) { b[63] = 0 })},
		{"padding above a block", box.EncryptRaw(over)},
		{"padding of 255", plain(5, pad, func(b []byte) { b[63] = 255 })},
		{"padding not alike", plain(5, pad, func(b []byte) { b[64-pad] = 0 })},
		{"padding too short", plain(5, pad, func(b []byte) { b[63] = 1 })},
		{"length of one less", plain(4, pad, nil)},
		{"length of one more", plain(6, pad, nil)},
		{"length past the end", plain(1<<10, pad, nil)},
		{"length of 4 GiB", plain(1<<32-1, pad, nil)},
		{"one block that is all padding", box.EncryptRaw(bytes.Repeat([]byte{32}, 32))},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := box.Decrypt(c.encrypted)
			if !errors.Is(err, wechat.ErrDecrypt) || err.Error() != wechat.ErrDecrypt.Error() || got != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// A last byte of 0 is no padding, even where everything else fits without one.
func TestDecryptNeedsPadding(t *testing.T) {
	const appID = "wx00000000000\x00"
	box := mustCipher(t, saKey, appID)
	whole := []byte(saRandom + "\x00\x00\x00\x1e" + strings.Repeat("m", 30) + appID)
	if got, err := box.Decrypt(box.EncryptRaw(whole)); !errors.Is(err, wechat.ErrDecrypt) {
		t.Errorf("got %q, %v", got, err)
	}
}
