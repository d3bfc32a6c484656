package config_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"clientele/auth"
	"clientele/internal/config"
)

const (
	secret    = "3f0cb7a1-this-is-a-secret-of-a-test-0123456789"
	masterHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	account   = "0190b6a4c0de70008000000000000001"
)

// program is shaped as the real one is: the structs embedded in commands.
type program struct {
	Serve   struct{ config.Server }  `cmd:""`
	Demo    struct{ config.Demo }    `cmd:""`
	Migrate struct{ config.Migrate } `cmd:""`
	Token   struct{ config.Token }   `cmd:""`
	Import  struct{ config.Import }  `cmd:""`
}

// A setting of whoever runs the tests is none of the tests'.
func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "CLIENTELE_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

func mustKong(t *testing.T, p *program, more ...kong.Option) *kong.Kong {
	t.Helper()
	k, err := kong.New(p, slices.Concat(config.Options(), more)...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func needed() []string {
	return []string{"--token-secrets=k1=" + secret, "--master-keys=m1=" + masterHex}
}

func mustParse(t *testing.T, args ...string) *program {
	t.Helper()
	var p program
	if _, err := mustKong(t, &p).Parse(args); err != nil {
		t.Fatal(err)
	}
	return &p
}

func mustWrite(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func valid() config.Server {
	s := config.Default()
	s.TokenSecrets = []config.Secret{"k1=" + secret}
	s.MasterKeys = []config.Secret{"m1=" + masterHex}
	return s
}

func TestDefaultIsWhatFlagsGive(t *testing.T) {
	p := mustParse(t, append([]string{"serve"}, needed()...)...)
	if want := valid(); !reflect.DeepEqual(p.Serve.Server, want) {
		t.Errorf("flags give\n%#v\nDefault gives\n%#v", p.Serve.Server, want)
	}
	if err := p.Serve.Validate(); err != nil {
		t.Error(err)
	}
	p = mustParse(t, "demo")
	if want := config.DefaultDemo(); p.Demo.Demo != want {
		t.Errorf("flags give %+v, DefaultDemo gives %+v", p.Demo.Demo, want)
	}
	p = mustParse(t, "migrate")
	if want := config.DefaultMigrate(); p.Migrate.Migrate != want {
		t.Errorf("flags give %+v, DefaultMigrate gives %+v", p.Migrate.Migrate, want)
	}
	p = mustParse(t, "token", "--token-secrets=k1="+secret, "--role=ADMIN", "--subject=ops", "--account="+account)
	token := config.DefaultToken()
	token.TokenSecrets, token.Role, token.Subject, token.Account = []config.Secret{"k1=" + secret}, "ADMIN", "ops", account
	if !reflect.DeepEqual(p.Token.Token, token) {
		t.Errorf("flags give %+v, DefaultToken gives %+v", p.Token.Token, token)
	}
}

func TestDefaultLacksOnlySecrets(t *testing.T) {
	s := config.Default()
	if got := settings(s.Validate()); !slices.Equal(got, []string{"master-keys", "token-secrets"}) {
		t.Errorf("faults of %v", got)
	}
}

func TestPrecedence(t *testing.T) {
	file := mustWrite(t, "c.yaml", "page-default: 11\n")
	for _, c := range []struct {
		name            string
		flag, env, file bool
		want            int
	}{
		{"default", false, false, false, 50},
		{"file over default", false, false, true, 11},
		{"environment over file", false, true, true, 12},
		{"flag over all", true, true, true, 13},
		{"flag over file", true, false, true, 13},
		{"flag over environment", true, true, false, 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"serve"}, needed()...)
			if c.file {
				args = append(args, "--config="+file)
			}
			if c.env {
				t.Setenv("CLIENTELE_PAGE_DEFAULT", "12")
			}
			if c.flag {
				args = append(args, "--page-default=13")
			}
			if got := mustParse(t, args...).Serve.PageDefault; got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestListsAreReplacedNotJoined(t *testing.T) {
	other := strings.Repeat("y", 40)
	t.Setenv("CLIENTELE_TOKEN_SECRETS", "a="+other+",b="+other)
	p := mustParse(t, "serve", "--master-keys=m1="+masterHex)
	if want := []config.Secret{config.Secret("a=" + other), config.Secret("b=" + other)}; !slices.Equal(p.Serve.TokenSecrets, want) {
		t.Errorf("from the environment: %d entries", len(p.Serve.TokenSecrets))
	}
	p = mustParse(t, append([]string{"serve"}, needed()...)...)
	if !slices.Equal(p.Serve.TokenSecrets, []config.Secret{"k1=" + secret}) {
		t.Errorf("the flag did not replace the environment: %d entries", len(p.Serve.TokenSecrets))
	}
}

func TestFile(t *testing.T) {
	path := mustWrite(t, "c.yaml", strings.Join([]string{
		"addr: 127.0.0.1:9",
		"token-secrets: [k1=" + secret + `, 'k2=with,comma\` + secret + `\']`,
		"master-keys: m1=" + masterHex,
		"graphiql: true",
		"operation-time: 3s",
		"db:",
		"allowed-origins:",
		"  - https://a.example.com",
		"  - https://b.example.com",
	}, "\n"))
	check := func(t *testing.T, s config.Server) {
		t.Helper()
		if s.Addr != "127.0.0.1:9" || !s.GraphiQL || s.OperationTime != 3*time.Second || s.DB != "sqlite:" ||
			!slices.Equal(s.AllowedOrigins, []string{"https://a.example.com", "https://b.example.com"}) ||
			!slices.Equal(s.TokenSecrets, []config.Secret{"k1=" + secret, `k2=with,comma\` + secret + `\`}) {
			t.Errorf("got %+v", s)
		}
	}
	t.Run("by flag", func(t *testing.T) { check(t, mustParse(t, "serve", "--config", path).Serve.Server) })
	t.Run("by environment", func(t *testing.T) {
		t.Setenv("CLIENTELE_CONFIG", path)
		check(t, mustParse(t, "serve").Serve.Server)
	})
	t.Run("shared by other commands", func(t *testing.T) {
		p := mustParse(t, "token", "--config", path, "--role=PLATFORM", "--subject=ops")
		if len(p.Token.TokenSecrets) != 2 {
			t.Error("token did not read the secrets")
		}
	})
	t.Run("never by the demo", func(t *testing.T) {
		t.Setenv("CLIENTELE_CONFIG", path)
		t.Setenv("CLIENTELE_ADDR", "127.0.0.1:10")
		if got := mustParse(t, "demo").Demo.Demo; got != config.DefaultDemo() {
			t.Errorf("the demo took a server's settings: %+v", got)
		}
	})
}

func TestFileFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown keys, all at once", "adr: x\npage-maximum: 3\n", `"adr" is no setting` + "\n" + `"page-maximum" is no setting`},
		{"itself", "config: other.yaml\n", `"config" is no setting`},
		{"help", "help: true\n", `"help" is no setting`},
		{"not yaml", "a: b: " + secret + "\n", "it is not a YAML mapping of settings"},
		{"not yaml, on a known line", "addr: a\nissuer: [b\n" + "audience: c\n", "it is not a YAML mapping of settings (line "},
		{"not a mapping", secret + "\n", "it is not a YAML mapping of settings"},
		{"unknown anchor", "issuer: *" + strings.ReplaceAll(secret, "-", "") + "\n", "it is not a YAML mapping of settings"},
		{"key twice", "addr: a\naddr: b\n", "it is not a YAML mapping of settings"},
		{"a mapping in it", "token-secrets: {k1: " + secret + "}\n", `"token-secrets" is neither a value nor a list of values`},
		{"a mapping in a list", "token-secrets: [{k1: " + secret + "}]\n", `the list "token-secrets" holds something else than words`},
		{"a list for one value", "db: [" + secret + "]\n", `"db" takes one value, not a list`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p program
			_, err := mustKong(t, &p).Parse(append([]string{"serve", "--config", mustWrite(t, "c.yaml", c.text)}, needed()...))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), secret[:8]) {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
	t.Run("absent", func(t *testing.T) {
		var p program
		_, err := mustKong(t, &p).Parse([]string{"serve", "--config", filepath.Join(t.TempDir(), "absent")})
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

// settings is the names of the settings that err reports, sorted.
func settings(err error) []string {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) // errors.Join gives no other way in.
	if !ok {
		return []string{"not joined: " + err.Error()}
	}
	var names []string
	for _, e := range joined.Unwrap() {
		var f *config.Fault
		if !errors.As(e, &f) {
			names = append(names, "no fault: "+e.Error())
			continue
		}
		names = append(names, f.Setting)
	}
	slices.Sort(names)
	return names
}

func TestAllFaultsAtOnce(t *testing.T) {
	s := config.Server{
		Addr: "nonsense", AllowedOrigins: []string{"example.com", "https://ok.example.com"},
		ShutdownGrace: -1,
		Storage:       config.Storage{DB: "nonsense", DBMaxIdle: -1, DBConnLife: -1},
		Tokens: config.Tokens{
			Issuer: "a\nb", TokenSecrets: []config.Secret{"short=x", "noequals"}, TokenPublicKeys: []string{"k=@/absent"},
		},
		Sealing: config.Sealing{MasterKeys: []config.Secret{"m=zz"}},
		Images:  "ftp://host/images", PublicURL: "api.example.com", QueryAliases: -1, RatePerToken: -1, RatePerAccount: -1,
		Log: config.Log{LogLevel: "loud", LogFormat: "xml"},
	}
	want := []string{
		"addr", "allowed-origins", "audience", "body-bytes", "data", "db", "db-conn-life", "db-max-idle", "db-max-open",
		"delivery-workers", "http-status", "images", "issuer", "lanes", "log-format", "log-level", "master-keys", "max-connections",
		"messages-page-max", "nodes-per-call", "operation-time", "page-default", "page-max", "public-url", "query-aliases",
		"query-depth", "query-tokens", "rate-per-account", "rate-per-token", "shutdown-grace", "subscriptions-per-socket", "token-public-keys", "token-secrets",
		"token-secrets", "trusted-documents", "wechat-url",
	}
	err := s.Validate()
	if got := settings(err); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, name := range want {
		if !strings.Contains(err.Error(), "--"+name+": ") {
			t.Errorf("the text does not name --%s", name)
		}
	}
}

func TestFaults(t *testing.T) {
	long := strings.Repeat("s", 40)
	empty := mustWrite(t, "empty", "\n")
	big := mustWrite(t, "big", strings.Repeat("x", 70_000))
	for _, c := range []struct {
		name string
		set  func(*config.Server)
		want string // "" for none
	}{
		{"address without port", func(s *config.Server) { s.Addr = "127.0.0.1" }, "addr"},
		{"address with a port's name", func(s *config.Server) { s.Addr = ":http" }, "addr"},
		{"address with a port too large", func(s *config.Server) { s.Addr = ":65536" }, "addr"},
		{"address of IPv6", func(s *config.Server) { s.Addr = "[::1]:0" }, ""},
		{"every origin", func(s *config.Server) { s.AllowedOrigins = []string{"*"} }, ""},
		{"origin with a path", func(s *config.Server) { s.AllowedOrigins = []string{"https://a.example.com/"} }, "allowed-origins"},
		{"origin in capitals", func(s *config.Server) { s.AllowedOrigins = []string{"https://A.example.com"} }, "allowed-origins"},
		{"no connections", func(s *config.Server) { s.MaxConnections = 0 }, "max-connections"},
		{"no grace", func(s *config.Server) { s.ShutdownGrace = 0 }, ""},
		{"no folder", func(s *config.Server) { s.Data = "" }, "data"},
		{"sqlite path", func(s *config.Server) { s.DB = "sqlite:/var/lib/clientele/a.db" }, ""},
		{"sqlite path with parameters", func(s *config.Server) { s.DB = "sqlite:a.db?mode=ro" }, "db"},
		{"mysql", func(s *config.Server) { s.DB = "clientele:pw@tcp(db.example.com:3306)/clientele" }, ""},
		{"mysql user called mysql", func(s *config.Server) { s.DB = "mysql:pw@tcp(db.example.com:3306)/clientele" }, ""},
		{"mysql without database", func(s *config.Server) { s.DB = "clientele:pw@tcp(db.example.com:3306)/" }, "db"},
		{"mysql without user", func(s *config.Server) { s.DB = "tcp(db.example.com:3306)/clientele" }, "db"},
		{"as a URL", func(s *config.Server) { s.DB = "mysql://clientele:pw@db.example.com/clientele" }, "db"},
		{"no database", func(s *config.Server) { s.DB = "" }, "db"},
		{"pool no larger than lanes", func(s *config.Server) { s.DBMaxOpen, s.DBMaxIdle = s.Lanes, 1 }, "db-max-open"},
		{"pool just larger than lanes", func(s *config.Server) { s.DBMaxOpen, s.DBMaxIdle = s.Lanes+1, 1 }, ""},
		{"idle above open", func(s *config.Server) { s.DBMaxIdle = s.DBMaxOpen + 1 }, "db-max-idle"},
		{"connections for ever", func(s *config.Server) { s.DBConnLife = 0 }, ""},
		{"no issuer", func(s *config.Server) { s.Issuer = "" }, "issuer"},
		{"no key of tokens", func(s *config.Server) { s.TokenSecrets = nil }, "token-secrets"},
		{"secret too short", func(s *config.Server) { s.TokenSecrets = []config.Secret{config.Secret("k=" + long[:31])} }, "token-secrets"},
		{"secret just long enough", func(s *config.Server) { s.TokenSecrets = []config.Secret{config.Secret("k=" + long[:32])} }, ""},
		{"secret without id", func(s *config.Server) { s.TokenSecrets = []config.Secret{config.Secret(long)} }, "token-secrets"},
		{"secret with a bad id", func(s *config.Server) { s.TokenSecrets = []config.Secret{config.Secret("k k=" + long)} }, "token-secrets"},
		{"secret's id twice", func(s *config.Server) { s.TokenSecrets = append(s.TokenSecrets, s.TokenSecrets[0]) }, "token-secrets"},
		{"secret's file absent", func(s *config.Server) { s.TokenSecrets = []config.Secret{"k=@/absent"} }, "token-secrets"},
		{"secret's file empty", func(s *config.Server) { s.TokenSecrets = []config.Secret{config.Secret("k=@" + empty)} }, "token-secrets"},
		{"secret's file too long", func(s *config.Server) { s.TokenSecrets = []config.Secret{config.Secret("k=@" + big)} }, "token-secrets"},
		{"secret's file a folder", func(s *config.Server) { s.TokenSecrets = []config.Secret{config.Secret("k=@" + os.TempDir())} }, "token-secrets"},
		{"key set by http", func(s *config.Server) { s.TokenJWKS = "http://sign-in.example.com/keys" }, "token-jwks"},
		{"public key no PEM", func(s *config.Server) { s.TokenPublicKeys = []string{"k=" + long} }, "token-public-keys"},
		{"no master key", func(s *config.Server) { s.MasterKeys = nil }, "master-keys"},
		{"master key short", func(s *config.Server) { s.MasterKeys = []config.Secret{config.Secret("m=" + masterHex[2:])} }, "master-keys"},
		{"master key long", func(s *config.Server) { s.MasterKeys = []config.Secret{"m=" + masterHex + "00"} }, "master-keys"},
		{"master key odd", func(s *config.Server) { s.MasterKeys = []config.Secret{config.Secret("m=" + masterHex[1:])} }, "master-keys"},
		{"master key no hex", func(s *config.Server) { s.MasterKeys = []config.Secret{config.Secret("m=" + masterHex[:62] + "zz")} }, "master-keys"},
		{"master key's id twice", func(s *config.Server) { s.MasterKeys = append(s.MasterKeys, s.MasterKeys[0]) }, "master-keys"},
		{"page default above max", func(s *config.Server) { s.PageDefault = s.PageMax + 1 }, "page-default"},
		{"page default at max", func(s *config.Server) { s.PageDefault = s.PageMax }, ""},
		{"no aliases", func(s *config.Server) { s.QueryAliases = 0 }, ""},
		{"no time", func(s *config.Server) { s.OperationTime = 0 }, "operation-time"},
		{"too many lanes", func(s *config.Server) { s.Lanes, s.DBMaxOpen = 65, 200 }, "lanes"},
		{"too many workers", func(s *config.Server) { s.DeliveryWorkers = 1_025 }, "delivery-workers"},
		{"endpoint of the sandbox", func(s *config.Server) { s.SandboxURL = "http://127.0.0.1:9000/" }, ""},
		{"a folder for images", func(s *config.Server) { s.Images = "/var/lib/images" }, ""},
		{"a bucket for images", func(s *config.Server) { s.Images = "s3://images?region=cn-north-1" }, ""},
		{"a bucket without a name", func(s *config.Server) { s.Images = "s3://?region=cn-north-1" }, "images"},
		{"a bucket with a password", func(s *config.Server) { s.Images = "s3://a:b@images" }, "images"},
		{"an address of its own", func(s *config.Server) { s.PublicURL = "https://api.example.com/clientele" }, ""},
		{"an address with a slash at the end", func(s *config.Server) { s.PublicURL = "https://api.example.com/" }, "public-url"},
		{"an address with a query", func(s *config.Server) { s.PublicURL = "https://api.example.com?x=1" }, "public-url"},
		{"endpoint without scheme", func(s *config.Server) { s.SandboxURL = "127.0.0.1:9000" }, "sandbox-url"},
		{"endpoint of another scheme", func(s *config.Server) { s.SandboxURL = "ftp://host/" }, "sandbox-url"},
		{"endpoint with a password", func(s *config.Server) { s.SandboxURL = "http://a:b@host/" }, "sandbox-url"},
		{"level in capitals", func(s *config.Server) { s.LogLevel = "INFO" }, "log-level"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := valid()
			c.set(&s)
			err := s.Validate()
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			if got := settings(err); !slices.Equal(got, want) {
				t.Fatalf("got %v (%v), want %v", got, err, want)
			}
			if err == nil {
				return
			}
			for _, part := range []string{long[:31], masterHex[2:20], "/absent", "pw@"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("the error holds a secret: %v", err)
				}
			}
		})
	}
}

func TestDemoAndTokenFaults(t *testing.T) {
	token := func(set func(*config.Token)) interface{ Validate() error } {
		v := config.DefaultToken()
		v.TokenSecrets = []config.Secret{"k=" + secret}
		v.Role, v.Account, v.Subject = "ADMIN", account, "ops"
		set(&v)
		return &v
	}
	for _, c := range []struct {
		name string
		of   interface{ Validate() error }
		want []string
	}{
		{"demo", &config.Demo{Addr: "x", DB: "y"}, []string{"addr", "customers", "db"}},
		{"migrate", &config.Migrate{}, []string{"data", "db", "db-max-open", "log-format", "log-level"}},
		{"empty token", &config.Token{}, []string{"audience", "issuer", "role", "token-secrets", "ttl"}},
		{"token ok", token(func(*config.Token) {}), nil},
		{"token of an advisor", token(func(v *config.Token) { v.Role, v.Subject = "ADVISOR", "openid:o1" }), nil},
		{"token of an advisor without kind", token(func(v *config.Token) { v.Role = "ADVISOR" }), []string{"subject"}},
		{"token of a person", token(func(v *config.Token) { v.UnionID = strings.Repeat("u", auth.UnionIDBytes) }), nil},
		{"token of a person too long", token(func(v *config.Token) { v.UnionID = strings.Repeat("u", auth.UnionIDBytes+1) }), []string{"unionid"}},
		{"token of the platform", token(func(v *config.Token) { v.Role, v.Account = "PLATFORM", "" }), nil},
		{"token of the platform with an account", token(func(v *config.Token) { v.Role = "PLATFORM" }), []string{"account"}},
		{"token without account and subject", token(func(v *config.Token) { v.Account, v.Subject = "", "" }), []string{"account", "subject"}},
		{"import", &config.Import{URL: "https://api.example.com/graphql", Token: "abc", Kind: "CUSTOMERS"}, nil},
		{"import of nothing", &config.Import{}, []string{"kind", "token", "url"}},
		{"import with a token's file that is not there", &config.Import{URL: "http://x/", Token: "@/no/such/file", Kind: "X"}, []string{"token"}},
		{"token of half a second", token(func(v *config.Token) { v.TTL = time.Second / 2 }), []string{"ttl"}},
		{"token with public keys alone", token(func(v *config.Token) { v.TokenSecrets = nil }), []string{"token-secrets"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := settings(c.of.Validate()); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestSecretsFromFiles(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	s := config.Default()
	s.TokenSecrets = []config.Secret{
		config.Secret("f1=@" + mustWrite(t, "secret", secret+"\n")), "k2=" + config.Secret(strings.Repeat("2", 32)),
	}
	s.TokenPublicKeys = []string{"p1=@" + mustWrite(t, "p1.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))}
	s.MasterKeys = []config.Secret{config.Secret("m1=@" + mustWrite(t, "master", masterHex+"\n"))}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	issuer, err := s.NewIssuer(now)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := issuer.Issue(auth.Grant{Role: auth.RoleAdmin, Account: account, Subject: "ops", Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	// The same secret written out: the file's newline is no part of it.
	plain := config.Default()
	plain.TokenSecrets = []config.Secret{"f1=" + secret}
	for name, from := range map[string]*config.Server{"file": &s, "value": &plain} {
		verifier, _, err := from.NewVerifier(now, nil)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := verifier.Verify(token); err != nil || v.Account != account {
			t.Errorf("%s: got %v, %v", name, v, err)
		}
	}
	ring, err := s.NewRing()
	if err != nil {
		t.Fatal(err)
	}
	if ring.CurrentID() != "m1" {
		t.Errorf("the first master key is %q", ring.CurrentID())
	}
	s.TokenSecrets = nil
	if err := s.Validate(); err != nil {
		t.Errorf("public keys alone are enough to serve: %v", err)
	}
	if _, err := s.NewIssuer(now); !errors.Is(err, config.ErrNoSecret) {
		t.Errorf("got %v", err)
	}
}

func TestFaultyKeysMakeNothing(t *testing.T) {
	s := config.Default()
	s.TokenSecrets = []config.Secret{"k=short"}
	s.MasterKeys = []config.Secret{"m=short"}
	if _, _, err := s.NewVerifier(time.Now, nil); err == nil {
		t.Error("a verifier of a short secret")
	}
	if _, err := s.NewIssuer(time.Now); err == nil {
		t.Error("an issuer of a short secret")
	}
	if _, err := s.NewRing(); err == nil {
		t.Error("a ring of a short key")
	}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	s := valid()
	s.DB = "clientele:p@ss/w0rd@tcp(db.example.com:3306)/clientele?parseTime=true"
	hidden := []string{secret, masterHex, "p@ss", "w0rd"}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+verb+verb+"\n", s.TokenSecrets[0], s.MasterKeys, s.DB)
	}
	for _, format := range []string{"json", "text"} {
		l := config.Log{LogLevel: "debug", LogFormat: format}
		l.NewLogger(&out).Debug("start", "settings", s, "pointer", &s, "secret", s.TokenSecrets[0], "list", s.MasterKeys, "db", s.DB)
	}
	if err := json.NewEncoder(&out).Encode(s); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, h := range hidden {
		for _, form := range []string{h, fmt.Sprintf("%x", h), fmt.Sprintf("%X", h), strings.Trim(fmt.Sprint([]byte(h)), "[]")} {
			if strings.Contains(text, form) {
				t.Errorf("%q is printed", form)
			}
		}
	}
	if !strings.Contains(text, "@tcp(db.example.com:3306)/clientele") {
		t.Error("the database's place is not printed")
	}
}

func TestSecretsAreNotInErrorsOfTheCommandLine(t *testing.T) {
	t.Setenv("CLIENTELE_TOKEN_SECRETS", secret)
	var p program
	_, err := mustKong(t, &p).Parse([]string{"serve", "--master-keys=" + masterHex, "--db=u:" + secret + "@x"})
	if err == nil {
		t.Fatal("accepted")
	}
	if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), masterHex[:8]) {
		t.Errorf("the error holds a secret: %v", err)
	}
}

func TestDatabase(t *testing.T) {
	for _, c := range []struct {
		dsn  config.DSN
		want config.Database
		text string
	}{
		{"sqlite:", config.Database{Engine: config.SQLite, Path: filepath.Join("d", "clientele.db")}, "sqlite:"},
		{"sqlite:x/y.db", config.Database{Engine: config.SQLite, Path: "x/y.db"}, "sqlite:x/y.db"},
		{"u:p@tcp(h:1)/n", config.Database{Engine: config.MySQL, DSN: "u:p@tcp(h:1)/n"}, "[redacted]@tcp(h:1)/n"},
		{"u@unix(/s)/n", config.Database{Engine: config.MySQL, DSN: "u@unix(/s)/n"}, "[redacted]@unix(/s)/n"},
	} {
		got, err := (&config.Storage{Data: "d", DB: c.dsn}).Database()
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v", c.dsn, got, err)
		}
		if c.dsn.String() != c.text {
			t.Errorf("printed as %q, want %q", c.dsn.String(), c.text)
		}
	}
	if got := config.DSN("no at sign, maybe a password").String(); got != "[redacted]" {
		t.Errorf("printed as %q", got)
	}
}

func TestDemoServer(t *testing.T) {
	d := config.DefaultDemo()
	d.Addr, d.Data, d.DB = "127.0.0.1:0", "there", "sqlite:x.db"
	s := d.Server()
	if !s.WebhookPrivate || !s.GraphiQL || s.Addr != d.Addr || s.Data != d.Data || s.DB != d.DB || s.PageMax != config.Default().PageMax {
		t.Errorf("got %+v", s)
	}
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	l := config.Log{LogLevel: "warn", LogFormat: "text"}
	l.NewLogger(&out).Info("hidden")
	l.NewLogger(&out).Warn("shown")
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "msg=shown") {
		t.Errorf("logged %q", got)
	}
	if !(&config.Log{}).NewLogger(&out).Enabled(t.Context(), slog.LevelInfo) {
		t.Error("unknown words are not the defaults")
	}
}

// help is what `clientele COMMAND --help` prints, with its white space evened out.
func help(t *testing.T, command string) string {
	t.Helper()
	var out bytes.Buffer
	var p program
	done := errors.New("exit")
	k := mustKong(t, &p, kong.Writers(&out, &out), kong.Exit(func(int) { panic(done) }))
	func() {
		defer func() {
			if r := recover(); r != nil && r != done { //nolint:errorlint // It is the very value.
				panic(r)
			}
		}()
		_, _ = k.Parse([]string{command, "--help"})
	}()
	return strings.Join(strings.Fields(out.String()), " ")
}

func TestHelpShowsEverySetting(t *testing.T) {
	for command, settings := range map[string]any{
		"serve": config.Default(), "demo": config.DefaultDemo(), "migrate": config.DefaultMigrate(),
		"token": config.DefaultToken(),
	} {
		t.Run(command, func(t *testing.T) {
			text := help(t, command)
			each(t, reflect.TypeOf(settings), func(f reflect.StructField) {
				flag, env := f.Tag.Get("name"), f.Tag.Get("env")
				shown := strings.Contains(text, "--"+flag+"=") || strings.Contains(text, "--[no-]"+flag+" ")
				if !shown {
					t.Errorf("help does not show --%s", flag)
				}
				def := "none"
				if name := strings.Trim(f.Tag.Get("default"), "${}"); name != "" {
					def = config.Vars()[name]
				}
				if want := fmt.Sprintf("%s (default: %s; $%s)", f.Tag.Get("help"), def, env); !strings.Contains(text, want) {
					t.Errorf("help does not show %q", want)
				}
			})
		})
	}
}

// each calls do for every setting of a struct, embedded ones included.
func each(t *testing.T, of reflect.Type, do func(reflect.StructField)) {
	t.Helper()
	for i := range of.NumField() {
		if f := of.Field(i); f.Anonymous {
			each(t, f.Type, do)
		} else {
			do(f)
		}
	}
}

func TestEverySettingIsWholeAndNamedByRule(t *testing.T) {
	for prefix, of := range map[string]reflect.Type{
		"CLIENTELE_":      reflect.TypeFor[config.Server](),
		"CLIENTELE_DEMO_": reflect.TypeFor[config.Demo](),
	} {
		each(t, of, func(f reflect.StructField) {
			flag := f.Tag.Get("name")
			if want := prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_")); flag == "" || f.Tag.Get("env") != want {
				t.Errorf("%s: flag %q, environment %q, want %q", f.Name, flag, f.Tag.Get("env"), want)
			}
			if f.Tag.Get("help") == "" {
				t.Errorf("%s has no help", f.Name)
			}
		})
	}
}

func TestTablesNameEverySetting(t *testing.T) {
	for text, of := range map[string]reflect.Type{
		config.Table():       reflect.TypeFor[config.Server](),
		config.DemoTable():   reflect.TypeFor[config.Demo](),
		config.TokenTable():  reflect.TypeFor[config.Token](),
		config.ImportTable(): reflect.TypeFor[config.Import](),
	} {
		rows := 0
		each(t, of, func(f reflect.StructField) {
			rows++
			def := "none"
			if v := config.Vars()[strings.Trim(f.Tag.Get("default"), "${}")]; v != "" {
				def = "`" + v + "`"
			}
			want := fmt.Sprintf("| `--%s` | `%s` | %s | %s |\n", f.Tag.Get("name"), f.Tag.Get("env"), def, f.Tag.Get("help"))
			if !strings.Contains(text, want) {
				t.Errorf("no row %q", want)
			}
		})
		if got := strings.Count(text, "\n"); got != rows+2 {
			t.Errorf("%d lines for %d settings", got, rows)
		}
	}
}
