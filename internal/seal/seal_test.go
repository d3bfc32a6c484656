package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"clientele/internal/seal"
)

var (
	account = [16]byte{1, 2, 3}
	other   = [16]byte{1, 2, 4}
)

func mustKey(tb testing.TB, id string, fill byte) seal.Key {
	tb.Helper()
	k, err := seal.NewKey(id, bytes.Repeat([]byte{fill}, seal.KeyBytes))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustRing(tb testing.TB, keys ...seal.Key) *seal.Ring {
	tb.Helper()
	r, err := seal.NewRing(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	r := mustRing(t, mustKey(t, "k1", 1))
	for _, plain := range []string{"", "x", "a secret of the platform", strings.Repeat("long", 10_000)} {
		sealed := r.Seal(account, "wechat/secret", []byte(plain))
		if plain != "" && len(plain) > 1 && bytes.Contains(sealed, []byte(plain)) {
			t.Error("the plain text stands in the sealed value")
		}
		if len(sealed) > len(plain)+seal.Overhead {
			t.Errorf("%d bytes more than the plain text, above Overhead", len(sealed)-len(plain))
		}
		got, err := r.Open(account, "wechat/secret", sealed)
		if err != nil || string(got) != plain {
			t.Errorf("%d bytes: got %d bytes, %v", len(plain), len(got), err)
		}
	}
}

func TestSealedTwiceDiffers(t *testing.T) {
	r := mustRing(t, mustKey(t, "k1", 1))
	if bytes.Equal(r.Seal(account, "f", []byte("x")), r.Seal(account, "f", []byte("x"))) {
		t.Error("equal secrets can be told from their sealed values")
	}
}

func TestLongestIDFillsOverhead(t *testing.T) {
	r := mustRing(t, mustKey(t, strings.Repeat("k", seal.KeyIDBytes), 1))
	if n := len(r.Seal(account, "f", nil)); n != seal.Overhead {
		t.Errorf("%d bytes, Overhead is %d", n, seal.Overhead)
	}
}

func TestRotation(t *testing.T) {
	k1, k2 := mustKey(t, "k1", 1), mustKey(t, "k2", 2)
	before, after := mustRing(t, k1), mustRing(t, k2, k1)
	old := before.Seal(account, "f", []byte("x"))
	if got, err := after.Open(account, "f", old); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
	if after.IsCurrent(old) || !before.IsCurrent(old) || after.IsCurrent(nil) {
		t.Error("IsCurrent does not tell what was sealed with the first key")
	}
	fresh := after.Seal(account, "f", []byte("x"))
	if id, err := seal.KeyID(fresh); err != nil || id != "k2" || after.CurrentID() != "k2" || !after.IsCurrent(fresh) {
		t.Errorf("the first key does not seal: %q, %v", id, err)
	}
	if _, err := before.Open(account, "f", fresh); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("got %v", err)
	}
}

func TestRefusals(t *testing.T) {
	r := mustRing(t, mustKey(t, "k1", 1))
	sealed := r.Seal(account, "token", []byte("the plain text"))
	for _, c := range []struct {
		name    string
		ring    *seal.Ring
		account [16]byte
		field   string
		sealed  []byte
		want    seal.Error
	}{
		{"another account", r, other, "token", sealed, seal.ErrRefused},
		{"another field", r, account, "secret", sealed, seal.ErrRefused},
		{"field cut off", r, account, "toke", sealed, seal.ErrRefused},
		{"another key of that id", mustRing(t, mustKey(t, "k1", 9)), account, "token", sealed, seal.ErrRefused},
		{"unknown id", mustRing(t, mustKey(t, "k2", 1)), account, "token", sealed, seal.ErrUnknownKey},
		{"something behind", r, account, "token", append(bytes.Clone(sealed), 0), seal.ErrRefused},
		{"nothing", r, account, "token", nil, seal.ErrMalformed},
		{"plain text", r, account, "token", []byte("a credential that was never sealed, long enough"), seal.ErrMalformed},
		{"another version", r, account, "token", append([]byte{2}, sealed[1:]...), seal.ErrMalformed},
		{"id too long", r, account, "token", append([]byte{1, 255}, bytes.Repeat([]byte("k"), 400)...), seal.ErrMalformed},
		{"no id", r, account, "token", append([]byte{1, 0}, bytes.Repeat([]byte("k"), 40)...), seal.ErrMalformed},
		{"id with odd bytes", r, account, "token", append([]byte{1, 2, 'k', '\n'}, sealed[4:]...), seal.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.ring.Open(c.account, c.field, c.sealed)
			if !errors.Is(err, c.want) || got != nil {
				t.Errorf("got %q, %v, want %v", got, err, c.want)
			}
		})
	}
}

// The id is authenticated: two keys with equal bytes do not open each other's values.
func TestIDIsBound(t *testing.T) {
	sealed := mustRing(t, mustKey(t, "k1", 1)).Seal(account, "f", []byte("x"))
	sealed[3] = '2'
	if _, err := mustRing(t, mustKey(t, "k2", 1)).Open(account, "f", sealed); !errors.Is(err, seal.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestEveryCutAndEveryFlippedBitIsRefused(t *testing.T) {
	r := mustRing(t, mustKey(t, "k1", 1))
	sealed := r.Seal(account, "f", []byte("the plain text"))
	for n := range sealed {
		if _, err := r.Open(account, "f", sealed[:n]); !errors.As(err, new(seal.Error)) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
		for bit := range 8 {
			flipped := bytes.Clone(sealed)
			flipped[n] ^= 1 << bit
			if _, err := r.Open(account, "f", flipped); !errors.As(err, new(seal.Error)) {
				t.Errorf("bit %d of byte %d flipped: %v", bit, n, err)
			}
		}
	}
}

func TestKeysAndRings(t *testing.T) {
	secret := make([]byte, seal.KeyBytes)
	for _, id := range []string{"", "with space", "a/b", "ключ", strings.Repeat("k", seal.KeyIDBytes+1)} {
		if _, err := seal.NewKey(id, secret); err == nil {
			t.Errorf("a key called %q", id)
		}
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := seal.NewKey("k", make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes", n)
		}
	}
	if _, err := seal.NewRing(); err == nil {
		t.Error("a ring without a key")
	}
	if _, err := seal.NewRing(seal.Key{}); err == nil {
		t.Error("a ring of an empty key")
	}
	if _, err := seal.NewRing(mustKey(t, "k", 1), mustKey(t, "k", 2)); err == nil {
		t.Error("a ring with an id twice")
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k, err := seal.NewKey("k1", []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); got != "master key k1" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

// What opens is the one text that was ever sealed with these keys, for its place (the fuzzer's
// processes each seal it anew, so the sealed bytes themselves differ); anything else is a typed error.
func FuzzOpen(f *testing.F) {
	r := mustRing(f, mustKey(f, "k1", 1), mustKey(f, "k2", 2))
	const text = "the plain text"
	sealed := r.Seal(account, "f", []byte(text))
	f.Add(sealed)
	f.Add(sealed[:20])
	f.Add([]byte{1, 2, 'k', '2'})
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := r.Open(account, "f", b)
		if err == nil && string(plain) != text {
			t.Fatalf("opened %q", plain)
		}
		if err != nil && !errors.As(err, new(seal.Error)) {
			t.Fatalf("an error of another kind: %v", err)
		}
		if _, err := r.Open(other, "f", b); err == nil {
			t.Fatal("opened for another account")
		}
	})
}
