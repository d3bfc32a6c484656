package config

import (
	"encoding/hex"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"clientele/auth"
	"clientele/internal/blobs"
	"clientele/internal/seal"
)

// Validate reports every fault of the settings at once: nil, or the join of a *Fault each. It
// reads the files that secrets and keys name, and touches nothing else.
func (s *Server) Validate() error {
	var f faults
	checkAddr(&f, s.Addr)
	for i, o := range s.AllowedOrigins {
		if !isOrigin(o) {
			f.add("allowed-origins", "entry %d is neither * nor an origin such as https://console.example.com", i+1)
		}
	}
	atLeast(&f, "max-connections", s.MaxConnections, 1)
	if s.ShutdownGrace < 0 {
		f.add("shutdown-grace", "%s is negative", s.ShutdownGrace)
	}
	s.Storage.check(&f)
	if s.DBMaxOpen >= 1 && s.Lanes >= 1 && s.DBMaxOpen <= s.Lanes {
		// Each lane holds a transaction open; with none to spare, no query would be answered.
		f.add("db-max-open", "%d is not more than --lanes (%d)", s.DBMaxOpen, s.Lanes)
	}
	s.Tokens.check(&f)
	if len(s.TokenSecrets)+len(s.TokenPublicKeys) == 0 && s.TokenJWKS == "" {
		f.add("token-secrets", "no key checks tokens: set this, --token-public-keys or --token-jwks")
	}
	if s.TokenJWKS != "" {
		if _, err := auth.NewJWKS(s.TokenJWKS, nil, nil); err != nil {
			f.add("token-jwks", "%s", err)
		}
	}
	s.Sealing.check(&f)
	atLeast(&f, "page-default", s.PageDefault, 1)
	atLeast(&f, "page-max", s.PageMax, 1)
	if s.PageDefault > s.PageMax && s.PageMax >= 1 {
		f.add("page-default", "%d is more than --page-max (%d)", s.PageDefault, s.PageMax)
	}
	atLeast(&f, "messages-page-max", s.MessagesPageMax, 1)
	atLeast(&f, "nodes-per-call", s.NodesPerCall, 1)
	atLeast(&f, "query-depth", s.QueryDepth, 1)
	atLeast(&f, "query-tokens", s.QueryTokens, 1)
	atLeast(&f, "query-aliases", s.QueryAliases, 0)
	atLeast(&f, "body-bytes", s.BodyBytes, 1)
	if s.OperationTime <= 0 {
		f.add("operation-time", "%s is not positive", s.OperationTime)
	}
	atLeast(&f, "subscriptions-per-socket", s.SubscriptionsPerSocket, 1)
	if s.HTTPStatus != HTTPStatusAudit && s.HTTPStatus != HTTPStatusDraft {
		f.add("http-status", "%q is neither %s nor %s", s.HTTPStatus, HTTPStatusAudit, HTTPStatusDraft)
	}
	s.checkTrusted(&f)
	between(&f, "rate-per-token", s.RatePerToken, 0, mostRate)
	between(&f, "rate-per-account", s.RatePerAccount, 0, mostRate)
	between(&f, "lanes", s.Lanes, 1, mostLanes)
	between(&f, "delivery-workers", s.DeliveryWorkers, 1, mostWorkers)
	if s.Images != "" {
		if err := blobs.Check(s.Images); err != nil {
			f.add("images", "%s", err)
		}
	}
	if s.PublicURL != "" && (!isWebAddress(s.PublicURL) || strings.HasSuffix(s.PublicURL, "/") || strings.Contains(s.PublicURL, "?")) {
		f.add("public-url", "it is not an http or https address without a slash at the end, such as https://api.example.com")
	}
	if !isWebAddress(s.WechatURL) || strings.HasSuffix(s.WechatURL, "/") {
		f.add("wechat-url", "it is not an http or https address without a slash at the end, such as https://api.weixin.qq.com")
	}
	if s.SandboxURL != "" && !isWebAddress(s.SandboxURL) {
		f.add("sandbox-url", "it is not an http or https address such as http://127.0.0.1:9000/")
	}
	s.Log.check(&f)
	return f.join()
}

