package tests

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"clientele/channels/wechat/wechattest"
	"clientele/internal/seal"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// masterKey is a master key of tests, as the command line takes it and as a key.
func masterKey(t *testing.T, id string, fill byte) (flag string, key seal.Key) {
	t.Helper()
	secret := bytes.Repeat([]byte{fill}, seal.KeyBytes)
	key, err := seal.NewKey(id, secret)
	if err != nil {
		t.Fatal(err)
	}
	return id + "=" + hex.EncodeToString(secret), key
}

func ring(t *testing.T, keys ...seal.Key) *seal.Ring {
	t.Helper()
	r, err := seal.NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Ensure the command seals anew what another key sealed, and nothing else; that it leaves and names
// what it cannot open; that it may be run again; and that an embedded database in use is refused
// (rule A4).
func TestRekeyCommand(t *testing.T) {
	binary := program(t)
	oldFlag, oldKey := masterKey(t, "old", 1)
	newFlag, newKey := masterKey(t, "new", 2)
	_, lostKey := masterKey(t, "lost", 3)
	was, is, lost := ring(t, oldKey), ring(t, newKey), ring(t, lostKey)
	const token, tokenOld, aes, aesOld, secret, address = "the token", "the one before", "the AES key", "the AES key before", "the app secret", "what signs addresses"
	testkit.Engines(t, func(t *testing.T, dsn string) {
		run := func(keys ...string) (string, string, error) {
			c := exec.CommandContext(t.Context(), binary, "rekey", "--db", dsn, "--master-keys", strings.Join(keys, ","))
			var out, faults strings.Builder
			c.Stdout, c.Stderr = &out, &faults
			err := c.Run()
			return out.String(), faults.String(), err
		}
		s, err := store.Open(t.Context(), store.Options{DSN: dsn, Now: testkit.NewClock().Now, Strict: true, Relaxed: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		// One account more than a page of them; the last has a value that is sealed with the new key already.
		accounts := make([]models.Key, limits.BatchRows+1)
		for i := range accounts {
			a := testkit.Account(t, s)
			accounts[i] = a.Key
			testkit.Write(t, s, a.Key, func(tx *store.Tx) error {
				a.SealedToken = was.Seal(a.Key, "callback.token", []byte(token))
				a.SealedTokenOld = was.Seal(a.Key, "callback.token", []byte(tokenOld))
				a.SealedAESKey = was.Seal(a.Key, "callback.aes_key", []byte(aes))
				if i > 0 {
					a.SealedAESKeyOld = was.Seal(a.Key, "callback.aes_key", []byte(aesOld))
				}
				a.SealedAppSecret = was.Seal(a.Key, "app.secret", []byte(secret))
				a.SealedURLSecret = was.Seal(a.Key, "url.secret", []byte(address))
				// It is asked for anew rather than sealed anew.
				hook := &models.Webhook{AccountID: a.Key, Key: models.NewKey(), State: models.WebhookActive, RotatedAt: models.At(time.Now()), CreatedAt: tx.Now}
				hook.SealedSecret = was.Seal(a.Key, "webhook/"+hook.Key.String()+"/secret", []byte(secret))
				hook.SealedOld = is.Seal(a.Key, "webhook/"+hook.Key.String()+"/secret", []byte(secret))
				if err := tx.InsertWebhook(hook); err != nil {
					return err
				}
				if err := tx.PutAccessToken(&models.AccessToken{AccountID: a.Key, Sealed: was.Seal(a.Key, "app.access_token", []byte("t"))}); err != nil {
					return err
				}
				if i == len(accounts)-1 {
					a.SealedAESKey = is.Seal(a.Key, "callback.aes_key", []byte(aes))
				}
				return tx.UpdateAccount(a, "sealed_token", "sealed_token_old", "sealed_aes_key", "sealed_aes_key_old", "sealed_app_secret", "sealed_url_secret")
			})
		}
		embedded := s.IsEmbedded()
		if embedded {
			if _, faults, err := run(newFlag, oldFlag); err == nil || !strings.Contains(faults, "another process uses") {
				t.Errorf("beside a process that uses the database: %v\n%s", err, faults)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		want := "705 credentials of 101 accounts are sealed with new now; 102 were before."
		if out, faults, err := run(newFlag, oldFlag); err != nil || !strings.Contains(out, want) || faults != "" {
			t.Fatalf("%v\n%s%s", err, out, faults)
		}
		if out, _, err := run(newFlag); err != nil || !strings.Contains(out, "0 credentials of 101 accounts are sealed with new now; 807 were before.") {
			t.Errorf("again, without the old key: %v\n%s", err, out)
		}
		if embedded {
			if s, err = store.Open(t.Context(), store.Options{DSN: dsn, Strict: true, Relaxed: true}); err != nil {
				t.Fatal(err)
			}
		} else {
			t.Cleanup(func() { _ = s.Close() })
		}
		for _, key := range accounts {
			a, err := s.View(t.Context()).Account(key)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []struct {
				field, want string
				sealed      []byte
			}{{"callback.aes_key", aesOld, a.SealedAESKeyOld}, {"callback.token", token, a.SealedToken}, {"callback.token", tokenOld, a.SealedTokenOld}, {"callback.aes_key", aes, a.SealedAESKey}, {"app.secret", secret, a.SealedAppSecret}, {"url.secret", address, a.SealedURLSecret}} {
				if v.want == aesOld && key == accounts[0] {
					continue // not set
				}
				if plain, err := is.Open(key, v.field, v.sealed); err != nil || string(plain) != v.want {
					t.Fatalf("%s of %s: %q, %v", v.field, key, plain, err)
				}
			}
			hooks, err := s.View(t.Context()).Webhooks(key)
			if err != nil || len(hooks) != 1 {
				t.Fatalf("%d webhooks, %v", len(hooks), err)
			}
			for _, sealed := range [][]byte{hooks[0].SealedSecret, hooks[0].SealedOld} {
				if plain, err := is.Open(key, "webhook/"+hooks[0].Key.String()+"/secret", sealed); err != nil || string(plain) != secret {
					t.Fatalf("a webhook's secret: %q, %v", plain, err)
				}
			}
			if _, err := s.View(t.Context()).AccessToken(key); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("an access token that the old key sealed is there: %v", err)
			}
			if key == accounts[0] && len(a.SealedAESKeyOld) != 0 {
				t.Errorf("a credential that was not set is there")
			}
		}
		// One whose key is lost is named, and the others are sealed all the same.
		testkit.Write(t, s, accounts[3], func(tx *store.Tx) error {
			a, err := tx.LockAccount()
			if err != nil {
				return err
			}
			a.SealedToken = lost.Seal(a.Key, "callback.token", []byte(token))
			return tx.UpdateAccount(a, "sealed_token")
		})
		if embedded {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		out, faults, err := run(oldFlag, newFlag)
		if err == nil || !strings.Contains(out, "806 credentials of 101 accounts are sealed with old now") || !strings.Contains(faults, accounts[3].String()) {
			t.Errorf("%v\n%s%s", err, out, faults)
		}
		if strings.Contains(out+faults, token) || strings.Contains(out+faults, hex.EncodeToString(bytes.Repeat([]byte{1}, 4))) {
			t.Error("a credential or a key was shown")
		}
	})
}

// Ensure who lost a master key has callbacks again as soon as the account has other credentials, and webhooks with another secret:
// what nobody can open any more stands in nobody's way (rule A4).
func TestCredentialsAfterALostKey(t *testing.T) {
	_, lostKey := masterKey(t, "lost", 3)
	lost := ring(t, lostKey)
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		a := w.found(setup{Channel: "WECHAT"}, "main")
		hook := a.do("admin", createHook, map[string]any{"url": "https://example.com/"}).text("createWebhook.webhook.id")
		testkit.Write(t, w.Store, a.account, func(tx *store.Tx) error {
			row, err := tx.LockAccount()
			if err != nil {
				return err
			}
			row.SealedToken, row.SealedAESKey = lost.Seal(row.Key, "callback.token", []byte("token")), lost.Seal(row.Key, "callback.aes_key", []byte(callbackKey))
			if err := tx.UpdateAccount(row, "sealed_token", "sealed_aes_key"); err != nil {
				return err
			}
			hooks, err := tx.LockWebhooks()
			if err != nil {
				return err
			}
			hooks[0].SealedSecret = lost.Seal(row.Key, "webhook/"+hooks[0].Key.String()+"/secret", []byte("secret"))
			return tx.PutWebhooks(hooks)
		})
		path := a.do("admin", `mutation($t: String!, $k: String!) { setCallbackCredentials(input: {token: $t, aesKey: $k, mode: PLAIN}) { account { callbackPath } } }`,
			map[string]any{"t": callbackToken, "k": callbackKey}).text("setCallbackCredentials.account.callbackPath")
		platform := wechattest.Platform{
			URL: w.url + path, Token: callbackToken, AESKey: callbackKey, AppID: "wx-main", OriginalID: "gh_main", Client: w.http, Now: w.clock.Now,
		}
		answer, err := platform.Post(t.Context(), platform.Text("wei", 1, "hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("a callback is answered %d", answer.StatusCode)
		}
		a.do("admin", `mutation($w: ID!) { rotateWebhookSecret(input: {webhookId: $w}) { secret } }`, map[string]any{"w": hook})
		hooks, err := w.Store.View(t.Context()).Webhooks(a.account)
		if err != nil || len(hooks) != 1 || hooks[0].SignsWithOld(w.clock.Time()) {
			t.Errorf("the webhook is to be signed with a secret that nobody can open: %+v, %v", hooks, err)
		}
	})
}
