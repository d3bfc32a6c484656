package tests

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"clientele/internal/config"
	"clientele/internal/testkit"
)

// Ensure tokens of the merchant's own sign-in, whose keys stand in a key set, are let in beside ours, and a server whose key
// set is a file that cannot be read does not start (rule V1).
func TestKeySetOfTheSignIn(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jwkset.NewJWKFromKey(&key.PublicKey, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "sign-in"}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{jwk.Marshal()}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, testkit.SQLite(t), options{settings: func(s *config.Server) { s.TokenJWKS = path }})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	sign := func(change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims{
			"iss": "clientele", "aud": "clientele", "sub": "openid:anna", "role": "ADVISOR", "acc": hex.EncodeToString(a.account[:]),
			"iat": w.clock.Now().Unix(), "exp": w.clock.Now().Unix() + 600,
		}
		if change != nil {
			change(claims)
		}
		token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		token.Header["kid"] = "sign-in"
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	if got := w.ask(sign(nil), `{ viewer { role } inbox { nodes { id } } }`, nil); got.code() != "" {
		t.Errorf("a token of the sign-in: %.300s", got.body)
	}
	for what, change := range map[string]func(jwt.MapClaims){
		"another audience": func(c jwt.MapClaims) { c["aud"] = "another" }, "nobody": func(c jwt.MapClaims) { c["sub"] = "openid:nobody" },
		"the past": func(c jwt.MapClaims) { c["exp"] = w.clock.Now().Unix() - 600 },
	} {
		if got := w.ask(sign(change), `{ viewer { role } }`, nil); got.code() != "UNAUTHENTICATED" {
			t.Errorf("a token of %s: %.300s", what, got.body)
		}
	}
}
