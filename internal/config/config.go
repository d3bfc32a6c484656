// Package config holds the settings of the program: one struct a command, with kong tags for
// flags, environment and file, its defaults and its check. A setting's default stands in limits
// when it is a product number (rule X2), here when it is a matter of operation. The package
// opens nothing but the files that settings name, and starts nothing.
//
// A value comes from the flag, else the environment, else the file of --config, else the
// default. The environment's name is CLIENTELE_ and the flag's name, with DEMO_ or TOKEN_ between
// them for what those commands alone have; the file is a flat YAML mapping of flag names.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"clientele/auth"
	"clientele/internal/blobs"
	"clientele/internal/seal"
	"clientele/limits"
)

// Storage is where the data is.
type Storage struct {
	Data       string        `name:"data" group:"Storage" env:"CLIENTELE_DATA" default:"${data}" placeholder:"FOLDER" help:"Folder of the embedded database; made when it is missing."`
	DB         DSN           `name:"db" group:"Storage" env:"CLIENTELE_DB" default:"${db}" placeholder:"DB" help:"Database: sqlite:PATH (without PATH: clientele.db in --data) or a MySQL or MariaDB name USER:PASSWORD@tcp(HOST:PORT)/DATABASE."`
	DBMaxOpen  int           `name:"db-max-open" group:"Storage" env:"CLIENTELE_DB_MAX_OPEN" default:"${db_max_open}" placeholder:"N" help:"Most connections to MySQL for writing, and as many for reading; more than --lanes."`
	DBMaxIdle  int           `name:"db-max-idle" group:"Storage" env:"CLIENTELE_DB_MAX_IDLE" default:"${db_max_idle}" placeholder:"N" help:"Most connections kept while idle; at most --db-max-open."`
	DBConnLife time.Duration `name:"db-conn-life" group:"Storage" env:"CLIENTELE_DB_CONN_LIFE" default:"${db_conn_life}" placeholder:"TIME" help:"How long a connection is used before a new one replaces it; 0 for ever."`
}

// Tokens is what tokens are checked and issued with.
type Tokens struct {
	Issuer          string   `name:"issuer" group:"Tokens" env:"CLIENTELE_ISSUER" default:"${issuer}" placeholder:"NAME" help:"The iss that tokens carry."`
	Audience        string   `name:"audience" group:"Tokens" env:"CLIENTELE_AUDIENCE" default:"${audience}" placeholder:"NAME" help:"The aud that tokens carry."`
	TokenSecrets    []Secret `name:"token-secrets" group:"Tokens" env:"CLIENTELE_TOKEN_SECRETS" placeholder:"KID=SECRET" help:"HS256 secrets by kid, each KID=SECRET or KID=@FILE, at least 32 bytes; the first one signs, all verify. A secret with a comma belongs in a file."`
	TokenPublicKeys []string `name:"token-public-keys" group:"Tokens" env:"CLIENTELE_TOKEN_PUBLIC_KEYS" placeholder:"KID=@FILE" help:"Public keys of the merchant's sign-in by kid, each KID=@FILE with a PEM block PUBLIC KEY: Ed25519 (EdDSA), P-256 (ES256) or RSA (RS256)."`
}

// JWKS is where the keys of the merchant's sign-in are read from again and again.
type JWKS struct {
	TokenJWKS string `name:"token-jwks" group:"Tokens" env:"CLIENTELE_TOKEN_JWKS" default:"" placeholder:"FILE-OR-URL" help:"JSON Web Key Set of the merchant's sign-in, a file or an https address: RSA (RS256), P-256 (ES256) and Ed25519 (EdDSA) keys by kid, read again every 10 minutes, and sooner for a kid that is not known."`
}

// Sealing is what credentials are sealed at rest with (rule A4).
type Sealing struct {
	MasterKeys []Secret `name:"master-keys" group:"Sealing" env:"CLIENTELE_MASTER_KEYS" placeholder:"ID=HEX" help:"Keys that seal credentials in the database, each ID=HEX or ID=@FILE, 64 hexadecimal digits; the first one seals, all open."`
}