// Validate reports every fault of the settings at once, as Server's does.
func (d *Demo) Validate() error {
	var f faults
	checkAddr(&f, d.Addr)
	checkDB(&f, d.DB)
	between(&f, "customers", d.Customers, 1, mostCustomers)
	return f.join()
}

// Validate reports every fault of the settings at once, as Server's does.
func (m *Migrate) Validate() error {
	var f faults
	m.Storage.check(&f)
	m.Log.check(&f)
	return f.join()
}

// Validate reports every fault of the settings at once, as Server's does.
func (r *Rekey) Validate() error {
	var f faults
	r.Storage.check(&f)
	r.Sealing.check(&f)
	r.Log.check(&f)
	return f.join()
}

// Validate reports every fault of the settings at once, as Server's does.
func (t *Token) Validate() error {
	var f faults
	t.Tokens.check(&f)
	if len(t.TokenSecrets) == 0 {
		f.add("token-secrets", "one is needed to sign with")
	}
	// The bearer's parts are checked one by one against values known to be right, because
	// auth reports only the first thing wrong.
	role := auth.Role(t.Role)
	if !role.IsValid() {
		f.add("role", "it is none of %s", roleNames())
	}
	if t.TTL < time.Second || t.TTL%time.Second != 0 {
		f.add("ttl", "%s is not a positive number of whole seconds", t.TTL)
	}
	if role.IsValid() {
		account, subject := strings.Repeat("1", auth.AccountHexBytes), auth.AdvisorSubject(auth.SubjectOpenID, "x")
		if role == auth.RolePlatform {
			account = ""
		}
		if (auth.Grant{Role: role, Account: t.Account, Subject: subject, Life: time.Second}).Validate() != nil {
			if role == auth.RolePlatform {
				f.add("account", "PLATFORM has none")
			} else {
				f.add("account", "it is not the %d hexadecimal digits (lower case) of an account's key", auth.AccountHexBytes)
			}
		}
		if (auth.Grant{Role: role, Account: account, Subject: t.Subject, Life: time.Second}).Validate() != nil {
			if role == auth.RoleAdvisor {
				f.add("subject", "it is none of id:HEX, openid:OPENID and ext:EXTERNAL-ID")
			} else {
				f.add("subject", "it is not a name of 1 to %d bytes", auth.SubjectBytes)
			}
		}
	}
	whole := auth.Grant{Role: auth.RolePlatform, Subject: "x", UnionID: t.UnionID, Life: time.Second}
	if whole.Validate() != nil {
		f.add("unionid", "it is not 1 to %d bytes that can be printed", auth.UnionIDBytes)
	}
	return f.join()
}

// Validate reports every fault of the settings at once, as Server's does.
func (i *Import) Validate() error {
	var f faults
	if !isWebAddress(i.URL) {
		f.add("url", "it is not an http or https address such as https://api.example.com/graphql")
	}
	if i.Token == "" {
		f.add("token", "one is needed")
	} else if _, err := i.Bearer(); err != nil {
		f.add("token", "%v", err)
	}
	if i.Kind == "" {
		f.add("kind", "it is empty")
	}
	return f.join()
}

// Bearer is the token itself, read from its file where it stands in one. Errors hold no part of it.
func (i *Import) Bearer() (string, error) {
	_, token, err := ("token=" + i.Token).split()
	return string(token), err
}

// Grant is what the token is to say; meaningful after Validate.
func (t *Token) Grant() auth.Grant {
	return auth.Grant{Role: auth.Role(t.Role), Account: t.Account, Subject: t.Subject, UnionID: t.UnionID, Life: t.TTL}
}

