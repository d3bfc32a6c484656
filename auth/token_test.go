package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"clientele/auth"
	"clientele/limits"
)

const (
	account = "0190b6a4c0de70008000000000000001"
	advisor = "0190b6a4c0de70008000000000000002"
	issuer  = "https://sign-in.example.com"
	aud     = "clientele"
)

var (
	secret1 = []byte("first secret of the tests, 32 bytes or more")
	secret2 = []byte("second secret of the tests, 32 bytes or more")
	now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func options() auth.Options {
	return auth.Options{Issuer: issuer, Audience: aud, Now: func() time.Time { return now }}
}

func mustSecret(tb testing.TB, id string, secret []byte) auth.Key {
	tb.Helper()
	k, err := auth.NewSecretKey(id, secret)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustPEM(tb testing.TB, public any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func mustPublic(tb testing.TB, id string, public any) auth.Key {
	tb.Helper()
	k, err := auth.NewPublicKey(id, mustPEM(tb, public))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustVerifier(tb testing.TB, keys ...auth.Key) *auth.Verifier {
	tb.Helper()
	set, err := auth.NewKeys(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := auth.NewVerifier(set, options())
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func mustIssuer(tb testing.TB, key auth.Key) *auth.Issuer {
	tb.Helper()
	i, err := auth.NewIssuer(key, options())
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

// payload is the claims of a good token, changed by pairs of a claim and its value; nil takes
// the claim away.
func payload(pairs ...any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": issuer, "aud": aud, "sub": "console", "role": "ADMIN", "acc": account, "jti": "t1",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if pairs[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = pairs[i+1]
		}
	}
	return c
}

// mustSign signs with any method and header: what an attacker, too, could write.
func mustSign(tb testing.TB, method jwt.SigningMethod, header map[string]any, c jwt.MapClaims, key any) string {
	tb.Helper()
	token := jwt.NewWithClaims(method, c)
	for k, v := range header {
		token.Header[k] = v
	}
	s, err := token.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func kid(id string) map[string]any { return map[string]any{"kid": id} }

func segment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestIssuedTokensVerify(t *testing.T) {
	k1, k2 := mustSecret(t, "k1", secret1), mustSecret(t, "k2", secret2)
	v := mustVerifier(t, k1, k2)
	for _, c := range []struct {
		name  string
		key   auth.Key
		grant auth.Grant
		want  auth.Viewer
	}{
		{
			"admin", k1,
			auth.Grant{Role: auth.RoleAdmin, Account: account, Subject: "console"},
			auth.Viewer{Role: auth.RoleAdmin, Account: account, Subject: "console"},
		},
		{
			"integration with the second key", k2,
			auth.Grant{Role: auth.RoleIntegration, Account: account, Subject: "id:no advisor"},
			auth.Viewer{Role: auth.RoleIntegration, Account: account, Subject: "id:no advisor"},
		},
		{
			"analyst", k1,
			auth.Grant{Role: auth.RoleAnalyst, Account: account, Subject: "分析"},
			auth.Viewer{Role: auth.RoleAnalyst, Account: account, Subject: "分析"},
		},
		{
			"platform", k1,
			auth.Grant{Role: auth.RolePlatform, Subject: "operator"},
			auth.Viewer{Role: auth.RolePlatform, Subject: "operator"},
		},
		{
			"advisor by id", k1,
			auth.Grant{Role: auth.RoleAdvisor, Account: account, Subject: auth.AdvisorSubject(auth.SubjectID, advisor)},
			auth.Viewer{
				Role: auth.RoleAdvisor, Account: account, Subject: "id:" + advisor,
				SubjectKind: auth.SubjectID, SubjectValue: advisor,
			},
		},
		{
			"advisor by openid", k1,
			auth.Grant{Role: auth.RoleAdvisor, Account: account, Subject: auth.AdvisorSubject(auth.SubjectOpenID, "oAbC-1_x")},
			auth.Viewer{
				Role: auth.RoleAdvisor, Account: account, Subject: "openid:oAbC-1_x",
				SubjectKind: auth.SubjectOpenID, SubjectValue: "oAbC-1_x",
			},
		},
		{
			"an advisor whom the sign-in knows", k1,
			auth.Grant{Role: auth.RoleAdvisor, Account: account, Subject: "openid:o1", UnionID: "u-1"},
			auth.Viewer{
				Role: auth.RoleAdvisor, Account: account, Subject: "openid:o1", UnionID: "u-1",
				SubjectKind: auth.SubjectOpenID, SubjectValue: "o1",
			},
		},
		{
			"advisor by external id with a colon", k1,
			auth.Grant{Role: auth.RoleAdvisor, Account: account, Subject: "ext:hr:4711"},
			auth.Viewer{
				Role: auth.RoleAdvisor, Account: account, Subject: "ext:hr:4711",
				SubjectKind: auth.SubjectExternal, SubjectValue: "hr:4711",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.grant.Life = time.Hour
			token, issued, err := mustIssuer(t, c.key).Issue(c.grant)
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Verify(token)
			if err != nil {
				t.Fatal(err)
			}
			if *got != *issued {
				t.Errorf("verified as %+v, issued as %+v", *got, *issued)
			}
			if got.TokenID == "" {
				t.Error("no jti")
			}
			c.want.TokenID, c.want.IssuedAt, c.want.Expires = got.TokenID, now, now.Add(time.Hour)
			if *got != c.want {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
		})
	}
}

func TestEachTokenHasItsOwnID(t *testing.T) {
	i := mustIssuer(t, mustSecret(t, "k1", secret1))
	g := auth.Grant{Role: auth.RolePlatform, Subject: "operator", Life: time.Hour}
	_, a, err := i.Issue(g)
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := i.Issue(g)
	if err != nil {
		t.Fatal(err)
	}
	if a.TokenID == b.TokenID {
		t.Error("two tokens with one jti")
	}
}

func TestVerifyClaims(t *testing.T) {
	v := mustVerifier(t, mustSecret(t, "k1", secret1))
	const second = time.Second
	for _, c := range []struct {
		name  string
		pairs []any
		want  error // nil for accepted
	}{
		{"as it is", nil, nil},
		{"without jti and iat", []any{"jti", nil, "iat", nil}, nil},
		{"audience among others", []any{"aud", []string{"other", aud}}, nil},
		{"expired within leeway", []any{"iat", nil, "exp", now.Add(-auth.Leeway + second).Unix()}, nil},
		{"expired", []any{"iat", nil, "exp", now.Add(-auth.Leeway).Unix()}, auth.ErrExpired},
		{"no expiry", []any{"exp", nil}, auth.ErrClaims},
		{"expiry of zero", []any{"iat", nil, "exp", 0}, auth.ErrExpired},
		{"expiry in year 10000", []any{"exp", int64(253402300800)}, auth.ErrClaims},
		{"expiry is text", []any{"exp", "tomorrow"}, auth.ErrMalformed},
		{"not yet valid", []any{"nbf", now.Add(auth.Leeway + second).Unix()}, auth.ErrNotYetValid},
		{"not yet valid within leeway", []any{"nbf", now.Add(auth.Leeway).Unix()}, nil},
		{"issued in the future", []any{"iat", now.Add(auth.Leeway + second).Unix()}, auth.ErrNotYetValid},
		{"issued in the future within leeway", []any{"iat", now.Add(auth.Leeway).Unix()}, nil},
		{"issued after it expires", []any{"iat", now.Unix() + 20, "exp", now.Unix() + 10}, auth.ErrClaims},
		{"issued before 1970", []any{"iat", -1}, auth.ErrClaims},
		{"another issuer", []any{"iss", issuer + "/"}, auth.ErrIssuer},
		{"no issuer", []any{"iss", nil}, auth.ErrClaims},
		{"another audience", []any{"aud", "other"}, auth.ErrAudience},
		{"no audience", []any{"aud", nil}, auth.ErrClaims},
		{"empty audience", []any{"aud", []string{}}, auth.ErrClaims},
		{"no role", []any{"role", nil}, auth.ErrClaims},
		{"unknown role", []any{"role", "ROOT"}, auth.ErrClaims},
		{"role in lower case", []any{"role", "admin"}, auth.ErrClaims},
		{"roles in a list", []any{"role", []string{"ADMIN"}}, auth.ErrMalformed},
		{"admin without account", []any{"acc", nil}, auth.ErrClaims},
		{"admin of no account", []any{"acc", strings.Repeat("0", 32)}, auth.ErrClaims},
		{"account short", []any{"acc", account[1:]}, auth.ErrClaims},
		{"account in capitals", []any{"acc", strings.ToUpper("a" + account[1:])}, auth.ErrClaims},
		{"account no hex", []any{"acc", "g" + account[1:]}, auth.ErrClaims},
		{"platform with an account", []any{"role", "PLATFORM"}, auth.ErrClaims},
		{"platform", []any{"role", "PLATFORM", "acc", nil}, nil},
		{"no subject", []any{"sub", nil}, auth.ErrClaims},
		{"subject of two lines", []any{"sub", "a\nb"}, auth.ErrClaims},
		{"subject longest", []any{"sub", strings.Repeat("s", auth.SubjectBytes)}, nil},
		{"subject too long", []any{"sub", strings.Repeat("s", auth.SubjectBytes+1)}, auth.ErrClaims},
		{"unionid longest", []any{"unionid", strings.Repeat("u", auth.UnionIDBytes)}, nil},
		{"unionid too long", []any{"unionid", strings.Repeat("u", auth.UnionIDBytes+1)}, auth.ErrClaims},
		{"unionid of two lines", []any{"unionid", "a\nb"}, auth.ErrClaims},
		{"unionid no text", []any{"unionid", 7}, auth.ErrMalformed},
		{"jti of two lines", []any{"jti", "a\nb"}, auth.ErrClaims},
		{"jti too long", []any{"jti", strings.Repeat("j", auth.TokenIDBytes+1)}, auth.ErrClaims},
		{"advisor without subject", []any{"role", "ADVISOR", "sub", nil}, auth.ErrClaims},
		{"advisor without kind", []any{"role", "ADVISOR", "sub", advisor}, auth.ErrClaims},
		{"advisor of unknown kind", []any{"role", "ADVISOR", "sub", "unionid:u1"}, auth.ErrClaims},
		{"advisor of empty kind", []any{"role", "ADVISOR", "sub", ":x"}, auth.ErrClaims},
		{"advisor with empty openid", []any{"role", "ADVISOR", "sub", "openid:"}, auth.ErrClaims},
		{"advisor with longest openid", []any{"role", "ADVISOR", "sub", "openid:" + strings.Repeat("o", limits.OpenIDBytes)}, nil},
		{"advisor with openid too long", []any{"role", "ADVISOR", "sub", "openid:" + strings.Repeat("o", limits.OpenIDBytes+1)}, auth.ErrClaims},
		{"advisor with external id too long", []any{"role", "ADVISOR", "sub", "ext:" + strings.Repeat("e", limits.ExternalIDBytes+1)}, auth.ErrClaims},
		{"advisor with an id that is no key", []any{"role", "ADVISOR", "sub", "id:7"}, auth.ErrClaims},
		{"advisor with the zero key", []any{"role", "ADVISOR", "sub", "id:" + strings.Repeat("0", 32)}, auth.ErrClaims},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := mustSign(t, jwt.SigningMethodHS256, kid("k1"), payload(c.pairs...), secret1)
			got, err := v.Verify(token)
			if c.want == nil {
				if err != nil || got == nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if !errors.Is(err, c.want) || got != nil {
				t.Fatalf("got %v, %v, want %v", got, err, c.want)
			}
			mustTellNothing(t, err, token)
		})
	}
}

// Which refusal it is depends on how the processor turns such a number into an integer.
func TestExpiryBeyondTimeIsRefused(t *testing.T) {
	v := mustVerifier(t, mustSecret(t, "k1", secret1))
	for _, exp := range []float64{1e300, -1e300, 1e19, 9.3e18} {
		if _, err := v.Verify(mustSign(t, jwt.SigningMethodHS256, kid("k1"), payload("exp", exp), secret1)); err == nil {
			t.Errorf("accepted with %g", exp)
		}
	}
}

// mustTellNothing fails when an error is not ours or quotes the token, its claims or a secret.
func mustTellNothing(t *testing.T, err error, token string) {
	t.Helper()
	if !errors.As(err, new(auth.Error)) {
		t.Errorf("%v is no auth.Error", err)
	}
	parts := append(strings.Split(token, "."), account, issuer, "ROOT", "console", string(secret1))
	for _, part := range parts {
		if len(part) > 3 && strings.Contains(err.Error(), part) {
			t.Errorf("the error quotes %q", part)
		}
	}
}

func TestVerifyForm(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, auth.RSABits)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := mustVerifier(t, mustSecret(t, "k1", secret1), mustSecret(t, "k2", secret2),
		mustPublic(t, "rsa", rsaKey.Public()), mustPublic(t, "ed", edKey.Public()))
	good := mustSign(t, jwt.SigningMethodHS256, kid("k1"), payload(), secret1)
	if _, err := v.Verify(good); err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(good, ".")
	body, signature, _ := strings.Cut(rest, ".")
	hs := func(header string) string {
		text := segment(header) + "." + body
		m := hmac.New(sha256.New, secret1)
		m.Write([]byte(text))
		return text + "." + segment(string(m.Sum(nil)))
	}
	for _, c := range []struct {
		name, token string
		want        auth.Error
	}{
		{"nothing", "", auth.ErrMissing},
		{"no token", "x", auth.ErrMalformed},
		{"dots", "..", auth.ErrMalformed},
		{"two segments", head + "." + body, auth.ErrMalformed},
		{"four segments", good + ".x", auth.ErrMalformed},
		{"header no base64", "!." + body + "." + signature, auth.ErrMalformed},
		{"header no JSON", segment("x") + "." + body + "." + signature, auth.ErrMalformed},
		{"header null", segment("null") + "." + body + "." + signature, auth.ErrAlgorithm},
		{"body no JSON", head + "." + segment("x") + "." + signature, auth.ErrMalformed},
		{"padded", good + "=", auth.ErrMalformed},
		{"space in front", " " + good, auth.ErrMalformed},
		{"longest but no token", strings.Repeat("x", auth.TokenBytes), auth.ErrMalformed},
		{"too long", good + strings.Repeat("A", auth.TokenBytes), auth.ErrTooLong},
		{"no signature", head + "." + body + ".", auth.ErrSignature},
		{"signature of another key", mustSign(t, jwt.SigningMethodHS256, kid("k1"), payload(), secret2), auth.ErrSignature},
		{"body exchanged", head + "." + segment(`{"role":"PLATFORM"}`) + "." + signature, auth.ErrSignature},
		{"none, unsigned", mustSign(t, jwt.SigningMethodNone, kid("k1"), payload(), jwt.UnsafeAllowNoneSignatureType), auth.ErrAlgorithm},
		{"none, with the signature", segment(`{"alg":"none","kid":"k1"}`) + "." + body + "." + signature, auth.ErrAlgorithm},
		{"None", segment(`{"alg":"None","kid":"k1"}`) + "." + body + ".", auth.ErrAlgorithm},
		{"no algorithm", hs(`{"kid":"k1"}`), auth.ErrAlgorithm},
		{"algorithm no string", hs(`{"alg":256,"kid":"k1"}`), auth.ErrAlgorithm},
		{"HS384 with the secret", mustSign(t, jwt.SigningMethodHS384, kid("k1"), payload(), secret1), auth.ErrAlgorithm},
		{"HS512 with the secret", mustSign(t, jwt.SigningMethodHS512, kid("k1"), payload(), secret1), auth.ErrAlgorithm},
		{"RS256 under the secret's kid", mustSign(t, jwt.SigningMethodRS256, kid("k1"), payload(), rsaKey), auth.ErrAlgorithm},
		{"EdDSA under the secret's kid", mustSign(t, jwt.SigningMethodEdDSA, kid("k1"), payload(), edKey), auth.ErrAlgorithm},
		{"RS512 under its own kid", mustSign(t, jwt.SigningMethodRS512, kid("rsa"), payload(), rsaKey), auth.ErrAlgorithm},
		{"PS256 under its own kid", mustSign(t, jwt.SigningMethodPS256, kid("rsa"), payload(), rsaKey), auth.ErrAlgorithm},
		{
			"HS256 with the public key's PEM as secret",
			mustSign(t, jwt.SigningMethodHS256, kid("rsa"), payload(), mustPEM(t, rsaKey.Public())), auth.ErrAlgorithm,
		},
		{
			"HS256 with the public key's bytes as secret",
			mustSign(t, jwt.SigningMethodHS256, kid("ed"), payload(), []byte(edKey.Public().(ed25519.PublicKey))),
			auth.ErrAlgorithm,
		},
		{"no kid", mustSign(t, jwt.SigningMethodHS256, nil, payload(), secret1), auth.ErrUnknownKey},
		{"empty kid", mustSign(t, jwt.SigningMethodHS256, kid(""), payload(), secret1), auth.ErrUnknownKey},
		{"unknown kid", mustSign(t, jwt.SigningMethodHS256, kid("k9"), payload(), secret1), auth.ErrUnknownKey},
		{"kid no string", hs(`{"alg":"HS256","kid":["k1"]}`), auth.ErrUnknownKey},
		{"critical extension", hs(`{"alg":"HS256","kid":"k1","crit":["b64"],"b64":false}`), auth.ErrMalformed},
		{"brings its own key", hs(`{"alg":"HS256","kid":"k9","jwk":{"kty":"oct","k":"` + segment(string(secret1)) + `"}}`), auth.ErrUnknownKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := v.Verify(c.token)
			if !errors.Is(err, c.want) || got != nil {
				t.Fatalf("got %v, %v, want %v", got, err, c.want)
			}
			mustTellNothing(t, err, c.token)
		})
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	v := mustVerifier(t, mustSecret(t, "k1", secret1))
	good := mustSign(t, jwt.SigningMethodHS256, kid("k1"), payload(), secret1)
	for i := range good {
		for _, c := range []byte("A.Bz_-=") {
			if good[i] == c {
				continue
			}
			if _, err := v.Verify(good[:i] + string(c) + good[i+1:]); err == nil {
				t.Fatalf("accepted with %q at %d", c, i)
			}
		}
	}
}

func TestPublicKeys(t *testing.T) {
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, auth.RSABits)
	if err != nil {
		t.Fatal(err)
	}
	v := mustVerifier(t, mustPublic(t, "ed", edKey.Public()), mustPublic(t, "ec", ecKey.Public()), mustPublic(t, "rsa", rsaKey.Public()))
	for _, c := range []struct {
		id     string
		method jwt.SigningMethod
		key    any
	}{
		{"ed", jwt.SigningMethodEdDSA, edKey},
		{"ec", jwt.SigningMethodES256, ecKey},
		{"rsa", jwt.SigningMethodRS256, rsaKey},
	} {
		token := mustSign(t, c.method, kid(c.id), payload(), c.key)
		if _, err := v.Verify(token); err != nil {
			t.Errorf("%s: %v", c.method.Alg(), err)
		}
		if _, err := v.Verify(token[:len(token)-8] + "AAAAAAAA"); !errors.Is(err, auth.ErrSignature) {
			t.Errorf("%s with another signature: %v", c.method.Alg(), err)
		}
	}
	if _, err := auth.NewIssuer(mustPublic(t, "ed", edKey.Public()), options()); err == nil {
		t.Error("an issuer of a public key")
	}
}

func TestUnfitKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"no PEM":      []byte("ssh-ed25519 AAAA"),
		"private":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"wrong label": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: private}),
		"P-384":       mustPEM(t, p384.Public()),
	} {
		if _, err := auth.NewPublicKey("k", text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := auth.NewPublicKey("", mustPEM(t, ecKey.Public())); err == nil {
		t.Error("a public key without id")
	}
	for _, id := range []string{"", "with space", "a=b", strings.Repeat("k", auth.KeyIDBytes+1)} {
		if _, err := auth.NewSecretKey(id, secret1); err == nil {
			t.Errorf("a key called %q", id)
		}
	}
	if _, err := auth.NewSecretKey("k", make([]byte, auth.SecretBytes-1)); err == nil {
		t.Error("a secret of 31 bytes")
	}
	if _, err := auth.NewKeys(auth.Key{}); err == nil {
		t.Error("a set with an empty key")
	}
	if _, err := auth.NewKeys(mustSecret(t, "k", secret1), mustSecret(t, "k", secret2)); err == nil {
		t.Error("a set with an id twice")
	}
}

func TestSecretIsCopied(t *testing.T) {
	mine := []byte(strings.Repeat("m", auth.SecretBytes))
	key := mustSecret(t, "k1", mine)
	token := mustSign(t, jwt.SigningMethodHS256, kid("k1"), payload(), mine)
	clear(mine)
	if _, err := mustVerifier(t, key).Verify(token); err != nil {
		t.Error(err)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k := mustSecret(t, "k1", secret1)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); got != "key k1" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestOptionsAreNeeded(t *testing.T) {
	key := mustSecret(t, "k1", secret1)
	set, err := auth.NewKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*auth.Options){
		"issuer":   func(o *auth.Options) { o.Issuer = "" },
		"audience": func(o *auth.Options) { o.Audience = "" },
		"clock":    func(o *auth.Options) { o.Now = nil },
	} {
		o := options()
		change(&o)
		if _, err := auth.NewVerifier(set, o); err == nil {
			t.Errorf("a verifier without %s", name)
		}
		if _, err := auth.NewIssuer(key, o); err == nil {
			t.Errorf("an issuer without %s", name)
		}
	}
	if _, err := auth.NewVerifier(nil, options()); err == nil {
		t.Error("a verifier without keys")
	}
}

func TestIssueRefuses(t *testing.T) {
	i := mustIssuer(t, mustSecret(t, "k1", secret1))
	for name, g := range map[string]auth.Grant{
		"no life":                  {Role: auth.RoleAdmin, Account: account, Subject: "s"},
		"part of a second":         {Role: auth.RoleAdmin, Account: account, Subject: "s", Life: 1500 * time.Millisecond},
		"no role":                  {Account: account, Subject: "s", Life: time.Hour},
		"no account":               {Role: auth.RoleAnalyst, Subject: "s", Life: time.Hour},
		"platform with an account": {Role: auth.RolePlatform, Account: account, Subject: "s", Life: time.Hour},
		"no subject":               {Role: auth.RoleIntegration, Account: account, Life: time.Hour},
		"advisor without kind":     {Role: auth.RoleAdvisor, Account: account, Subject: "s", Life: time.Hour},
	} {
		if token, _, err := i.Issue(g); !errors.Is(err, auth.ErrClaims) || token != "" {
			t.Errorf("%s: got %v", name, err)
		}
		if err := g.Validate(); !errors.Is(err, auth.ErrClaims) {
			t.Errorf("%s: Validate says %v", name, err)
		}
	}
}

func TestFromHeader(t *testing.T) {
	for _, c := range []struct {
		header, token string
		want          error
	}{
		{"Bearer a.b.c", "a.b.c", nil},
		{"bearer a.b.c", "a.b.c", nil},
		{"BEARER   a.b.c ", "a.b.c", nil},
		{"", "", auth.ErrMissing},
		{"  ", "", auth.ErrMissing},
		{"Bearer", "", auth.ErrMalformed},
		{"Bearer ", "", auth.ErrMalformed},
		{"Basic dTpw", "", auth.ErrMalformed},
		{"a.b.c", "", auth.ErrMalformed},
		{"Bearer a b", "", auth.ErrMalformed},
		{"Bearer\ta", "", auth.ErrMalformed},
		{"Bearera", "", auth.ErrMalformed},
	} {
		got, err := auth.FromHeader(c.header)
		if got != c.token || !errors.Is(err, c.want) {
			t.Errorf("%q: got %q, %v", c.header, got, err)
		}
	}
}

func TestFromConnectionInit(t *testing.T) {
	for _, c := range []struct {
		payload string
		token   string
		want    error
	}{
		{`{"Authorization":"Bearer a.b.c"}`, "a.b.c", nil},
		{`{"authorization":"bearer a.b.c"}`, "a.b.c", nil},
		{`{"AUTHORIZATION":"a.b.c","other":1}`, "a.b.c", nil},
		{`{"authorization":" a.b.c "}`, "a.b.c", nil},
		{`null`, "", auth.ErrMissing},
		{`{}`, "", auth.ErrMissing},
		{`{"authorization":null}`, "", auth.ErrMissing},
		{`{"authorization":" "}`, "", auth.ErrMissing},
		{`{"authorization":"Bearer"}`, "", auth.ErrMalformed},
		{`{"authorization":"Basic dTpw"}`, "", auth.ErrMalformed},
		{`{"authorization":{"token":"a.b.c"}}`, "", auth.ErrMalformed},
		{`{"authorization":"a.b.c","Authorization":"d.e.f"}`, "", auth.ErrMalformed},
		{`{"authorization":null,"Authorization":"d.e.f"}`, "", auth.ErrMalformed},
	} {
		var payload map[string]any
		if err := json.Unmarshal([]byte(c.payload), &payload); err != nil {
			t.Fatal(err)
		}
		got, err := auth.FromConnectionInit(payload)
		if got != c.token || !errors.Is(err, c.want) {
			t.Errorf("%s: got %q, %v", c.payload, got, err)
		}
	}
}

// Ensure a viewer is printed and logged without the subject, which may be an openid.
func TestViewerIsPrintedWithoutSubject(t *testing.T) {
	want := &auth.Viewer{Role: auth.RoleAdvisor, Account: account, Subject: "openid:o-secret"}
	for _, text := range []string{fmt.Sprint(want), fmt.Sprint(*want), fmt.Sprintf("%+v", want), want.LogValue().String()} {
		if text != "ADVISOR@"+account {
			t.Errorf("printed as %q", text)
		}
	}
	if text := (&auth.Viewer{Role: auth.RolePlatform}).String(); text != "PLATFORM" {
		t.Errorf("printed as %q", text)
	}
}

func TestRoles(t *testing.T) {
	for _, r := range auth.Roles() {
		if !r.IsValid() {
			t.Errorf("%s is not valid", r)
		}
	}
	for _, r := range []auth.Role{"", "admin", "ROOT"} {
		if r.IsValid() {
			t.Errorf("%q is valid", r)
		}
	}
}

// What is accepted carries the HMAC of its first two segments under the secret, computed here
// without the JWT library; everything else is an auth.Error.
func FuzzVerify(f *testing.F) {
	v := mustVerifier(f, mustSecret(f, "k1", secret1))
	good := mustSign(f, jwt.SigningMethodHS256, kid("k1"), payload(), secret1)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(mustSign(f, jwt.SigningMethodNone, kid("k1"), payload(), jwt.UnsafeAllowNoneSignatureType))
	f.Add(mustSign(f, jwt.SigningMethodHS512, kid("k1"), payload(), secret1))
	f.Add(mustSign(f, jwt.SigningMethodHS256, nil, payload("exp", 1e300), secret1))
	f.Add("..")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		viewer, err := v.Verify(token)
		if err != nil {
			if viewer != nil || !errors.As(err, new(auth.Error)) {
				t.Fatalf("got %v, %v", viewer, err)
			}
			return
		}
		i := strings.LastIndexByte(token, '.')
		m := hmac.New(sha256.New, secret1)
		m.Write([]byte(token[:i]))
		if token[i+1:] != segment(string(m.Sum(nil))) {
			t.Fatalf("accepted without the signature: %q", token)
		}
	})
}