// Log is how the program reports what it does.
type Log struct {
	LogLevel  string `name:"log-level" group:"Log" env:"CLIENTELE_LOG_LEVEL" default:"${log_level}" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error."`
	LogFormat string `name:"log-format" group:"Log" env:"CLIENTELE_LOG_FORMAT" default:"${log_format}" placeholder:"FORMAT" help:"Form of the log: json or text."`
}

// Server is the settings of serve. Take Default and change it, or let kong fill it; then
// Validate. It may be printed and logged whole: secrets and the database's password are not shown.
type Server struct {
	Config File `name:"config" group:"File" env:"CLIENTELE_CONFIG" default:"" placeholder:"FILE" help:"YAML file of settings, a flat mapping of flag names to values."`

	Addr           string         `name:"addr" group:"Network" env:"CLIENTELE_ADDR" default:"${addr}" placeholder:"HOST:PORT" help:"Address to listen on; without HOST on every interface, port 0 for a free one."`
	TrustedProxies []netip.Prefix `name:"trusted-proxies" group:"Network" env:"CLIENTELE_TRUSTED_PROXIES" placeholder:"CIDR" help:"Networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8: the audit log then names the address before them, and WebSockets that have not begun are counted by it."`
	AllowedOrigins []string       `name:"allowed-origins" group:"Network" env:"CLIENTELE_ALLOWED_ORIGINS" placeholder:"ORIGIN" help:"Origins of other sites whose pages may call the API, such as https://console.example.com; * for all. Without any, pages of this server alone."`
	GraphiQL       bool           `name:"graphiql" group:"Network" env:"CLIENTELE_GRAPHIQL" default:"${graphiql}" negatable:"" help:"Serve GraphiQL."`
	MaxConnections int            `name:"max-connections" group:"Network" env:"CLIENTELE_MAX_CONNECTIONS" default:"${max_connections}" placeholder:"N" help:"Most open WebSockets of this node, and as many open event streams, and reserved ones; further ones are refused."`
	ShutdownGrace  time.Duration  `name:"shutdown-grace" group:"Network" env:"CLIENTELE_SHUTDOWN_GRACE" default:"${shutdown_grace}" placeholder:"TIME" help:"How long a stop waits for what is under way."`

	Storage
	Tokens
	JWKS
	Sealing

	PageDefault            int           `name:"page-default" group:"API limits" env:"CLIENTELE_PAGE_DEFAULT" default:"${page_default}" placeholder:"N" help:"Items of a page when first is absent; at most --page-max."`
	PageMax                int           `name:"page-max" group:"API limits" env:"CLIENTELE_PAGE_MAX" default:"${page_max}" placeholder:"N" help:"Most items of a page."`
	MessagesPageMax        int           `name:"messages-page-max" group:"API limits" env:"CLIENTELE_MESSAGES_PAGE_MAX" default:"${messages_page_max}" placeholder:"N" help:"Most messages of a page."`
	NodesPerCall           int           `name:"nodes-per-call" group:"API limits" env:"CLIENTELE_NODES_PER_CALL" default:"${nodes_per_call}" placeholder:"N" help:"Most ids of one nodes call."`
	QueryDepth             int           `name:"query-depth" group:"API limits" env:"CLIENTELE_QUERY_DEPTH" default:"${query_depth}" placeholder:"N" help:"Deepest selection of a document."`
	QueryTokens            int           `name:"query-tokens" group:"API limits" env:"CLIENTELE_QUERY_TOKENS" default:"${query_tokens}" placeholder:"N" help:"Most lexical tokens of a document."`
	QueryAliases           int           `name:"query-aliases" group:"API limits" env:"CLIENTELE_QUERY_ALIASES" default:"${query_aliases}" placeholder:"N" help:"Most aliases of a document."`
	BodyBytes              int64         `name:"body-bytes" group:"API limits" env:"CLIENTELE_BODY_BYTES" default:"${body_bytes}" placeholder:"BYTES" help:"Largest request body and WebSocket message, in bytes."`
	OperationTime          time.Duration `name:"operation-time" group:"API limits" env:"CLIENTELE_OPERATION_TIME" default:"${operation_time}" placeholder:"TIME" help:"How long one query or mutation may take; its statements end in the database then."`
	SubscriptionsPerSocket int           `name:"subscriptions-per-socket" group:"API limits" env:"CLIENTELE_SUBSCRIPTIONS_PER_SOCKET" default:"${subscriptions_per_socket}" placeholder:"N" help:"Most subscriptions of one WebSocket."`

	HTTPStatus string `name:"http-status" group:"API limits" env:"CLIENTELE_HTTP_STATUS" default:"${http_status}" placeholder:"WHOSE" help:"Statuses of answers: audit, as clients of today and the audits of graphql-http want them, or draft, those of the 2026 draft of GraphQL over HTTP (422, 294)."`

	TrustedDocuments string   `name:"trusted-documents" group:"API limits" env:"CLIENTELE_TRUSTED_DOCUMENTS" default:"${trusted_documents}" placeholder:"MODE" help:"What becomes of documents that are in none of --trusted-files: off, nothing; log, they are counted and logged; enforce, ADVISOR is refused them, and introspection."`
	TrustedFiles     []string `name:"trusted-files" group:"API limits" env:"CLIENTELE_TRUSTED_FILES" placeholder:"FILE" help:"Persisted documents of front ends, as graphql-codegen and relay-compiler write them: a JSON object of documents by id."`

	RatePerToken   int `name:"rate-per-token" group:"API limits" env:"CLIENTELE_RATE_PER_TOKEN" default:"${rate_per_token}" placeholder:"N" help:"Queries and mutations a second that this node gives one token; large ones count as several. 0: no limit."`
	RatePerAccount int `name:"rate-per-account" group:"API limits" env:"CLIENTELE_RATE_PER_ACCOUNT" default:"${rate_per_account}" placeholder:"N" help:"The same for all tokens of an account together."`

	Lanes           int `name:"lanes" group:"Work" env:"CLIENTELE_LANES" default:"${lanes}" placeholder:"N" help:"Most transactions at a time in which what comes in is written; 1 to 64."`
	DeliveryWorkers int `name:"delivery-workers" group:"Work" env:"CLIENTELE_DELIVERY_WORKERS" default:"${delivery_workers}" placeholder:"N" help:"Outbound queues that this node empties at the same time; 1 to 1024."`

	Images    string `name:"images" group:"Images" env:"CLIENTELE_IMAGES" placeholder:"FOLDER-OR-URL" help:"Where images are kept: a folder, which all nodes must share, or s3://BUCKET?region=REGION of a service that speaks S3, with &endpoint=URL and &use_path_style=true as it needs them; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or as AWS's programs find them. Without it the folder images in --data."`
	PublicURL string `name:"public-url" group:"Images" env:"CLIENTELE_PUBLIC_URL" placeholder:"URL" help:"Where clients reach this server, without a slash at the end, such as https://api.example.com: addresses of images begin with it. Without it they are paths."`

	WechatURL  string `name:"wechat-url" group:"Work" env:"CLIENTELE_WECHAT_URL" default:"${wechat_url}" placeholder:"URL" help:"Where WECHAT accounts' platform is asked, without a slash at the end: a proxy of yours, or what stands for it. HTTPS_PROXY is honoured."`
	SandboxURL string `name:"sandbox-url" group:"Work" env:"CLIENTELE_SANDBOX_URL" placeholder:"URL" help:"Where a program of yours stands for the platform: what SANDBOX accounts send is posted there (channels/sandbox has the protocol). Without it sends are accepted."`

	WebhookPrivate bool `name:"webhook-private" group:"Work" env:"CLIENTELE_WEBHOOK_PRIVATE" default:"${webhook_private}" negatable:"" help:"Let webhooks lead to http and into private networks, this machine included; only where every merchant is trusted with that."`

	Log
}