func roleNames() string {
	var names []string
	for _, r := range auth.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

func (s *Storage) check(f *faults) {
	checkDB(f, s.DB)
	if s.Data == "" {
		f.add("data", "it is empty")
	}
	atLeast(f, "db-max-open", s.DBMaxOpen, 1)
	atLeast(f, "db-max-idle", s.DBMaxIdle, 0)
	if s.DBMaxIdle > s.DBMaxOpen && s.DBMaxOpen >= 1 {
		f.add("db-max-idle", "%d is more than --db-max-open (%d)", s.DBMaxIdle, s.DBMaxOpen)
	}
	if s.DBConnLife < 0 {
		f.add("db-conn-life", "%s is negative", s.DBConnLife)
	}
}

func (t *Tokens) check(f *faults) {
	oneLine(f, "issuer", t.Issuer)
	oneLine(f, "audience", t.Audience)
	t.keys(f)
}

// keys is the keys of both settings, secrets first, without those it reports. Reasons name an
// entry by its place alone: an entry whose "KID=" was forgotten is a secret from its first byte.
func (t *Tokens) keys(f *faults) []auth.Key {
	var keys []auth.Key
	seen := map[string]bool{}
	keep := func(setting string, i int, k auth.Key, err error) {
		switch {
		case err != nil:
			f.add(setting, "entry %d: %s", i+1, err)
		case seen[k.ID()]:
			f.add(setting, "entry %d: its id is that of an entry before it", i+1)
		default:
			seen[k.ID()] = true
			keys = append(keys, k)
		}
	}
	for i, s := range t.TokenSecrets {
		id, value, err := s.split()
		var k auth.Key
		if err == nil {
			k, err = auth.NewSecretKey(id, value)
		}
		keep("token-secrets", i, k, err)
	}
	for i, s := range t.TokenPublicKeys {
		id, value, err := Secret(s).split()
		var k auth.Key
		if err == nil {
			k, err = auth.NewPublicKey(id, value)
		}
		keep("token-public-keys", i, k, err)
	}
	return keys
}

func (s *Sealing) check(f *faults) {
	if len(s.MasterKeys) == 0 {
		f.add("master-keys", "credentials cannot be sealed without one")
	}
	s.keys(f)
}

// keys is the master keys in order, without those it reports.
func (s *Sealing) keys(f *faults) []seal.Key {
	var keys []seal.Key
	seen := map[string]bool{}
	for i, m := range s.MasterKeys {
		id, value, err := m.split()
		if err != nil {
			f.add("master-keys", "entry %d: %s", i+1, err)
			continue
		}
		secret := make([]byte, hex.DecodedLen(len(value)))
		if _, err := hex.Decode(secret, value); err != nil {
			// hex tells which byte is wrong, and that byte is part of the secret.
			f.add("master-keys", "entry %d: it is not %d hexadecimal digits", i+1, hex.EncodedLen(seal.KeyBytes))
			continue
		}
		k, err := seal.NewKey(id, secret)
		switch {
		case err != nil:
			f.add("master-keys", "entry %d: %s", i+1, err)
		case seen[id]:
			f.add("master-keys", "entry %d: its id is that of an entry before it", i+1)
		default:
			seen[id] = true
			keys = append(keys, k)
		}
	}
	return keys
}

func (l *Log) check(f *faults) {
	if _, ok := parseLevel(l.LogLevel); !ok {
		f.add("log-level", "%q is none of debug, info, warn, error", l.LogLevel)
	}
	if l.LogFormat != "json" && l.LogFormat != "text" {
		f.add("log-format", "%q is neither json nor text", l.LogFormat)
	}
}

func checkDB(f *faults, db DSN) {
	if _, err := db.Parse(""); err != nil {
		f.add("db", "%s", err)
	}
}

func checkAddr(f *faults, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		f.add("addr", "%q is not HOST:PORT", addr)
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		f.add("addr", "%q is not a port", port)
	}
}

// isOrigin reports whether s is * or what a browser sends as Origin.
func isOrigin(s string) bool {
	if s == "*" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		s == u.Scheme+"://"+u.Host && s == strings.ToLower(s)
}

// isWebAddress reports whether s is an absolute http or https address without user and fragment.
func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil && u.Fragment == ""
}