// Whatever payload the key signs, Verify answers without a panic, and what it accepts keeps
// the Viewer's promises.
func FuzzClaims(f *testing.F) {
	v := mustVerifier(f, mustSecret(f, "k1", secret1))
	for _, c := range []jwt.MapClaims{payload(), payload("role", "ADVISOR", "sub", "openid:o"), payload("exp", 1e300), payload("iat", -1e300)} {
		text, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("null"))
	head := segment(`{"alg":"HS256","kid":"k1"}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		text := head + "." + segment(string(body))
		m := hmac.New(sha256.New, secret1)
		m.Write([]byte(text))
		viewer, err := v.Verify(text + "." + segment(string(m.Sum(nil))))
		if err != nil {
			if !errors.As(err, new(auth.Error)) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !viewer.Role.IsValid() || viewer.Subject == "" || (viewer.Account == "") != (viewer.Role == auth.RolePlatform) ||
			(viewer.SubjectKind == auth.SubjectNone) != (viewer.Role != auth.RoleAdvisor) ||
			!viewer.Expires.Add(auth.Leeway).After(now) || viewer.IssuedAt.After(now.Add(auth.Leeway)) {
			t.Fatalf("accepted as %+v", *viewer)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	v := mustVerifier(b, mustSecret(b, "k1", secret1))
	token, _, err := mustIssuer(b, mustSecret(b, "k1", secret1)).Issue(auth.Grant{
		Role: auth.RoleAdvisor, Account: account, Subject: "id:" + advisor, Life: time.Hour,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