// Demo is the settings of demo. Its environment names have a prefix of their own, and it reads
// no file: a demo started where a server's settings stand must not fill the server's database.
type Demo struct {
	Addr      string `name:"addr" env:"CLIENTELE_DEMO_ADDR" default:"${demo_addr}" placeholder:"HOST:PORT" help:"Address to listen on; port 0 for a free one."`
	Data      string `name:"data" env:"CLIENTELE_DEMO_DATA" placeholder:"FOLDER" help:"Folder of the embedded database; without it a temporary one, removed at the end."`
	DB        DSN    `name:"db" env:"CLIENTELE_DEMO_DB" default:"${demo_db}" placeholder:"DB" help:"Database: sqlite:PATH (without PATH: clientele.db in --data) or a MySQL or MariaDB name USER:PASSWORD@tcp(HOST:PORT)/DATABASE."`
	Seed      int64  `name:"seed" env:"CLIENTELE_DEMO_SEED" default:"${demo_seed}" placeholder:"N" help:"Seed of what the followers do: the same seed, the same story."`
	Customers int    `name:"customers" env:"CLIENTELE_DEMO_CUSTOMERS" default:"${demo_customers}" placeholder:"N" help:"Followers of the demo's account; 1 to 100000."`
	Quiet     bool   `name:"quiet" env:"CLIENTELE_DEMO_QUIET" default:"${demo_quiet}" negatable:"" help:"Set everything up, but let nobody do anything: no simulated traffic."`
}

