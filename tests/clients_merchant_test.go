package tests

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"clientele/auth"
	"clientele/channels/wechat/wechattest"
	"clientele/internal/apiclient"
	"clientele/internal/config"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// answerEnds is the status in which an advisor's answer ends.
const answerEnds = models.StatusSent

// merchant is an account of WECHAT with one advisor, on the program as it ships, which serves in a process of its own.
type merchant struct {
	*testing.T
	url string
	// advisor is the token of the advisor, scene that of the advisor's code.
	advisor string
	scene   string
	// platform posts callbacks to the account, app is what the program asks.
	platform wechattest.Platform
	app      *wechattest.App
	messages atomic.Int64
}

// newMerchant founds it on a database without accounts and starts the program, with more flags, which ends with the test.
func newMerchant(t *testing.T, program, dsn string, flags ...string) *merchant {
	t.Helper()
	const secret, patience = "clients=a-secret-of-thirty-two-bytes-or-more", time.Minute
	m := &merchant{T: t}
	account, advisor := m.found(dsn)

	settings := config.Default()
	settings.TokenSecrets = []config.Secret{secret}
	issuer, err := settings.NewIssuer(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	token := func(role auth.Role, subject string) string {
		text, _, err := issuer.Issue(auth.Grant{Role: role, Account: account.Key.String(), Subject: subject, Life: tokenLife})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	m.advisor = token(auth.RoleAdvisor, auth.AdvisorSubject(auth.SubjectID, advisor.Key.String()))

	output := testkit.NewOutput()
	api := wechattest.NewAPI(t)
	m.app = api.App(string(account.AppID), wechatSecret)
	flags = append([]string{
		"serve", "--wechat-url=" + api.URL(), "--addr=127.0.0.1:0", "--db=" + dsn, "--data=" + t.TempDir(), "--token-secrets=" + secret, "--master-keys=clients=" + strings.Repeat("5a", 32),
	}, flags...)
	process := testkit.StartProcess(t, output, nil, program, flags...)
	m.url = output.Await(t, process, patience)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the program wrote:\n%s", output.Tail())
		}
	})

	client := &http.Client{Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	admin := apiclient.Client{HTTP: client, URL: m.url + "/graphql", Token: token(auth.RoleAdmin, "console")}
	err = admin.Ask(t.Context(), `mutation($token: String!) { setCallbackCredentials(input: {mode: PLAIN, token: $token}) { account { id } } }`,
		apiclient.Vars{"token": callbackToken}, nil)
	if err != nil {
		t.Fatalf("set the callback's credentials: %v", err)
	}
	err = admin.Ask(t.Context(), `mutation($secret: String!) { setAppSecret(input: {secret: $secret}) { account { id } } }`, apiclient.Vars{"secret": wechatSecret}, nil)
	if err != nil {
		t.Fatalf("set the app secret: %v", err)
	}
	m.platform = wechattest.Platform{URL: m.url + "/wechat/" + string(account.CallbackID), Token: callbackToken, Client: client}
	return m
}

// found writes the account, its advisor and the advisor's code.
func (m *merchant) found(dsn string) (*models.Account, *models.Advisor) {
	m.Helper()
	s, err := store.Open(m.Context(), store.Options{DSN: dsn, Strict: true})
	if err != nil {
		m.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			m.Error(err)
		}
	}()
	if _, err := s.Migrate(m.Context()); err != nil {
		m.Fatal(err)
	}
	account := testkit.Account(m, s, func(a *models.Account) { a.Channel, a.AppID = models.ChannelWechat, "wx0123456789abcdef" })
	advisor := testkit.Advisors(m, s, account, 1)[0]
	code := &models.QRCode{AccountID: account.Key, Key: models.NewKey(), Scene: "counter", Kind: models.QRCodeAdvisor, OwnerID: advisor.Key, CreatedAt: s.Now()}
	testkit.Write(m, s, account.Key, func(tx *store.Tx) error { return tx.InsertQRCodes([]*models.QRCode{code}) })
	m.scene = string(code.Scene)
	return account, advisor
}

// followers is the address of who stands for followers' phones, and the platform behind them: POST /follow/OPENID follows by the
// advisor's code, POST /write/OPENID writes the body. It answers 200 when the callback was answered `success`.
func (m *merchant) followers() (url string) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /follow/{openid}", func(w http.ResponseWriter, r *http.Request) {
		m.app.Follow(wechattest.Follower{OpenID: r.PathValue("openid"), FollowedAt: time.Now()})
		m.calls(w, r, m.platform.Subscribe(r.PathValue("openid"), m.scene))
	})
	mux.HandleFunc("POST /write/{openid}", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		m.calls(w, r, m.platform.Text(r.PathValue("openid"), m.messages.Add(1), string(text)))
	})
	s := httptest.NewServer(mux)
	m.Cleanup(s.Close)
	return s.URL
}

// calls posts one callback and tells w what came of it.
func (m *merchant) calls(w http.ResponseWriter, r *http.Request, message string) {
	answer, err := m.platform.Post(r.Context(), message)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || string(text) != "success" {
		http.Error(w, fmt.Sprintf("the callback was answered %s %q, %v", answer.Status, text, err), http.StatusBadGateway)
	}
}
