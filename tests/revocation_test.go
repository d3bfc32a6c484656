package tests

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"clientele/auth"
	"clientele/events"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/services"
	"clientele/store"
)

// signed is a token of a merchant's own sign-in, with the claims that are given.
func signed(tb testing.TB, claims jwt.MapClaims) string {
	tb.Helper()
	all := jwt.MapClaims{"iss": "clientele", "aud": "clientele", "exp": testkit.Start.Add(tokenLife).Unix()}
	for name, v := range claims {
		all[name] = v
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, all)
	t.Header["kid"] = "test"
	text, err := t.SignedString([]byte(tokenSecret))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

const revokeBefore = `mutation($b: TokenBearerRef!) { revokeTokensIssuedBefore(input: {bearer: $b}) { issuedBefore } }`

// Ensure a revocation meets the tokens it names, by whatever name they call the advisor and with
// whatever claims they lack, and no others; on this node at once, for requests and connections
// alike (rule V1).
func TestRevokedTokens(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna", "ben"}}, "main")
		b := w.found(setup{Advisors: []string{"anna"}}, "twin")
		anna := func(change jwt.MapClaims) string {
			claims := jwt.MapClaims{"role": "ADVISOR", "acc": a.account.String(), "sub": "openid:anna", "iat": w.clock.Now().Unix()}
			for name, v := range change {
				claims[name] = v
			}
			return signed(t, claims)
		}
		byID := "id:" + keyOf(t, a.names["id anna"]).String()
		early := map[string]string{
			"by openid": anna(nil), "by id": anna(jwt.MapClaims{"sub": byID}), "with an id": anna(jwt.MapClaims{"jti": "t1"}),
			"issued nobody knows when": anna(jwt.MapClaims{"iat": nil}),
		}
		others := map[string]string{
			"another advisor": anna(jwt.MapClaims{"sub": "openid:ben"}), "another account's": w.bearer("anna", b.account), "another role": w.bearer("analyst", a.account),
			"another account's with this id": signed(t, jwt.MapClaims{"role": "ADVISOR", "acc": b.account.String(), "sub": "openid:anna", "jti": "t1"}),
		}
		lets := func(when string, tokens map[string]string, in bool) {
			t.Helper()
			for name, token := range tokens {
				if code := w.ask(token, `{ viewer { role } }`, nil).code(); (code == "") != in || !in && code != "UNAUTHENTICATED" {
					t.Errorf("%s: %s is answered %q", when, name, code)
				}
				if code := w.ask(token, `{ __typename }`, nil).code(); name == "with an id" && code == "" && !in {
					t.Errorf("%s: %s may ask for the schema", when, name)
				}
			}
		}
		lets("before", early, true)
		a.do("admin", `mutation { revokeToken(input: {tokenId: "t1"}) { rememberedUntil } }`, nil)
		lets("by id", map[string]string{"with an id": early["with an id"]}, false)
		if code := w.dial(early["with an id"]).closed(); code != 4403 {
			t.Errorf("a connection with a revoked token was closed with %d", code)
		}
		lets("by id", map[string]string{"by openid": early["by openid"]}, true)
		lets("by id", others, true)

		w.clock.Advance(time.Second)
		a.do("admin", revokeBefore, map[string]any{"b": map[string]any{"advisor": map[string]any{"openid": "anna"}}})
		lets("by advisor", early, false)
		lets("by advisor", others, true)
		lets("by advisor", map[string]string{"a fresh one": anna(nil)}, true)
		lets("by advisor", map[string]string{"without a time": anna(jwt.MapClaims{"iat": nil})}, false)
		if code := w.dial(early["by id"]).closed(); code != 4403 {
			t.Errorf("a connection with a revoked token was closed with %d", code)
		}

		w.clock.Advance(time.Second)
		a.do("admin", revokeBefore, map[string]any{"b": map[string]any{"subject": "analyst"}})
		lets("by subject", map[string]string{"another role": others["another role"]}, false)
		delete(others, "another role")
		lets("by subject", others, true)
		if n := w.count("SELECT COUNT(*) FROM audit WHERE action IN ('revokeToken', 'revokeTokensIssuedBefore')"); n != 3 {
			t.Errorf("%d entries in the audit log", n)
		}

		// What is past its time is forgotten, and only then.
		if n := w.count("SELECT COUNT(*) FROM revocation"); n != 3 {
			t.Errorf("%d revocations", n)
		}
		w.clock.Advance(limits.RevocationLife + limits.ClockSkew + time.Microsecond)
		w.retain()
		if n := w.count("SELECT COUNT(*) FROM revocation"); n != 0 {
			t.Errorf("%d revocations stay", n)
		}
	})
}