// Migrate is the settings of the commands that touch nothing but the database.
type Migrate struct {
	Config File `name:"config" group:"File" env:"CLIENTELE_CONFIG" default:"" placeholder:"FILE" help:"YAML file of settings, a flat mapping of flag names to values."`
	Storage
	Log
}

// Rekey is the settings of rekey, which seals with the first of --master-keys.
type Rekey struct {
	Migrate
	Sealing
}

// Token is the settings of token, which signs with the first of --token-secrets.
type Token struct {
	Config File `name:"config" group:"File" env:"CLIENTELE_CONFIG" default:"" placeholder:"FILE" help:"YAML file of settings, a flat mapping of flag names to values."`
	Tokens
	Role    string        `name:"role" group:"Bearer" env:"CLIENTELE_TOKEN_ROLE" placeholder:"ROLE" help:"ADMIN, INTEGRATION, ANALYST, PLATFORM or ADVISOR."`
	Account string        `name:"account" group:"Bearer" env:"CLIENTELE_TOKEN_ACCOUNT" placeholder:"HEX" help:"The account's key, 32 hexadecimal digits; none for PLATFORM."`
	Subject string        `name:"subject" group:"Bearer" env:"CLIENTELE_TOKEN_SUBJECT" placeholder:"NAME" help:"Who bears the token; an ADVISOR as id:HEX, openid:OPENID or ext:EXTERNAL-ID."`
	UnionID string        `name:"unionid" group:"Bearer" env:"CLIENTELE_TOKEN_UNIONID" placeholder:"UNIONID" help:"The person's unionid, if the token is to show them what they are an advisor of."`
	TTL     time.Duration `name:"ttl" group:"Bearer" env:"CLIENTELE_TOKEN_TTL" default:"${token_ttl}" placeholder:"TIME" help:"How long the token is good, in whole seconds."`
}

// Import is the settings of import, a client of a server that runs.
type Import struct {
	URL    string `name:"url" env:"CLIENTELE_IMPORT_URL" default:"${import_url}" placeholder:"URL" help:"The server's GraphQL address."`
	Token  Secret `name:"token" env:"CLIENTELE_IMPORT_TOKEN" placeholder:"TOKEN" help:"A token of ADMIN or INTEGRATION, or @FILE that holds one."`
	Kind   string `name:"kind" env:"CLIENTELE_IMPORT_KIND" default:"${import_kind}" placeholder:"KIND" help:"What the file holds, as the API's ImportKind."`
	Resume string `name:"resume" env:"CLIENTELE_IMPORT_RESUME" placeholder:"ID" help:"Go on with this import, whose upload broke off; its id was printed when it began."`
	Failed string `name:"failed" env:"CLIENTELE_IMPORT_FAILED" placeholder:"FILE" help:"Write here which records failed and why, as CSV."`
}

