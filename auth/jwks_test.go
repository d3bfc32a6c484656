package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"clientele/auth"
	"clientele/limits"
)

// signer is a sign-in of a merchant: a private key, and its public part as a key set has it.
type signer struct {
	kid    string
	method jwt.SigningMethod
	key    crypto.Signer
}

func newSigner(tb testing.TB, kid, alg string) signer {
	tb.Helper()
	s := signer{kid: kid, method: jwt.GetSigningMethod(alg)}
	var err error
	switch alg {
	case "RS256":
		s.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, s.key, err = ed25519.GenerateKey(rand.Reader)
	case "ES384":
		s.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// entry is the public part, changed by change.
func (s signer) entry(tb testing.TB, change func(map[string]any)) map[string]any {
	tb.Helper()
	jwk, err := jwkset.NewJWKFromKey(s.key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: s.kid}})
	if err != nil {
		tb.Fatal(err)
	}
	text, err := json.Marshal(jwk.Marshal())
	if err != nil {
		tb.Fatal(err)
	}
	var entry map[string]any
	if err := json.Unmarshal(text, &entry); err != nil {
		tb.Fatal(err)
	}
	delete(entry, "alg")
	if change != nil {
		change(entry)
	}
	return entry
}

func (s signer) token(tb testing.TB, method jwt.SigningMethod, key any) string {
	tb.Helper()
	t := jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": "i", "aud": "a", "sub": "console", "role": "ADMIN", "acc": strings.Repeat("0a", 16), "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	})
	t.Header["kid"] = s.kid
	text, err := t.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func setOf(tb testing.TB, entries ...map[string]any) []byte {
	tb.Helper()
	text, err := json.Marshal(map[string]any{"keys": entries})
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func newSet(tb testing.TB, source string) (*auth.JWKS, *auth.Verifier) {
	tb.Helper()
	secret, err := auth.NewSecretKey("fixed", []byte(strings.Repeat("s", 32)))
	if err != nil {
		tb.Fatal(err)
	}
	fixed, err := auth.NewKeys(secret)
	if err != nil {
		tb.Fatal(err)
	}
	set, err := auth.NewJWKS(source, fixed, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	v, err := auth.NewVerifier(set, auth.Options{Issuer: "i", Audience: "a", Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	return set, v
}

// Ensure tokens of each kind of key are accepted, each with its one algorithm, from a file, and what has no business in
// a key set is left out (rule V1).
func TestJWKSFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	rs, es, ed, big := newSigner(t, "rs", "RS256"), newSigner(t, "es", "ES256"), newSigner(t, "ed", "EdDSA"), newSigner(t, "p384", "ES384")
	other := newSigner(t, "enc", "ES256")
	write := func(text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(setOf(t,
		rs.entry(t, nil), es.entry(t, func(e map[string]any) { e["alg"], e["use"] = "ES256", "sig" }), ed.entry(t, nil), big.entry(t, nil),
		other.entry(t, func(e map[string]any) { e["use"] = "enc" }),
		rs.entry(t, func(e map[string]any) { e["kid"], e["alg"] = "rs512", "RS512" }),
		rs.entry(t, func(e map[string]any) { delete(e, "kid") }),
		es.entry(t, func(e map[string]any) { e["kid"], e["d"] = "private", "AA" }),
		map[string]any{"kty": "oct", "kid": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
		rs.entry(t, func(e map[string]any) { e["kid"] = "fixed" }),
	))
	set, v := newSet(t, path)
	if _, err := v.Verify(rs.token(t, rs.method, rs.key)); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("before it was read: %v", err)
	}
	if err := set.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []signer{rs, es, ed} {
		if viewer, err := v.Verify(s.token(t, s.method, s.key)); err != nil || viewer.Role != auth.RoleAdmin {
			t.Errorf("%s: %+v, %v", s.kid, viewer, err)
		}
	}
	for _, kid := range []string{"p384", "enc", "rs512", "private", "oct", ""} {
		if _, found := set.Find(kid); found {
			t.Errorf("the key %q is taken", kid)
		}
	}
	// A fixed key goes before one of the set with its id.
	if k, _ := set.Find("fixed"); k.Algorithm() != "HS256" {
		t.Errorf("the fixed key is for %s", k.Algorithm())
	}
	// The key chooses the algorithm, not the token.
	public := setOf(t, rs.entry(t, nil))
	for name, token := range map[string]string{
		"a public key as a secret": rs.token(t, jwt.SigningMethodHS256, public),
		"none":                     rs.token(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"another's signature":      signer{kid: "rs", method: rs.method, key: newSigner(t, "rs", "RS256").key}.token(t, rs.method, newSigner(t, "x", "RS256").key),
		"another algorithm":        rs.token(t, jwt.SigningMethodRS512, rs.key),
	} {
		if viewer, err := v.Verify(token); err == nil {
			t.Errorf("%s is accepted as %+v", name, viewer)
		}
	}
	// What cannot be used leaves the keys there were.
	for name, text := range map[string][]byte{
		"no JSON": []byte("{"), "no key": setOf(t), "nothing usable": setOf(t, big.entry(t, nil)), "an id twice": setOf(t, es.entry(t, nil), ed.entry(t, func(e map[string]any) { e["kid"] = "es" })),
		"too large": append(setOf(t, es.entry(t, nil)), make([]byte, limits.JWKSBytes)...),
		"too many": setOf(t, func() (many []map[string]any) {
			for i := range limits.JWKSKeys + 1 {
				many = append(many, es.entry(t, func(e map[string]any) { e["kid"] = fmt.Sprint("k", i) }))
			}
			return many
		}()...),
	} {
		write(text)
		if err := set.Refresh(t.Context()); err == nil {
			t.Errorf("%s is taken", name)
		}
		if _, err := v.Verify(es.token(t, es.method, es.key)); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	write(setOf(t, ed.entry(t, nil)))
	if err := set.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(es.token(t, es.method, es.key)); !errors.Is(err, auth.ErrUnknownKey) {
		t.Errorf("a key that was taken out: %v", err)
	}
}

// Ensure an address is asked when it is time, or somebody comes with a kid that is not known, and then no more than
// once each limits.JWKSAgain; and that addresses anybody could speak for are refused (rule V1).
func TestJWKSAddress(t *testing.T) {
	for source, fine := range map[string]bool{
		"https://sign-in.example.com/jwks": true, "http://localhost:1/": true, "http://127.0.0.1:1/": true,
		"http://sign-in.example.com/jwks": false, "ftp://x/": false, "https://u:p@x/": false, "https://": false, "http://127.0.0.1.example.com/": false,
	} {
		if _, err := auth.NewJWKS(source, nil, nil); (err == nil) != fine {
			t.Errorf("%s: %v", source, err)
		}
	}
	es, next := newSigner(t, "es", "ES256"), newSigner(t, "next", "ES256")
	var asked atomic.Int64
	var text atomic.Pointer[[]byte]
	answer := func(b []byte) { text.Store(&b) }
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if b := *text.Load(); b != nil {
			_, _ = w.Write(b)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	server := httptest.NewServer(mux)
	defer server.Close()
	answer(setOf(t, es.entry(t, nil)))
	if elsewhere, _ := newSet(t, server.URL+"/elsewhere"); elsewhere.Refresh(t.Context()) == nil {
		t.Error("an address that leads elsewhere is followed")
	}
	set, v := newSet(t, server.URL+"/keys")
	if err := set.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(es.token(t, es.method, es.key)); err != nil {
		t.Error(err)
	}
	answer(nil)
	if err := set.Refresh(t.Context()); err == nil {
		t.Error("an answer that is none is taken")
	}
	if _, err := v.Verify(es.token(t, es.method, es.key)); err != nil {
		t.Errorf("while the address is away: %v", err)
	}
	answer(setOf(t, es.entry(t, nil), next.entry(t, nil)))
	before := asked.Load()
	for range 100 {
		if _, err := v.Verify(next.token(t, next.method, next.key)); !errors.Is(err, auth.ErrUnknownKey) {
			t.Errorf("a key that was not read yet: %v", err)
		}
	}
	if n := asked.Load() - before; n != 0 {
		t.Errorf("checking tokens asked the address %d times", n)
	}
}

// Ensure the set is read again in time, by the clock.
func TestJWKSRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	es, next := newSigner(t, "es", "ES256"), newSigner(t, "next", "ES256")
	if err := os.WriteFile(path, setOf(t, es.entry(t, nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		set, _ := newSet(t, path)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); set.Run(ctx) }()
		has := func(kid string) bool { _, found := set.Find(kid); return found }
		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		wait(limits.JWKSAgain + 1)
		if !has("es") {
			t.Fatal("without any key it is not read at once")
		}
		if err := os.WriteFile(path, setOf(t, next.entry(t, nil)), 0o600); err != nil {
			t.Fatal(err)
		}
		wait(limits.JWKSRefresh / 2)
		if !has("es") {
			t.Error("it was read though nobody asked for more")
		}
		if has("next") { // which asks for it
			t.Error("it was read in the middle")
		}
		wait(limits.JWKSAgain)
		if has("es") || !has("next") {
			t.Error("a kid that is not known did not have it read")
		}
		if err := os.WriteFile(path, setOf(t, es.entry(t, nil)), 0o600); err != nil {
			t.Fatal(err)
		}
		wait(limits.JWKSRefresh + limits.JWKSAgain)
		if !has("es") {
			t.Error("it was not read in its time")
		}
		cancel()
		<-done
	})
}
