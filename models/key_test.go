package models_test

import (
	"bytes"
	"strings"
	"testing"

	"clientele/limits"
	"clientele/models"
)

// Ensure a key made after another is larger, also when that came from a clock that is ahead.
func TestKeyAfter(t *testing.T) {
	last := models.NewKey()
	for range 1000 {
		next := models.KeyAfter(last)
		if !last.Less(next) {
			t.Fatalf("%s is not after %s", next, last)
		}
		last = next
	}
	ahead := models.Key(append(bytes.Repeat([]byte{0xfe}, 15), 0xff))
	next := models.KeyAfter(ahead)
	if !ahead.Less(next) || next[14] != 0xff || next[15] != 0 {
		t.Errorf("%s after %s", next, ahead)
	}
}

// Ensure names and texts are held to their limits, at n and n+1, in what people count.
func TestChecks(t *testing.T) {
	name := func(s string) error { _, err := models.CheckName(s, "f", limits.AdvisorNicknameRunes); return err }
	text := func(s string) error { return models.CheckText(s, "f", limits.TextBytes) }
	ident := func(s string) error { return models.CheckIdent(s, "f", limits.OpenIDBytes) }
	for _, tt := range []struct {
		name string
		err  error
		code models.Code
	}{
		{"16 characters", name(strings.Repeat("茶", 16)), ""},
		{"17 characters", name(strings.Repeat("茶", 17)), models.CodeLimitExceeded},
		{"16 characters in white space", name(" \u3000" + strings.Repeat("a", 16) + "\t"), ""},
		{"a blank name", name(" \t"), models.CodeInvalid},
		{"a name with a line end", name("a\nb"), models.CodeInvalid},
		{"a name that is no UTF-8", name("a\xff"), models.CodeInvalid},
		{"2,048 bytes", text(strings.Repeat("a", 2048)), ""},
		{"2,049 bytes", text(strings.Repeat("a", 2049)), models.CodeLimitExceeded},
		{"683 characters of three bytes", text(strings.Repeat("茶", 683)), models.CodeLimitExceeded},
		{"a text with lines", text("a\nb"), ""},
		{"a blank text", text(" \n\u3000"), models.CodeInvalid},
		{"a text with a NUL", text("a\x00"), models.CodeInvalid},
		{"a text that is no UTF-8", text("a\xff"), models.CodeInvalid},
		{"64 bytes", ident(strings.Repeat("a", 64)), ""},
		{"65 bytes", ident(strings.Repeat("a", 65)), models.CodeLimitExceeded},
		{"an empty identifier", ident(""), models.CodeInvalid},
		{"an identifier with a space", ident("a b"), models.CodeInvalid},
		{"an identifier in Chinese", ident("茶"), models.CodeInvalid},
	} {
		if models.CodeOf(tt.err) != tt.code {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
	for _, same := range [][2]string{{"ＴＥＡ", "tea"}, {"Straße", "STRASSE"}, {"ｶﾀｶﾅ", "カタカナ"}, {"①", "1"}} {
		if models.Fold(same[0]) != models.Fold(same[1]) {
			t.Errorf("%q and %q are told apart", same[0], same[1])
		}
	}
}