// Values of Server.HTTPStatus.
const (
	HTTPStatusAudit = "audit"
	HTTPStatusDraft = "draft"
)

// Values of Server.TrustedDocuments (rule V8).
const (
	TrustedOff     = "off"
	TrustedLog     = "log"
	TrustedEnforce = "enforce"
)

// Defaults that are no product numbers.
const (
	// maxConnections of idle sockets take 240 MB, at the 12 KiB each that docs/performance.md
	// allows them.
	maxConnections = 20_000
	dbMaxOpen      = 32
	// dbConnLife is below the time after which common proxies drop an idle connection for good.
	dbConnLife    = 30 * time.Minute
	shutdownGrace = 20 * time.Second
	tokenTTL      = time.Hour
	demoCustomers = 200

	mostLanes     = 64
	mostWorkers   = 1_024
	mostRate      = 1_000_000
	mostCustomers = 100_000
)

// Default is serve without any setting. It does not pass Validate: who signs tokens and who
// seals credentials has no default.
func Default() Server {
	return Server{
		Addr:           ":8080",
		MaxConnections: maxConnections,
		ShutdownGrace:  shutdownGrace,
		Storage:        defaultStorage(),
		Tokens:         defaultTokens(),

		PageDefault:            limits.PageDefault,
		PageMax:                limits.PageMax,
		MessagesPageMax:        limits.MessagesPage,
		NodesPerCall:           limits.NodesPerCall,
		QueryDepth:             limits.QueryDepth,
		QueryTokens:            limits.QueryTokens,
		QueryAliases:           limits.QueryAliases,
		BodyBytes:              limits.BodyBytes,
		OperationTime:          limits.OperationTime,
		SubscriptionsPerSocket: limits.SubscriptionsPerSocket,
		HTTPStatus:             HTTPStatusAudit,
		TrustedDocuments:       TrustedOff,
		RatePerToken:           limits.RatePerToken,
		RatePerAccount:         limits.RatePerAccount,

		WechatURL:       "https://api.weixin.qq.com",
		Lanes:           limits.Lanes,
		DeliveryWorkers: limits.DeliveryWorkers,
		Log:             defaultLog(),
	}
}

func defaultStorage() Storage {
	return Storage{Data: "data", DB: sqlitePrefix, DBMaxOpen: dbMaxOpen, DBMaxIdle: dbMaxOpen, DBConnLife: dbConnLife}
}

func defaultTokens() Tokens { return Tokens{Issuer: "clientele", Audience: "clientele"} }

func defaultLog() Log { return Log{LogLevel: "info", LogFormat: "json"} }

// DefaultDemo is demo without any setting.
func DefaultDemo() Demo {
	return Demo{Addr: "127.0.0.1:8080", DB: sqlitePrefix, Seed: 1, Customers: demoCustomers}
}

// DefaultMigrate is migrate without any setting.
func DefaultMigrate() Migrate { return Migrate{Storage: defaultStorage(), Log: defaultLog()} }

// DefaultToken is token without any setting; bearer and secret have no default.
func DefaultToken() Token { return Token{Tokens: defaultTokens(), TTL: tokenTTL} }

// DefaultImport is Import with every default of its flags.
func DefaultImport() Import {
	return Import{URL: "http://127.0.0.1:8080/graphql", Kind: "CUSTOMERS"}
}

// Server is the settings the demo's server runs with: the defaults, GraphiQL on, webhooks to this machine allowed, and the demo's
// address and database. Tokens and master keys are the demo's to make for each run.
func (d *Demo) Server() Server {
	s := Default()
	s.Addr, s.Data, s.DB, s.GraphiQL, s.WebhookPrivate = d.Addr, d.Data, d.DB, true, true
	return s
}