// Ensure what one node revokes ends the subscriptions of another that nothing happens to, and
// meets requests there within limits.PolicyRecheck, without asking the database for each.
func TestRevocationOnTwoNodes(t *testing.T) {
	dsn := testkit.MySQL(t)
	one := start(t, dsn, options{})
	two := start(t, dsn, options{clock: one.clock})
	a := one.found(setup{Advisors: []string{"anna"}}, "main")
	token, viewer, err := one.Issuer.Issue(auth.Grant{Role: auth.RoleAdvisor, Account: a.account.String(), Subject: "openid:anna", Life: tokenLife})
	if err != nil {
		t.Fatal(err)
	}
	s := two.subscribe(token, shared(t, "notifications.graphql"), nil)
	a.do("admin", `mutation($t: String!) { revokeToken(input: {tokenId: $t}) { rememberedUntil } }`, map[string]any{"t": viewer.TokenID})
	began := time.Now()
	if code := s.closed(); code != 4403 {
		t.Errorf("closed with %d", code)
	}
	if took := time.Since(began); took > limits.PolicyRecheck+slack {
		t.Errorf("it took %v", took)
	}
	if code := two.ask(token, `{ viewer { role } }`, nil).code(); code != "UNAUTHENTICATED" {
		t.Errorf("a request is answered %q", code)
	}

	// Another account, which nobody listens to there: by the clock.
	c := one.found(setup{}, "second")
	ask := func() int64 {
		t.Helper()
		var n atomic.Int64
		ctx := store.CountStatements(services.WithViewer(t.Context(), &auth.Viewer{Role: auth.RoleAdmin, Account: c.account.String(), Subject: "admin", TokenID: "t9"}, "test"), &n)
		_, err := two.Services.Viewer(ctx)
		if err != nil {
			return -1
		}
		return n.Load()
	}
	first, second := ask(), ask()
	if first != second+1 {
		t.Errorf("%d statements, then %d: what is revoked is not kept", first, second)
	}
	c.do("admin", `mutation { revokeToken(input: {tokenId: "t9"}) { rememberedUntil } }`, nil)
	one.clock.Advance(limits.PolicyRecheck)
	if ask() != -1 {
		t.Error("a revoked token is let in after limits.PolicyRecheck")
	}
}

// Ensure an account has at most so many revocations in force, and that one that is there already
// may always be renewed.
func TestMostRevocations(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{}, "main")
		for i := range limits.RevocationsPerAccount - 1 {
			if _, err := w.db.ExecContext(t.Context(), "INSERT INTO revocation (account_id, kind, name, expires_at) VALUES (?, 'TOKEN', ?, ?)",
				a.account[:], fmt.Appendf(nil, "x%d", i), testkit.Start.Add(time.Hour).UnixMicro()); err != nil {
				t.Fatal(err)
			}
		}
		revoke := func(id string) string {
			return a.try("admin", `mutation($t: String!) { revokeToken(input: {tokenId: $t}) { rememberedUntil } }`, map[string]any{"t": id}).code()
		}
		for _, tt := range []struct{ id, want string }{{"last", ""}, {"more", "LIMIT_EXCEEDED"}, {"last", ""}, {"x5", ""}} {
			if got := revoke(tt.id); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.id, got, tt.want)
			}
		}
		if n := w.count("SELECT COUNT(*) FROM revocation WHERE expires_at > ?", testkit.Start.Add(24*time.Hour).UnixMicro()); n != 2 {
			t.Errorf("%d are remembered for as long as nobody knows, want those that were revoked without an end", n)
		}
		w.clock.Advance(2 * time.Hour) // most have lapsed, whether or not a pass has deleted them.
		if got := revoke("more"); got != "" {
			t.Errorf("after others lapsed: %q", got)
		}
	})
}

// Ensure the epoch changed beside a running server ends what is open there, within a poll, and
// what is handed out then goes on (rule N4).
func TestNewEpochBesideAServer(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		before := a.position("anna")
		s := a.watchMessages("anna", nil)
		began := time.Now()
		if _, err := w.Services.Restored(t.Context()); err != nil {
			t.Fatal(err)
		}
		if code := s.refused(); code != "CURSOR_EXPIRED" {
			t.Errorf("an open subscription ended with %s", code)
		}
		if took := time.Since(began); took > limits.StreamPoll+slack {
			t.Errorf("it took %v", took)
		}
		if code := a.watchMessages("anna", events.EncodeCursor(before)).refused(); code != "CURSOR_EXPIRED" {
			t.Errorf("an older cursor is answered %s", code)
		}
		after := a.position("anna")
		if after.Epoch == before.Epoch {
			t.Fatal("the epoch is the same")
		}
		s = a.watchMessages("anna", events.EncodeCursor(after))
		a.write("wei", "hello")
		if e := s.next(); e["sequence"] != float64(after.Seq+1) {
			t.Errorf("after %d comes %v", after.Seq, e)
		}
	})
}

// Ensure a token that is issued right after all were revoked is good at once, although `iat` has
// whole seconds.
func TestTokenIssuedAfterRevocation(t *testing.T) {
	w := start(t, testkit.SQLite(t), options{})
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	w.clock.Advance(1500 * time.Millisecond)
	issue := func() string {
		t.Helper()
		return a.do("admin", `mutation { issueAdvisorToken(input: {advisor: {openid: "anna"}, lifeSeconds: 60}) { token } }`, nil).text("issueAdvisorToken.token")
	}
	before := issue()
	a.do("admin", revokeBefore, map[string]any{"b": map[string]any{"advisor": map[string]any{"openid": "anna"}}})
	if code := w.ask(before, `{ viewer { role } }`, nil).code(); code != "UNAUTHENTICATED" {
		t.Errorf("the one from before is answered %q", code)
	}
	if code := w.ask(issue(), `{ viewer { role } }`, nil).code(); code != "" {
		t.Errorf("the one from after is answered %q", code)
	}
}