// NewVerifier is the verifier that the settings describe, and the key set that its Run keeps up to date; nil
// without --token-jwks. It fails with Faults. Nothing of the set has been read yet.
func (s *Server) NewVerifier(now func() time.Time, log *slog.Logger) (*auth.Verifier, *auth.JWKS, error) {
	var f faults
	keys := s.Tokens.keys(&f)
	if err := f.join(); err != nil {
		return nil, nil, err
	}
	fixed, err := auth.NewKeys(keys...)
	if err != nil {
		return nil, nil, err
	}
	options := auth.Options{Issuer: s.Issuer, Audience: s.Audience, Now: now}
	if s.TokenJWKS == "" {
		v, err := auth.NewVerifier(fixed, options)
		return v, nil, err
	}
	set, err := auth.NewJWKS(s.TokenJWKS, fixed, log)
	if err != nil {
		return nil, nil, err
	}
	v, err := auth.NewVerifier(set, options)
	return v, set, err
}

// ErrNoSecret: tokens cannot be issued, because only public keys are set. The server then has no
// issueAdvisorToken.
var ErrNoSecret = errors.New("no token secret is set")

// NewIssuer is the issuer that signs with the first token secret. It fails with Faults, or with
// ErrNoSecret.
func (t *Tokens) NewIssuer(now func() time.Time) (*auth.Issuer, error) {
	if len(t.TokenSecrets) == 0 {
		return nil, ErrNoSecret
	}
	var f faults
	keys := t.keys(&f)
	if err := f.join(); err != nil {
		return nil, err
	}
	return auth.NewIssuer(keys[0], auth.Options{Issuer: t.Issuer, Audience: t.Audience, Now: now})
}

// NewRing is the ring of master keys. It fails with Faults.
func (s *Sealing) NewRing() (*seal.Ring, error) {
	var f faults
	keys := s.keys(&f)
	if err := f.join(); err != nil {
		return nil, err
	}
	return seal.NewRing(keys...)
}

// NewImages is where images are kept: --images, else a folder in --data. Nothing is opened. It fails with a *Fault.
func (s *Server) NewImages() (*blobs.Store, error) {
	where := s.Images
	if where == "" {
		where = filepath.Join(s.Data, "images")
	}
	kept, err := blobs.New(where)
	if err != nil {
		return nil, &Fault{Setting: "images", Reason: err.Error()}
	}
	return kept, nil
}

// NewLogger is a logger that writes to w as the settings say. Unknown words, which Validate
// reports, stand for the defaults.
func (l *Log) NewLogger(w io.Writer) *slog.Logger {
	level, _ := parseLevel(l.LogLevel)
	o := &slog.HandlerOptions{Level: level}
	if l.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func parseLevel(s string) (slog.Level, bool) {
	switch s {
	case "debug":
		return slog.LevelDebug, true
	case "info":
		return slog.LevelInfo, true
	case "warn":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	}
	return slog.LevelInfo, false
}

// Fault is one thing wrong with a setting. Reason holds no secret.
type Fault struct {
	// Setting is the flag's name without hyphens in front, e.g. "page-max".
	Setting string
	Reason  string
}

// Error implements error.
func (f *Fault) Error() string { return "--" + f.Setting + ": " + f.Reason }

// faults collects what Validate reports.
type faults []error

func (f *faults) add(setting, format string, args ...any) {
	*f = append(*f, &Fault{Setting: setting, Reason: fmt.Sprintf(format, args...)})
}

func (f *faults) join() error { return errors.Join(*f...) }

// atLeast reports an integer or duration below its least value.
func atLeast[T int | int64](f *faults, setting string, value, least T) {
	if value < least {
		f.add(setting, "%d is less than %d", value, least)
	}
}

func between(f *faults, setting string, value, least, most int) {
	if value < least || value > most {
		f.add(setting, "%d is not between %d and %d", value, least, most)
	}
}

// oneLine reports a name that is empty or does not print in one line.
func oneLine(f *faults, setting, value string) {
	if value == "" {
		f.add(setting, "it is empty")
	} else if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		f.add(setting, "it has control characters")
	}
}
